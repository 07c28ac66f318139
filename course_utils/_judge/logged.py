"""What a run holds, by name: its parameters, metrics and tags, with the usual mistakes told apart."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable

from mlflow.entities import Run

from .._plumbing import steps
from .mistake import Mistake
from .reading import instead, listing, number


def nearest(name: str, names: Iterable[str]) -> str | None:
    """Return the name that differs only in case, separators or a few letters, or None.

    A name of another homework (``hw-nested-runs-grid`` beside ``hw-full-workflow-grid``) is that homework's, and no misspelling.
    """

    def plain(text: str) -> str:
        return "".join(c for c in text.lower() if c.isalnum())

    def homework(text: str) -> str | None:
        found = re.match(r"hw-([a-z]+)", text)
        return found[1] if found and found[1] in words else None

    words = {word for step in steps.steps() for word in step.name.split("_")}
    names = [n for n in names if None in (homework(n), homework(name)) or homework(n) == homework(name)]
    for other in names:
        if plain(other) == plain(name):
            return other

    def likeness(other: str) -> float:
        # The words that all names of a homework begin with make none of them similar to another.
        both = name.startswith("hw-") and other.startswith("hw-")
        start = os.path.commonprefix([name, other]).rfind("-") + 1 if both else 0
        return difflib.SequenceMatcher(None, other[start:], name[start:]).ratio()

    best = max(names, key=likeness, default=None)
    return best if best is not None and likeness(best) >= 0.75 else None


def param(run: Run, name: str) -> str:
    """Return a parameter's text. Codes: ``param-as-metric``, ``param-as-tag``, ``param-name``, ``param-missing``."""
    params, metrics, tags = run.data.params, run.data.metrics, run.data.tags
    if name in params:
        return params[name]
    if name in metrics:
        raise Mistake(
            "param-as-metric",
            f"`{name}` was logged as a metric. It is a choice that you made before training, so it is a "
            "parameter: log it with `log_param`, and the UI can group and compare runs by it.",
        )
    if name in tags:
        raise Mistake(
            "param-as-tag",
            f"`{name}` was logged as a tag. A tag can change later; a choice that made the result is a parameter, "
            "which cannot. Log it with `log_param`.",
        )
    if near := nearest(name, params):
        raise Mistake(
            "param-name",
            f"I found the parameter {instead(near, name)} Runs are compared by exact names: rename it.",
        )
    seen = f"It has {listing(params)}." if params else "It has no parameters at all."
    raise Mistake(
        "param-missing",
        f"The run `{run.info.run_name}` has no parameter `{name}`. {seen} Without it nobody can say later which "
        "choice gave the result. Log the value that the model really used.",
    )


def number_param(run: Run, name: str) -> float:
    """Return a parameter as a number. Codes: those of `param`, and ``param-value`` when it is not a number."""
    return number(param(run, name), f"The parameter `{name}`", "param-value")


def metric(run: Run, name: str) -> float:
    """Return a metric's last value. Codes: ``metric-as-param``, ``metric-as-tag``, ``metric-name``, ``metric-missing``."""
    params, metrics, tags = run.data.params, run.data.metrics, run.data.tags
    if name in metrics:
        return metrics[name]
    if name in params:
        raise Mistake(
            "metric-as-param",
            f"`{name}` was logged as a parameter, so it is text: it cannot be sorted, plotted or compared as a "
            "number. A result is a metric: `log_metric`.",
        )
    if name in tags:
        raise Mistake(
            "metric-as-tag",
            f"`{name}` was logged as a tag, so it is text and cannot be sorted or plotted. A result is a metric: "
            "`log_metric`.",
        )
    if near := nearest(name, metrics):
        raise Mistake(
            "metric-name",
            f"I found the metric {instead(near, name)} Names are case-sensitive and must agree "
            "between runs, or the comparison shows two columns.",
        )
    seen = f"It has {listing(metrics)}." if metrics else "It has no metrics at all."
    raise Mistake(
        "metric-missing",
        f"The run `{run.info.run_name}` has no metric `{name}`. {seen} A result that is only printed is gone when the "
        "notebook closes: log it inside the run.",
    )


def tag(run: Run, name: str) -> str:
    """Return a tag. Codes: ``tag-as-param``, ``tag-name``, ``tag-missing``."""
    tags = {k: v for k, v in run.data.tags.items() if k == name or not k.startswith("mlflow.")}
    if name in tags:
        return tags[name]
    if name in run.data.params:
        raise Mistake(
            "tag-as-param",
            f"`{name}` was logged as a parameter. It says something about the run, not about the training, and may "
            "change later: set it with `set_tag`.",
        )
    if near := nearest(name, tags):
        raise Mistake(
            "tag-name",
            f"I found the tag {instead(near, name)} A filter compares names letter by letter: "
            "set the tag under the task's name.",
        )
    seen = f"It has {listing(tags)}." if tags else "It has no tags of your own."
    raise Mistake(
        "tag-missing",
        f"The run `{run.info.run_name}` has no tag `{name}`. {seen} Who searches by this tag does not find the "
        "run: set it with `set_tag`, on this run.",
    )
