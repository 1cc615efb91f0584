"""Finding inputs on which a property fails, and replaying them on the model itself."""
