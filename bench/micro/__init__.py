"""How fast the parts of a search are, on networks made in the code: one file per benchmark."""
