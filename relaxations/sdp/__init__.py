"""Semidefinite relaxations."""
