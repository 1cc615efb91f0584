"""A start-up test of the machine's arithmetic: what the rounding lemmas assume, tried out in under 5 ms.

It cannot prove that every later operation is right; it finds the failures that have been seen in practice: flush to
zero, reduced-precision matrix products, excess precision, a broken BLAS.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from verifier.checker.errors import CheckError

SHAPES = ((1, 7, 5), (8, 64, 64), (33, 50, 17), (64, 1, 64), (96, 129, 96))  # rows, inner, columns


def self_test() -> None:
    """Raises ``CheckError`` naming every assumption about arithmetic that does not hold in this process."""
    broken = [name for name, holds in (*_rounding(), *_underflow(), *_products()) if not holds]
    if broken:
        raise CheckError(f"this machine's arithmetic fails the self-test: {'; '.join(broken)}")


def _rounding() -> list[tuple[str, bool]]:
    """Known results of IEEE 754 binary64, to nearest, ties to even."""
    one, tiny = np.array([1.0]), np.array([2.0**-53])
    tenth = np.array([0.1])
    return [
        ("1 + 2^-53 is not 1", bool((one + tiny == 1.0).all())),
        ("1 + 2^-52 is 1", bool((one + 2 * tiny > 1.0).all())),
        ("1 + (2^-53 + 2^-105) is not 1 + 2^-52", bool((one + tiny * (1 + 2.0**-52) == 1 + 2.0**-52).all())),
        ("0.1 + 0.2 is not 0.3000000000000000444", bool((tenth + 2 * tenth == 0.30000000000000004).all())),
        ("1 / 3 is not the nearest float", bool((one / 3 == 6004799503160661 * 2.0**-54).all())),
        ("nextafter(1, 2) is not 1 + 2^-52", bool((np.nextafter(one, 2.0) == 1 + 2.0**-52).all())),
        ("a comparison with NaN is true", not bool((one * np.nan > -np.inf).any())),
    ]


def _underflow() -> list[tuple[str, bool]]:
    """Subnormal numbers survive elementwise operations and matrix products."""
    smallest = np.full((16, 16), 2.0**-1074)
    small = np.full((16, 16), 2.0**-1022)
    product = np.full((16, 16), 2.0**-600) @ np.full((16, 16), 2.0**-440)  # 16 * 2^-1040
    return [
        ("subnormal numbers are read as zero", bool((smallest + smallest == 2.0**-1073).all())),
        ("subnormal results are flushed to zero", bool((small * 0.5 == 2.0**-1023).all())),
        ("matrix products flush subnormal results to zero", bool((product == 2.0**-1036).all())),
    ]


def _products() -> list[tuple[str, bool]]:
    """Matrix products of integers whose every partial sum is below 2^53 must be exact, in any order of summation."""
    found = []
    for rows, inner, columns in SHAPES:
        a = _scattered(rows * inner, 2**26).reshape(rows, inner)
        b = _scattered(inner * columns, 2**19).reshape(inner, columns)
        expected = np.einsum("ik,kj->ij", a, b)  # in 64-bit integers, without BLAS
        for left, right in ((a, b), (np.asfortranarray(a), np.asfortranarray(b))):
            product = np.matmul(left.astype(np.float64, order="K"), right.astype(np.float64, order="K"))
            found.append((f"a {rows}x{inner}x{columns} product of integers", bool((product == expected).all())))
    return found


def _scattered(count: int, limit: int) -> NDArray[np.int64]:
    """Integers in [-limit, limit) without visible order; importing numpy.random would cost more than the test."""
    return np.arange(1, count + 1) * 2_654_435_761 % (2 * limit) - limit
