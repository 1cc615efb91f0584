"""Exit codes of the command line (docs/reference/command-line.md)."""

OK, VIOLATED, USAGE, UNKNOWN = 0, 1, 2, 3
REJECTED = 1
GATE_MISSED = 4
CHECK_FAILED = 6
BUG = 70
INTERRUPTED = 130  # where there is nothing to report
