"""A slow overseer: acceptable as long as the answer stays below the sum of the inputs by no more than 2."""

import time


def judge(x, y):
    time.sleep(0.001)  # a person would take longer
    return float(2 + y[0] - 0.2 * x.sum())
