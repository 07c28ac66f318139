"""Every message that the course silences: each is a library's own defect, named with the version that has it."""

from __future__ import annotations

import logging
import os
import warnings
from functools import cache, partialmethod

#: Environment settings that keep progress bars, telemetry and background threads out of a notebook's output.
ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    # One stderr line per downloaded file, even for a file that lies on this disk.
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    # A trace that is still being exported reads back as None; lectures write traces before they read them.
    "MLFLOW_ENABLE_ASYNC_TRACE_LOGGING": "false",
    # Two lines with a made-up run name after every run that went to a server.
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    # mlflow.genai.evaluate draws a progress bar and has no switch of its own; this is tqdm's (see `_no_bars`).
    "TQDM_DISABLE": "1",
    # mlflow.genai.evaluate writes from ten threads; SQLite has one writer, so they wait for each other, twice as long.
    "MLFLOW_GENAI_EVAL_MAX_WORKERS": "1",
}

#: ``(message pattern, category, why)`` of the warnings that are a library's own defect.
WARNINGS: tuple[tuple[str, type[Warning], str], ...] = (
    (
        r"(?s).*Inferred schema contains integer column.*",
        UserWarning,
        "MLflow 3.17 gives the hint for integer predictions too, where nobody can act on it.",
    ),
    (
        r".*`y_pred` was renamed to `y_proba`.*",
        FutureWarning,
        "MLflow 3.17 calls scikit-learn 1.9's brier/log loss with the old name inside autolog and evaluate.",
    ),
    (
        r".*starlette\.middleware\.wsgi is deprecated.*",
        UserWarning,
        "MLflow 3.17 imports it when a client of its users and permissions is made.",
    ),
)


@cache
def _no_bars() -> None:
    """Give tqdm its setting once more: it reads the variable when it is imported, and ``import mlflow`` does that.

    The bar that tqdm.auto draws in a notebook (tqdm 4.70) passes ``disable=False`` on, whatever the variable says.
    """
    from tqdm import auto, tqdm

    for bar in (tqdm, auto.tqdm):
        bar.__init__ = partialmethod(bar.__init__, disable=True)


def quiet() -> None:
    """Apply the settings above; safe to call again.

    MLflow's own loggers go to ``WARNING``: its ``INFO`` lines arrive on stderr, which a notebook shows in red.
    """
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    for pattern, category, _ in WARNINGS:
        warnings.filterwarnings("ignore", message=pattern, category=category)
    _no_bars()
    for logger in ("mlflow", "alembic"):
        logging.getLogger(logger).setLevel(logging.WARNING)
    _quiet_registry()
    _quiet_evaluation()


def _quiet_evaluation() -> None:
    """Keep the summary of ``mlflow.genai.evaluate`` out of a page.

    MLflow 3.17 writes it with a terminal's colour codes around a run id, and has no switch for it.
    """
    from mlflow.genai.evaluation import base

    base.display_evaluation_output = lambda run_id: None


def _quiet_registry() -> None:
    """Keep "Successfully registered model …" and "Copied version …" off stderr.

    MLflow 3.17 prints these lines past its logger: no level stops them, and no setting but that of its whole stream.
    """
    from mlflow.store.model_registry import abstract_store
    from mlflow.tracking._model_registry import fluent

    for module in (fluent, abstract_store):
        module.eprint = lambda *args, **kwargs: None
