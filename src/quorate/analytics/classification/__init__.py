"""Classifiers that need no iteration."""
