"""Homework of pipelines: a polynomial pipeline, its cross-validated RMSE, a file and a proof, a leak to mend."""

from __future__ import annotations

import bz2
import lzma
import zipfile
import zlib
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import skops.io
from sklearn.feature_selection import SelectKBest
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.metrics import mean_squared_error
from sklearn.model_selection import KFold, StratifiedKFold, cross_val_score, cross_validate, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

from course_utils import data
from course_utils._judge.evidence import Evidence, close, listing
from course_utils._judge.mistake import Mistake, NotStarted
from course_utils._judge.reading import json_of, numbers_of
from course_utils._judge.slips import is_rounded
from course_utils.homework.question import Task

#: How joblib's compressed files begin, and what unpacks them; zlib's decompressor knows gzip too.
_PACKED = ((b"\x78", lambda: zlib.decompressobj()), (b"\x1f\x8b", lambda: zlib.decompressobj(47)))
_PACKED += ((b"BZh", bz2.BZ2Decompressor), (b"\xfd7zXZ", lzma.LZMADecompressor), (b"\x5d\x00", lzma.LZMADecompressor))
_MOST_BYTES = 20_000_000


@cache
def _rows(seed: int) -> tuple[Any, ...]:
    """Return the split of the homework and the training rows with gaps."""
    diabetes = data.bundled("diabetes")
    X, y = diabetes[["bmi", "bp", "s5"]] * 100 + 10, diabetes["target"]
    X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=seed)
    X_gaps = X_train.mask(np.random.default_rng(seed).random(X_train.shape) < (0.1, 0, 0))
    return X_train, X_test, y_train, y_test, X_gaps


# ---- task 1 ----------------------------------------------------------------------------------------------------------


@cache
def _coefficients(seed: int) -> dict[str, dict[str, float]]:
    """Return feature → coefficient of the right pipeline and of the plausible wrong ones."""
    X_train, X_test, y_train, y_test, _ = _rows(seed)
    powers, scaler = PolynomialFeatures(2, include_bias=False), StandardScaler()
    models = {
        "right": (make_pipeline(scaler, powers, LinearRegression()), X_train, y_train),
        "not-scaled": (make_pipeline(powers, LinearRegression()), X_train, y_train),
        "scaled-last": (make_pipeline(powers, scaler, LinearRegression()), X_train, y_train),
        "fitted-on-test": (make_pipeline(scaler, powers, LinearRegression()), X_test, y_test),
        "fitted-on-all": (
            make_pipeline(scaler, powers, LinearRegression()),
            pd.concat([X_train, X_test]),
            pd.concat([y_train, y_test]),
        ),
        "brake-added": (make_pipeline(scaler, powers, Ridge()), X_train, y_train),
    }
    found = {}
    for code, (model, X, y) in models.items():
        model.fit(X, y)
        found[code] = dict(zip(model[:-1].get_feature_names_out(), model[-1].coef_, strict=True))
    return found


def coefficients(evidence: Evidence) -> None:
    """Task 1: coefficients of scaler, polynomial and line."""
    table = evidence.table("hw-pipelines", "coefficients.csv", ("feature", "coefficient"))
    values = numbers_of(table, "coefficient", "coefficients.csv")
    got = {name: v for name, v in zip(table["feature"].map(str), values, strict=True) if name != "1"}
    reference = _coefficients(data.course_seed())
    right = reference["right"]
    if set(got) != set(right):
        if len(got) == len(right):
            raise Mistake(
                "feature-names",
                f"The features are called {listing(got, 4)}. Nobody can tell which measurement `x0` is: take the "
                "names from the fitted preparation; it makes them from the names of the table's columns.",
            )
        raise Mistake(
            "wrong-degree",
            f"There are {len(got)} features: {listing(got, 12)}. Degree 2 of three columns gives the columns "
            "themselves, their squares and the products of two.",
        )
    if all(close(got[name], right[name]) for name in right):
        return
    told = {
        "not-scaled": "These are the coefficients of *unscaled* columns. Without the scaler a coefficient depends on "
        "the unit of its column, so they cannot be compared with each other.",
        "scaled-last": "The polynomial came first and the scaler after it. The order of the steps is part of the "
        "model: the task asks for the scaler first.",
        "fitted-on-test": "These come from the *test* rows. A model that has learned from them cannot be judged by "
        "them.",
        "fitted-on-all": "These come from *all* rows, the test rows among them. A model that has learned from them cannot "
        "be judged by them.",
        "brake-added": "These are the coefficients of a ridge: its brake makes them smaller. The task asks for a line "
        "without one.",
    }
    for code, message in told.items():
        if all(close(got[name], reference[code][name]) for name in right):
            raise Mistake(code, message)
    if all(close(got[name], right[name]) or is_rounded(got[name], right[name]) for name in right):
        raise Mistake(
            "rounded",
            "The coefficients are rounded. Write full precision, round when you print: another program reads them.",
        )
    raise Mistake(
        "value-wrong",
        "The names are right, the coefficients are not those of the pipeline of the task, fitted on the training rows. "
        "Look at each step, at the rows, and at rounding.",
    )


