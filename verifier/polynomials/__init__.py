"""Questions about polynomials: decided by samples and by sums of squares, proved by the independent checker."""
