"""One notebook, many settings, here or on a Dask cluster. Can be deleted with its verb."""
