"""What answer tables say, as inputs of the composed question that no one chooses: pairs of what is asked and answered.

A set of inputs that is finite is a relation: a list of values for some variables. What a table says of it is one, too.
All of them together are their natural join (Codd, *A relational model of data*, CACM 1970), so that two tables asked
about the same 1,000 points make 1,000 alternatives, not a million.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from specs.joint import JointSet
from specs.language.expressions.dnf import MAX_DISJUNCTS, Atom, Dnf
from specs.language.networks import Posed
from specs.problem import Case, Row
from specs.sets import InputSet

Numbers = tuple[Fraction, ...]


@dataclass(frozen=True)
class AnswerSet(InputSet):
    """The answers of ``table`` to one question. ``pairs`` has each point of the inputs ``of``, in raw units and in the
    order of the inputs, with the answer to what is asked there."""

    table: str = ""
    of: tuple[str, ...] = ()
    pairs: tuple[tuple[Numbers, Numbers], ...] = ()

    def describe(self) -> str:
        return f"{self.name}: {self.words}"


def answer_set(
    table: str, text: str, source: str, outputs: Mapping[str, int], of: Sequence[str], pairs: Mapping[Numbers, Numbers]
) -> AnswerSet:
    """The set for a question written ``text``, in its own units; ``source`` names the file with the answers."""
    answers = tuple(dict.fromkeys(pairs.values()))
    size, found = len(answers[0]), sorted(outputs, key=outputs.__getitem__)
    columns = list(zip(*answers))
    points = "one point" if len(pairs) == 1 else f"{len(pairs)} points"
    return AnswerSet(
        text,
        (size,),
        tuple(found),
        (),
        (Fraction(0),) * size,
        (Fraction(1),) * size,
        tuple(map(min, columns)),
        tuple(map(max, columns)),
        words=f"what {source} says at {points} of {' and '.join(of)}",
        points=answers,
        role="the answer of a table",
        table=table,
        of=tuple(of),
        pairs=tuple(pairs.items()),
    )


def ties(inputs: Sequence[InputSet]) -> list[tuple[int, Atom]]:
    """Conditions, true of everything, by which each set of answers belongs to the inputs that it answers for."""
    names = [one.name for one in inputs]
    starts = [sum(one.size for one in inputs[:k]) for k in range(len(inputs))]
    return [
        (k, Atom(((starts[names.index(name)], Fraction(1)),), (), Fraction(0), True, -1))
        for k, one in enumerate(inputs)
        if isinstance(one, AnswerSet)
        for name in one.of
    ]


def finite_sets(posed: Posed, labels: Mapping[str, int]) -> tuple[Dnf, ...]:
    """The finite sets among the inputs of a posed network as alternatives, in what it consumes.

    With answers among them these are joined with what they answer for. Raises ``OverflowError`` beyond 100,000 points.
    """
    if not any(isinstance(one, AnswerSet) for one in posed.sets):
        return posed.alternatives(labels)
    assert isinstance(posed.inputs, JointSet)
    places = {one.name: own for one, own in zip(posed.sets, posed.inputs.places)}
    by_name = {one.name: one for one in posed.sets}
    relations = []
    for one in posed.sets:
        if isinstance(one, AnswerSet):
            variables = tuple(place for name in (*one.of, one.name) for place in places[name])
            rows = [(*_consumed([by_name[name] for name in one.of], asked), *answer) for asked, answer in one.pairs]
            relations.append(_Relation.of(variables, rows))
        elif one.points:
            own, wanted = one.labels or (None,) * len(one.points), labels.get(one.name)
            kept = [one.to_model(p) for p, label in zip(one.points, own) if wanted is None or label == wanted]
            relations.append(_Relation.of(places[one.name], kept))
    joined: list[_Relation] = []
    for relation in sorted(relations, key=lambda one: len(one.rows)):
        sharing = [known for known in joined if known.variables.keys() & relation.variables.keys()]
        for known in sharing:
            relation = relation.joined(known)
        joined = [*(known for known in joined if known not in sharing), relation]
    return tuple(known.dnf() for known in joined)


def decided(posed: Posed, regions: Sequence[Case]) -> tuple[Case, ...]:
    """Cases of what answers alone decide: exactly, when it is compiled. ``regions`` are those of the whole set.

    None where there are no answers. Each has a row that is true, since there are points that it is about all the same.
    """
    if not any(isinstance(one, AnswerSet) for one in posed.sets):
        return ()
    return tuple(replace(one, any_of=(*one.any_of, _TRUE)) for one in regions)


_TRUE = Row((), (), Fraction(1))


def _consumed(sets: Sequence[InputSet], raw: Numbers) -> Numbers:
    found: list[Fraction] = []
    for one in sets:
        found += one.to_model(raw[len(found) : len(found) + one.size])
    return tuple(found)


@dataclass(frozen=True, eq=False)
class _Relation:
    """``variables`` gives the column of each; ``rows`` are the values that they can have together."""

    variables: Mapping[int, int]
    rows: tuple[Numbers, ...]

    @staticmethod
    def of(variables: Sequence[int], rows: Sequence[Numbers]) -> _Relation:
        """A variable may be there twice: rows in which it would have two values are left out."""
        first = {variable: variables.index(variable) for variable in variables}
        kept = [row for row in rows if all(row[i] == row[first[v]] for i, v in enumerate(variables))]
        distinct = dict.fromkeys(tuple(row[i] for i in first.values()) for row in kept)
        return _Relation({variable: i for i, variable in enumerate(first)}, tuple(distinct))

    def joined(self, other: _Relation) -> _Relation:
        """The rows of both that agree in the variables of both."""
        shared = [variable for variable in self.variables if variable in other.variables]
        more = [variable for variable in other.variables if variable not in self.variables]
        matching: dict[Numbers, list[Numbers]] = {}
        for row in other.rows:
            key = tuple(row[other.variables[v]] for v in shared)
            matching.setdefault(key, []).append(tuple(row[other.variables[v]] for v in more))
        rows: list[Numbers] = []
        for row in self.rows:
            rows += [(*row, *rest) for rest in matching.get(tuple(row[self.variables[v]] for v in shared), ())]
            if len(rows) > MAX_DISJUNCTS:
                raise OverflowError(f"the finite sets together have more than {MAX_DISJUNCTS:,} points")
        return _Relation({variable: i for i, variable in enumerate((*self.variables, *more))}, tuple(rows))

    def dnf(self) -> Dnf:
        return tuple(
            tuple(
                Atom(((variable, sign),), (), -sign * row[i], False, -1)
                for variable, i in self.variables.items()
                for sign in (Fraction(1), Fraction(-1))
            )
            for row in self.rows
        )
