"""Texts compared and measured; usable on its own."""
