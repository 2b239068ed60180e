"""What a recipe can say, from the registries and the types: catalogue, reference, schema for editors."""
