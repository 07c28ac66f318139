# %% [markdown]
# # GenAI: prompts, traces and evaluation
#
# **Which prompt and which base model should answer our customers, and how do we know?**
#
# We will build a small assistant that finds a help page and answers from it. We follow one answer step by step, let a
# person judge it, and compare two prompts and two models on one table of questions.
#
# Afterwards you can
# - **register** a prompt in versions and **move** an alias from one to the next;
# - **trace** a pipeline and **read** inputs, outputs and latency of each step;
# - **record** what a person thinks of an answer, and **find** that answer again;
# - **score** candidates with code and **choose** the best base model.
#
# **You need:** lectures {step:comparing_runs} and {step:model_registry}.
#
# **Time:** 13 min to read · 18 min to do
#
# <!-- links -->
#
# ## Recall

# %%
from course_utils import lesson

lesson.quiz("genai", "recall")

# %% [markdown]
# ## The problem
#
# Tom's team answers the same questions all day. Mira wants a language model to draft the answers from Nordtel's help
# pages. She has two wordings for the prompt and two models on offer, one much dearer. She tried three questions by
# hand, liked what she saw, and could not say a day later which prompt it was.
#
# ## Setup
#
# Everything runs offline and gives the same every time: the two "models" are *stubs*, small programs that stand
# in for a language model. Round 2 shows where a real one goes.

# %% tags=["parameters"]
max_words = 15  # a longer answer does not count as short
min_correct = 0.8  # a candidate with a smaller share of right answers is out

# %%
import re

import mlflow
from mlflow.entities import AssessmentSource, Document, SpanType
from mlflow.genai.scorers import ResponseLength, scorer
from mlflow.tracing.constant import SpanAttributeKey

from course_utils import plots, store

store.connect()
mlflow.set_experiment("care-assistant")
print("Open the UI, from the course folder:", store.ui_command(), sep="\n")

# %%
HELP_PAGES = {
    "contracts": "A contract by the month ends four weeks after your notice. "
    "A one-year contract costs 40 euro to leave early. A two-year contract costs 90 euro to leave early.",
    "invoices": "Invoices are sent on the third of each month. A payment by card arrives on the same day. "
    "A payment by check arrives after five days.",
    "internet": "Fiber reaches 500 megabit per second. DSL reaches 100 megabit per second. "
    "When the connection is slow, restart the router first.",
    "moving": "Tell us about a new address six weeks ahead. Moving a fiber line to a new address costs nothing.",
    "support": "Support answers calls from eight to twenty. The chat answers within ten minutes.",
}

# %% [markdown]
# ## Round 1: a prompt is versioned like a model
#
# A **prompt** is a text with gaps, `{{ question }}`. A changed word can change every answer, so the **prompt registry**
# keeps each version with a message that says why it was made. We first remove what an earlier pass left, so that the
# numbers begin at 1.

# %%
from difflib import unified_diff

if mlflow.genai.search_prompts("name = '14-care'"):
    mlflow.MlflowClient().delete_prompt("14-care")

plain = mlflow.genai.register_prompt(
    "14-care", "PAGE: {{ page }}\nQUESTION: {{ question }}", commit_message="Page and question, no rules."
)
rules = "Answer in one sentence.\nIf the page does not say it, write: I do not know.\n"
strict = mlflow.genai.register_prompt("14-care", rules + plain.template, commit_message="One sentence, no guessing.")
mlflow.genai.set_prompt_alias("14-care", alias="production", version=plain.version)

print(*unified_diff(plain.template.split("\n"), strict.template.split("\n"), "v1", "v2", lineterm=""), sep="\n")

# %% [markdown]
# The **diff** shows what version 2 adds. Versions never change; an **alias** moves, as in lecture {step:model_registry}. An application
# asks for `prompts:/14-care@production`, never for a number.
#
# **Predict.** Both versions are registered. Which one does the alias load?

# %%
prediction = 0  # 1 or 2

# %%
loaded = mlflow.genai.load_prompt("prompts:/14-care@production")
print(f"version {loaded.version}: {loaded.commit_message}")
print(loaded.format(page="…", question="When does the chat answer?"))
with lesson.expect_warning(FutureWarning):
    mlflow.load_prompt("prompts:/14-care/1")  # as older courses write it

