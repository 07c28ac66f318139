"""A check looks and computes, and leaves no trace: neither in the learner's store nor in the learner's kernel."""

from __future__ import annotations

import contextlib
import os
import random
import tempfile
import warnings
from collections.abc import Iterator

import numpy as np
from mlflow.tracking import fluent
from mlflow.utils import autologging_utils

from .. import store

#: Variables by which MLflow finds an experiment or a run to log into.
_POINTERS = ("MLFLOW_EXPERIMENT_ID", "MLFLOW_EXPERIMENT_NAME", "MLFLOW_RUN_ID")


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Judge inside this block: references are fitted there, in the learner's own kernel.

    Autologging is off for every library (a reference would be logged as if the learner had trained it), no run and no
    experiment is active, the working folder is an empty one, and nobody sees a warning of ours. Behind the block all of
    it is as it was, the environment and the random numbers of Python and NumPy too.
    """
    environment, here, home = dict(os.environ), os.getcwd(), store.home()
    numbers, more_numbers = random.getstate(), np.random.get_state()
    runs, last = fluent._active_run_stack.get(), fluent._last_active_run_id.get()
    experiment, off = fluent._active_experiment_id, autologging_utils._AUTOLOGGING_GLOBALLY_DISABLED
    with tempfile.TemporaryDirectory(prefix="check-", ignore_cleanup_errors=True) as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            autologging_utils._AUTOLOGGING_GLOBALLY_DISABLED = True
            fluent._active_run_stack.set([])
            fluent._active_experiment_id = None
            for name in _POINTERS:
                os.environ.pop(name, None)
            os.environ["COURSE_HOME"] = str(home)  # it may depend on the folder that is left now
            os.chdir(folder)
            yield
        finally:
            os.chdir(here)
            for name in set(os.environ) - set(environment):
                del os.environ[name]
            os.environ.update(environment)
            fluent._active_experiment_id = experiment
            fluent._active_run_stack.set(runs)
            fluent._last_active_run_id.set(last)
            autologging_utils._AUTOLOGGING_GLOBALLY_DISABLED = off
            random.setstate(numbers)
            np.random.set_state(more_numbers)