# ---- task 2 ----------------------------------------------------------------------------------------------------------


@cache
def _degree(seed: int, degree: int) -> dict[str, float]:
    """Return the right cross-validated RMSE of a degree and the plausible wrong numbers."""
    X_train, X_test, y_train, y_test, X_gaps = _rows(seed)
    folds = KFold(5, shuffle=True, random_state=seed)
    steps = (StandardScaler(), PolynomialFeatures(degree), LinearRegression())
    model = make_pipeline(SimpleImputer(), *steps)

    def rmse(model: Any, X: Any, cv: Any) -> float:
        return -cross_val_score(model, X, y_train, cv=cv, scoring="neg_root_mean_squared_error").mean()

    scorers = ("neg_root_mean_squared_error", "neg_mean_squared_error", "neg_mean_absolute_error", "r2")
    scores = cross_validate(model, X_gaps, y_train, cv=folds, scoring=scorers, return_train_score=True)
    mean = {name: abs(scores[f"test_{name}"].mean()) for name in scorers}
    fitted = model.fit(X_gaps, y_train)
    return {
        "right": mean["neg_root_mean_squared_error"],
        "squared": mean["neg_mean_squared_error"],
        "root_of_mean": mean["neg_mean_squared_error"] ** 0.5,
        "absolute": mean["neg_mean_absolute_error"],
        "r2": scores["test_r2"].mean(),
        "train": -scores["train_neg_root_mean_squared_error"].mean(),
        "leaked": rmse(make_pipeline(*steps), SimpleImputer().fit_transform(X_gaps), folds),
        "other_folds": rmse(model, X_gaps, 5),
        "no_gaps": rmse(model, X_train, folds),
        "median": rmse(make_pipeline(SimpleImputer(strategy="median"), *steps), X_gaps, folds),
        "one_split": mean_squared_error(y_test, fitted.predict(X_test)) ** 0.5,
    }


def degrees(evidence: Evidence) -> None:
    """Task 2: cross-validated RMSE of degree 1, 2 and 3."""
    table = evidence.table("hw-pipelines", "degrees.csv", ("degree", "cv_rmse"))
    found = numbers_of(table, "degree", "degrees.csv")
    values = numbers_of(table, "cv_rmse", "degrees.csv")
    if sorted(found) != [1, 2, 3]:
        raise Mistake(
            "wrong-degree",
            f"`degrees.csv` has the degrees {listing(f'{d:g}' for d in found)}; the task compares 1, 2 and 3, one "
            "row each.",
        )
    for degree, value in zip(found, values, strict=True):
        reference = _degree(data.course_seed(), int(degree))
        evidence.judge_number(
            f"cv_rmse of degree {degree:g}",
            value,
            reference["right"],
            {
                "squared-not-root": (
                    reference["squared"],
                    "That is the mean *squared* error, in points². Use the scorer that takes the root.",
                ),
                "root-of-mean": (
                    reference["root_of_mean"],
                    "That is the root of the mean MSE. The task asks for the mean over the folds of the RMSE: first "
                    "the root in each fold, then the mean. Both are in use, so say which one you report.",
                ),
                "other-metric": (reference["absolute"], "That is the mean *absolute* error, not the RMSE."),
                "score-not-error": (
                    reference["r2"],
                    "That is R², scikit-learn's default score for a regression. Name the metric in `scoring=`.",
                ),
                "train-not-test": (
                    reference["train"],
                    "That is the error on the rows that the model was fitted on. Each fold judges rows it has not "
                    "seen.",
                ),
                "leaked-rows": (
                    reference["leaked"],
                    "The gaps were filled *before* the folds were made, so the imputer has seen the rows that judge. "
                    "Make it a step of the pipeline.",
                ),
                "other-folds": (
                    reference["other_folds"],
                    "Those are other folds: `cv=5` does not shuffle. Models are compared on the same folds: "
                    "`cv=folds`.",
                ),
                "other-rows": (
                    reference["no_gaps"],
                    "That comes from the rows without gaps. The task asks for `X_gaps`.",
                ),
                "other-imputer": (reference["median"], "The gaps were filled with medians. The task asks for means."),
                "one-split": (
                    reference["one_split"],
                    "That is one number from the test rows. The choice of a degree is made by folds of the training "
                    "rows; the test rows wait until it is made.",
                ),
            },
            " points",
        )


