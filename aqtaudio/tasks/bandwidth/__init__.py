"""Bandwidth extension: speech of 8 kHz to speech of 16 kHz."""
