"""Specifications with an overseer that is known by axioms."""
