"""The words of a branch tree as the producer writes them (docs/reference/certificate-format.md)."""

LEAF, CLIP, REF, FRAME, RELU, HINTED, QUICK_LEAF, QUICK_CLIP, SPLIT = 0, 1, 2, 3, 4, 5, 6, 7, 16
OPEN = -1  # only in memory: a place where another piece of tree, or nothing yet, stands
