"""Overseers: programs that say whether an input and its output are acceptable."""
