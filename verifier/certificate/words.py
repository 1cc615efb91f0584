"""The words of a branch tree as the producer writes them (docs/reference/certificate-format.md)."""

LEAF, CLIP, REF, SPLIT = 0, 1, 2, 16
OPEN = -1  # only in memory: a place where another piece of tree, or nothing yet, stands