# ---- task 3 ----------------------------------------------------------------------------------------------------------


@cache
def _predictions(seed: int) -> dict[str, np.ndarray]:
    """Return what `fitted` predicts on test and training rows."""
    X_train, X_test, y_train, _, _ = _rows(seed)
    fitted = make_pipeline(StandardScaler(), PolynomialFeatures(2), LinearRegression()).fit(X_train, y_train)
    return {"test": fitted.predict(X_test), "train": fitted.predict(X_train)}


def _content(raw: bytes) -> bytes:
    """Return the unpacked start of a joblib file; nothing in it is executed."""
    for head, make in _PACKED:
        if raw.startswith(head):
            try:
                return make().decompress(raw, _MOST_BYTES)
            except (zlib.error, lzma.LZMAError, OSError):
                return raw
    return raw


def saved(evidence: Evidence) -> None:
    """Task 3: a joblib file with the whole pipeline, and equal predictions before and after."""
    path = evidence.file("hw-pipelines", "model.joblib")
    with path.open("rb") as file:
        content = _content(file.read(_MOST_BYTES))
    if b"schema.json" in content and zipfile.is_zipfile(path):
        raise Mistake("other-format", "`model.joblib` is a skops file. The task asks for joblib; skops is the stretch.")
    if b"LinearRegression" not in content and b"StandardScaler" not in content:
        raise Mistake(
            "model-not-in-file",
            "I find neither a scaler nor a line in `model.joblib`. Save the pipeline itself, with `joblib.dump`.",
        )
    if not all(step in content for step in (b"StandardScaler", b"PolynomialFeatures", b"LinearRegression")):
        raise Mistake(
            "steps-not-saved",
            "`model.joblib` holds a part of the pipeline only. Who loads it would have to repeat the other steps by "
            "hand, with the same numbers: save the whole pipeline.",
        )
    if b"coef_" not in content or b"scale_" not in content:
        raise Mistake(
            "saved-unfitted",
            "The pipeline in `model.joblib` is not fitted: it holds no coefficients. Save the one that has been "
            "fitted.",
        )
    _proof(evidence)


def _proof(evidence: Evidence) -> None:
    """Compare the predictions in proof.csv with each other and with the reference."""
    try:
        table = evidence.table("hw-pipelines", "proof.csv", ("before", "after"))
    except NotStarted:
        raise Mistake("no-proof", "The model is saved, but there is no `outputs/hw-pipelines/proof.csv` yet.") from None
    before, after = (numbers_of(table, column, "proof.csv") for column in ("before", "after"))
    reference = _predictions(data.course_seed())
    for rows, message in (
        ("train", "These are predictions for the *training* rows; the task asks for the test rows."),
        ("test", ""),
    ):
        if len(before) == len(reference[rows]) and np.allclose(before, reference[rows], rtol=1e-6):
            if message:
                raise Mistake("train-not-test", message)
            break
    else:
        test = reference["test"]
        if len(before) == len(test) and all(close(a, b) or is_rounded(a, b) for a, b in zip(before, test, strict=True)):
            raise Mistake(
                "rounded",
                "`before` is rounded. Two models that differ a little would then look equal, so it proves nothing: write "
                "the predictions as they are, and round when you print.",
            )
        raise Mistake(
            "other-predictions",
            f"`before` has {len(before)} rows that are not the predictions of `fitted` for the "
            f"{len(reference['test'])} test rows, in their order. Was another model or another table used?",
        )
    if not np.allclose(before, after, rtol=1e-9, atol=0):
        raise Mistake(
            "not-equal",
            "`before` and `after` differ, so what you loaded is not what you saved. Was the file written before the "
            "last fit, or is `after` rounded?",
        )


# ---- task 4 ----------------------------------------------------------------------------------------------------------


