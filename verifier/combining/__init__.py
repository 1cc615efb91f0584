"""Claims of several files made into one, and the file that carries them."""
