"""The cases that share a box, and the searches that prove them: one, or one for each part of a box cut by inputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from verifier.certificate.words import PHASES, SPLIT
from verifier.engine.outcome import RelaxedAttack
from verifier.engine.phases.node import Node
from verifier.engine.phases.search import PhaseSearch, Seen


@dataclass
class Group:
    """``searches`` by part; part 0 is the whole box. ``halved[part]`` is the input at whose middle it was cut and the
    first of its two halves. A half that has not been searched yet is no better known than the part it comes from.
    """

    cases: tuple[int, ...]  # by index
    searches: dict[int, PhaseSearch]
    halved: dict[int, tuple[int, int]] = field(default_factory=dict)
    seen: Seen = field(default_factory=Seen)
    moments: dict[int, RelaxedAttack] = field(default_factory=dict)  # of cases, by position, on the whole box

    @property
    def moment_attacks(self) -> list[RelaxedAttack]:
        """Those of cases that are not proved."""
        left = {int(position) for _, node in self.unproved for position in node.pending}
        return [attack for position, attack in self.moments.items() if position in left]

    @property
    def whole(self) -> PhaseSearch:
        return self.searches[0]

    @property
    def parts(self) -> list[int]:
        """The parts that are not cut further, in the order of the tree."""
        return [part for part in self._preorder() if part not in self.halved]

    @property
    def closed(self) -> bool:
        return all(part in self.searches and self.searches[part].closed for part in self.parts)

    @property
    def unproved(self) -> list[tuple[PhaseSearch, Node]]:
        """Open and stuck nodes with their searches."""
        found = {}
        for part in self.parts:
            known = part
            while known not in self.searches:
                known = next(above for above, (_, first) in self.halved.items() if known in (first, first + 1))
            found[known] = self.searches[known]
        return [(search, node) for search in found.values() for node in search.unproved]

    @property
    def bound(self) -> float:
        """The least bound of what is not proved, inf when all is."""
        return min((node.bound for _, node in self.unproved), default=np.inf)

    @property
    def held(self) -> int:
        return sum(search.held for search in self.searches.values())

    @property
    def words_held(self) -> int:
        """The words of the proofs found so far."""
        return sum(search.tree.size for search in self.searches.values())

    @property
    def nodes(self) -> int:
        return sum(search.count + search.cuts for search in self.searches.values())

    def halve(self, part: int, dim: int) -> tuple[int, int]:
        """Cut a part at the middle of an input; returns the numbers of the halves."""
        first = 1 + 2 * len(self.halved)
        self.halved[part] = dim, first
        return first, first + 1

    def words(self, chunks: Mapping[int, int]) -> np.ndarray:
        """The tree over boxes as a certificate stores it; ``chunks[part]`` is where the part's own tree stands."""
        words: list[int] = []
        for part in self._preorder():
            if part in self.halved:
                words.append(SPLIT + self.halved[part][0])
            else:
                words += [PHASES, chunks[part] >> 16, chunks[part] & 0xFFFF]
        return np.array(words)

    def _preorder(self) -> Iterator[int]:
        stack = [0]
        while stack:
            part = stack.pop()
            yield part
            if part in self.halved:
                _, first = self.halved[part]
                stack += [first + 1, first]
