"""One image and its ball as a VNN-LIB file."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

DIGITS = 12  # decimal places of a bound; rounded outward, so the ball lies inside the box that is written


def query(image: np.ndarray, label: int, classes: int, eps: Fraction, clip: tuple[Fraction, Fraction] | None) -> str:
    """The violation: some class other than ``label`` scores at least as high, within ``eps`` of ``image`` (max norm).

    ``image`` of any shape is read row by row, each pixel as the exact value of its float; ``clip`` cuts the ball to a
    range of pixel values. Raises ``ValueError`` where a pixel is not finite or the ball is empty.
    """
    if not np.isfinite(image).all():
        raise ValueError("has pixels that are not finite numbers")
    lines = [f"; label {label}, distance at most {eps}"]
    lines += [f"(declare-const X_{i} Real)" for i in range(image.size)]
    lines += [f"(declare-const Y_{i} Real)" for i in range(classes)]
    for i, pixel in enumerate(image.reshape(-1).tolist()):
        lower, upper = Fraction(pixel) - eps, Fraction(pixel) + eps
        if clip is not None:
            lower, upper = max(lower, clip[0]), min(upper, clip[1])
        if lower > upper:
            raise ValueError(f"pixel {i} is {pixel}, more than {eps} outside the range from {clip[0]} to {clip[1]}")
        lines.append(f"(assert (>= X_{i} {_decimal(lower, up=False)}))")
        lines.append(f"(assert (<= X_{i} {_decimal(upper, up=True)}))")
    others = " ".join(f"(and (>= Y_{i} Y_{label}))" for i in range(classes) if i != label)
    lines.append(f"(assert (or {others}))")
    return "\n".join(lines) + "\n"


def _decimal(value: Fraction, up: bool) -> str:
    """The nearest number with ``DIGITS`` places that is not smaller (``up``) or not larger."""
    scaled = value * 10**DIGITS
    units = -(-scaled.numerator // scaled.denominator) if up else scaled.numerator // scaled.denominator
    whole, places = divmod(abs(units), 10**DIGITS)
    return f"{'-' if units < 0 else ''}{whole}.{places:0{DIGITS}}"
