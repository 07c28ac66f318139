"""Right and wrong answers to the homework `genai`."""

from tests.submissions.tools import append, swap

RIGHT = {
    1: [
        # by the client, an alias moved on the way
        """
        client = mlflow.MlflowClient()
        old = client.register_prompt("hw-genai-summary", "Summarise: {{ message }}", commit_message="as the team writes it")
        new = client.register_prompt("hw-genai-summary", "{{message}} in {{limit}} words", commit_message="with a limit now")
        client.set_prompt_alias("hw-genai-summary", "production", new.version)
        client.set_prompt_alias("hw-genai-summary", "candidate", new.version)
        client.set_prompt_alias("hw-genai-summary", "production", old.version)
        """,
        # a second pass: versions 3 and 4
        """
        for text in ("one", "two", "Summarise: {{ message }}", "Short, {{ limit }}: {{ message }}"):
            made = mlflow.genai.register_prompt(name="hw-genai-summary", template=text, commit_message=f"it is {text}")
        mlflow.genai.set_prompt_alias("hw-genai-summary", alias="production", version=made.version - 1)
        mlflow.genai.set_prompt_alias("hw-genai-summary", alias="candidate", version=made.version)
        """,
        # the first wording once more, because a colon was missing
        """
        texts = ("Summarise {{ message }}", "Up to {{ limit }} words: {{ message }}", "Summarise: {{ message }}")
        _, new, old = (
            mlflow.genai.register_prompt("hw-genai-summary", text, commit_message=f"it is {text}") for text in texts
        )
        mlflow.genai.set_prompt_alias("hw-genai-summary", "production", old.version)
        mlflow.genai.set_prompt_alias("hw-genai-summary", "candidate", new.version)
        """,
    ],
    2: [
        # with blocks
        """
        def answer(question):
            with mlflow.start_span("answer", span_type="CHAIN") as span:
                span.set_inputs({"question": question})
                with mlflow.start_span("find", span_type="RETRIEVER") as inner:
                    page = find(question)
                    inner.set_outputs(page)
                with mlflow.start_span("reply", span_type="LLM") as inner:
                    text = reply(page, question)
                    inner.set_outputs(text)
                span.set_outputs(text)
            return text

        answer("When does the shop close?")
        """,
        # names given by hand, a failed attempt before
        """
        @mlflow.trace(name="answer", span_type="CHAIN")
        def pipeline(question):
            page = mlflow.trace(find, name="find", span_type="RETRIEVER")(question)
            return mlflow.trace(reply, name="reply", span_type="LLM")(page, question=question)

        try:
            pipeline("When does the moon close?")
        except Exception as error:
            print(error)
        print(pipeline(question="When does the shop close?"))
        """,
        # a later look at one step
        append('traced_find("When does the chat close?")'),
    ],
    3: [
        # answers made first, a class of its own for the verdict
        """
        from mlflow.entities import Feedback

        @scorer(name="right")
        def topic_named(outputs, expectations):
            return Feedback(value=expectations["topic"] in (outputs or ""), rationale="looked for the word")

        table = [{**row, "outputs": sort_mail(**row["inputs"]) or ""} for row in rows]
        with mlflow.start_run(run_name="sort-mail"):
            mlflow.genai.evaluate(data=table, scorers=[topic_named])
        """,
        # as a data frame, with more scorers, the run opened without with
        """
        import pandas as pd

        @scorer
        def right(inputs, outputs, expectations):
            return bool(outputs) and outputs.rstrip(".").split()[-1] == expectations["topic"]

        @scorer
        def long(outputs):
            return len(outputs or "") > 20

        mlflow.start_run(run_name="sort-mail")
        mlflow.genai.evaluate(pd.DataFrame(rows), scorers=[long, right], predict_fn=lambda message: sort_mail(message))
        mlflow.end_run()
        """,
    ],
    4: [
        # judged twice, the newer one counts; reasons for the false ones only
        """
        import time
        for trace in asked:
            mlflow.log_feedback(trace_id=trace.info.trace_id, name="correct", value=True,
                                source=AssessmentSource(source_type="HUMAN", source_id="me"))
        time.sleep(0.002)
        for trace in asked:
            if trace.data.spans[0].outputs not in HOURS.values():
                found = next(span for span in trace.data.spans if span.span_type == "RETRIEVER").outputs
                place = trace.data.spans[0].inputs["place"]
                step = "write" if place in found else "find_page"
                mlflow.log_feedback(trace_id=trace.info.trace_id, name="correct", value=False, rationale=f"look at {step}",
                                    source=AssessmentSource(source_type="HUMAN", source_id="me"))
        """,
        # by assessment objects, and one more kind of feedback
        """
        from mlflow.entities import Feedback
        for t in mlflow.search_traces(return_type="list"):
            good = t.data.spans[0].outputs in HOURS.values()
            page, place = t.search_spans(name="find_page")[0].outputs, t.data.spans[0].inputs["place"]
            why = "`find_page` got lost" if page != HOURS[place] else "the page was fine, `write` was not"
            note = Feedback(name="correct", value=good, source=AssessmentSource("HUMAN", "tom"), rationale=why)
            mlflow.log_assessment(t.info.trace_id, note)
            mlflow.log_feedback(trace_id=t.info.trace_id, name="friendly", value=3)
        """,
    ],
    5: [
        # with numpy
        """
        import numpy as np
        j, p = np.array(judge), np.array(people)
        mlflow.start_run(run_name="judge")
        mlflow.log_metrics({"agreement": (j == p).mean(), "caught": (~j)[~p].mean()})
        mlflow.end_run()
        """,
        # with pandas and scikit-learn, after a failed try
        """
        import pandas as pd
        from sklearn.metrics import accuracy_score, recall_score
        try:
            with mlflow.start_run(run_name="judge"):
                raise ValueError("first try")
        except ValueError:
            pass
        table = pd.DataFrame({"judge": judge, "people": people})
        with mlflow.start_run(run_name="judge"):
            mlflow.log_metric("agreement", accuracy_score(table["people"], table["judge"]))
            mlflow.log_metric("caught", round(recall_score(people, judge, pos_label=False), 6))
        """,
    ],
}

