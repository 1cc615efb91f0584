"""Expressions: parsed, given a meaning over networks and inputs, brought into disjunctive normal form."""
