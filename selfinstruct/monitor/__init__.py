"""The output of a run while it works: progress on the screen, events in a file."""
