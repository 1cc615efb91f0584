"""The words of a certificate as the producer writes them (docs/reference/certificate-format.md)."""

LEAF, CLIP, REF, PHASES, QUICK_LEAF, QUICK_CLIP, SPLIT = 0, 1, 2, 3, 6, 7, 16  # of a tree over boxes
FRAME, PROOF, RELU, END, EMPTY, ZONOTOPE, SYMBOLS, MULTIPLIERS = 1, 2, 3, 4, 5, 6, 7, 8  # of a tree over ReLU phases
CUT_OPEN = 65535  # of a tree in a zonotope: a leaf that a node of its own proves
OPEN = -1  # only in memory: a place where another piece of tree, or nothing yet, stands
