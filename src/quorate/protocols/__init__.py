"""One module per protocol; each implements the primitives of `base` and nothing else."""
