def pairwise_max(a, b):
    return max(a, b)
