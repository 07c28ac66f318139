"""Compare every stored output with a fresh run, through nbval."""
