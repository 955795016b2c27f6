"""What the author of a computation does on the own machine: from source to plan, and from opened values to results.

This is the only layer that executes Python files that a spec names. Nodes never import it.
"""
