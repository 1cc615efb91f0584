"""The benchmark suite behind ``certify bench``."""
