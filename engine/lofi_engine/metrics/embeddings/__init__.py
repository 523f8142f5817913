"""Embeddings: what turns windows of sound into vectors whose distributions can be compared."""