@cache
def _genes(seed: int) -> dict[str, np.ndarray]:
    """Return the five scores of the mended cell and of the plausible wrong ones."""
    genes = np.random.default_rng(seed).normal(size=(100, 500))
    ill = np.tile([0, 1], 50)
    folds = StratifiedKFold(5, shuffle=True, random_state=seed)
    model = make_pipeline(SelectKBest(k=20), StandardScaler(), LogisticRegression())

    def scores(model: Any = model, X: Any = genes, cv: Any = folds, scoring: str = "roc_auc") -> np.ndarray:
        return cross_val_score(model, X, ill, cv=cv, scoring=scoring)

    chosen = SelectKBest(k=20).fit_transform(genes, ill)
    scaled = StandardScaler().fit_transform(genes)
    train = cross_validate(model, genes, ill, cv=folds, scoring="roc_auc", return_train_score=True)["train_score"]
    return {
        "right": scores(),
        "leaked": scores(LogisticRegression(), StandardScaler().fit_transform(chosen)),
        "half": scores(model[1:], chosen),
        "scaler_outside": scores(make_pipeline(SelectKBest(k=20), LogisticRegression()), scaled),
        "no_scaler": scores(make_pipeline(SelectKBest(k=20), LogisticRegression())),
        "no_choice": scores(model[1:]),
        "ten": scores(make_pipeline(SelectKBest(), StandardScaler(), LogisticRegression())),
        "other_folds": scores(cv=5),
        "accuracy": scores(scoring="accuracy"),
        "train": train,
    }


def _same(got: np.ndarray, reference: np.ndarray) -> bool:
    return all(close(a, b) for a, b in zip(got, reference, strict=True))


def mended(evidence: Evidence) -> None:
    """Task 4: the scores of a pipeline in which selection and scaling are steps."""
    table = evidence.table("hw-pipelines", "honest.csv", ("fold", "auc"))
    numbers = numbers_of(table, "fold", "honest.csv")
    values = numbers_of(table, "auc", "honest.csv")
    if sorted(numbers) != [1, 2, 3, 4, 5]:
        raise Mistake(
            "fold-numbers",
            f"`honest.csv` has the folds {listing(f'{n:g}' for n in numbers)}; the task wants one row for each of the folds "
            "1 to 5. A mean alone would hide how far the folds lie apart.",
        )
    got = np.asarray(values, dtype=float)[np.argsort(numbers)]
    reference = _genes(data.course_seed())
    if _same(got, reference["right"]):
        return
    if _same(np.sort(got), np.sort(reference["right"])):
        raise Mistake(
            "fold-order",
            "The five scores are right, but they stand beside other folds. Number them in the order in which `gene_folds` "
            "gives the folds, so that somebody can compare fold by fold.",
        )
    told = {
        "leaked": (
            "leaked-rows",
            "These are Jonas's scores: the genes are still chosen on all rows. The choice has looked at the labels of the "
            "rows that judge; make it a step that each fold fits again.",
        ),
        "half": (
            "leaked-rows",
            "The scaler is a step now, but the genes are still chosen on all rows, labels included. The choice learns as well: "
            "it has to be made again in each fold.",
        ),
        "scaler_outside": (
            "scaler-outside",
            "The choice is a step now, but the scaler still learns from all rows. It does little harm here, and nobody can "
            "know that in advance: put it into the pipeline.",
        ),
        "no_scaler": ("not-scaled", "The scaler has gone. The task keeps all three of Jonas's parts."),
        "no_choice": ("no-choice", "All 500 genes are used. The task keeps the choice of 20, inside the folds."),
        "ten": ("setting-forgotten", "That is what 10 genes give. The task keeps Jonas's settings: `k=20`."),
        "other_folds": (
            "other-folds",
            "Those are other folds: `cv=5` does not shuffle. Scores are compared on the same folds: `gene_folds`.",
        ),
        "accuracy": (
            "accuracy-not-auc",
            "That is the share of right answers. The task keeps Jonas's measure, the ROC-AUC.",
        ),
        "train": (
            "train-not-test",
            "Those are scores on the rows that were fitted on. Each fold judges rows that the pipeline has not seen.",
        ),
    }
    for name, (code, message) in told.items():
        if _same(got, reference[name]):
            raise Mistake(code, message)
    if len(set(got)) == 1 and close(got[0], reference["right"].mean()):
        raise Mistake("mean-not-folds", "All five rows hold the mean. The task asks for the score of each fold.")
    raise Mistake(
        "value-wrong",
        f"The scores are {listing(f'{v:.3f}' for v in got)}. A pipeline of Jonas's three parts gives others on these folds. Look "
        "at the parts and their settings, at the rows, and at `cv`.",
    )


# ---- stretch ---------------------------------------------------------------------------------------------------------


_STEPS = ("SimpleImputer", "OrdinalEncoder", "OneHotEncoder", "RandomForestClassifier")


