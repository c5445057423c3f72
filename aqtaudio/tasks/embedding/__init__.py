"""Embeddings: what a small network keeps of a large one, and what that is good for."""
