"""Noise suppression: mixtures of speech and noise, and what comes out of them."""
