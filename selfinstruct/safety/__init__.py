"""Protection against any recipe, model or server: no secret gets out, and no pattern runs for ever."""
