"""Noise suppression: speech and noise, mixed, to speech."""