# %% [markdown]
# You should see version 1: registering a version moves no alias. If you see 2, somebody moved it. The functions have
# moved too: since MLflow 3 they live in `mlflow.genai`, and the old names warn.
#
# ## Round 2: a trace shows every step
#
# First our stub. It obeys the rules in the prompt and picks sentences that share words with the question; the small one
# reads two sentences only. You need not study it: a real model is a black box, too.
#
# A **trace** records one request; each step in it is a **span** with inputs, outputs, start and end. Two ways to make a
# span: the decorator `@mlflow.trace`, or a `with mlflow.start_span(…)` block that you fill.
#
# `call_model` is **the one function** to change for a real language model. We note its tokens (here: words) under the
# key that MLflow adds up.
#
# <details><summary>The same function with a real model (needs a key and a network)</summary>
#
# ```python
# import openai
#
# mlflow.openai.autolog()  # makes the span, with tokens
#
# def call_model(model, prompt):
#     messages = [{"role": "user", "content": prompt}]
#     reply = openai.OpenAI().chat.completions.create(model=model, messages=messages, temperature=0)
#     return reply.choices[0].message.content
# ```
#
# </details>

# %%
def words(text):
    return {word for word in re.findall(r"[a-z0-9-]+", text.lower()) if len(word) > 3}


def stub(model, prompt):
    rules, _, rest = prompt.partition("PAGE: ")
    page, _, question = rest.partition("QUESTION: ")
    sentences = [f"{part.strip()}." for part in page.split(".") if part.strip()]
    sentences = sentences[:2] if model == "stub-small" else sentences
    best = max(sentences, key=lambda sentence: len(words(sentence) & words(question)))
    if "I do not know" in rules and not words(best) & words(question):
        return "I do not know."
    return best if "one sentence" in rules else " ".join(sentences)


# %%
def call_model(model, prompt):
    with mlflow.start_span("call_model", span_type=SpanType.LLM) as span:
        span.set_inputs({"model": model, "prompt": prompt})
        reply = stub(model, prompt)
        span.set_outputs(reply)
        used = {"input_tokens": len(prompt.split()), "output_tokens": len(reply.split())}
        span.set_attribute(SpanAttributeKey.CHAT_USAGE, used | {"total_tokens": sum(used.values())})
    return reply


@mlflow.trace(span_type=SpanType.RETRIEVER)
def find_page(question):
    name = max(HELP_PAGES, key=lambda page: len(words(HELP_PAGES[page]) & words(question)))
    return [Document(id=name, page_content=HELP_PAGES[name])]


@mlflow.trace(span_type=SpanType.CHAIN)
def answer(question, prompt="prompts:/14-care@production", model="stub-small"):
    page = find_page(question)[0].page_content
    return call_model(model, mlflow.genai.load_prompt(prompt).format(page=page, question=question))


# %% [markdown]
# **Predict.** A customer asks how long the line is open. How many spans will the trace of the answer have?

# %%
prediction = 0  # a number of spans

# %%
print(answer("Until when can I call support?"))
trace = mlflow.get_trace(mlflow.get_last_active_trace_id())
for span in trace.data.spans:
    milliseconds = (span.end_time_ns - span.start_time_ns) / 1e6
    print(f"{span.span_type:9} {span.name:10} {milliseconds:.1f} ms, inputs: {', '.join(span.inputs)}")

# %%
print(f"{trace.info.state}, {trace.info.execution_duration} ms, {trace.info.token_usage['total_tokens']} tokens")
print("page found:", trace.search_spans(span_type=SpanType.RETRIEVER)[0].outputs[0]["id"])
print("prompt:", trace.info.tags["mlflow.linkedPrompts"])

# %% [markdown]
# You should see three spans: the chain, and inside it the search and the model. If there is one, the functions inside
# lost theirs. The answer is wrong, and the spans say where: the *search* brought the page `internet`. It shares one word
# with the question ("when"), as `support` does ("support"), and of equals `max` takes the first. So the *model* never had
# a chance. The trace knows its prompt version, too.
#
# Tom is not happy. His **feedback** is kept on the trace, with his name. What the answer should have held is an
# **expectation**.