WRONG = {
    1: [
        ("not-started", ""),
        ("prompt-name", swap('"hw-genai-summary"', '"hw_genai_summary"')),
        ("alias-missing", swap('mlflow.genai.set_prompt_alias("hw-genai-summary", "candidate", second.version)', "pass")),
        ("alias-case", swap('"production"', '"Production"')),
        ("alias-same", swap("first.version", "second.version")),
        ("alias-swapped", swap('"production", first', '"production", second', '"candidate", second', '"candidate", first')),
        ("template-braces", swap("{{ message }}", "{message}", "{{ limit }}", "{limit}")),
        ("prompt-gaps", swap("{{ limit }}", "{{ n_words }}")),
        ("prompt-gaps", swap("{{ limit }}", "ten")),
        ("message-missing", swap(', commit_message="The first wording."', "")),
        ("message-missing", swap("A limit, for small screens.", "limit")),
        ("prompt-text", swap("Summarise: {{", "Please sum up: {{")),
    ],
    2: [
        ("not-started", "answer = None"),
        ("span-missing", swap("traced_find = mlflow.trace(find, span_type=\"RETRIEVER\")", "traced_find = find")),
        (
            "span-outside",
            """
            page = mlflow.trace(find, span_type="RETRIEVER")("When does the shop close?")

            @mlflow.trace(span_type="CHAIN")
            def answer(question):
                return mlflow.trace(reply, span_type="LLM")(page, question)

            answer("When does the shop close?")
            """,
        ),
        ("span-type", swap('"RETRIEVER"', '"TOOL"')),
        ("span-type", swap('@mlflow.trace(span_type="CHAIN")', "@mlflow.trace")),
        ("trace-failed", swap("When does the shop close?", "When does the moon close?")),
        ("trace-question", swap("When does the shop close?", "When does the chat close?")),
        ("trace-outputs", swap("    return traced_reply", "    traced_reply")),
        ("trace-outputs", swap("traced_find(question), question", "traced_find(question), ''")),
    ],
    3: [
        ("not-started", ""),
        ("run-name", swap("sort-mail", "mail")),
        ("wrong-experiment", swap("with mlflow.start", 'mlflow.set_experiment("mail")\nwith mlflow.start')),
        ("metric-missing", swap("def right(", "def topic_in_answer(", "[right]", "[topic_in_answer]")),
        ("rows-missing", swap("data=rows", "data=rows[:3]")),
        ("rows-missing", 'with mlflow.start_run(run_name="sort-mail"):\n    mlflow.log_metric("right/mean", 0.6)'),
        ("rows-unscored", swap("outputs is not None and ", "")),
        ("rows-unscored", swap("outputs is not None and", "outputs and")),
        ("rows-unscored", swap("    return outputs", "    outputs")),
        ("rows-unscored", swap('expectations["topic"]', 'expectations["fact"]', "outputs is not None and ", "")),
        ("words-not-booleans", swap("return outputs", "return 'True' if outputs", "in outputs\n", "in outputs else 'False'\n")),
        ("exact-match", swap('outputs is not None and expectations["topic"] in outputs', 'outputs == expectations["topic"]')),
        ("one-too-many", swap("is not None and", "is None or")),
        ("one-too-many", swap('expectations["topic"]', '"topic"')),
        ("one-too-many", swap(' and expectations["topic"] in outputs', "")),
        ("always-right", swap('outputs is not None and expectations["topic"] in outputs', "True")),
        ("always-wrong", swap("outputs is not None and expectations", "not outputs or expectations", "] in", "] not in")),
    ],
    4: [
        ("not-started", ""),
        ("feedback-name", swap('name="correct"', 'name="right"')),
        ("feedback-missing", swap("for trace in asked:", "for trace in asked[:3]:")),
        ("feedback-source", swap("HUMAN", "CODE")),
        ("rubber-stamp", swap("value=fine", "value=True")),
        ("feedback-inverted", swap("value=fine", "value=not fine")),
        ("feedback-wrong", swap("value=fine", "value=False")),
        ("rationale-missing", swap(" is to blame", "")),
        ("blame-missing", swap("{blame} is", "The step find_page or write is")),
        ("blame-missing", swap("{blame} is to blame", "The page says otherwise")),
        ("blame-wrong", swap("search.outputs ==", "search.outputs !=")),
        ("blame-wrong", swap("{blame} is", "write is")),
        ("rationale-missing", swap(", rationale=why", "")),
    ],
    5: [
        ("not-started", ""),
        ("run-name", swap('"judge")', '"Judge")')),
        ("wrong-experiment", swap("with mlflow.start", 'mlflow.set_experiment("judges")\nwith mlflow.start')),
        ("metric-missing", swap('"caught", sum', '"found", sum')),
        ("nothing-compared", swap("sum(said == truth for", "sum(said for")),
        ("agreement-inverted", swap("said == truth for", "said != truth for")),
        ("caught-of-judge", swap("[not said for said, truth in verdicts if not truth]", "[not truth for said, truth in verdicts if not said]")),
        ("caught-of-all", swap("sum(caught) / len(caught)", "sum(caught) / 10")),
        ("caught-inverted", swap("[not said for", "[said for")),
    ],
}

