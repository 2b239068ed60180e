"""From YAML to a recipe that is known to work."""
