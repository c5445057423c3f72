"""Quantization studies of on-device audio models: what you train is what you serve, to the bit."""

__version__ = "0.1.0"
