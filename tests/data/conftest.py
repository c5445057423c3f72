"""Fixtures of these tests."""

from word_corpus import corpus, words  # noqa: F401 - fixtures
