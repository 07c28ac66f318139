"""Figures: each has labels, a title that states what is seen, and alt text; the same data give the same picture."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from course_utils import plots
from course_utils.errors import CourseError

RNG = np.random.default_rng(0)
Y = RNG.integers(0, 2, 200)
P = np.clip(0.4 * Y + RNG.normal(0.3, 0.15, 200), 0, 1)
FOLDS = RNG.random((4, 3)) / 10 + 0.8
RUNS = pd.DataFrame(
    {
        "trees": ["50", "100", "150"],
        "depth": ["3", "None", "5"],
        "alpha": [0.001, 0.1, 10.0],
        "auc": [0.7, 0.8, 0.75],
        "kind": ["a", "b", "a"],
    },
    index=["first", "second", "third"],
)
RUNTIME = pd.DataFrame(
    {"cv_roc_auc": [0.8, 0.9], "fit_seconds": [0.1, None], "one_row_ms": [1.0, 7.0], "per_sample_ms": [0.01, 0.1]},
    index=["line", "forest"],
)
DRIFT = pd.DataFrame([[0.01, 0.3], [0.02, 0.05]], index=["price", "calls"], columns=[1, 2])

#: Every figure of the module, and words that its alt text must hold because they are in the data.
FIGURES = {
    "evaluation_panels": (lambda: plots.evaluation_panels(Y, P, 0.5, classes=("no", "yes")), ["0.500", "no", "F1"]),
    "confusion_matrix": (lambda: plots.confusion_matrix(Y, P > 0.5, ("no", "yes")), ["of 200 rows", "yes"]),
    "calibration": (lambda: plots.calibration_comparison(Y, {"raw": P, "flat": P * 0 + 0.5}), ["raw has the lowest"]),
    "learning_curve": (lambda: plots.learning_curve([10, 20, 30, 40], FOLDS + 0.1, FOLDS), ["40 rows", "0.100"]),
    "validation_curve": (
        lambda: plots.validation_curve([0.1, 1, 10, 100], FOLDS + 0.1, FOLDS, chosen=1.0),
        ["sweet spot", "chose 1."],
    ),
    "runtime": (
        lambda: plots.runtime_comparison(RUNTIME),
        ["line answers one row fastest", "forest has the best score, by", "7 ms alone"],
    ),
    "bars": (lambda: plots.bars(RUNS["auc"], title="Second wins", xlabel="AUC", baseline=0.5), ["second 0.800"]),
    "runs_line": (lambda: plots.runs_line(RUNS, "trees", "auc", title="Peak at 100"), ["50 to 150", "0.8"]),
    "parallel": (
        lambda: plots.parallel_coordinates(RUNS, ["trees", "depth", "alpha"], "auc", title="100 trees win"),
        ["3 runs", "trees 100"],
    ),
    "heat_map": (
        lambda: plots.heat_map(DRIFT, title="Price drifts", xlabel="week", ylabel="feature", value="PSI", limit=0.2),
        ["price, 2", "1 cells are above 0.2"],
    ),
}


@pytest.fixture(scope="module")
def figures():
    return {name: make() for name, (make, _) in FIGURES.items()}


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_says_in_words_what_it_shows(figures, name):
    words = plots.alt_text(figures[name])
    for wanted in FIGURES[name][1]:
        assert wanted in words


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_has_a_title_and_labelled_axes(figures, name):
    axes = [ax for ax in figures[name].axes if ax.get_label() != "<colorbar>"]
    assert any(ax.get_title(loc="left") for ax in axes)
    assert all(ax.get_xlabel() or ax is not axes[-1] for ax in axes)
    assert axes[0].get_ylabel() or name in ("parallel", "runtime", "bars")


def test_the_same_figure_gives_the_same_bytes_and_an_opaque_background():
    first, second = (plots.png(FIGURES["calibration"][0]()) for _ in range(2))
    assert first == second and first.startswith(b"\x89PNG")
    assert plots.new_figure()[0].get_facecolor() == (1.0, 1.0, 1.0, 1.0)


def test_drawing_leaves_nobody_elses_style_or_figures_changed():
    import matplotlib
    import matplotlib.pyplot

    before, open_before = dict(matplotlib.rcParams), matplotlib.pyplot.get_fignums()
    FIGURES["bars"][0]()
    FIGURES["heat_map"][0]()
    assert dict(matplotlib.rcParams) == before and matplotlib.pyplot.get_fignums() == open_before


def test_show_gives_picture_alt_text_and_a_description_for_every_reader(monkeypatch):
    import IPython.display

    shown = []
    monkeypatch.setattr(IPython.display, "display", lambda data, **more: shown.append((data, more)))
    fig = plots.describe(plots.new_figure()[0], "A line  that <rises>\n from 1 to 2.")
    plots.show(fig)
    (picture, more), (folded, _) = shown
    assert picture["image/png"].startswith(b"\x89PNG")
    assert more["metadata"]["image/png"]["alt"] == "A line that <rises> from 1 to 2."
    assert picture["text/plain"] == "Figure: A line that <rises> from 1 to 2."
    assert "&lt;rises&gt;" in folded["text/html"]


def test_a_figure_without_words_is_refused():
    with pytest.raises(CourseError, match="has no alt text"):
        plots.show(plots.new_figure()[0])


def test_save_names_the_file_that_cannot_be_written(tmp_path):
    fig = plots.new_figure()[0]
    assert plots.save(fig, tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(CourseError, match=r"missing/a\.png cannot be written"):
        plots.save(fig, tmp_path / "missing" / "a.png")


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: plots.runs_line(RUNS, "trees", "loss", title=""), "no column 'loss'"),
        (lambda: plots.runs_line(RUNS.head(0), "trees", "auc", title=""), "no rows to plot"),
        (lambda: plots.runs_line(RUNS, "trees", "auc", title="", log="z"), "name the logarithmic axes"),
        (lambda: plots.bars(pd.Series([np.nan]), title="", xlabel=""), "no value to draw"),
        (lambda: plots.heat_map(DRIFT.head(0), title="", xlabel="", ylabel="", value=""), "no cells to draw"),
        (lambda: plots.confusion_matrix([0, 1], [0]), "Give one of each a row"),
        (lambda: plots.evaluation_panels([1, 1], [0.1, 0.2], 0.5), "need both classes"),
        (lambda: plots.calibration_comparison(Y, {str(i): P for i in range(7)}), "7 models are too many"),
    ],
)
def test_what_cannot_be_drawn_is_told_in_one_message(draw, message):
    with pytest.raises(CourseError, match=message):
        draw()


def test_a_diagram_says_in_words_what_its_boxes_and_arrows_say():
    boxes = {"code": (1.0, 1.0, "your notebook\nimport mlflow"), "store": (5.0, 1.0, "backend store")}
    fig = plots.diagram(boxes, [("code", "store", "tracking\nURI")], title="Code writes to a store")
    words = plots.alt_text(fig)
    assert "your notebook: import mlflow" in words
    assert "your notebook to backend store (tracking URI)" in words
