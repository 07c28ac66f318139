"""One notebook, many settings, here or on a Dask cluster. The folder can be deleted; its verb goes with it."""
