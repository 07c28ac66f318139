"""Homework of comparing runs: five runs with a winner, a report, a rescue, a fair comparison, the peak of a curve."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache

import mlflow
from mlflow.entities import Run, ViewType
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import accuracy_score, roc_auc_score
from sklearn.model_selection import train_test_split

from course_utils import data
from course_utils._judge.evidence import Evidence, close, listing, nearest
from course_utils._judge.mistake import Mistake, NotStarted
from course_utils._judge.reading import number, visible
from course_utils._judge.slips import Rows, auc_slips
from course_utils.homework.question import Task

_TREES = (10, 20, 30, 40, 50)
#: The runs that the given cell of task 4 makes.
_CLINIC = tuple(f"clinic-{n}" for n in range(1, 9))


@cache
def _references(seed: int, trees: int) -> dict[str, float]:
    """Return the right validation ROC-AUC of one forest of task 1 and the plausible wrong ones."""
    split = data.churn_split(800, seed, numeric=True)
    X_fit, X_valid, y_fit, y_valid = train_test_split(split.X_train, split.y_train, test_size=0.3, random_state=0)
    forest = RandomForestClassifier(n_estimators=trees, max_depth=4, random_state=0).fit(X_fit, y_fit)
    return {
        "right": roc_auc_score(y_valid, forest.predict_proba(X_valid)[:, 1]),
        "train": roc_auc_score(y_fit, forest.predict_proba(X_fit)[:, 1]),
        "test": roc_auc_score(split.y_test, forest.predict_proba(split.X_test)[:, 1]),
        "labels": roc_auc_score(y_valid, forest.predict(X_valid)),
        "accuracy": accuracy_score(y_valid, forest.predict(X_valid)),
    }


def _slips(trees: int) -> Iterator[tuple[str, float, str]]:
    """Yield the further wrong numbers of task 1."""
    split = data.churn_split(800, data.course_seed(), numeric=True)
    X_fit, X_valid, y_fit, y_valid = train_test_split(split.X_train, split.y_train, test_size=0.3, random_state=0)
    forest = RandomForestClassifier(n_estimators=trees, max_depth=4, random_state=0)
    yield from auc_slips(forest, Rows(X_fit, X_valid, y_fit, y_valid), "validation")
    for other in _TREES:
        yield (
            "stale-value",
            _references(data.course_seed(), other)["right"],
            "That is the score of a forest with another number of trees. Fit and score inside the same turn of the loop.",
        )


def _five(evidence: Evidence) -> list[Run]:
    """Return the newest run of each number of trees, judged."""
    runs = []
    for trees in _TREES:
        run = evidence.latest_run("hw-comparing-runs-trees", f"trees-{trees}", asked=[f"trees-{n}" for n in _TREES])
        logged = evidence.number_param(run, "n_estimators")
        if logged != trees:
            raise Mistake(
                "param-value",
                f"The run `trees-{trees}` has `n_estimators` {logged:g}. Name and parameter must tell the same story: "
                "a comparison reads the parameter.",
            )
        found = _references(data.course_seed(), trees)
        evidence.judge_number(
            f"valid_auc of trees-{trees}",
            evidence.metric(run, "valid_auc"),
            found["right"],
            {
                "train-not-valid": (
                    found["train"],
                    "That is the value on the rows that the forest was fitted on, where every forest looks good. "
                    "Use the validation rows.",
                ),
                "test-not-valid": (
                    found["test"],
                    "That is the value on the *test* rows. Whoever chooses by the test rows has none left for an "
                    "honest number; choose by the validation rows.",
                ),
                "labels-not-probabilities": (
                    found["labels"],
                    "That is ROC-AUC of the predicted labels. It ranks customers, so it needs probabilities.",
                ),
                "accuracy-not-auc": (
                    found["accuracy"],
                    "That is the accuracy at one threshold. ROC-AUC judges the order of all rows: give it the probabilities.",
                ),
            },
            slips=lambda trees=trees: _slips(trees),
        )
        runs.append(run)
    return runs


def winner(evidence: Evidence) -> None:
    """Task 1: five comparable runs, the best of them tagged."""
    five = _five(evidence)
    values = [evidence.metric(run, "valid_auc") for run in five]
    best = [run for run, value in zip(five, values, strict=True) if close(value, max(values))]
    worst = [run for run, value in zip(five, values, strict=True) if close(value, min(values))]
    tagged = [run for run in five if run.data.tags.get("winner")]
    if not tagged:
        # Running the cell again makes equal runs: a tag on an older twin of the winner is right too.
        names = {run.info.run_name for run in best}
        tagged = [
            run
            for run in evidence.runs("hw-comparing-runs-trees", "tags.winner LIKE '%'")
            if run.info.run_name in names and close(run.data.metrics.get("valid_auc", 0.0), max(values))
        ][:1]
        best = tagged or best
    if not tagged and (old := evidence.runs("hw-comparing-runs-trees", "tags.winner LIKE '%'")):
        raise Mistake(
            "not-the-best",
            f"The tag `winner` is on `{visible(old[0].info.run_name)}` of an earlier attempt, and on none of your five newest runs: "
            "your query found that run, too. Delete the runs of the earlier attempt (`client.delete_run`), and run your cell again.",
        )
    _one_tagged(evidence, five, tagged, "winner")
    if tagged[0].info.run_id in {run.info.run_id for run in worst}:
        raise Mistake(
            "wrong-direction",
            f"`{tagged[0].info.run_name}` has the *lowest* `valid_auc` of the five. An order is ascending unless you "
            "write `DESC`.",
        )
    if tagged[0].info.run_id not in {run.info.run_id for run in best}:
        raise Mistake(
            "not-the-best",
            f"`{tagged[0].info.run_name}` is tagged, but another of your five runs has a higher `valid_auc`. Let the "
            "store sort them, and take its first row.",
        )
    _says_yes(tagged[0], "winner")
    if all("test_auc" in run.data.metrics for run in five):
        raise Mistake(
            "test-not-closed",
            "All five runs have `test_auc`, so the test rows lay open before the choice, and nobody can say whether they had "
            "a part in it. Delete the five runs as the task shows, make them without it, and score only the winner there.",
        )
    _on_the_test_rows(evidence, tagged[0])


def _on_the_test_rows(evidence: Evidence, run: Run) -> None:
    """Judge the winner's score on the test rows."""
    seed, trees = data.course_seed(), int(evidence.number_param(run, "n_estimators"))

    def slips() -> Iterator[tuple[str, float, str]]:
        split = data.churn_split(800, seed, numeric=True)
        X_fit, _, y_fit, _ = train_test_split(split.X_train, split.y_train, test_size=0.3, random_state=0)
        forest = RandomForestClassifier(n_estimators=trees, max_depth=4, random_state=0)
        yield from auc_slips(forest, Rows(X_fit, split.X_test, y_fit, split.y_test))
        for other in _TREES:
            yield (
                "stale-value",
                _references(seed, other)["test"],
                "That is the score of a forest with another number of trees, perhaps the last one of your loop. Fit the "
                "winner's forest again.",
            )

    wrong = {
        "valid-not-test": (
            _references(seed, trees)["right"],
            "That is the value on the *validation* rows, which have chosen the winner. Use the test rows.",
        )
    }
    right = _references(seed, trees)["test"]
    evidence.judge_number("test_auc", evidence.metric(run, "test_auc"), right, wrong, slips=slips)


