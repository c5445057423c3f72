"""Studies: many runs, their jobs, what is chosen of them."""
