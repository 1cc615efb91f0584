"""Overseers that are tables of answers."""