def _one_tagged(evidence: Evidence, runs: Sequence[Run], tagged: Sequence[Run], tag: str) -> None:
    """Tell when no run or more than one has a tag, without saying which run should have it."""
    for run in runs if not tagged else ():
        own = {name for name in run.data.tags if not name.startswith("mlflow.")}
        if nearest(tag, own) or tag in run.data.params:
            evidence.tag(run, tag)  # a tag of a similar name, or a parameter instead of a tag
    if not tagged:
        raise Mistake(
            "tag-missing",
            f"None of these runs has the tag `{tag}`. A winner that is only printed is forgotten tomorrow; with the tag, "
            "anybody can search for it. Set it on the run that you chose.",
        )
    if len(tagged) > 1:
        raise Mistake(
            "two-winners",
            f"The tag `{tag}` is on {listing(run.info.run_name for run in tagged)}. Whoever looks for the winner finds more "
            "than one. Decide for one run, and take the tag off the others with `client.delete_tag`.",
        )


def _says_yes(run: Run, tag: str) -> None:
    """Tell when the tag of the right run has another value."""
    if run.data.tags[tag] != "yes":
        raise Mistake(
            "tag-value",
            f"The tag `{tag}` is `{visible(run.data.tags[tag], 40)}`; the task asks for `yes`. Filters compare tags letter "
            "by letter.",
        )


