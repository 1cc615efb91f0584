"""Forward forms of one box in which every unstable ReLU has a symbol of its own."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from verifier.checker.boxes import Boxes
from verifier.checker.forward import Forward, with_symbols
from verifier.checker.lines import Lines

Floats = NDArray[np.float64]

SYMBOL_CELLS = 1 << 27  # coefficients of all forms; where they would be more, all end


class Symbols:
    """Forward forms on one box, by node, with a symbol for every unstable ReLU.

    There are none once they have ``ended``: where they are not wanted, or become too large.
    """

    def __init__(self, boxes: Boxes, ended: bool) -> None:
        self.boxes, self.count, self.ended = boxes, boxes.mid.shape[1], ended
        self.forms: dict[int, Forward] = {}

    def begin(self, size: Floats) -> None:
        """The input, whose symbols come first."""
        if not self.ended:
            mid = self.boxes.mid
            self.forms[0] = Forward(np.eye(self.count)[None], mid, np.zeros_like(mid), size)

    def fits(self, symbols: int, values: int) -> bool:
        """Whether there is room for one more form, and what is needed to compute it; if not, for no other either."""
        held = sum(form.generators.size for form in self.forms.values())
        if self.ended or held + 3 * symbols * values > SYMBOL_CELLS:
            self.ended, self.forms = True, {}
        return not self.ended

    def relu(self, k: int, parent: int, lines: Lines, u: Floats, gamma: float) -> None:
        new = int(np.count_nonzero(lines.offset))
        if self.fits(self.count + new, lines.offset.shape[1]):
            self.forms[k] = with_symbols(self.forms[parent], lines, u, self.boxes.rad, self.count, gamma)
            self.count += new
