"""Correlated randomness made by the parties themselves, ahead of the computation that uses it up."""
