"""Randomness, hashing, certificates: thin wrappers around well-kept libraries. Nothing else draws randomness."""
