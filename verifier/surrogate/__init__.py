"""Surrogates of slow overseers: questions to learn from, training, and the network that comes of it."""
