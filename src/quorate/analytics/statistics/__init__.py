"""Descriptive statistics, tables and tests on secret data, equal to SciPy and pandas."""
