"""Loops over NumPy arrays: ring 2^64, field 2^61-1, packed bits, permutations. No policy, no I/O, no randomness.

Importing this package, or ``quorate.kernels.ghost``, is cheap; the other modules import Numba. Nothing compiles at
import: a kernel is compiled at its first call on a machine and loaded from Numba's cache in every later process.
"""
