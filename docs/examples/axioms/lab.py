"""A slow measurement: what the laboratory thinks of two numbers. Acceptable as long as it is at least 0."""

import time


def measure(y):
    time.sleep(0.001)  # the real one takes a day
    return float(max(-1.0, min(1.0, 0.125 + 0.5 * y[0] - 0.25 * abs(y[1] - 0.25))))


def strict(y):
    return measure(y) - 0.375
