"""How good predictions are: scores, curves, folds."""
