"""Exit codes of ``certify bench`` in all its forms (docs/benchmarks.md)."""

OK, USAGE, WRONG, CONTRADICTION, INTERRUPTED = 0, 2, 4, 70, 130
