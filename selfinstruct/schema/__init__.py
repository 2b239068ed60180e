"""JSON Schema (Draft 2020-12): compiled once, and bounded."""
