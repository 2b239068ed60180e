"""Make the text of a request from a recipe's templates."""
