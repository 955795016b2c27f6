"""Groups of similar rows: k-means."""
