"""Homework `genai`: a prompt in two versions, a trace, an evaluation, feedback on traces, a judge compared with people."""

from __future__ import annotations

import random
import re
from typing import Any

from mlflow.entities import Trace
from mlflow.exceptions import MlflowException

from course_utils import data
from course_utils._judge.evidence import Evidence, listing, nearest
from course_utils._judge.mistake import Mistake, NotStarted
from course_utils._judge.reading import instead, visible
from course_utils.homework.question import Task

_PLACES = ("shop", "chat", "line")
_N_ROWS = 5


def _hours() -> dict[str, str]:
    """Return the help pages that the notebook draws from the seed."""
    drawn = random.Random(f"hours {data.course_seed()}").sample(range(16, 23), 3)
    return {place: f"The {place} closes at {hour}." for place, hour in zip(_PLACES, drawn, strict=True)}


def _traces(evidence: Evidence, experiment: str) -> list[Trace]:
    """Return the traces of an experiment, newest first."""
    return list(
        evidence.client.search_traces(
            locations=[evidence.experiment_id(experiment)], order_by=["timestamp_ms DESC"], max_results=100
        )
    )


# ---- task 1 ---------------------------------------------------------------------------------------------------------


def _prompt_version(evidence: Evidence, name: str, alias: str) -> Any:
    """Return the prompt version that an alias points at."""
    if evidence.client.get_prompt(name) is None:
        names = [p.name for p in evidence.client.search_prompts()]
        if near := nearest(name, names):
            raise Mistake(
                "prompt-name",
                f"There is a prompt {instead(near, name)} An application loads it by its exact name.",
            )
        raise NotStarted(f"No prompt is registered as `{name}` yet.")
    try:
        found = evidence.client.get_prompt_version_by_alias(name, alias)
    except MlflowException:
        found = None
    if found is not None:
        return found
    versions = evidence.client.search_prompt_versions(name)
    aliases = {a for v in versions for a in evidence.client.get_prompt_version(name, v.version).aliases}
    if near := nearest(alias, aliases):
        raise Mistake(
            "alias-case",
            f"`{name}` has the alias `{near}`; the task asks for `{alias}`. Aliases are compared letter by letter.",
        )
    raise Mistake(
        "alias-missing",
        f"`{name}` has no alias `{alias}` (it has {listing(aliases) or 'none'}). A version without an alias is used "
        "by nobody: set it.",
    )


def _judge_prompt(version: Any, gaps: set[str]) -> None:
    """Compare the gaps and the message of a prompt version with what the task wants."""
    if not isinstance(version.template, str):
        raise Mistake(
            "prompt-chat",
            f"Version {version.version} is a chat, a list of messages with roles. The task gives a text with gaps, and an "
            "application that formats a text cannot use a list: register the text itself.",
        )
    if version.variables != gaps:
        if all(f"{{{gap}}}" in version.template for gap in gaps) and not version.variables:
            raise Mistake(
                "template-braces",
                f"Version {version.version} has no gap: its text has single braces. `format` leaves them as they are, "
                "so the model never sees what should stand there. Write two braces on each side.",
            )
        raise Mistake(
            "prompt-gaps",
            f"Version {version.version} has the gaps {listing(version.variables) or 'none'}; the task asks for "
            f"{listing(gaps)}. An application fills gaps by name.",
        )
    if len((version.commit_message or "").split()) < 3:
        raise Mistake(
            "message-missing",
            f"Version {version.version} has no commit message of three words. In a month nobody knows why it was "
            "made: pass `commit_message=`.",
        )


def prompt_versions(evidence: Evidence) -> None:
    """Task 1: two versions of a prompt, two aliases."""
    live = _prompt_version(evidence, "hw-genai-summary", "production")
    draft = _prompt_version(evidence, "hw-genai-summary", "candidate")
    if live.version == draft.version:
        raise Mistake(
            "alias-same",
            f"Both aliases point at version {live.version}. Then customers already get what nobody has tested: keep "
            "`production` on the first wording.",
        )
    if live.version > draft.version and live.variables == {"message", "limit"}:
        raise Mistake(
            "alias-swapped",
            f"`production` is version {live.version}, newer than `candidate`, version {draft.version}. The untested "
            "wording is live: which of the two should customers get?",
        )
    _judge_prompt(live, {"message"})
    _judge_prompt(draft, {"message", "limit"})
    if re.sub(r"{{\s*(\w+)\s*}}", r"{{ \1 }}", live.template).split() != "Summarise: {{ message }}".split():
        raise Mistake(
            "prompt-text",
            f"The first wording is `{visible(live.template, 80)}`; the task gives another text. A wording that is tested is "
            "compared letter by letter with what is registered.",
        )


# ---- task 2 ---------------------------------------------------------------------------------------------------------