def asked(evidence: Evidence) -> None:
    """Stretch: a skops file of a pipeline for words, and the list of types that it asks to trust."""
    path = evidence.file("hw-pipelines", "forest.skops")
    if not zipfile.is_zipfile(path):
        raise Mistake(
            "other-format",
            "`forest.skops` is not a skops file; the ending alone does not make one. Use `skops.io.dump`.",
        )
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.getinfo("schema.json").file_size > _MOST_BYTES:
                raise KeyError("schema.json")
            schema = archive.read("schema.json").decode("utf8")
        asks = sorted(skops.io.get_untrusted_types(file=path))  # reads names, builds nothing
    except Exception:  # whatever a strange file makes of skops's reader
        raise Mistake("file-broken", "`forest.skops` has no readable `schema.json`. Write it again.") from None
    missing = [step for step in _STEPS if f'"{step}"' not in schema]
    if missing:
        raise Mistake(
            "steps-not-saved",
            f"`forest.skops` holds no {listing(missing, 4)}. Save the whole pipeline: each kind of column has its own "
            "steps, and the forest comes last.",
        )
    if '"estimators_"' not in schema:
        raise Mistake(
            "saved-unfitted",
            "The forest in `forest.skops` has no trees: the pipeline was not fitted before it was saved.",
        )
    try:
        found = json_of(evidence.file("hw-pipelines", "untrusted.json"), "file-broken")
    except NotStarted:
        raise Mistake(
            "list-missing", "The model is saved, but there is no `outputs/hw-pipelines/untrusted.json` yet."
        ) from None
    if not isinstance(found, list) or sorted(map(str, found)) != asks:
        raise Mistake(
            "wrong-types",
            "`untrusted.json` is not the list of types that this file asks about. skops can tell you the list, given "
            "the file, without loading the model.",
        )


TASKS = (
    Task(
        "scaler, polynomial, line",
        2,
        coefficients,
        (
            "Which three objects does the task name, and what does `make_pipeline` do with them in order?",
            "`pipeline[:-1]` is the preparation, and knows the names of its columns; `pipeline[-1]` is the line, and "
            "has `coef_`.",
            '`pd.DataFrame({"feature": pipeline[:-1].get_feature_names_out(), "coefficient": '
            "pipeline[-1].coef_})`, then `to_csv(..., index=False)`.",
        ),
        "Scaled first, so no coefficient depends on the unit of a measurement.",
    ),
    Task(
        "which degree?",
        2,
        degrees,
        (
            "What must happen to the gaps inside each fold, and which object makes sure of it?",
            "Four steps in the pipeline, the imputer first. `cross_val_score` takes the pipeline, not prepared "
            "columns.",
            '`-cross_val_score(model, X_gaps, y_train, cv=folds, scoring="neg_root_mean_squared_error").mean()` '
            "for each degree.",
        ),
        "Same folds, the gaps filled anew in each, the error in the study's own points: now the degrees can be compared.",
    ),
    Task(
        "save, reload, prove",
        2,
        saved,
        (
            "How would you convince Aisha that the file is the model, without showing her a single byte?",
            "Both models get the same rows. Equal answers are the proof.",
            '`joblib.dump(fitted, folder / "model.joblib")`, `joblib.load(...)`, then a table with the columns '
            "`before` and `after`.",
        ),
        "What was loaded answers like what was saved.",
        level="warm-up",
    ),
    Task(
        "a colleague's cell that leaks",
        2,
        mended,
        (
            "Which lines of Jonas's cell learn something from the rows? From which rows do they learn?",
            "Each of his parts becomes a step, in his order. `cross_val_score` takes the pipeline and the raw `genes`.",
            "`make_pipeline(SelectKBest(k=20), …, LogisticRegression())`, then one row for each of the five scores.",
        ),
        "The genes are chosen again in each fold, and the number says what the data says: nothing.",
        level="transfer",
    ),
    Task(
        "words, and a file that asks first",
        0,
        asked,
        (
            "Three kinds of columns need three preparations. Which object says which steps get which columns?",
            "`make_column_transformer((SimpleImputer(), [...]), (OrdinalEncoder(...), [...]), ...)`, and behind it the forest, "
            "with `make_pipeline`.",
            "Which function of `skops.io` reads what is in a file without building it?",
            "`skops.io.get_untrusted_types(file=...)` returns a list; `json.dumps` writes it.",
        ),
        "Each kind of column has its steps, and you know what you are asked to trust before you load it.",
        level="transfer",
    ),
)
