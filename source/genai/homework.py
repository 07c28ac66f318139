# %% [markdown]
# # Homework: prompts, traces, evaluation, judgement
#
# **30 minutes · 4 tasks and a stretch · 8 points.** Run every cell as often as you like: a check reads what is newest.
# Below each task stands `hw.check(n)`; when you are stuck, add a cell with `hw.hint(n)`. No task needs the language
# model of the lecture: what a model answered is given, so that your machine gives the same as every other.
#
# <!-- links -->

# %%
import random

import mlflow
from mlflow.entities import AssessmentSource
from mlflow.genai.scorers import scorer

from course_utils import data, store
from course_utils.homework import Homework

store.connect()
hw = Homework("genai")


def draw(what):
    return random.Random(f"{what} {data.course_seed()}")


PLACES = ("shop", "chat", "line")
hours = draw("hours").sample(range(16, 23), 3)
pairs = zip(PLACES, hours, strict=True)
HOURS = {place: f"The {place} closes at {hour}." for place, hour in pairs}
print("Open the UI, from the course folder:", store.ui_command(), sep="\n")

# %% [markdown]
# ## Task 1: a prompt in two versions (2 points)
#
# Register the prompt `hw-genai-summary` twice, each time with a `commit_message` of three words or more:
#
# 1. `Summarise:` and, after a space, a gap for the `message`;
# 2. a text in any wording with **two** gaps, `message` and `limit` (the number of words).
#
# Nobody has tested the second yet: the alias `production` stays on the first, the alias `candidate` goes to the second.

# %% tags=["task-1"]
### BEGIN SOLUTION
first = mlflow.genai.register_prompt(
    "hw-genai-summary",
    "Summarise: {{ message }}", commit_message="The first wording.",
)
second = mlflow.genai.register_prompt(
    "hw-genai-summary",
    "Summarise in {{ limit }} words: {{ message }}",
    commit_message="A limit, for small screens.",
)
mlflow.genai.set_prompt_alias("hw-genai-summary", "production", first.version)
mlflow.genai.set_prompt_alias("hw-genai-summary", "candidate", second.version)
### END SOLUTION

# %%
hw.check(1)

# %% [markdown]
# ## Task 2: trace a pipeline (2 points)
#
# The cell gives you a search and a writer of answers (a template in place of a model), both without a trace. In the
# experiment `hw-genai-trace`, write a function `answer(question)` that calls `find`, then `reply`, and returns the
# reply. Call it with `When does the shop close?`. Its trace must hold three spans: `answer` of type `CHAIN`, and inside
# it `find` of type `RETRIEVER` and `reply` of type `LLM`.

# %%
def find(question):
    return next(page for place, page in HOURS.items() if place in question)


def reply(page, question):
    return f"You asked: {question} {page}"


# %% tags=["task-2"]
mlflow.set_experiment("hw-genai-trace")
### BEGIN SOLUTION
traced_find = mlflow.trace(find, span_type="RETRIEVER")
traced_reply = mlflow.trace(reply, span_type="LLM")


@mlflow.trace(span_type="CHAIN")
def answer(question):
    return traced_reply(traced_find(question), question)


answer("When does the shop close?")
### END SOLUTION

# %%
hw.check(2)

# %% [markdown]
# ## Task 3: evaluate on a table (2 points)
#
# `sort_mail` replays what a model answered when it was asked for the topic of a message. It did so in a sentence, once
# about the wrong topic, and once it gave no answer at all (None). Write a scorer called `right`: True when the expected
# topic is in the answer, else False. In the experiment `hw-genai-evaluate`, run `mlflow.genai.evaluate` on `rows`
# inside a run called `sort-mail`. Every row must be scored.

# %%
TOPICS = ["invoice", "contract", "internet", "moving", "phone"]
wrong, unsure = draw("topics").sample(TOPICS, 2)
rows = [
    {"inputs": {"message": f"A word about my {topic}"}, "expectations": {"topic": topic}}
    for topic in TOPICS
]


@mlflow.trace
def sort_mail(message):
    topic = message.split()[-1]
    named = "weather" if topic == wrong else topic
    return None if topic == unsure else f"The topic is {named}."


# %% tags=["task-3"]
mlflow.set_experiment("hw-genai-evaluate")
### BEGIN SOLUTION
@scorer
def right(outputs, expectations):
    return outputs is not None and expectations["topic"] in outputs


