"""Easier questions: each relaxation turns a problem into something solvable and carries the answer back."""