def traced_pipeline(evidence: Evidence) -> None:
    """Task 2: a chain with a search and a model inside."""
    found = _traces(evidence, "hw-genai-trace")
    if not found:
        raise NotStarted("The experiment `hw-genai-trace` has no trace yet.")
    asked = [trace for trace in found if any(span.name == "answer" for span in trace.data.spans)]
    trace = (asked or found)[0]  # a step may have been called alone since
    which = "newest trace of `answer`" if asked else "newest trace"
    spans = trace.data.spans
    names = {span.name: span for span in spans}
    if str(trace.info.state.value) != "OK":
        raise Mistake(
            "trace-failed",
            f"The {which} ended {trace.info.state.value}: the code inside raised an error. Its spans show where.",
        )
    for name, kind in {"answer": "CHAIN", "find": "RETRIEVER", "reply": "LLM"}.items():
        if name not in names:
            if any(name in {s.name for s in other.data.spans} for other in found):
                raise Mistake(
                    "span-outside",
                    f"`{name}` has a trace of its own instead of a span in the {which} (it has {listing(names)}). "
                    "Steps of one request belong in one trace: call it *inside* `answer`.",
                )
            raise Mistake(
                "span-missing",
                f"The {which} has the spans {listing(names)}, not `{name}`. A step without a span cannot be "
                "looked at later.",
            )
        if names[name].span_type != kind:
            raise Mistake(
                "span-type",
                f"The span `{name}` has the type `{names[name].span_type}`, not `{kind}`. The UI and the scorers find "
                "searches and model calls by their type: pass `span_type=`.",
            )
    inside = {span.span_id: span.parent_id for span in spans}

    def above(name: str) -> set[str]:
        """Return the ids of the spans that a span is in."""
        found, here = set(), inside[names[name].span_id]
        while here in inside and here not in found:
            found.add(here)
            here = inside[here]
        return found

    for name, other in (("find", "reply"), ("reply", "find")):
        if names[other].span_id in above(name):
            raise Mistake(
                "span-nesting",
                f"The span `{name}` is inside `{other}`, so the time and the errors of `{name}` count as those of `{other}`. "
                "`answer` calls both, one after the other.",
            )
        if names["answer"].span_id not in above(name):
            raise Mistake(
                "span-outside",
                f"The span `{name}` is not inside `answer`. Call it in the function that is traced as `answer`.",
            )
    question, expected = "When does the shop close?", f"You asked: When does the shop close? {_hours()['shop']}"
    root = names["answer"]
    if question not in _values(root.inputs):
        raise Mistake(
            "trace-question",
            f"The {which} has the inputs `{visible(root.inputs)}`; ask the task's question. A trace without its question "
            "cannot be asked again.",
        )
    if root.outputs != expected or names["reply"].outputs != expected or names["find"].outputs != _hours()["shop"]:
        raise Mistake(
            "trace-outputs",
            "The outputs of the spans are not what `find` and `reply` give for this question. A trace is of use only "
            "when it holds what the steps returned: return the reply from `answer`.",
        )


def _values(inputs: Any) -> list[Any]:
    """Return what went into a span: values by name, a list of them, or one."""
    if isinstance(inputs, dict):
        return list(inputs.values())
    return list(inputs) if isinstance(inputs, list | tuple) else [inputs]


# ---- task 3 ---------------------------------------------------------------------------------------------------------


