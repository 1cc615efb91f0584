"""cvc5: a second opinion, and Alethe proofs to keep. The only file that knows it.

An Alethe proof is another program's, for other programs (Carcara) to check: it is kept as evidence beside ours and
never counts as a certificate here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from relaxations.smt.answers import Satisfied, Unanswered
from relaxations.smt.formula import All, Assertions, Formula, Some, names
from relaxations.solvers import required


@dataclass(frozen=True)
class ForeignProof:
    """A proof that is not ours, and that nobody here has checked."""

    text: str
    format: str = "alethe"
    producer: str = "cvc5"
    label: str = "certified externally, if an Alethe checker accepts it; not checked here"


def solve(assertions: Assertions, seconds: float = np.inf) -> Satisfied | ForeignProof | Unanswered:
    """A model of all assertions, or an Alethe proof that there is none.

    ``seconds`` limit the search; writing the proof comes after it, and can take about as long again.
    """
    cvc5 = _cvc5()
    manager = cvc5.TermManager()
    solver = cvc5.Solver(manager)
    for option, value in (("produce-models", "true"), ("produce-proofs", "true"), ("proof-format-mode", "alethe")):
        solver.setOption(option, value)
    if np.isfinite(seconds):
        solver.setOption("tlimit-per", str(max(1, int(seconds * 1000))))
    solver.setLogic("QF_LRA")
    variables = {name: manager.mkConst(manager.getRealSort(), name) for name in names(list(assertions.values()))}
    builder = _Builder(cvc5, manager, variables)
    for formula in assertions.values():
        solver.assertFormula(builder.term(formula))
    answer = solver.checkSat()
    if answer.isSat():
        values = {name: Fraction(solver.getValue(term).getRealValue()) for name, term in variables.items()}
        return Satisfied(values)
    if answer.isUnsat():
        proofs = solver.getProof()
        return ForeignProof("\n".join(_text(solver.proofToString(p, cvc5.ProofFormat.ALETHE)) for p in proofs))
    return Unanswered("cvc5 gave up, or the time is over")


@dataclass(frozen=True)
class _Builder:
    cvc5: Any
    manager: Any
    variables: Mapping[str, Any]

    def term(self, formula: Formula) -> Any:
        kind = self.cvc5.Kind
        match formula:
            case All(parts):
                return self._joined(kind.AND, parts, True)
            case Some(parts):
                return self._joined(kind.OR, parts, False)
        products = [
            self.manager.mkTerm(kind.MULT, self._number(c), self.variables[str(variable)])
            for variable, c in formula.terms.items()
        ]
        total = self._number(Fraction(0))
        if products:
            total = products[0] if len(products) == 1 else self.manager.mkTerm(kind.ADD, *products)
        relation = kind.GT if formula.strict else kind.GEQ
        return self.manager.mkTerm(relation, total, self._number(-formula.constant))

    def _joined(self, kind: Any, parts: tuple[Formula, ...], empty: bool) -> Any:
        terms = [self.term(part) for part in parts]
        if not terms:
            return self.manager.mkBoolean(empty)
        return terms[0] if len(terms) == 1 else self.manager.mkTerm(kind, *terms)

    def _number(self, value: Fraction) -> Any:
        return self.manager.mkReal(value.numerator, value.denominator)


def _cvc5() -> Any:
    return required("cvc5", "a second SMT solver and Alethe proofs need cvc5")


def _text(proof: Any) -> str:
    return proof.decode() if isinstance(proof, bytes) else str(proof)
