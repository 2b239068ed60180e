"""From YAML to a recipe that was checked as a whole."""