def evaluation(evidence: Evidence) -> None:
    """Task 3: five rows, one scorer, every row scored."""
    run = evidence.latest_run("hw-genai-evaluate", "sort-mail")
    judged = evidence.client.search_traces(
        locations=[run.info.experiment_id], run_id=run.info.run_id, include_spans=False, max_results=100
    )
    notes = [[a for a in t.info.assessments if a.name == "right" and a.feedback is not None] for t in judged]
    scored = [note[-1].feedback.value for note in notes if note and note[-1].feedback.value is not None]
    if any(notes) and not scored:
        raise Mistake(
            "rows-unscored",
            "The scorer `right` failed on every row, so there is no mean. The column `right/error_message` of the table "
            "`result_df`, which `evaluate` returns, says why. Does it look for a name that `rows` do not have?",
        )
    if judged and not any(notes) and not run.data.metrics:
        raise Mistake(
            "rows-unscored",
            "No row has a score of a scorer called `right`, so there is no mean. Did `evaluate` get the scorer, and what does it "
            "return?",
        )
    if scored and "right/mean" not in run.data.metrics:
        raise Mistake(
            "words-not-booleans",
            f"The scorer returns {listing((repr(value) for value in scored), 3)}, and the task asks for True or False. MLflow makes "
            "no mean of other values.",
        )
    mean = evidence.metric(run, "right/mean")
    if len(judged) < _N_ROWS:
        raise Mistake(
            "rows-missing",
            f"The run holds {len(judged)} judged answers; the table has {_N_ROWS} rows. A score on a part of the "
            "table, or a typed one, says little: evaluate on all rows, inside the run.",
        )
    if len(scored) < _N_ROWS:
        raise Mistake(
            "rows-unscored",
            f"{_N_ROWS - len(scored)} of {_N_ROWS} rows have no score: there the scorer failed or returned None, or the row was "
            "taken out of the table. The mean leaves them out, so it looks better than it is. What does `sort_mail` return when it "
            "is unsure? Let the scorer say False.",
        )
    if words := [value for value in scored if not isinstance(value, bool | int | float)]:
        raise Mistake(
            "words-not-booleans",
            f"The scorer returns {listing(words, 3)}, and the task asks for True or False. Words are not counted by every "
            "tool, and a filter for True finds none of them.",
        )
    evidence.judge_number(
        "right/mean",
        mean,
        3 / 5,
        {
            "exact-match": (
                0.0,
                "No answer is right? The answers are sentences, and the expected topic is one word: look for the "
                "word *in* the sentence.",
            ),
            "one-too-many": (
                4 / 5,
                "One answer too many counts as right: None, or the one about the weather. Neither names the topic that was "
                "expected.",
            ),
            "always-right": (
                1.0,
                "Every answer counts as right, even the one about the weather, so the score cannot tell two models "
                "apart. Compare with what was expected.",
            ),
            "always-wrong": (2 / 5, "Right and wrong are exchanged: True means that the topic *is* in the answer."),
        },
    )


# ---- task 4 ---------------------------------------------------------------------------------------------------------


def feedback(evidence: Evidence) -> None:
    """Task 4: a person's judgement on each of five answers."""
    traces = _traces(evidence, "hw-genai-feedback")
    if not traces:
        raise NotStarted("The experiment `hw-genai-feedback` has no trace yet: run the given cell first.")
    given = {t.info.trace_id: [a for a in t.info.assessments if a.feedback is not None] for t in traces}
    names = {a.name for notes in given.values() for a in notes}
    if not names:
        raise NotStarted("No trace has feedback yet.")
    if "correct" not in names:
        raise Mistake(
            "feedback-name",
            f"The feedback is called {listing(names)}; the task asks for `correct`. Only feedback of one name can be "
            "counted and compared.",
        )
    newest, without = {}, 0
    for trace in traces:
        notes = [a for a in given[trace.info.trace_id] if a.name == "correct"]
        if not notes:
            without += 1
            continue
        newest[trace.info.trace_id] = max(notes, key=lambda a: a.create_time_ms)
    if without:
        raise Mistake(
            "feedback-missing",
            f"{without} of {len(traces)} traces have no feedback `correct`. A share of right answers needs all.",
        )
    if any(note.source.source_type != "HUMAN" for note in newest.values()):
        raise Mistake(
            "feedback-source",
            "Some feedback does not come from a `HUMAN` source. A reader must see whether a person or a program "
            'judged: pass `source=AssessmentSource(source_type="HUMAN", source_id=…)`.',
        )
    truth = {t.info.trace_id: _right(t) for t in traces}
    if words := [note.feedback.value for note in newest.values() if not isinstance(note.feedback.value, bool)]:
        raise Mistake(
            "words-not-booleans",
            f"The value of some feedback is {listing((repr(word) for word in words), 3)}, not True or False. A text is no "
            "judgement that can be counted: in Python even `'False'` counts as true.",
        )
    said = {key: note.feedback.value is True for key, note in newest.items()}
    if said != truth:
        if all(said.values()):
            raise Mistake(
                "rubber-stamp",
                "Every answer is judged True, but some are not what `HOURS` says. Read each answer against its page.",
            )
        if all(said[key] != truth[key] for key in truth):
            raise Mistake("feedback-inverted", "Every judgement is the wrong way round: True means a right answer.")
        for place, page in _hours().items():
            same = {t.info.trace_id: bool(t.data.spans) and t.data.spans[0].outputs == page for t in traces}
            if said == same and any(same.values()):
                raise Mistake(
                    "one-place",
                    f"Every answer was compared with the page of the {place}. Each place has hours of its own.",
                )
        wrong = sum(said[key] != truth[key] for key in truth)
        raise Mistake("feedback-wrong", f"{wrong} of {len(truth)} judgements do not agree with `HOURS`.")
    if any(not truth[key] and len((note.rationale or "").split()) < 3 for key, note in newest.items()):
        raise Mistake(
            "rationale-missing",
            "A False without a reason of three words or more helps nobody to mend the assistant: pass `rationale=`.",
        )
    for trace in traces:
        if truth[trace.info.trace_id]:
            continue
        named = set(re.findall(r"\bfind_page\b|\bwrite\b", newest[trace.info.trace_id].rationale))
        if len(named) != 1:
            raise Mistake(
                "blame-missing",
                "The reason of a False should name exactly one step, written `find_page` or `write`, and leave the other out: "
                "whoever mends the assistant wants to know whether to mend the search or the model.",
            )
        if named != {_guilty(trace)}:
            raise Mistake(
                "blame-wrong",
                f"A reason blames `{named.pop()}`, and the trace says otherwise. Read what `find_page` returned: with the "
                "right page in its hands the model is to blame, with another page it had no chance.",
            )