def _trees(run: Run) -> float:
    """Return the number of trees of a run; 0 for a run of the learner's own that does not say."""
    try:
        return float(run.data.params["n_estimators"])
    except (KeyError, ValueError):
        return 0.0


def report(evidence: Evidence) -> None:
    """Task 2: the three best finished runs with at least 100 trees, as a file."""
    runs = evidence.runs("hw-comparing-runs-history")
    if not runs:
        raise NotStarted("The experiment `hw-comparing-runs-history` has no runs yet: run the given cell first.")
    table = evidence.table("hw-comparing-runs", "top3.csv", ("run_name", "n_estimators", "valid_auc"))
    by_name = {run.info.run_name: run for run in runs}
    names = table["run_name"].astype(str).str.strip().tolist()
    if unknown := [name for name in names if name not in by_name]:
        raise Mistake(
            "unknown-run",
            f"`top3.csv` names `{visible(unknown[0], 40)}`, which is no run of `hw-comparing-runs-history`.",
        )
    if failed := [name for name in names if by_name[name].info.status != "FINISHED"]:
        raise Mistake(
            "failed-run-wins",
            f"`{failed[0]}` ended {by_name[failed[0]].info.status}, so its number may come from half a run. Ask for "
            "`attributes.status = 'FINISHED'`.",
        )
    if small := [name for name in names if _trees(by_name[name]) < 100]:
        raise Mistake(
            "text-not-number",
            f"`{small[0]}` has {_trees(by_name[small[0]]):g} trees; the report is about at least "
            "100. Parameters are text, and as text 80 comes after 100: make numbers of them before you compare.",
        )
    right = sorted(
        (r for r in runs if r.info.status == "FINISHED" and _trees(r) >= 100 and "valid_auc" in r.data.metrics),
        key=lambda r: -r.data.metrics["valid_auc"],
    )
    order = [run.info.run_name for run in right]
    if len(names) != 3:
        raise Mistake("row-count", f"`top3.csv` has {len(names)} rows; the report wants the best three.")
    if names != order[:3]:
        if names in (order[:3][::-1], order[::-1][:3]):
            raise Mistake(
                "wrong-direction",
                "The rows begin with the lowest `valid_auc`. An order is ascending unless you write `DESC`.",
            )
        if sorted(names) == sorted(order[:3]):
            raise Mistake("row-order", "The three runs are right, but not in the order of `valid_auc`, highest first.")
        raise Mistake(
            "wrong-runs",
            f"The rows are {', '.join(names)}, but that is not the top of the runs that finished with 100 trees *or "
            "more*. Filter first, sort, then take three.",
        )
    for name, trees, value in zip(names, table["n_estimators"], table["valid_auc"], strict=True):
        run = by_name[name]
        if number(trees, f"The `n_estimators` of `{name}`", "row-mixed") != _trees(run):
            raise Mistake("row-mixed", f"`{name}` has another number of trees than the file says. Keep rows whole.")
        seen = number(value, f"The `valid_auc` of `{name}`", "row-mixed")
        if not close(seen, run.data.metrics["valid_auc"]) and any(
            close(seen, other.data.metrics.get("valid_auc", -1.0)) for other in runs
        ):
            raise Mistake("row-mixed", f"The `valid_auc` of `{name}` is that of another run. Keep rows whole.")
        evidence.judge_number(f"valid_auc of {name}", seen, run.data.metrics["valid_auc"], {})


