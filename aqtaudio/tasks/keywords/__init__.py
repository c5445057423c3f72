"""Keyword spotting: clips of words, of anything else, of silence."""
