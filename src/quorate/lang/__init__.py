"""Secret arrays with NumPy's vocabulary, the plan they are traced to, its ranges, its execution."""
