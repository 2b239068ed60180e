"""What a run begins with: seed tasks, documents, lines."""
