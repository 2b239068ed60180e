"""The plan of a run: what it would do and cost, before the first request."""
