"""Rule R3 in rational arithmetic: the zonotope and the splits in it of ``zonotope``, with nothing rounded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from verifier.checker.errors import CheckError
from verifier.checker.exact import ExactRelaxation
from verifier.checker.exact_lines import lines_on
from verifier.checker.network import Affine, Relu
from verifier.checker.phase_tree import LEAF, Cuts, Split
from verifier.checker.rational import Exact, zeros
from verifier.checker.vnnlib import QueryRow

Range = tuple[list[Fraction], list[Fraction]]
TINY = Fraction(1, 1 << 660)  # a symbol that stands for nothing can still be replaced
Columns = Sequence[tuple[int, int]]  # ReLU, by its ordinal, and neuron


@dataclass(frozen=True)
class Form:
    """``value = coefs . e + constant`` for some e in [-1, 1]^N, the same for all values."""

    coefs: list[Fraction]
    constant: Fraction

    def plus(self, factor: Fraction, other: Form) -> Form:
        coefs = [a + factor * b for a, b in zip(self.coefs, other.coefs, strict=True)]
        return Form(coefs, self.constant + factor * other.constant)


class ExactZonotope:
    """The zonotope of a region with these ranges (by ReLU node) and a slope for each column."""

    def __init__(
        self,
        relaxation: ExactRelaxation,
        ranges: dict[int, Range],
        columns: Columns,
        slopes: Sequence[float],
    ) -> None:
        nodes, sizes = relaxation.network.nodes, relaxation.network.sizes
        if relaxation.network.signs:
            raise CheckError("splits in a zonotope are for networks of ReLUs, without signs")
        self.relus = relaxation.network.layers
        self.inputs = sizes[0]
        named = self.inputs + len(columns)
        self.bands: dict[tuple[int, int], tuple[Fraction, Fraction, Fraction]] = {}  # of columns: slope, center, half
        hints = dict(zip(columns, map(Fraction, slopes), strict=True))
        symbol = {column: self.inputs + i for i, column in enumerate(columns)}
        # Unstable ReLUs without a column get symbols, too: nothing is said about them, but they lie in [-1, 1].
        nameless = [
            (ordinal, n)
            for ordinal, k in enumerate(self.relus)
            for n, (l, u) in enumerate(zip(*ranges[k], strict=True))
            if l < 0 < u and (ordinal, n) not in symbol
        ]
        symbol |= {pair: named + i for i, pair in enumerate(nameless)}
        self.symbols = named + len(nameless)
        self.ball, self.mid, self.rad = relaxation.ball, relaxation.mid.fractions(), relaxation.rad.fractions()
        rad = self.rad
        diagonal = [[rad[i] if i == j else Fraction(0) for j in range(self.inputs)] for i in range(self.symbols)]
        self.coefs, self.constants = {0: _matrix(diagonal)}, {0: relaxation.mid}
        for k, node in enumerate(nodes):
            if isinstance(node, Affine):
                self.coefs[k], self.constants[k] = zeros(self.symbols, sizes[k]), relaxation.bias[k]
                for parent, m in relaxation.maps[k]:
                    self.coefs[k] += m.push(self.coefs[parent])
                    self.constants[k] += m.push(self.constants[parent])
            elif isinstance(node, Relu):
                ordinal = self.relus.index(k)
                slope, center = lines_on(*ranges[k]).slope.fractions(), [Fraction(0)] * sizes[k]
                fresh = [[Fraction(0)] * sizes[k] for _ in range(self.symbols)]
                for n, (l, u) in enumerate(zip(*ranges[k], strict=True)):
                    slope[n] = hints.get((ordinal, n), slope[n])
                    if (ordinal, n) in symbol:
                        center[n], half = _between(slope[n], l, u)
                        fresh[symbol[ordinal, n]][n] = half
                        self.bands[ordinal, n] = slope[n], center[n], half
                s, of = Exact.of(slope), node.parent
                self.coefs[k] = self.coefs[of] * s + _matrix(fresh)
                self.constants[k] = self.constants[of] * s + Exact.of(center)
        self.arguments = [nodes[k].parent for k in self.relus]  # type: ignore[union-attr]

    def proves(self, row: QueryRow, columns: Columns, splits: Sequence[Split], cuts: Cuts) -> bool:
        """Whether the row is > 0 at every leaf but open ones, in the region that has these splits."""
        form = self.combined(row, splits, cuts.multipliers.tolist())
        waiting = [(0, form)]
        while waiting:
            node, form = waiting.pop()
            at = int(cuts.column[node])
            if at < 0:
                if at == LEAF and not self._is_positive(form):
                    return False
                continue
            ordinal, n = columns[at]
            z, symbol = self.argument(ordinal, n), self.inputs + at
            slope, center, half = self.bands[columns[at]]
            q = form.coefs[symbol] / half
            coefs = [*form.coefs[:symbol], Fraction(0), *form.coefs[symbol + 1 :]]
            without = Form(coefs, form.constant - q * center)
            below, above = Fraction(float(cuts.below[node])), Fraction(float(cuts.above[node]))
            waiting.append((node + 1, without.plus(-q * slope + below, z)))
            waiting.append((int(cuts.second[node]), without.plus(q * (1 - slope) - above, z)))
        return True

    def _is_positive(self, form: Form) -> bool:
        """Whether the form is > 0 for all symbols, those of the inputs in the box, or in the ball."""
        own, others = form.coefs[: self.inputs], sum(map(abs, form.coefs[self.inputs :]), Fraction(0))
        if form.constant - others - sum(map(abs, own)) > 0:
            return True
        if self.ball is None:
            return False
        slopes = [a / r if r else Fraction(0) for a, r in zip(own, self.rad, strict=True)]  # by x, not by the symbol
        return form.constant + self.ball.ends(slopes, self.mid, self.rad)[0] - others > 0

    def combined(self, row: QueryRow, splits: Sequence[Split], multipliers: Sequence[float]) -> Form:
        """The row, less each multiplier times its split's sign and argument."""
        form = Form([Fraction(0)] * self.symbols, row.constant)
        last = len(self.coefs) - 1
        for node, terms in ((0, row.x), (last, row.y)):
            for i, value in terms.items():
                form = form.plus(value, self._form(node, i))
        for (ordinal, n, sign), multiplier in zip(splits, multipliers, strict=True):
            form = form.plus(-sign * Fraction(multiplier), self.argument(ordinal, n))
        return form

    def argument(self, ordinal: int, neuron: int) -> Form:
        """The form of a ReLU's argument."""
        return self._form(self.arguments[ordinal], neuron)

    def _form(self, node: int, place: int) -> Form:
        coefs, [constant] = self.coefs[node][:, place].fractions(), self.constants[node][[place]].fractions()
        return Form(coefs, constant)


def _between(slope: Fraction, l: Fraction, u: Fraction) -> tuple[Fraction, Fraction]:
    """Middle and half width, not 0, of an interval that holds ``relu(z) - slope z`` for z in [l, u]."""
    at_l, at_u = (max(z, Fraction(0)) - slope * z for z in (l, u))
    least, most = at_l if l > 0 else at_u if u < 0 else Fraction(0), max(at_l, at_u)
    return (least + most) / 2, (most - least) / 2 + TINY


def _matrix(rows: list[list[Fraction]]) -> Exact:
    flat = Exact.of([value for row in rows for value in row])
    return Exact(flat.numerators.reshape(len(rows), -1), flat.denominator)