def _right(trace: Trace) -> bool:
    root = trace.data.spans[0] if trace.data.spans else None
    place = root.inputs.get("place") if root is not None and isinstance(root.inputs, dict) else None
    return isinstance(place, str) and root.outputs == _hours().get(place)


def _guilty(trace: Trace) -> str:
    """Return the step that made an answer wrong: the search, unless it brought the right page."""
    brought = {span.name: span.outputs for span in trace.data.spans}.get("find_page")
    return "write" if brought == _hours()[trace.data.spans[0].inputs["place"]] else "find_page"


# ---- stretch --------------------------------------------------------------------------------------------------------


def judged_judge(evidence: Evidence) -> None:
    """Stretch: how far a judge agrees with people, and how many wrong answers it catches."""
    run = evidence.latest_run("hw-genai-judge", "judge")
    evidence.judge_number(
        "agreement",
        evidence.metric(run, "agreement"),
        7 / 10,
        {
            "nothing-compared": (
                8 / 10,
                "That is the share which the judge calls right. It says nothing about the judge until people's verdicts "
                "stand beside it: count the answers on which both say the same.",
            ),
            "agreement-inverted": (3 / 10, "That is the share on which they differ."),
        },
    )
    evidence.judge_number(
        "caught",
        evidence.metric(run, "caught"),
        1 / 3,
        {
            "caught-of-judge": (
                1 / 2,
                "That is the share of the *judge's* wrong ones that are wrong. Divide by the number that people called "
                "wrong: the question is how many of those slip through.",
            ),
            "caught-of-all": (1 / 10, "Divide by the answers that people called wrong, not by all ten."),
            "caught-inverted": (2 / 3, "That is the share that slips through; the caught ones are the others."),
        },
    )


TASKS = (
    Task(
        "a prompt in two versions",
        2,
        prompt_versions,
        (
            "Round 2 of the lecture registers the same name three times. What tells MLflow where the gaps are?",
            "A gap has two braces on each side. `register_prompt` returns an object whose `version` goes to "
            "`set_prompt_alias`.",
            '`first = mlflow.genai.register_prompt("hw-genai-summary", …, commit_message=…)`, then '
            '`mlflow.genai.set_prompt_alias("hw-genai-summary", "production", first.version)`.',
        ),
        "Two wordings are kept, and customers get the tested one.",
        level="warm-up",
    ),
    Task(
        "trace a pipeline",
        2,
        traced_pipeline,
        (
            "Which of the three functions calls the other two? Its span is the outer one.",
            "A decorated function makes a span when it is called; a call inside it makes a span inside. You can "
            "decorate a function that exists: `traced = mlflow.trace(find, span_type=…)`.",
            '`@mlflow.trace(span_type="CHAIN")` above `def answer(question):`, and inside it the two traced functions.',
        ),
        "One request, one trace, and each step can be looked at.",
    ),
    Task(
        "evaluate on a table",
        2,
        evaluation,
        (
            "What does `sort_mail` return for each of the five messages? Call it and look.",
            'A scorer takes `outputs` and `expectations`. `"a" in None` raises an error, and a failed row is no False.',
            '`return outputs is not None and expectations["topic"] in outputs`, then `mlflow.genai.evaluate(data=rows, '
            "predict_fn=sort_mail, scorers=[right])` inside `with mlflow.start_run(...)`.",
        ),
        "Every row counts, also the one without an answer.",
    ),
    Task(
        "judge answers as a person",
        2,
        feedback,
        (
            "Where does a trace keep what was asked and what was answered?",
            '`trace.data.spans[0]` has `inputs` and `outputs`. Compare the outputs with `HOURS[span.inputs["place"]]`. Where '
            "they differ, look at the outputs of the span `find_page` in the same way.",
            '`mlflow.log_feedback(trace_id=trace.info.trace_id, name="correct", value=…, rationale=…, source=…)`',
        ),
        "The judgement stands where the answer is, with its author, and says what to mend.",
        level="transfer",
    ),
    Task(
        "judge a judge",
        0,
        judged_judge,
        (
            "Which answers does each share count, and of which answers is it a share?",
            "`zip(judge, people)` gives pairs. For `caught`, keep the pairs in which people say False first.",
        ),
        "You know what a verdict of this judge is worth.",
        level="transfer",
    ),
)
