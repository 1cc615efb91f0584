"""Other libraries of bounds as a second opinion: optional, and imported when they are asked."""
