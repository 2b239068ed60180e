"""What a recipe can say, from the registries and the types: lists, reference, schema for editors."""
