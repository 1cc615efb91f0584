"""VNN-LIB: read, compiled, written."""
