"""Sums of squares: proofs that a set given by polynomials is empty, and what stands in the way."""
