"""JupyterLab and the MLflow UI, as the course shows them."""
