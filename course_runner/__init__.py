"""What runs the course: build notebooks from text, execute them in a batch, compare, grade and serve.

`cli`: the ``course`` command. `build`: from text to notebooks. `batch`: notebooks executed with papermill, and their report.
`kernels`: kernels that are already warm. `compare`: stored outputs against fresh ones. `grade`: what a class hands in.
`lab`: JupyterLab and the MLflow UI. `doctor`, `progress`, `environment`, `workflow`: a module each for what its name says.
`sweep`, `verify` and `classroom` bring verbs of their own, and each can be deleted without touching the rest.
"""

import sys

# jsonschema 4.26 compiles the grammar of international web addresses while it is imported, which takes nine tenths of
# nbformat's import (0.8 s). No notebook's schema has such an address, so the grammar stays out of our own processes;
# kernels that the warm server forks get the library as it is.
if not {"jsonschema", "rfc3987_syntax"} & set(sys.modules) and f"{__name__}.kernels.warm_server" not in sys.orig_argv:
    sys.modules["rfc3987_syntax"] = None  # type: ignore[assignment]
    import jsonschema  # noqa: F401

    del sys.modules["rfc3987_syntax"]
