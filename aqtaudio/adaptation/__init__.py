"""Finished runs made to fit: a device's front end, other words, a phrase, a text, a probe."""
