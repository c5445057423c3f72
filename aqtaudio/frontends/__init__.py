"""Samples to features, jitted and batched."""
