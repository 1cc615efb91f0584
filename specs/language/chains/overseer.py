"""Overseers that are the last network of a certified chain: the error of the chain is theirs, on its questions only."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory

from specs.assumption import Assumption
from specs.chain_claim import ChainClaim
from specs.errors import CertificateError, SpecError
from specs.graph import Graph
from specs.language.chains.archive import chain_in, read_archive
from specs.language.chains.parts import model_name
from specs.language.expressions.expression import ExpressionFault
from specs.language.expressions.scope import Argument
from specs.language.inputs.ranges import Range, outside
from specs.language.networks import Module
from specs.language.text.decimals import exact, show


@dataclass(frozen=True)
class ChainOverseer(Module):
    """The network, and what its chain claims of it."""

    claim: ChainClaim | None = None

    @property
    def known(self) -> ChainClaim:
        assert self.claim is not None
        return self.claim

    def called(self, arguments: Sequence[Argument], tap: str, column: int, bounds: Range) -> Module:
        """Itself, where all that it is called on are questions of the chain. Raises ``ExpressionFault``."""
        step = self.known.chain.steps[-1]
        terms = [(term, argument.text) for argument in arguments for term in argument.terms]
        for place, ((term, text), low, up) in enumerate(zip(terms, step.lower, step.upper)):
            why = outside(bounds(term), low, up)
            if why:
                raise ExpressionFault(
                    f"{self.name} is {step.id} of {self.file.name}, whose error is known for questions in "
                    f"[{show(low)}, {show(up)}] at place {place}, but {text} {why} there; narrow the input, or "
                    f"ask about clip({text}, {show(low)}, {show(up)})",
                    column,
                )
        return self

    @property
    def assumptions(self) -> tuple[Assumption, ...]:
        """That its answers are those of the core, but for the error of the chain."""
        claim = self.known
        step, composed = claim.chain.steps[-1], exact(claim.composed)
        how = f"{composed} composed step by step" + (
            "" if claim.joint is None else f", {exact(claim.joint)} proved of {step.id} at once"
        )
        text = (
            f"{self.name} is {step.id} of {claim.file.name} (sha256:{claim.sha256}), which is within "
            f"{exact(claim.error)} ({how}) of what its trusted core {claim.core} says, unrolled, at every question "
            "in its box"
        )
        return (Assumption(f"{self.name}.chain", text, "checked", "", self.name, claim.error, (), claim),)

    @property
    def is_sealed(self) -> bool:
        return True

    @property
    def silences(self) -> tuple[str, ...]:
        return (f"that the core {self.known.core} behind {self.name} is right",)

    def describe(self) -> str:
        """Where it comes from, and how far it is from its core."""
        claim = self.known
        step = claim.chain.steps[-1]
        return (
            f"{super().describe()}; the network {step.id} of a chain of {len(claim.chain.steps)} steps, within "
            f"{exact(claim.error)} of what its trusted core {claim.core} says"
        )


def read_chain_overseer(
    name: str, file: Path, load: Callable[..., Graph], outputs: Mapping[str, int], sees: tuple[str, ...], network: str
) -> ChainOverseer:
    """The overseer; its last network is read by ``load``. ``network`` is the hash that it has to have, if not "".

    The statement is read, not checked. Raises ``SpecError`` or ``ModelError``.
    """
    try:
        data = file.read_bytes()
    except OSError as error:
        raise SpecError(f"cannot be read: {error.strerror}", file) from None
    with TemporaryDirectory(prefix="certify-") as place:
        folder = Path(place)
        try:
            manifest = read_archive(file, folder)
            chain = chain_in(file, folder, manifest)
        except CertificateError as error:
            raise SpecError(str(error)) from None
        last = model_name(chain.steps[-1])
        if network and manifest["files"][last] != network:
            raise SpecError(f"the network of {chain.steps[-1].id} in it is another than the one given", file)
        graph = load(folder / last)
    joint = manifest.get("joint")
    claim = ChainClaim(file, hashlib.sha256(data).hexdigest(), chain, None if joint is None else Fraction(joint))
    return ChainOverseer(name, "overseer", file, graph, outputs, sees=sees, claim=claim)
