"""The inputs of a run: seed tasks, documents, files of lines, the records of other runs."""