def rescue(evidence: Evidence) -> None:
    """Task 3: a run out of the trash, and a new run with its settings."""
    number = evidence.experiment_id("hw-comparing-runs-rescue")
    everything = evidence.client.search_runs([number], run_view_type=ViewType.ALL)
    originals = [run for run in everything if run.info.run_name == "monday"]
    if len(everything) <= 2 and any(run.info.lifecycle_stage == "deleted" for run in originals):
        raise NotStarted("The run `monday` is still in the trash, and there is no new run.")
    if originals and all(run.info.lifecycle_stage == "deleted" for run in originals):
        raise Mistake(
            "run-deleted",
            "The run `monday` is still in the trash, so no search and no link finds it; `monday-again` does not take its "
            "place. Take the run itself out of the trash: running these cells again does not do it.",
        )
    evidence.latest_run("hw-comparing-runs-rescue", "monday")
    first = min(originals, key=lambda run: run.info.start_time)
    if first.info.lifecycle_stage == "deleted":
        raise Mistake(
            "rebuilt-not-restored",
            "There is a new run `monday`, and the one that was deleted is still in the trash. A copy has another id and "
            "another time, so no link to Monday leads to it. Restore the run itself.",
        )
    monday = first
    tuesday = evidence.latest_run("hw-comparing-runs-rescue", "tuesday")
    again = evidence.latest_run("hw-comparing-runs-rescue", "monday-again", asked=("monday", "tuesday"))
    names = ("max_depth", "min_samples_leaf", "random_state")
    settings = {name: evidence.number_param(again, name) for name in names}

    def same(other: Run) -> bool:
        return settings == {name: evidence.number_param(other, name) for name in names}

    if same(tuesday):
        raise Mistake(
            "wrong-source",
            "`monday-again` has the parameters of `tuesday`. Read them from the run that you want back.",
        )
    if not same(monday):
        other = next(name for name in names if settings[name] != evidence.number_param(monday, name))
        raise Mistake(
            "param-value",
            f"`{other}` of `monday-again` is not Monday's. A model comes back only with *all* its settings, read "
            "from the run and not from memory.",
        )
    source = evidence.tag(again, "restored_from")
    if source == tuesday.info.run_id:
        raise Mistake("wrong-source", "`restored_from` is the id of `tuesday`; the settings are Monday's.")
    if source == "monday":
        raise Mistake(
            "name-not-id",
            "`restored_from` is the run's name. Two runs may share a name, and a name can change; the run **id** "
            "cannot.",
        )
    if source != monday.info.run_id:
        raise Mistake(
            "tag-value",
            f"`restored_from` is `{visible(source, 40)}`, which is not the id of the run `monday` in the store.",
        )
    evidence.judge_number(
        "valid_auc", evidence.metric(again, "valid_auc"), evidence.metric(monday, "valid_auc"), _rescue_mistakes(monday)
    )


def _rescue_mistakes(monday: Run) -> dict[str, tuple[float, str]]:
    """Return the plausible wrong values of task 3."""
    from sklearn.tree import DecisionTreeClassifier

    split = data.churn_split(800, data.course_seed(), numeric=True)
    X_fit, _, y_fit, _ = train_test_split(split.X_train, split.y_train, test_size=0.3, random_state=0)
    names = ("max_depth", "min_samples_leaf", "random_state")
    settings = {name: int(Evidence.number_param(monday, name)) for name in names}
    tree = DecisionTreeClassifier(**settings).fit(X_fit, y_fit)
    return {
        "train-not-valid": (
            roc_auc_score(y_fit, tree.predict_proba(X_fit)[:, 1]),
            "That is the value on the rows that the tree was fitted on. Monday's number comes from the validation "
            "rows.",
        ),
        "test-not-valid": (
            roc_auc_score(split.y_test, tree.predict_proba(split.X_test)[:, 1]),
            "That is the value on the *test* rows. Monday's number comes from the validation rows.",
        ),
    }


