"""Regression: linear, logistic, Poisson."""
