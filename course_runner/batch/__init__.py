"""Run notebooks: one with papermill, many as a batch, each failure kept to itself."""
