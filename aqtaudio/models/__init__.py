"""Models: one paper per file, written once in the vocabulary."""