# %%
tom = {"trace_id": trace.info.trace_id, "source": AssessmentSource(source_type="HUMAN", source_id="tom")}
mlflow.log_feedback(name="helpful", value=False, rationale="Megabits are no hours.", **tom)
mlflow.log_expectation(name="fact", value="eight to twenty", **tom)
(disliked,) = mlflow.search_traces(filter_string="feedback.helpful = 'false'", max_results=1, return_type="list")
print(*(f"{note.source.source_id}: {note.name} = {note.value}" for note in disliked.info.assessments), sep="\n")

# %% [markdown]
# ## Look at the UI
#
# Open the UI with *GenAI* chosen at the top left, and the experiment `care-assistant`. In the menu on the left:
#
# 1. **Traces**: click the request (the oldest one). The tree on the left is the spans; click each for inputs and outputs.
#    Tom's judgement stands at the right, under *Assessments*.
# 2. **Prompts**: click `14-care`, *Compare*, then *Text*: the diff of the two versions.
# 3. After Round 3, **Evaluation runs**: one line a candidate; click one to see its score on each question.
#
# ## Round 3: candidates on one table
#
# An **evaluation table** holds questions and what a right answer must contain. Tom's disliked question joins it: that
# is how a table grows. Two questions have no answer on any page, on purpose.
#
# A **scorer** is a function that judges one answer. `ResponseLength` comes with MLflow, the others are ours; none asks
# a language model.
#
# `mlflow.genai.evaluate` asks every question, runs every scorer on every answer, and writes the means to a run, the
# single judgements to the traces. One candidate is one run.

# %%
FACTS = {
    "What does it cost to leave a two-year contract early?": "90 euro",
    "When does a contract by the month end after my notice?": "four weeks",
    "When does a payment by check arrive?": "five days",
    "When does a payment by card arrive?": "same day",
    "My connection is slow: what should I restart?": "router",
    "What does moving a fiber line to a new address cost?": "nothing",
    "How soon does the chat answer?": "ten minutes",
    "Do you sell insurance for phones?": "I do not know",
    "What does a two-year contract cost every month?": "I do not know",
}
FACTS[disliked.data.spans[0].inputs["question"]] = "eight to twenty"  # Tom's question
rows = [{"inputs": {"question": q}, "expectations": {"fact": fact}} for q, fact in FACTS.items()]


# %%
@scorer
def correct(outputs, expectations):
    return expectations["fact"] in outputs


@scorer
def tokens(trace):
    return trace.info.token_usage["total_tokens"]


short = ResponseLength(name="short", max_length=max_words, unit="words")
print("A scorer is a function:", correct(outputs="It costs 90 euro.", expectations={"fact": "90 euro"}))

# %%
def evaluate(prompt, model, scorers=(correct, short, tokens)):
    with mlflow.start_run(run_name=f"{model} v{prompt.version}"):
        mlflow.log_params({"prompt": prompt.version, "model": model})
        return mlflow.genai.evaluate(
            data=rows, predict_fn=lambda question: answer(question, prompt.uri, model), scorers=list(scorers)
        )


# %% [markdown]
# **Predict.** Four candidates: two models, two prompts. Which gains more right answers, the better prompt or the dearer
# model?

# %%
prediction = "?"  # prompt or model

# %%
PRICES = {"stub-small": 1, "stub-large": 8}  # cents per 1,000 tokens, invented
results = [evaluate(prompt, model) for model in PRICES for prompt in (plain, strict)]

# %%
runs = store.runs("care-assistant", max_results=len(results)).rename(columns=lambda name: name.removesuffix("/mean"))
runs["cents"] = runs["tokens"] * runs["model"].map(PRICES)  # per 1,000 answers
candidates = runs[["correct", "short", "tokens", "cents"]].sort_values(["correct", "cents"], ascending=[False, True])
candidates.round(2)

# %% [markdown]
# You should see the dearer model ahead with both prompts, and the strict prompt ahead with both models. If a row is
# missing, an evaluation failed: its run says FAILED.
#
# **Choosing the base model** needs a rule that was written down *before* the numbers: here, the cheapest candidate that
# is right often enough. The decision then goes where the application looks: the alias moves to the winning prompt, and
# the version keeps the model it was judged with. Going back is the same call with the old number. Another process sees
# a moved alias within 60 seconds: so long does `load_prompt` remember it.