#: Mutants that are right answers, with the reason. The key is the start of the description.
EQUIVALENT = {
    1: {
        "line 3: 'The first wording.'": "any message of three words is right",
        "line 7: 'Summarise in": "any wording with both gaps is right",
        "line 8: 'A limit": "any message of three words is right",
    },
    4: {
        "line 1: dropped source_id=": "MLflow fills in the user",
        "line 1: 'care-team'": "any person may judge",
        "line 7: 'As the page": "any reason is right where the answer is",
    },
    5: {
        "line 1: dropped strict=": "both lists hold ten verdicts",
        "line 1: True": "both lists hold ten verdicts",
    },
}

# Found by people who attacked the checks.
RIGHT[1].append('''  # gap without blanks
a = mlflow.genai.register_prompt(name="hw-genai-summary", template="Summarise: {{message}}", commit_message="first simple wording", tags={"by": "Ada"})
b = mlflow.genai.register_prompt(name="hw-genai-summary", template="In at most {{limit}} words, sum up: {{message}}", commit_message="second wording with limit")
mlflow.genai.set_prompt_alias("hw-genai-summary", alias="production", version=1)
mlflow.genai.set_prompt_alias("hw-genai-summary", alias="candidate", version=2)
''')
RIGHT[2].append('''  # span inputs as text
def answer(question):
    with mlflow.start_span(name="answer", span_type="CHAIN") as root:
        root.set_inputs(question)
        with mlflow.start_span(name="find", span_type="RETRIEVER") as s:
            page = find(question); s.set_outputs(page)
        with mlflow.start_span(name="reply", span_type="LLM") as s:
            text = reply(page, question); s.set_outputs(text)
        root.set_outputs(text)
        return text
answer("When does the shop close?")
''')
WRONG[1].append(("prompt-chat", '''  # first as chat
a = mlflow.genai.register_prompt("hw-genai-summary", [{"role": "user", "content": "Summarise: {{ message }}"}], commit_message="first simple wording")
b = mlflow.genai.register_prompt("hw-genai-summary", "Summarise in {{ limit }}: {{ message }}", commit_message="second wording with limit")
mlflow.genai.set_prompt_alias("hw-genai-summary", "production", a.version)
mlflow.genai.set_prompt_alias("hw-genai-summary", "candidate", b.version)
'''))
WRONG[3].append(("words-not-booleans", '''  # yes no words
@scorer
def right(outputs, expectations):
    return "yes" if outputs and expectations["topic"] in outputs else "no"
with mlflow.start_run(run_name="sort-mail"):
    mlflow.genai.evaluate(data=rows, predict_fn=sort_mail, scorers=[right])
'''))
# Written by people who had seen the homework and not the checks.
WRONG[1].append(("prompt-chat", '''
# the second one as a chat
mlflow.genai.register_prompt("hw-genai-summary", "Summarize {{ message }}", commit_message="a first try only")
one = mlflow.genai.register_prompt("hw-genai-summary", "Summarise: {{ message }}", commit_message="the text of the task")
two = mlflow.genai.register_prompt("hw-genai-summary", [{"role": "system", "content": "Use {{ limit }} words."}, {"role": "user", "content": "{{ message }}"}], commit_message="as a chat, limited")
for alias, version in {"production": one.version, "candidate": two.version}.items():
    mlflow.genai.set_prompt_alias("hw-genai-summary", alias=alias, version=version)
'''))
WRONG[2].append(("span-nesting", '''
# reply calls find: find is nested in reply
_find, _reply = find, reply
find = mlflow.trace(_find, name="find", span_type="RETRIEVER")
@mlflow.trace(name="reply", span_type="LLM")
def reply(question):
    return _reply(find(question), question)
@mlflow.trace(span_type="CHAIN")
def answer(question):
    return reply(question)
answer("When does the shop close?")
'''))
WRONG[4].append(("words-not-booleans", '''
# text "False"
me = AssessmentSource(source_type="HUMAN", source_id="ines")
for t in asked:
    span = t.data.spans[0]
    ok = span.outputs == HOURS[span.inputs["place"]]
    mlflow.log_feedback(trace_id=t.info.trace_id, name="correct", value=str(ok), source=me, rationale="It closes at another time")
'''))
WRONG[4].append(("one-place", '''
# compared with the page of one place
one = next(t.data.spans[0].outputs for t in asked if t.data.spans[0].outputs in HOURS.values())
me = AssessmentSource(source_type="HUMAN", source_id="ines")
for t in asked:
    ok = t.data.spans[0].outputs == one
    mlflow.log_feedback(trace_id=t.info.trace_id, name="correct", value=ok, source=me, rationale=None if ok else "It closes at another time")
'''))
RIGHT[2].append('''
# wrapped inside, name given, called as keyword
def answer(question):
    page = mlflow.trace(name="find", span_type="RETRIEVER")(find)(question)
    return mlflow.trace(reply, name="reply", span_type="LLM")(page=page, question=question)
answer = mlflow.trace(answer, span_type="CHAIN", attributes={"v": 1})
print(answer(question="When does the shop close?"))
''')
RIGHT[4].append('''
# judged twice, corrected later
me = AssessmentSource("HUMAN", "tom")
for t in asked:
    mlflow.log_feedback(trace_id=t.info.trace_id, name="correct", value=True, source=me)
for t in asked:
    s = t.data.spans[0]
    if s.outputs not in HOURS.values():
        for a in mlflow.get_trace(t.info.trace_id).info.assessments:
            mlflow.delete_assessment(t.info.trace_id, a.assessment_id)
        blamed = {True: "write", False: "find_page"}[s.inputs["place"] in t.data.spans[1].outputs]
        mlflow.log_feedback(trace_id=t.info.trace_id, name="correct", value=False, source=me, rationale=f"the fault of {blamed}")
''')
