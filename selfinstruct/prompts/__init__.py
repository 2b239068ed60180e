"""From a recipe's templates to the text of a request."""
