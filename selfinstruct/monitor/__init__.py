"""What a run says while it works: progress on the screen, events in a file."""
