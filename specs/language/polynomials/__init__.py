"""Specifications about polynomials."""
