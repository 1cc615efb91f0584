"""Amplification chains: as specifications, and their last networks as overseers."""
