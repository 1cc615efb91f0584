"""Files of text: read, located, with suggestions where something is wrong."""
