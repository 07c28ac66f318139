"""Homework of monitoring: predictions with inputs, drift by week, delayed labels, a retrained model through the gate."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from mlflow.entities import Run
from scipy import stats
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from course_utils import data
from course_utils._judge.evidence import Evidence, listing
from course_utils._judge.mistake import Mistake, NotStarted
from course_utils._judge.reading import named, numbers_of, rows_of, visible
from course_utils._judge.slips import confused_with_auc
from course_utils.homework.question import Task

#: Weeks of `rules` whose labels are known in week 8.
_KNOWN = range(1, 7)


class _Given:
    """What the given cells of the notebook make, recomputed for a seed."""

    def __init__(self, seed: int) -> None:
        self.spring = data.churn_split(1200, seed)
        self.features = list(self.spring.X_train)
        self.model = self.fit(self.spring.X_train.assign(churned=self.spring.y_train))
        self.prices = data.churn_stream(8, 300, drift_week=4 + seed % 2, kind="data", seed=seed + 7)
        self.rules = data.churn_stream(8, 500, drift_week=3, kind="concept", seed=seed + 7)

    def fit(self, rows: pd.DataFrame) -> Any:
        """Return the pipeline fitted on rows with a label."""
        encode = make_column_transformer(
            (OneHotEncoder(handle_unknown="ignore"), ["contract", "internet", "payment"]), remainder=StandardScaler()
        )
        model = make_pipeline(encode, LogisticRegression(max_iter=300))
        return model.fit(rows[self.features], rows["churned"])

    def auc(self, model: Any, rows: pd.DataFrame) -> float:
        """Return the ROC-AUC of a model on rows with a label."""
        return float(roc_auc_score(rows["churned"], model.predict_proba(rows[self.features])[:, 1]))


def _psi(then: pd.Series, now: pd.Series, bins: int = 10) -> float:
    """Return the population stability index, as the given cell computes it."""
    first, second = then.to_numpy(), now.to_numpy()
    if pd.api.types.is_numeric_dtype(then) and then.nunique() > bins:
        edges = np.unique(then.quantile(np.arange(1, bins) / bins))
        first, second = np.searchsorted(edges, first), np.searchsorted(edges, second)
    shares = [pd.Series(v).value_counts(normalize=True) for v in (first, second)]
    p, q = pd.concat(shares, axis=1).fillna(0).clip(1e-4).to_numpy().T
    return float(((q - p) * np.log(q / p)).sum())


def _ks(then: pd.Series, now: pd.Series) -> tuple[float, float]:
    found = stats.ks_2samp(then, now)
    return float(found.statistic), float(found.pvalue)


@cache
def _given(seed: int) -> _Given:
    return _Given(seed)


def log_predictions(evidence: Evidence) -> None:
    """Task 1: one run with a table of inputs and probabilities."""
    run = evidence.latest_run("hw-monitoring-service", "week-01", others=("hw-monitoring-drift",))
    if evidence.number_param(run, "week") != 1:
        raise Mistake(
            "param-value", "The parameter `week` is not the week of these rows. A run must say what it scored."
        )
    file = evidence.artifact(run, "predictions.json")
    _judge_table(named(rows_of(file, "table-broken")))


def _judge_table(table: pd.DataFrame) -> None:
    """Tell what the logged table lacks, or whose probabilities it holds."""
    given = _given(data.course_seed())
    rows = given.prices.query("week == 1")[given.features]
    if "probability" not in table:
        raise Mistake(
            "column-missing",
            f"The table has no column `probability`; it has {listing(table.columns)}. Add the answers.",
        )
    if missing := [name for name in given.features if name not in table]:
        raise Mistake(
            "inputs-missing",
            f"The table lacks the inputs {listing(missing)}. A probability alone cannot be judged: without inputs "
            "there is no drift to measure and no way to score the same customers with another model.",
        )
    numbers = [name for name in given.features if pd.api.types.is_numeric_dtype(rows[name])]
    inputs = np.column_stack([numbers_of(table, name, "predictions.json") for name in numbers])
    wanted = rows[numbers].to_numpy(dtype=float)
    order, own_order = (np.lexsort(np.round(values, 6).T) for values in (wanted, inputs))
    if len(table) != len(rows) or not np.allclose(inputs[own_order], wanted[order]):
        raise Mistake(
            "wrong-week",
            f"The table has {len(table)} rows, and they are not the customers of week 1 of `prices`. Score `week_1`, all of "
            "it.",
        )
    table, rows = table.iloc[own_order], rows.iloc[order]  # the task asks for no order
    got, p = numbers_of(table, "probability", "predictions.json"), given.model.predict_proba(rows)
    if np.allclose(got, p[:, 1], atol=1e-6):
        return
    if np.isin(got, (0, 1)).all():
        raise Mistake(
            "labels-not-probabilities",
            "`probability` holds only 0 and 1: predicted labels. Tom calls the riskiest first, so log `predict_proba`.",
        )
    if np.allclose(got, p[:, 0], atol=1e-6):
        raise Mistake(
            "wrong-class",
            "`probability` is the probability to *stay*. Column 1 of `predict_proba` is the class 1, churn.",
        )
    if np.allclose(got, 100 * p[:, 1], atol=1e-4):
        raise Mistake("percent-not-share", "`probability` is in percent. A probability lies between 0 and 1.")
    if np.allclose(np.sort(got), np.sort(p[:, 1]), atol=1e-6):
        raise Mistake(
            "rows-shuffled", "The probabilities are right, but they stand beside the wrong customers. Keep rows whole."
        )
    if any(np.allclose(got, p[:, 1].round(digits), atol=1e-6) for digits in range(1, 7)):
        raise Mistake("rounded", "`probability` is rounded, so the order of customers is lost. Log full precision.")
    week = given.prices.query("week == 1")
    anew = given.fit(week).predict_proba(week.loc[rows.index, given.features])[:, 1]
    if np.allclose(got, anew, atol=1e-6):
        raise Mistake(
            "refitted-model",
            "`probability` comes from a model that was fitted on week 1 itself. A service answers with the model that it "
            "has; labels of this week are not known yet. Score with `model`, as the given cell fitted it.",
        )
    raise Mistake(
        "value-wrong", "`probability` is not what `model` answers for these rows. Were rows, order or model changed?"
    )


def drift(evidence: Evidence) -> None:
    """Task 2: PSI and KS distance of one feature in eight weeks, and the alert."""
    given = _given(data.course_seed())
    then = given.spring.X_train["monthly_charges"]
    weeks = {week: rows["monthly_charges"] for week, rows in given.prices.groupby("week")}
    asked = [f"week-{week:02d}" for week in weeks]
    for week, now in weeks.items():
        name = f"week-{week:02d}"
        run = evidence.latest_run("hw-monitoring-drift", name, others=("hw-monitoring-service",), asked=asked)
        if len({point.step for point in evidence.history(run, "psi")}) > 1:
            raise Mistake(
                "weeks-in-one-run",
                f"`psi` of the run `{run.info.run_name}` has several points. The task asks for a run of its own for each week, "
                "so that each week keeps its own alert.",
            )
        before = weeks.get(week - 1, now)
        right = _psi(then, now)
        evidence.judge_number(
            "psi",
            evidence.metric(run, "psi"),
            right,
            {
                "reference-swapped": (
                    _psi(now, then),
                    "That is the PSI with the week as the reference. The bins belong to spring, or every week is "
                    "measured with another ruler: the reference comes first.",
                ),
                "previous-week": (
                    _psi(before, now),
                    "That compares with another week of the stream. A change then shows once and looks normal a week later; "
                    "compare with what the model was trained on.",
                ),
                "metrics-exchanged": (
                    _ks(then, now)[0],
                    "That is the KS distance: two metrics are exchanged, and the limit of one does not fit the other.",
                ),
                "other-reference": (
                    _psi(given.spring.X_test["monthly_charges"], now),
                    "That compares with spring's *test* rows. The model learned from the training rows: they are the "
                    "reference.",
                ),
            },
            slips=lambda week=week: _drift_slips(given, week),
        )
        distance, p = _ks(then, now)
        wrong = "That is the p-value. It says how surprising the gap is, not how large: log the distance."
        swapped = "That is the PSI: two metrics are exchanged, and the limit of one does not fit the other."
        against = (
            "That compares with the week before. Compare with what the model was trained on: the reference comes first."
        )
        evidence.judge_number(
            "ks",
            evidence.metric(run, "ks"),
            distance,
            {
                "p-not-distance": (p, wrong),
                "metrics-swapped": (right, swapped),
                "previous-week-ks": (_ks(before, now)[0], against),
            },
        )
        _judge_prediction(evidence, run, given, week)
        _judge_word(evidence, run, "alert", right > 0.25, "the PSI of this run and the limit")


def _drift_slips(given: _Given, week: int) -> Iterator[tuple[str, float, str]]:
    """Yield numbers that are given for the PSI of a week by mistake."""
    then, price = given.spring.X_train, "monthly_charges"
    told = "That is the drift of `rules`. This task is about `prices`."
    yield "other-stream", _psi(then[price], given.rules.query("week == @week")[price]), told
    told = "That is the PSI of all weeks up to this one. Old weeks dilute the new: take the rows of the one week."
    yield "weeks-pooled", _psi(then[price], given.prices.query("week <= @week")[price]), told
    for name in given.features:
        if name != price:
            told = f"That is the drift of `{name}`. The task asks for `{price}`."
            yield "other-column", _psi(then[name], given.prices.query("week == @week")[name]), told


def _judge_prediction(evidence: Evidence, run: Run, given: _Given, week: int) -> None:
    """Compare the drift of the predictions of one week."""
    rows = given.prices[given.prices["week"] == week]
    said, says = (
        pd.Series(given.model.predict_proba(table[given.features])[:, 1]) for table in (given.spring.X_train, rows)
    )
    labels = [pd.Series(given.model.predict(table[given.features])) for table in (given.spring.X_train, rows)]
    tests = pd.Series(given.model.predict_proba(given.spring.X_test)[:, 1])
    first = pd.Series(given.model.predict_proba(given.prices.query("week == 1")[given.features])[:, 1])
    evidence.judge_number(
        "psi_prediction",
        evidence.metric(run, "psi_prediction"),
        _psi(said, says),
        {
            "reference-swapped": (
                _psi(says, said),
                "That is the PSI with the week as the reference. The bins belong to spring: the reference comes first.",
            ),
            "labels-not-probabilities": (
                _psi(*labels),
                "That is the PSI of predicted labels, which cannot see probabilities move on one side of 0.5. Use "
                "`predict_proba`.",
            ),
            "other-reference": (
                _psi(tests, says),
                "That compares with spring's *test* rows. The training rows are the reference, as for the inputs.",
            ),
            "previous-week": (
                _psi(first, says),
                "That compares with the first week of the stream. What was normal is what the model was trained on: the "
                "reference is what it says there.",
            ),
        },
    )


def _judge_word(evidence: Evidence, run: Run, tag: str, right: bool, against: str) -> None:
    """Compare a yes/no tag with what follows from the logged numbers."""
    word = evidence.tag(run, tag)
    if word not in ("yes", "no"):
        raise Mistake(
            "decision-word", f"`{tag}` is `{visible(word, 40)}`. It is searched by its words: use `yes` or `no`."
        )
    if (word == "yes") != right:
        raise Mistake(
            "decision-wrong",
            f"`{tag}` of the run `{run.info.run_name}` is `{word}`, but {against} say otherwise. Decide by the rule, "
            "in code.",
        )


def scores(evidence: Evidence) -> None:
    """Task 3: a score for every week with labels, and the decision."""
    given = _given(data.course_seed())
    run = evidence.latest_run("hw-monitoring-scores", "label-scores")
    points = {point.step: point.value for point in evidence.history(run, "roc_auc")}
    if set(points) <= {0}:
        raise Mistake(
            "step-missing",
            "All points of `roc_auc` have step 0, so they cannot be told apart: pass `step=` with the week.",
        )
    if early := sorted(week for week in points if week > max(_KNOWN)):
        raise Mistake(
            "label-not-there",
            f"`roc_auc` has a point for week {early[0]}, but today is week 8 and labels come two weeks late: nobody "
            "knows yet who left. Such a score is made of data from the future.",
        )
    if missing := [week for week in _KNOWN if week not in points]:
        raise Mistake(
            "weeks-missing",
            f"Week {missing[0]} has no point, although its labels are known today. Log every known week.",
        )
    weeks = {week: rows for week, rows in given.rules.groupby("week") if week in _KNOWN}
    right = pd.Series({week: given.auc(given.model, rows) for week, rows in weeks.items()})
    for week, rows in weeks.items():
        labels = given.model.predict(rows[given.features])
        evidence.judge_number(
            "roc_auc",
            points[week],
            right[week],
            {
                "accuracy-not-auc": (
                    float((labels == rows["churned"]).mean()),
                    "That is the accuracy. When few customers leave, it stays high even if the model ranks like a "
                    "coin.",
                ),
                "labels-not-probabilities": (
                    float(roc_auc_score(rows["churned"], labels)),
                    "That is ROC-AUC of the predicted labels. It ranks customers: use `predict_proba`.",
                ),
            },
            slips=lambda rows=rows, week=week: _week_slips(given, rows, week, right.drop(week)),
        )
    test = given.spring.X_test.assign(churned=given.spring.y_test)
    low = right < given.auc(given.model, test) - 0.1
    alert = next((week for week in right.index[1:] if low[week] and low[week - 1]), None)
    _judge_alert(evidence.tag(run, "alert_week"), alert)


def _week_slips(given: _Given, rows: pd.DataFrame, week: int, others: pd.Series) -> Iterator[tuple[str, float, str]]:
    """Yield numbers that are given for the ROC-AUC of a week by mistake."""
    told = "That is the score of another week: value and step do not belong together."
    yield from (("step-shifted", value, told) for value in others)
    yield from confused_with_auc(given.model, rows[given.features], rows["churned"])
    told = "That is the score on `prices`. This task is about `rules`."
    yield "other-stream", given.auc(given.model, given.prices.query("week == @week")), told
    told = "That is the score of all weeks up to this one. Old weeks hide the new: take the rows of the one week."
    yield "weeks-pooled", given.auc(given.model, given.rules.query("week <= @week")), told
    told = (
        "That comes from a model fitted on the very week that it is judged by. A watch is kept on the model that serves: "
        "score with `model`, as the given cell fitted it."
    )
    yield "refitted-model", given.auc(given.fit(rows), rows), told


def _judge_alert(text: str, alert: object) -> None:
    """Compare the logged week of the alert with that of the rule."""
    if text == str(alert):
        return
    try:
        week = float(text)
    except ValueError:
        raise Mistake(
            "alert-week",
            f"`alert_week` is `{visible(text, 40)}`. Somebody will look that week up: write its number, nothing else.",
        ) from None
    if alert is not None and week == alert:
        return
    if alert is not None and week == alert - 1:
        raise Mistake(
            "one-week-alone",
            f"In week {week:g} the score is low for the first time. One week alone may be chance: the rule fires "
            "with the second in a row.",
        )
    raise Mistake(
        "alert-week",
        f"`alert_week` is {week:g}, but that is not the week whose score makes the rule fire first. Low scores alarm, "
        "not high ones, two in a row are needed, and the week in which a score becomes known does not count.",
    )


def retrain(evidence: Evidence) -> None:
    """Task 4: a model trained on the new world, judged on held-out rows of the new world."""
    given = _given(data.course_seed())
    newest = evidence.versions("hw-monitoring-churn")[0]
    if int(newest.version) == 1:
        raise NotStarted("`hw-monitoring-churn` has only the version of the given lines yet.")
    try:
        run = evidence.latest_run("hw-monitoring-gate", f"gate-v{newest.version}")
    except NotStarted:
        run = None
    if run is None or run.info.start_time < newest.creation_timestamp:
        raise Mistake(
            "gate-missing",
            f"Version {newest.version} is registered, but no gate has judged it: there is no run "
            f"`gate-v{newest.version}` of it in `hw-monitoring-gate`. An alias that is moved by hand has no record, and "
            "nothing protects the service.",
        )
    _judge_gate(evidence, run, given)
    serving = evidence.alias("hw-monitoring-churn", "champion").version
    if evidence.tag(run, "decision") == "promoted" and int(serving) != int(newest.version):
        raise Mistake(
            "alias-not-moved",
            f"The gate promoted version {newest.version}, but `@champion` is version {serving}: it was moved "
            "afterwards. Only the gate moves the alias.",
        )


def _judge_gate(evidence: Evidence, run: Run, given: _Given) -> None:
    """Compare the scores of the contest with those of the right model on the right rows."""
    recent, held_out = given.rules.query("3 <= week <= 4"), given.rules.query("5 <= week <= 6")
    test = given.spring.X_test.assign(churned=given.spring.y_test)
    new, greedy = given.fit(recent), given.fit(pd.concat([recent, held_out]))
    evidence.judge_number(
        "auc",
        evidence.metric(run, "auc"),
        given.auc(new, held_out),
        {
            "stale-holdout": (
                given.auc(new, test),
                "That is the new model on spring's test rows: a world that is gone, where the old model wins. Give "
                "the gate `held_out`.",
            ),
            "train-not-test": (
                given.auc(new, recent),
                "That is the new model on the rows it was trained on, where memory wins. Give the gate `held_out`.",
            ),
            "trained-on-held-out": (
                given.auc(greedy, held_out),
                "The new model was trained on `held_out` too, so these rows cannot judge it any more. Fit on "
                "`recent` only.",
            ),
            "labels-not-probabilities": (
                float(roc_auc_score(held_out["churned"], new.predict(held_out[given.features]))),
                "That is ROC-AUC of the predicted labels. It ranks customers: use `predict_proba`.",
            ),
            "accuracy-not-auc": (
                float((new.predict(held_out[given.features]) == held_out["churned"]).mean()),
                "That is the accuracy. The gate compares by ROC-AUC.",
            ),
            "not-retrained": (
                given.auc(given.model, held_out),
                "That is the score of the spring model: it was registered a second time. Fit a `new_model()` on "
                "`recent`.",
            ),
        },
        slips=lambda: _gate_slips(given, recent, held_out),
    )


def _gate_slips(given: _Given, recent: pd.DataFrame, held_out: pd.DataFrame) -> Iterator[tuple[str, float, str]]:
    """Yield numbers that the gate finds when a model was fitted, or judged, on other rows."""
    told = "The new model was trained on rows that judge it: no score of theirs counts any more. Fit on `recent` only."
    for rows in (held_out, given.rules):
        yield "trained-on-held-out", given.auc(given.fit(rows), held_out), told
    spring = given.spring.X_train.assign(churned=given.spring.y_train)
    told = (
        "The new model was trained on spring's rows as well, from before the change, and these teach it the old rule. Fit "
        "on `recent` only."
    )
    for old in (spring, given.rules.query("week < 3")):
        yield "old-rows-kept", given.auc(given.fit(pd.concat([old, recent])), held_out), told
    told = "That is the new model on all weeks of `rules`: those it was trained on, too. Give the gate `held_out`."
    yield "judged-on-all", given.auc(given.fit(recent), given.rules), told


def category(evidence: Evidence) -> None:
    """Stretch: chi-square of one categorical feature."""
    given = _given(data.course_seed())
    run = evidence.latest_run("hw-monitoring-category", "internet")
    first, last = (given.prices.query("week == @week")["internet"] for week in (1, 8))
    counts = pd.concat([first.value_counts(), last.value_counts()], axis=1).fillna(0)
    found = stats.chi2_contingency(counts)
    statistic, p = float(found.statistic), float(found.pvalue)
    distance = (statistic / (len(first) + len(last))) ** 0.5
    evidence.judge_number(
        "cramers_v",
        evidence.metric(run, "cramers_v"),
        distance,
        {
            "statistic-not-v": (
                statistic,
                "That is the chi-square statistic, which grows with the number of rows. V is `sqrt(chi2 / n)`, 0 to 1.",
            ),
            "root-too-early": (
                statistic**0.5 / (len(first) + len(last)),
                "That divides the root of the statistic by the rows, and shrinks as they grow: the division is under the root.",
            ),
            "p-not-distance": (
                p,
                "That is the p-value: with many rows it is small for a change that matters to nobody. Log the size "
                "of the change.",
            ),
        },
    )
    evidence.judge_number(
        "p",
        evidence.metric(run, "p"),
        p,
        {"v-not-p": (distance, "That is Cramér's V, the size. `p` is how often chance alone gives a size like this.")},
    )


TASKS = (
    Task(
        "log predictions with their inputs",
        2,
        log_predictions,
        (
            "What would you need next month to find out whether these answers were good?",
            "`week_1.assign(probability=…)` puts the answers beside the inputs; column 1 of `predict_proba` is churn.",
            '`mlflow.log_table(scored, "predictions.json")` inside the run.',
        ),
        "Inputs and answers together. A real service adds the customer's number, by which late labels find their rows.",
        level="warm-up",
    ),
    Task(
        "drift by week",
        2,
        drift,
        (
            "Which rows are the ruler, and which are measured? Which of the two values that `ks_2samp` returns is a size?",
            "`psi(then, now)`: the reference first. `stats.ks_2samp(then, now)` has a `statistic` and a `pvalue`.",
            '`for week, rows in prices.groupby("week"):` with a run `f"week-{week:02d}"` inside.',
        ),
        "The price rise shows in its first week, and before it nothing alarms.",
    ),
    Task(
        "delayed labels, and an alert",
        2,
        scores,
        (
            "Today is week 8 and labels are two weeks late: what is the newest week that you may score?",
            "`mlflow.log_metric(name, value, step=week)`; collect the values by week in a dictionary.",
            "The rule fires in the first week `w` with `max(scores[w - 1], scores[w]) < limit`.",
        ),
        "You used no label from the future, and a rule, not a feeling, decided.",
    ),
    Task(
        "retrain, and through the gate",
        3,
        retrain,
        (
            "On which rows should two models compete that will serve next week?",
            "Fit, `store.log_model(…).model_uri`, `mlflow.register_model(…).version`, then `gate`.",
            '`gate("hw-monitoring-churn", version, held_out, by="…", why="…")` after '
            '`mlflow.set_experiment("hw-monitoring-gate")`',
        ),
        "Drift simulated, noticed, answered, and the answer was proven on rows of the new world.",
        level="transfer",
    ),
    Task(
        "a category",
        0,
        category,
        (
            "Which table does the test ask for? One row for each category, one column for each week.",
            "`stats.chi2_contingency(counts)` has a `statistic` and a `pvalue`; V is the root of `statistic / rows`.",
        ),
        "A category drifts as well as a number, and V tells how far.",
    ),
)