# %%
good_enough = candidates[candidates["correct"] >= min_correct]
winner = good_enough["cents"].idxmin()
fig = plots.runs_scatter(
    candidates.assign(candidate=candidates.index),
    "cents",
    "correct",
    group="candidate",
    title=f"{winner} is the cheapest that is right in {min_correct:.0%} or more",
    xlabel="cost of 1,000 answers (cents)",
    ylabel="share of right answers",
)
plots.show(fig)

# %%
version, model = int(runs.loc[winner, "prompt"]), runs.loc[winner, "model"]
mlflow.genai.set_prompt_model_config("14-care", version=version, model_config={"model_name": model})
mlflow.genai.set_prompt_alias("14-care", alias="production", version=version)
live = mlflow.genai.load_prompt("prompts:/14-care@production")
print(f"live, version {live.version}, {model}:", answer("How soon does the chat answer?", model=model))

# %% [markdown]
# ## Your turn
#
# Replace the three dots by **one line**: the scorer `admits` returns True when the answer says `I do not know`.
#
# <details><summary>One solution</summary>
#
# `return "I do not know" in outputs`
#
# </details>

# %%
@scorer
def admits(outputs):
    ...


lesson.turn(
    admits(outputs="I do not know.") is True and admits(outputs="Ten minutes.") is False,
    "return True or False: is the text `I do not know` in outputs?",
)

# %% [markdown]
# ## Pitfalls
#
# **`template-braces`: one brace instead of two.** A Python f-string has `{question}`; a prompt has `{{ question }}`.
# With single braces nothing fails: the text has no gap, and the model never sees the question. Repair: look at
# `variables`.

# %%
for template in ("QUESTION: {question}", "QUESTION: {{ question }}"):
    draft = mlflow.genai.register_prompt(name="14-draft", template=template)
    print(f"{template:26} gaps: {sorted(draft.variables)}, filled: {draft.format(question='How soon?')}")
with lesson.expect_error(mlflow.MlflowException):
    draft.format(queston="How soon?")  # a misspelt gap does fail

# %% [markdown]
# **`exact-match`: comparing free text letter by letter.** A right answer in other words counts as wrong, and the best
# candidate looks useless. Repair: look for the *fact*, as `correct` does.
#
# **`rows-unscored`: a mean over fewer rows than you think.** A scorer that raises does not stop the evaluation; the row
# is left out of the mean. Here `few_euros` trips over every answer without a number. Repair: count the scored rows, and
# let a scorer return False instead of failing.

# %%
import logging


@scorer
def exact(outputs, expectations):
    return outputs == expectations["fact"]


@scorer
def few_euros(outputs):
    return int(re.search(r"\d+", outputs)[0]) < 100


logging.getLogger("mlflow.genai").setLevel(logging.ERROR)  # one line of warning is all that MLflow says
judged = evaluate(strict, model, [correct, exact, few_euros])
logging.getLogger("mlflow.genai").setLevel(logging.WARNING)
for name in ("correct", "exact", "few_euros"):
    scored = judged.result_df[f"{name}/value"].notna().sum()
    print(f"{name}: mean {judged.metrics[f'{name}/mean']:.2f}, from {scored} of {len(rows)} rows")

# %% [markdown]
# ## Quiz

# %%
lesson.quiz("genai")

# %% [markdown]
# ## Key points
#
# - `register_prompt` adds a version and says why; an alias such as `@production` moves only when you move it.
# - A trace holds one request, a span one step, with inputs, outputs and latency: it separates a bad search from a bad
#   answer.
# - `log_feedback` and `log_expectation` keep a person's judgement on the trace; `search_traces` finds it again, and it
#   becomes a row of the evaluation table.
# - `mlflow.genai.evaluate` scores each candidate as a run. Choose by a rule written down first; count the scored rows.
#
# ## Next steps
#
# - Do the [homework](../exercises/14_genai.ipynb): a prompt, a trace, an evaluation and a judgement of your own.
# - Next lecture: the same notebook many times, on one machine or many.
# - Official pages: [prompt registry](https://mlflow.org/docs/latest/genai/prompt-registry/),
#   [evaluation](https://mlflow.org/docs/latest/genai/eval-monitor/).
# - Optional depth: no prompt repairs a search. Make `words` leave out "when" and "what", run all again, and see which
#   rows change.