@cache
def _all_tumours(seed: int) -> str:
    """Return the digest of all validation rows of task 4."""
    X = data.bundled("breast_cancer")
    y = (X.pop("target") == 0).astype(float).rename("malignant")
    _, X_all, _, y_all = train_test_split(X, y, test_size=0.4, stratify=y, random_state=seed)
    return str(mlflow.data.from_pandas(X_all.assign(malignant=y_all), targets="malignant", name="tumours").digest)


def _digests(run: Run) -> set[str]:
    """Return the digests of the data sets that a run recorded."""
    return {entry.dataset.digest for entry in (run.inputs.dataset_inputs if run.inputs else ())}


def fair(evidence: Evidence) -> None:
    """Task 4: the lowest loss among the runs that were judged on the same rows."""
    everything = evidence.runs("hw-comparing-runs-clinic")
    by_name = {
        run.info.run_name: run for run in everything
    }  # newest first, so the oldest of a name stays: the given one
    if not set(_CLINIC) <= set(by_name):
        raise NotStarted(
            "The experiment `hw-comparing-runs-clinic` does not hold the eight runs: run the given cell first."
        )
    given = [by_name[name] for name in _CLINIC]
    ids = {run.info.run_id for run in given}
    tagged = [run for run in given if "fair_winner" in run.data.tags]
    if not tagged:
        if strangers := [run for run in everything if run.info.run_id not in ids and "fair_winner" in run.data.tags]:
            raise Mistake(
                "new-run",
                f"The tag `fair_winner` is on a run of its own, `{visible(strangers[0].info.run_name)}`. It says something "
                "about one of the eight runs, so it belongs on that one: `client.set_tag` takes the id of any run.",
            )
        untouched = all(
            set(run.data.params) == {"max_depth"} and all(name.startswith("mlflow.") for name in run.data.tags)
            for run in given
        )
        if untouched:
            raise NotStarted("None of the eight runs has the tag `fair_winner` yet.")
    _one_tagged(evidence, given, tagged, "fair_winner")
    (chosen,) = tagged
    whole = _all_tumours(data.course_seed())
    if whole not in _digests(chosen):
        raise Mistake(
            "wrong-rows",
            f"`{chosen.info.run_name}` was judged on the rows without the doubtful tumours, where every tree looks better than "
            "it is. Compare only runs that recorded the data set of all validation rows: the name is the same, something "
            "else about the data set is not.",
        )
    losses = {run.info.run_id: run.data.metrics["valid_loss"] for run in given if whole in _digests(run)}
    seen = losses[chosen.info.run_id]
    if not close(seen, min(losses.values())):
        if close(seen, max(losses.values())):
            raise Mistake(
                "wrong-direction",
                f"`{chosen.info.run_name}` has the *highest* `valid_loss` of the four. A loss counts errors, so lower is "
                "better. Which way does your order go?",
            )
        raise Mistake(
            "not-the-best",
            f"`{chosen.info.run_name}` was judged on the right rows, but another of these four has a lower `valid_loss`. Let "
            "the store sort them, and take its first row.",
        )
    _says_yes(chosen, "fair_winner")


