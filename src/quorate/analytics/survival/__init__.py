"""Survival analysis on a public grid of times: Kaplan-Meier curves, the log-rank test, Cox regression."""
