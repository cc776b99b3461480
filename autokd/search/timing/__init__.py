"""How long things take, and what fits into a time."""
