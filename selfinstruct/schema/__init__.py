"""JSON Schema (Draft 2020-12): compiled once, with limits on the time it takes."""
