"""chatd's tests: see the README for their kinds."""
