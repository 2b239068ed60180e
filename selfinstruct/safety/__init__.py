"""What holds whatever a recipe, a model or a server brings: secrets stay here, no pattern runs for ever."""
