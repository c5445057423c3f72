"""Recordings on disk to numpy batches: manifest folders, importers, synthesis, keyword sets."""
