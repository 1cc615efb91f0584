"""Interval, forward-affine and CROWN bounds: one implementation over an array namespace."""
