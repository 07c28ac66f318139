"""The steps of the lecture `full_workflow` as functions, and the whole: from a table to a registered, tested model.

`kinds`: what two classes, several classes and amounts need. `config`: what may be changed, and what was found. `rows`:
load and split. `models`: pipeline and search. `binary`: calibration, threshold and test of two classes. `judging` and
`panels`: metrics, test and pictures of several classes and of amounts. `curves`: learning and validation curve.
`runtimes`: the clock. `keeping`: registry and files. `run`: all of it in one run.
"""

from course_runner.workflow.binary import Calibration, best_f1_threshold, calibrate, evaluate, out_of_fold
from course_runner.workflow.config import CALIBRATIONS, MODELS, SCORINGS, OnStep, WorkflowConfig, WorkflowResult
from course_runner.workflow.curves import Curve, learn, learning_sizes, reading_table, varied, vary
from course_runner.workflow.keeping import register, served, whole_folder
from course_runner.workflow.kinds import FILES, KINDS, STEPS
from course_runner.workflow.models import build_pipeline, candidates, folds_of, log_candidates, param_grid, search
from course_runner.workflow.rows import describe, load, log_data
from course_runner.workflow.run import run_workflow
from course_runner.workflow.runtimes import compare_runtimes, hardware, predict_times

__all__ = [
    "CALIBRATIONS",
    "Calibration",
    "Curve",
    "FILES",
    "KINDS",
    "MODELS",
    "OnStep",
    "SCORINGS",
    "STEPS",
    "WorkflowConfig",
    "WorkflowResult",
    "best_f1_threshold",
    "build_pipeline",
    "calibrate",
    "candidates",
    "compare_runtimes",
    "describe",
    "evaluate",
    "folds_of",
    "hardware",
    "learn",
    "learning_sizes",
    "load",
    "log_candidates",
    "log_data",
    "out_of_fold",
    "param_grid",
    "predict_times",
    "reading_table",
    "register",
    "run_workflow",
    "search",
    "served",
    "varied",
    "vary",
    "whole_folder",
]
