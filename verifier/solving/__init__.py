"""Solving for a parameter of a requirement: a bracket both of whose ends are evidence."""
