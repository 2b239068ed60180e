"""Compares and measures texts; usable without the other wings."""
