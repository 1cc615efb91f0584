"""Statistical claims: bounds of a probability with a confidence, from queries that can be replayed."""
