"""What runs the course: build notebooks from text, execute them in a batch, compare, grade and serve.

`cli`: the ``course`` command. `build`: from text to notebooks. `batch`: notebooks executed with papermill, and their report.
`kernels`: kernels that are already warm. `compare`: stored outputs against fresh ones. `grade`: what a class hands in.
`lab`: JupyterLab and the MLflow UI. `doctor`, `progress`, `environment`, `workflow`: a module each for what its name says.
`sweep`, `verify` and `classroom` bring verbs of their own, and each can be deleted without touching the rest.
"""
