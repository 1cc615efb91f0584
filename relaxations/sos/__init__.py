"""Sums of squares: proofs that a set given by polynomials is empty, and the pseudo-distributions that stand in the way."""
