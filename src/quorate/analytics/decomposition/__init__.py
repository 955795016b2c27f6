"""Matrices taken apart: principal components."""
