"""The checks of each homework, one module a homework: ``hwNN.py`` with a tuple ``TASKS``."""
