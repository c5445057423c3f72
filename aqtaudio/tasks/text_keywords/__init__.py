"""Keyword models from text alone: an encoder of phones, and filters that are made of phones."""
