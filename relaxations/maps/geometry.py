"""Where the windows of a convolution lie."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np

Sizes = tuple[int, ...]


@dataclass(frozen=True)
class Geometry:
    """Where the windows of a convolution lie: window o starts at ``o * stride - begin`` on each axis.

    Both spaces are stated, so the padding at the end is whatever the last window needs; it may be negative.
    """

    channels: int
    filters: int
    groups: int
    space: Sizes
    out_space: Sizes
    window: Sizes
    strides: Sizes
    begin: Sizes
    dilations: Sizes

    @property
    def shape(self) -> tuple[int, int]:
        return self.filters * prod(self.out_space), self.channels * prod(self.space)

    @property
    def extent(self) -> Sizes:
        """Size of the padded image that the windows cover."""
        return tuple(
            (count - 1) * stride + dilation * (size - 1) + 1
            for count, stride, dilation, size in zip(self.out_space, self.strides, self.dilations, self.window)
        )

    @property
    def end(self) -> Sizes:
        """Padding at the end of each axis; negative where the image's end is not read."""
        return tuple(e - b - n for e, b, n in zip(self.extent, self.begin, self.space))

    def inside(self, axis: int) -> np.ndarray:
        """How many windows have an element of the image at each offset of one axis."""
        start = np.arange(self.out_space[axis]) * self.strides[axis] - self.begin[axis]
        place = start[:, None] + np.arange(self.window[axis]) * self.dilations[axis]
        return np.asarray(((place >= 0) & (place < self.space[axis])).sum(axis=0))
