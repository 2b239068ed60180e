"""Looking at a run: counts and samples, the whole story of one record, searches."""
