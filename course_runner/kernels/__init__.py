"""Kernels that are already warm: a server that has imported the libraries and forks."""
