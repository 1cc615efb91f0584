"""Classifiers smoothed by Gaussian noise: a radius within which the vote of a network under noise is one class."""