def peak(evidence: Evidence) -> None:
    """Stretch: the highest point of a metric's history."""
    run = evidence.latest_run("hw-comparing-runs-curve", "curve")
    if "valid_auc" not in run.data.metrics and any(
        "valid_auc" in other.data.metrics and other.info.run_name == "curve"
        for other in evidence.runs("hw-comparing-runs-curve")
    ):
        raise Mistake(
            "new-not-given",
            "The newest run `curve` is one of yours, beside the given one that holds the history. What is known about a run "
            "belongs into that run: log into the given one, by its id, and delete yours.",
        )
    if not {"best_valid_auc", "best_step"} & set(run.data.metrics) and set(run.data.metrics) == {"valid_auc"}:
        if not run.data.params and not [t for t in run.data.tags if not t.startswith("mlflow.")]:
            raise NotStarted("The run `curve` has only `valid_auc` yet.")
    points = evidence.history(run, "valid_auc")
    best = max(points, key=lambda point: point.value)
    evidence.judge_number(
        "best_valid_auc",
        evidence.metric(run, "best_valid_auc"),
        best.value,
        {
            "last-not-best": (
                points[-1].value,
                "That is the *last* value, which a runs table shows. The curve is in `get_metric_history`.",
            ),
            "wrong-direction": (
                min(p.value for p in points),
                "That is the lowest point; ROC-AUC is better when higher.",
            ),
        },
    )
    evidence.judge_number(
        "best_step",
        evidence.metric(run, "best_step"),
        best.step,
        {
            "index-not-step": (
                points.index(best),
                "That is the place in the list, counted from 0. Each point knows the `step` that it was logged with.",
            ),
            "last-not-best": (
                points[-1].step,
                "That is the step of the last point, not of the highest one. Find the point first, then take its step.",
            ),
        },
    )


TASKS = (
    Task(
        "five runs and a winner",
        2,
        winner,
        (
            "Which part of the five runs is the same each time? What changes, and where must the change be written "
            "down?",
            "A loop makes the runs, with an f-string for the name. Then `search_runs` with an order gives a table "
            "whose first row is the best; its `run_id` is what `client.set_tag` and `client.log_metric` want.",
            '`best = mlflow.search_runs(order_by=["metrics.valid_auc DESC"]).iloc[0]`, then '
            '`client.set_tag(best["run_id"], "winner", "yes")`. Fit a forest with its `params.n_estimators` again, and '
            '`client.log_metric(best["run_id"], "test_auc", …)`.',
        ),
        "Five runs that can be compared, and a winner that anyone can find by its tag, with an honest score.",
        level="warm-up",
    ),
    Task(
        "the top three as a report",
        2,
        report,
        (
            "Which of the three conditions can the store answer, and which can it not?",
            "Status and order go into the query. The number of trees is text in the store: turn the column into "
            "numbers in pandas, then keep the rows.",
            '`mlflow.search_runs(filter_string="attributes.status = \'FINISHED\'", order_by=["metrics.valid_auc DESC"])`, then '
            '`runs["params.n_estimators"].astype(int) >= 100` and `head(3)`.',
        ),
        "Filtered by status, compared as numbers, sorted by the metric: Tom can trust the file.",
    ),
    Task(
        "bring Monday's model back",
        2,
        rescue,
        (
            "A search skips the trash. Which argument makes it look there?",
            "`run_view_type=ViewType.DELETED_ONLY` finds the run, `client.restore_run(run_id)` brings it back. Its "
            "`data.params` are text: make whole numbers of them.",
            "`settings = {name: int(text) for name, text in monday.data.params.items()}`, then "
            "`DecisionTreeClassifier(**settings)`.",
        ),
        "The run is back, and so is its model, to the last digit.",
        level="transfer",
    ),
    Task(
        "a comparison that was not fair",
        2,
        fair,
        (
            "The name of the data set is the same in all eight runs. What else does a run record about its data set, which "
            "changes when rows are missing?",
            "A filter may ask for `datasets.digest`, compared with quoted text. The variable `tumours` knows the digest of all "
            "validation rows. And for a loss, which end of the order is the good one?",
            "`mlflow.search_runs(filter_string=f\"datasets.digest = '{tumours.digest}'\", "
            'order_by=["metrics.valid_loss ASC"])`, then `client.set_tag` with the `run_id` of the first row.',
        ),
        "You compared what was judged on the same rows; the others had an easier exam.",
        level="transfer",
    ),
    Task(
        "the peak of a curve",
        0,
        peak,
        (
            "Which call of the lecture gave all points of a metric?",
            "`client.get_metric_history(run_id, name)` returns points with `value` and `step`. "
            "`client.log_metric(run_id, name, value)` writes to a run that has ended.",
        ),
        "Now the runs table can sort by the peak.",
    ),
)
