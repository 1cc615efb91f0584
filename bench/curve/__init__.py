"""Certified fractions against the radius of the ball: the robustness curve of a network."""
