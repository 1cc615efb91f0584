"""Branch and bound by ReLU phases over one box, for all cases with this box: depth first, a few nodes at a time."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from relaxations.bounds.boxes import Rows, composed
from relaxations.lifting import Lifting
from relaxations.multipliers import Multipliers
from relaxations.network import Layer, ReluNetwork
from verifier.engine.phases.bounding import FINAL_ROOT_STEPS, FINAL_STEPS, Bounding, Target
from verifier.engine.phases.branching import Experience, best
from verifier.engine.phases.cutting import Way
from verifier.engine.phases.leaves import solve_leaf
from verifier.engine.phases.moments import query_of, stored
from verifier.engine.phases.node import Candidate, FinalDuals, Neuron, Node
from verifier.engine.phases.rows import OutOfTime
from verifier.engine.phases.tree import PhaseTree

QUICK_PROGRAM = 0.5  # seconds; programs that take longer are for nodes that cannot be split
CUT_AGAIN = 3  # splits after which a zonotope is tried again where it was hopeless; never, if it was at the root
LAST_STEPS = 40  # of ascent at a node that cannot be split further
AT_ONCE = 4  # nodes split together, where none is heavy


@dataclass
class Seen:
    """By case, the least value of its best row at a relaxed minimiser, and that input."""

    worst: dict[int, tuple[float, np.ndarray]] = field(default_factory=dict)

    def add(self, case: int, value: float, point: np.ndarray) -> None:
        if case not in self.worst or value < self.worst[case][0]:
            self.worst[case] = value, point

    def merge(self, other: Seen) -> None:
        for case, (value, point) in other.worst.items():
            self.add(case, value, point)


@dataclass(frozen=True)
class Original:
    """A network and the rows of all cases over its sources."""

    network: ReluNetwork
    target: Target


@dataclass
class PhaseSearch:
    """A part of the tree: ``open`` nodes, and everything found below those it began with.

    ``original`` is as it was asked, ``bounding`` may have left out neurons that are idle on the whole box.
    ``stuck`` nodes have no neuron left to split and are still not proved. ``count`` are the nodes with bounds of their
    own, ``cuts`` those in zonotopes. ``done`` is the share of the whole tree that is closed here, a node counting half
    of its parent. ``root`` is the deepened root with its columns, ``duals`` what proves cases there by moments.
    ``program_seconds`` is what the slowest linear program has taken.
    """

    original: Original
    bounding: Bounding
    tree: PhaseTree
    open: list[Node] = field(default_factory=list)
    stuck: list[Node] = field(default_factory=list)
    columns: dict[int, np.ndarray] = field(default_factory=dict)
    count: int = 0
    cuts: int = 0
    next: int = 0
    done: float = 0.0
    seen: Seen = field(default_factory=Seen)
    experience: Experience = field(default_factory=Experience)
    root: tuple[Node, np.ndarray] | None = None
    duals: dict[int, Multipliers] = field(default_factory=dict)
    program_seconds: float = 0.0

    @staticmethod
    def over_box(bounding: Bounding) -> PhaseSearch:
        """The search over the whole box that is bounded, with nothing done yet."""
        network, target = bounding.exact, bounding.target
        names = [np.arange(len(layer.bias)) for layer in network.layers]
        tree = PhaseTree(np.diff(target.first), names, bounding.symbols)
        return PhaseSearch(Original(network, target), bounding, tree)

    @property
    def closed(self) -> bool:
        return self.count > 0 and not self.open and not self.stuck

    @property
    def unproved(self) -> list[Node]:
        return [*self.open, *self.stuck]

    @property
    def held(self) -> int:
        """Bytes of tree and open nodes, about; nodes share what they have inherited."""
        arrays = {
            id(array): array.nbytes
            for node in self.open
            for rows in node.rows.values()
            for array in (*rows.slopes, *(rows.gap or ()))
        }
        return self.tree.held + sum(arrays.values())

    def start(self, over: Callable[[], bool]) -> None:
        """Bound the root cheaply; raises OutOfTime where ``over()`` turns true before that is done."""
        self.bounding.over = over
        [middle] = self.bounding.moved_inside(self.bounding.mid[None])
        for case, value in enumerate(self.values(middle[None], [*range(self.bounding.target.cases)])):
            self.seen.add(case, value, middle)
        root = self.bounding.root()
        self.count = self.next = 1
        self._settle([root], [np.zeros((0, 2), dtype=np.int64)], FINAL_ROOT_STEPS)

    def deepen(self) -> None:
        """Bound the root thoroughly, as far as there is time, where the cheap bounds have left something open."""
        if self.open:
            self._slim()
            [root] = self.open
            self.bounding.deepen(root)
            self.open = []
            self._settle([root], [self.columns.pop(root.number)], FINAL_ROOT_STEPS)
        if self.open:
            self._slim()
            [root] = self.open
            self.root = replace(root), self.columns[root.number]

    @property
    def cases_left(self) -> list[int]:
        """The positions of the cases that some node has still to prove."""
        return sorted({case for node in self.unproved for case in node.pending.tolist()})

    def lifted(self, found: dict[int, Multipliers]) -> None:
        """Take over proofs of cases at the root, by their positions: no node below it has to prove them any more."""
        assert self.root is not None
        root, columns = self.root
        self.duals.update(found)
        for case, dual in found.items():
            self.tree.multiplied(root, case, dual, np.zeros(0), columns)
        for node in self.unproved:
            left = np.flatnonzero(~np.isin(node.pending, list(found)))
            node.final, node.pending = node.final[left], node.pending[left]
            if not len(left):
                self._close(node)
                del self.columns[node.number]
            elif node.worst not in node.pending:
                node.worst = int(node.pending[0])
        self.open = [node for node in self.open if len(node.pending)]
        self.stuck = [node for node in self.stuck if len(node.pending)]

    def _slim(self) -> None:
        """Go on without the neurons that the bounds of the open root show to be idle."""
        [root] = self.open
        self.bounding, kept = self.bounding.slimmed(root)
        self.open = [root.slimmed(kept)]
        columns = self.columns[root.number].copy()
        for k, neurons in enumerate(kept):
            here = columns[:, 0] == k
            columns[here, 1] = np.searchsorted(neurons, columns[here, 1])
        self.columns[root.number] = columns
        self.tree.names = [names[keep] for names, keep in zip(self.tree.names, kept)]

    def again(self, caution: float, over: Callable[[], bool]) -> PhaseSearch:
        """The same search from its root, with that many times the margins; ``over()`` ends it, OutOfTime or not.

        Proofs by moments are taken over as far as they hold of the new root, and not a second time: what is refused may
        be one of them.
        """
        search = self._anew(self.bounding.lower, self.bounding.upper, caution)
        search.start(over)
        search.deepen()
        kept = self._kept(search)
        if kept:
            search.lifted(kept)
        search.duals = {}
        search.run(over, over)
        return search

    def _kept(self, search: PhaseSearch) -> dict[int, Multipliers]:
        """The proofs by moments that hold of another search's root, which must have the same unstable neurons."""
        if not self.duals or not search.open or self.root is None or search.root is None:
            return {}
        (old, _), (new, _) = self.root, search.root
        for k, (mine, theirs) in enumerate(zip(self.tree.names, search.tree.names, strict=True)):
            if not np.array_equal(mine[old.free(k)], theirs[new.free(k)]):
                return {}
        left = [case for case in search.cases_left if case in self.duals]
        tried = {case: stored(Lifting.of(query_of(search.bounding, new, case)), self.duals[case]) for case in left}
        return {case: dual for case, dual in tried.items() if dual is not None}

    def halves(self, dim: int) -> tuple[PhaseSearch, PhaseSearch]:
        """The same question on the two halves of the box, cut at the middle of an input; nothing done yet."""
        lower, upper = self.bounding.lower, self.bounding.upper
        first_upper, second_lower = upper.copy(), lower.copy()
        first_upper[dim] = second_lower[dim] = lower[dim] + 0.5 * (upper[dim] - lower[dim])
        return self._anew(lower, first_upper), self._anew(second_lower, upper)

    def _anew(self, lower: np.ndarray, upper: np.ndarray, caution: float = 1.0) -> PhaseSearch:
        old, asked = self.bounding, self.original
        bounding = type(old)(asked.network, asked.target, lower, upper, caution, old.ascend, old.symbols, old.ball)
        return PhaseSearch.over_box(bounding)

    def part(self, nodes: Sequence[Node], first_number: int) -> PhaseSearch:
        """A search below some nodes, which it takes over; its new nodes are numbered from ``first_number`` on."""
        taken = {node.number for node in nodes}
        self.open = [node for node in self.open if node.number not in taken]
        columns = {number: self.columns.pop(number) for number in taken}
        tree = PhaseTree(self.tree.rows, self.tree.names, self.tree.symbols)
        part = PhaseSearch(self.original, self.bounding, tree, list(nodes), columns=columns, next=first_number)
        part.experience = self.experience.copy()
        return part

    def merge(self, part: PhaseSearch) -> None:
        """Take back what a part has found."""
        self.tree.merge(part.tree)
        self.open += part.open
        self.stuck += part.stuck
        self.columns.update(part.columns)
        self.count += part.count
        self.cuts += part.cuts
        self.done += part.done
        self.seen.merge(part.seen)
        self.experience.merge(part.experience)

    def run(self, over: Callable[[], bool], out_of_time: Callable[[], bool]) -> None:
        """Split nodes until none is open or ``over()``; ``out_of_time()`` ends it in the midst of a split, too."""
        self.bounding.over = out_of_time
        while self.open and not over():
            count = 1 if self.bounding.heavy(self.open[-1]) else AT_ONCE
            taken, self.open = self.open[-count:], self.open[:-count]
            try:
                new, taken = [n for n in taken if n.begun], [n for n in taken if not n.begun]
                if new:
                    self._bound(new)
                    new = []
                taken = [node for node in taken if not self._cut(node)]
                if taken:
                    self._split(taken)
            except OutOfTime:
                self.open += [*taken, *new]

    def _bound(self, nodes: list[Node]) -> None:
        """Bound nodes that have been begun in a zonotope."""
        for node in nodes:
            node.begun = False
        self._settle(nodes, [self.columns.pop(node.number) for node in nodes], FINAL_STEPS)
        self.count += len(nodes)

    def _cut(self, node: Node) -> bool:
        """Prove cases of a node by splits in its zonotope where that takes few; whether the node is closed now."""
        if len(node.splits) < node.cut_from:
            return False
        columns, done, taken = self.columns[node.number], [], 0.0
        neurons = [(k, i) for k in range(len(node.lower)) for i in node.unstable(k).tolist()]  # of the zonotope
        node.cut_from = len(node.splits) + 1
        for place, cut in self.bounding.cuts(node):
            closed = cut.search.close(self.bounding.over, in_parts=not self.bounding.dense)
            self.cuts += cut.search.count
            if not closed:
                if self.bounding.dense or cut.search.hopeless:  # the others come along when this one is split
                    node.cut_from = len(node.splits) + CUT_AGAIN if node.splits else sys.maxsize
                    break
                continue
            done.append(place)
            share = node.share / len(node.pending)
            begun = [self._begin(node, place, neurons, path, share) for path in cut.search.hard_paths()]
            self.done += share - sum(child.share for child in begun)
            taken += share
            case, first = int(node.pending[place]), int(self.bounding.target.first[node.pending[place]])
            self.tree.cuts(node, case, cut, first, columns, [child.number for child in begun])
            self.open += begun
        if done:
            left = np.setdiff1d(np.arange(len(node.pending)), done)
            node.final, node.pending = node.final[left], node.pending[left]
            node.share -= taken
            [proofs] = self.bounding.conclude([node], 0)  # what it shows now
            self._record(node, proofs, columns)
        if len(node.pending):
            return False
        self._close(node)
        del self.columns[node.number]
        return True

    def _begin(self, node: Node, place: int, neurons: Sequence[Neuron], path: Way, share: float) -> Node:
        """A leaf of the zonotope's tree as a node of its own, for one case, still to be bounded."""
        child = node.child(self.next, [(*neurons[relu], sign) for relu, sign, _ in path])
        self.next += 1
        child.pending, child.share = node.pending[[place]], share * 2.0 ** -len(path)
        final = node.final[np.array([place])]
        multipliers = np.concatenate([final.multipliers[0], [multiplier for _, _, multiplier in path]])
        child.final = replace(final, multipliers=multipliers[None].astype(np.float32))
        child.begun = True
        child.bound, child.point, child.worst = node.bound, node.point, int(child.pending[0])
        self.columns[child.number] = self.columns[node.number]
        return child

    def _record(self, node: Node, proofs: list[tuple[int, FinalDuals]], columns: np.ndarray) -> None:
        for case, final in proofs:
            self.tree.proof(node, case, final, int(self.bounding.target.first[case]), columns)

    def _close(self, node: Node) -> None:
        self.tree.close(node)
        self.done += node.share

    def _split(self, nodes: list[Node]) -> None:
        """Replace nodes by their children; raises OutOfTime with nothing changed that matters."""
        children: list[Node] = []
        inherited: list[np.ndarray] = []
        for node, neuron in zip(nodes, self._choose(nodes)):
            self.tree.branch(node, neuron, self.next)
            for sign in (-1, 1):
                children.append(node.child(self.next, [(*neuron, sign)]))
                inherited.append(self.columns[node.number])
                self.next += 1
        self.bounding.refresh(children)
        self._settle(children, inherited, FINAL_STEPS)
        self.count += len(children)
        for node in nodes:
            del self.columns[node.number]

    def _choose(self, nodes: list[Node]) -> list[Neuron]:
        """The neuron to split of each node: its candidates are tried, with no step of ascent, or known well enough."""
        unknown = [(n, c) for n in nodes for c in n.candidates if not self.experience.suffices(c.neuron)]
        halves = [node.child(0, [(*candidate.neuron, sign)]) for node, candidate in unknown for sign in (-1, 1)]
        missing = np.array(self.bounding.glance(halves)).reshape(-1, 2)
        tried = {}
        for (node, candidate), after in zip(unknown, missing):
            tried[node.number, candidate.neuron] = after
            self.experience.learn(candidate, node.missing, after)
        chosen = []
        for node in nodes:
            after = [
                tried[node.number, c.neuron]
                if (node.number, c.neuron) in tried
                else self.experience.predicted(c, node.missing)
                for c in node.candidates
            ]
            chosen.append(node.candidates[best(node.missing, np.stack(after))].neuron)
        return chosen

    def _settle(self, nodes: list[Node], inherited: list[np.ndarray], steps: int) -> None:
        """Bound the final rows of new nodes, record what is proved, and queue the rest, nearest to a proof last."""
        left = []
        for node, columns, proofs in zip(nodes, inherited, self.bounding.conclude(nodes, steps)):
            columns = self.tree.frame(node, columns)
            if len(node.pending) and not node.empty and not node.candidates:
                proofs = [*proofs, *self.bounding.conclude([node], LAST_STEPS)[0]]
            self._record(node, proofs, columns)
            alone = not node.candidates or (self.bounding.joint and self.program_seconds < QUICK_PROGRAM)
            if len(node.pending) and not node.empty and alone and not node.signs:
                self._by_programs(node, columns)
            if node.empty or not len(node.pending):
                self._close(node)
                continue
            self.columns[node.number] = columns
            (left if node.candidates else self.stuck).append(node)
        self.open += sorted(left, key=lambda node: node.bound)
        if left:
            points = self.bounding.moved_inside(np.stack([node.point for node in left]))
            for node, point, value in zip(left, points, self.values(points, [node.worst for node in left])):
                self.seen.add(node.worst, value, point)

    def _by_programs(self, node: Node, columns: np.ndarray) -> None:
        """Ask a linear program about the cases of a node.

        Where nothing can be split its optimum is the network's own; where cases have many rows, it weighs these against
        each other better than ascent does.
        """
        proved = []
        for place, case in enumerate(node.pending.tolist()):
            if self.bounding.over():
                break
            began = time.monotonic()
            leaf = solve_leaf(self.bounding, node, case)
            self.program_seconds = max(self.program_seconds, time.monotonic() - began)
            if leaf.dual is not None:
                self.tree.multiplied(node, case, leaf.dual, leaf.of_splits, columns)
                proved.append(place)
                continue
            if leaf.branch is not None and node.candidates:
                node.candidates = (Candidate((leaf.branch.layer, leaf.branch.neuron), leaf.branch.weight),)
            if leaf.point is not None:
                point = self.bounding.moved_inside(leaf.point[None])
                [value] = self.values(point, [case])
                self.seen.add(case, value, point[0])
        left = np.setdiff1d(np.arange(len(node.pending)), proved)
        node.final, node.pending = node.final[left], node.pending[left]

    def values(self, points: np.ndarray, cases: list[int]) -> list[float]:
        """The real network's value of each case's best row at its point (or at the one point), in float64."""
        network, target = self.original.network, self.original.target
        seen, _ = network.preactivations(points)
        values = [points, *(layer.output(z) for layer, z in zip(network.layers, seen))]
        rows = target.layer.apply(values)
        rows = np.broadcast_to(rows, (len(cases), rows.shape[1]))
        return [float(row[target.first[c] : target.first[c + 1]].max()) for row, c in zip(rows, cases)]


def target_of(network: ReluNetwork, rows: Rows, first: np.ndarray) -> Target:
    """Rows over inputs and outputs as a layer over the network's sources; see Target for ``first``."""
    coefs, constant = composed(rows, network.output)
    return Target(Layer(tuple(sorted(coefs.items())), constant), first)
