"""What `quorate bench` measures, and how."""
