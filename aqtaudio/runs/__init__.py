"""A run on disk: trained, evaluated, compared with its runtimes, exported."""
