"""What a run would do and cost, before the first request."""
