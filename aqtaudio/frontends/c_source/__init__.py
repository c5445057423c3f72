"""Front ends in C, for bundles."""
