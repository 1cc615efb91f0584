"""The trusted base: Python's standard library and NumPy only, sharing no code with the rest of the project."""
