"""The quality review: people judge records on a local page, and their answers are kept in the journal."""
