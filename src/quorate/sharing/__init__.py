"""Splitting secrets into shares, putting them together, and how they travel. Pure functions."""
