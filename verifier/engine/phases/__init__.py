"""Search by ReLU phases: nodes, their bounds, the tree they form, and the processes that work on it."""