with mlflow.start_run(run_name="sort-mail"):
    mlflow.genai.evaluate(data=rows, predict_fn=sort_mail, scorers=[right])
### END SOLUTION

# %%
hw.check(3)

# %% [markdown]
# ## Task 4: judge answers as a person (2 points)
#
# The cell answers five requests in the experiment `hw-genai-feedback`; some answers are not what `HOURS` says. Give
# **each** trace in `asked` the feedback `correct`, True or False, from a `HUMAN` source. Where it is False, the reason
# (three words or more) names the step that is to blame, `find_page` or `write`, written so, and leaves the other one
# out. What each step got and gave stands in the trace: `trace.data.spans`. The UI can do it too: open a trace and add
# an assessment.

# %%
mlflow.set_experiment("hw-genai-feedback")
lost, misled = draw("feedback").sample(range(5), 2)


def page_for(place, wrong):
    return HOURS[PLACES[PLACES.index(place) - 1] if wrong else place]


@mlflow.trace(span_type="RETRIEVER")
def find_page(place, request):
    return page_for(place, wrong=request == lost)


@mlflow.trace(span_type="LLM")
def write(page, place, request):
    page = page_for(place, wrong=True) if request == misled else page
    return f"The {place} closes {page.split(' closes ')[1]}"


@mlflow.trace
def closing_time(place, request):
    return write(find_page(place, request), place, request)


if not mlflow.search_traces(return_type="list"):
    for request in range(5):
        closing_time(PLACES[request % 3], request)
asked = mlflow.search_traces(return_type="list")
asked.sort(key=lambda trace: trace.data.spans[0].inputs["request"])
for trace in asked:
    print(trace.data.spans[0].inputs["place"], "→", trace.data.spans[0].outputs)

# %% tags=["task-4"]
### BEGIN SOLUTION
person = AssessmentSource(source_type="HUMAN", source_id="care-team")
for trace in asked:
    root, search, _ = trace.data.spans
    page = HOURS[root.inputs["place"]]
    fine = root.outputs == page
    blame = "write" if search.outputs == page else "find_page"
    why = "As the page says." if fine else f"{blame} is to blame."
    on = {"trace_id": trace.info.trace_id, "source": person}
    mlflow.log_feedback(name="correct", value=fine, rationale=why, **on)
### END SOLUTION

# %%
hw.check(4)

# %% [markdown]
# ## Stretch: judge a judge (no points)
#
# A model has judged ten answers, and so have people: `judge` and `people` hold their verdicts, True for a right answer.
# In the experiment `hw-genai-judge`, make a run `judge` with two metrics: `agreement`, the share of the ten answers on
# which both say the same; and `caught`, the share that the judge calls wrong among the answers that *people* called
# wrong.

# %%
drawn = draw("judge")
people = drawn.sample([True] * 7 + [False] * 3, 10)
said = {verdict: [n for n in range(10) if people[n] is verdict] for verdict in (True, False)}
differ = drawn.sample(said[True], 1) + drawn.sample(said[False], 2)
judge = [people[n] != (n in differ) for n in range(10)]
print("the judge calls right:", sum(judge), "of 10, people:", sum(people))

# %% tags=["task-5"]
mlflow.set_experiment("hw-genai-judge")
### BEGIN SOLUTION
verdicts = list(zip(judge, people, strict=True))
caught = [not said for said, truth in verdicts if not truth]
with mlflow.start_run(run_name="judge"):
    mlflow.log_metric("agreement", sum(said == truth for said, truth in verdicts) / 10)
    mlflow.log_metric("caught", sum(caught) / len(caught))
### END SOLUTION

# %%
hw.check(5)

# %% [markdown]
# ## Where you are

# %%
hw.progress()

# %% [markdown] tags=["solution"]
# **Why it works.** A prompt version cannot change, an alias can, so testing and switching are separate acts. Spans nest
# by themselves because the inner calls run while the outer one is open. The scorer answers False for None: a scorer
# that fails would drop the row and flatter the mean. Feedback stays on the trace, with its author. The two wrong
# answers look alike; only what the search brought tells them apart. And a judge that agrees in 7 of 10 still passes two
# of three wrong answers.
