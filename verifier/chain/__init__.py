"""Amplification chains: every step proved, errors composed, all of it in one file that can be checked again."""
