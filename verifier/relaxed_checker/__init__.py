"""Relaxed checkers of catastrophes: programs that are asked about relaxed actions, and what follows."""
