"""Recordings: manifest folders, importers, checks, synthesis, pronunciation, augmentation."""
