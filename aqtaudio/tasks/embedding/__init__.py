"""Embeddings: students that regress a teacher's vectors, and what the vectors are good for."""
