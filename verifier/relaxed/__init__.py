"""Relaxed attacks as files: what they hold, how they are read, what is checked of them, and networks that obey them."""
