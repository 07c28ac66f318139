"""The libraries that a warm server imports for its kernels, as an ordinary kernel would import them."""

from __future__ import annotations

import importlib
import os
import shutil
import sys
import warnings
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

#: What the lectures import; the order is theirs.
PRELOAD = (
    "numpy",
    "pandas",
    "pyarrow",
    "scipy.stats",
    "matplotlib.pyplot",
    "seaborn",
    "sklearn.calibration",
    "sklearn.compose",
    "sklearn.datasets",
    "sklearn.ensemble",
    "sklearn.impute",
    "sklearn.linear_model",
    "sklearn.metrics",
    "sklearn.model_selection",
    "sklearn.neural_network",
    "sklearn.pipeline",
    "sklearn.preprocessing",
    "sklearn.tree",
    "skops.io",
    "mlflow",
    "mlflow.data",
    "mlflow.pyfunc",
    "mlflow.sklearn",
    "mlflow.store.model_registry.sqlalchemy_store",
    "mlflow.store.tracking.sqlalchemy_store",
    "alembic.command",
    "mlflow.tracing.processor.otel_metrics_mixin",
    "narwhals.stable.v2._namespace",
    "narwhals._pandas_like.namespace",
    "sqlalchemy.dialects.sqlite",
    "jupyterquiz",
    "course_utils.data",
    "course_utils.homework",
    "course_utils.lesson",
    "course_utils.store",
)


class _StandInShell:
    """Answers ``get_ipython()`` during the preload: pandas, tqdm and others look for a notebook while imported."""

    kernel = object()
    config = {"IPKernelApp": {}}

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(name)


def _pretend_notebook() -> Callable[[], None]:
    """Let libraries find a notebook, and return a function that puts the truth back everywhere."""
    import builtins

    import IPython
    import IPython.core.getipython as module

    shell = _StandInShell()

    def stand_in() -> _StandInShell:
        return shell

    real = module.get_ipython
    builtins.get_ipython = module.get_ipython = IPython.get_ipython = stand_in  # type: ignore[attr-defined]

    def undo() -> None:
        del builtins.get_ipython  # type: ignore[attr-defined]
        module.get_ipython = IPython.get_ipython = real
        for loaded in list(sys.modules.values()):  # copies made by `from IPython import get_ipython`
            names = getattr(loaded, "__dict__", None)
            if names and names.get("get_ipython") is stand_in:
                names["get_ipython"] = real

    return undo


def preload(also: Sequence[str] = ()) -> list[str]:
    """Import everything; return what an ordinary kernel would have shown on stderr meanwhile (it must be nothing)."""
    shown: list[str] = []

    def note(message: Any, category: type[Warning], *_: Any, **__: Any) -> None:
        shown.append(f"{category.__name__}: {message}")

    importlib.import_module("ipykernel.kernelapp")
    importlib.import_module("ipykernel.ipkernel")
    undo = _pretend_notebook()
    before = warnings.showwarning
    warnings.showwarning = note  # type: ignore[assignment]
    try:
        for name in (*PRELOAD, *also):
            importlib.import_module(name)
        if shutil.which("git"):  # MLflow imports it in a notebook's first run; it fails where there is no git
            importlib.import_module("git")
        os.environ["PYDEVD_DISABLE_FILE_VALIDATION"] = "1"  # a warning for people who debug Python's own modules
        importlib.import_module("ipykernel.debugger")
        del os.environ["PYDEVD_DISABLE_FILE_VALIDATION"]
        _prepare()
    finally:
        warnings.showwarning = before
        undo()
    return shown


def _prepare() -> None:
    """Compute what each process would compute for itself on first use, always with the same result."""
    from matplotlib.mathtext import MathTextParser
    from mlflow.store.db import utils
    from mlflow.utils import requirements_utils

    requirements_utils._init_modules_to_packages_map()
    MathTextParser("agg").parse("$0$")  # makes its grammar
    latest = utils._get_latest_schema_revision = cache(
        utils._get_latest_schema_revision
    )  # it runs every migration's file
    latest()
