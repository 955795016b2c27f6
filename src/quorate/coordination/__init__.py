"""What organisations agree on: the federation and the specification of a computation."""
