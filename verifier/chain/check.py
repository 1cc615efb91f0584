"""Checking the file of a chain: its parts made again from its specification, and every certificate judged again."""

from __future__ import annotations

import time
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from specs.errors import CertificateError
from specs.hashes import sha256_of
from specs.language.chains.archive import SPEC, chain_in, read_archive
from specs.language.chains.parts import CORE, joint_spec, model_name
from specs.language.chains.spec import ChainSpec, read_chain_spec
from specs.language.text.decimals import exact
from verifier.chain.folder import parts
from verifier.chain.table import table

if TYPE_CHECKING:
    from verifier.checking import CheckResult


def check_chain(
    certificate: Path, model: Path | None, spec: Path | None, exact_too: bool, deadline: float | None = None
) -> CheckResult:
    """Accepted if every part follows from the specification, every certificate is accepted, and the errors add up.

    With ``spec`` that file, its core and its models have to be the ones in the chain. The certificates are judged by
    the independent checker; parts are translated by the loader, as those of all composed questions are.
    Raises ``CertificateError``, and ``TimeoutExpired`` at ``deadline``, a reading of ``time.monotonic``.
    """
    from verifier.checking import CheckResult

    started = time.perf_counter()
    if model is not None:
        raise CertificateError(f"{certificate}: a chain names its models; leave {model} out")
    with TemporaryDirectory(prefix="certify-") as place:
        folder = Path(place)
        manifest = read_archive(certificate, folder)
        chain = chain_in(certificate, folder, manifest)
        if spec is not None:
            _compare(certificate, folder, manifest, spec, chain)
        wrong, leaves, is_exact = _judged(chain, folder, manifest, exact_too, deadline)
        errors = chain.errors()
        last = chain.steps[-1].id
        proved = Fraction(manifest["joint"]) if manifest.get("joint") is not None else errors[last]
        if not wrong and [(row.id, str(row.error)) for row in table(chain, {})] != list(map(tuple, manifest["errors"])):
            wrong = "its errors do not follow from its steps"
        reason = wrong or (
            f"{len(chain.steps)} steps; {last} is within {exact(min(proved, errors[last]))} of what {chain.core.name} "
            f"says, unrolled, at every question in its box"
        )
        own = {"taken": "embedded", "path": "", "sha256": manifest["files"][SPEC]}
        return CheckResult(
            not wrong,
            reason,
            leaves,
            None,
            round(time.perf_counter() - started, 4),
            is_exact,
            "proof",
            "".join(c if c.isprintable() else "?" for c in manifest["claim"]),
            {},
            own,
        )


def _judged(
    chain: ChainSpec, folder: Path, manifest: Mapping[str, Any], exact_too: bool, deadline: float | None
) -> tuple[str, int, bool]:
    """What is wrong, or ""; how many leaves; whether all was proved in rational arithmetic."""
    from verifier.checking import run_checker

    outside = chain.outside()
    if outside is not None:
        return outside.words(), 0, False
    expected = parts(chain)
    joint = manifest.get("joint")
    if joint is not None:
        expected["joint.yaml"] = joint_spec(chain, Fraction(joint))
    for name, text in expected.items():
        if name not in manifest["files"] or (folder / name).read_text(encoding="utf-8") != text:
            return f"{name} is not what the chain's specification says", 0, False
    wanted = [(step.id, f"{step.id}.gap", f"{step.id}.yaml") for step in chain.steps]
    wanted += [("the chain", one.id, "required.yaml") for one in chain.require]
    wanted += [("the chain", "joint", "joint.yaml")] if joint is not None else []
    leaves, is_exact = 0, True
    for step, id, spec in wanted:
        file = folder / f"{id}.nncert"
        if file.name not in manifest["files"]:
            return f"{step}: there is no certificate of {id}", leaves, False
        try:
            left = None if deadline is None else max(deadline - time.monotonic(), 0.0)
            result = run_checker(file, None, folder / spec, exact_too, {}, requirement=id, seconds=left)
        except CertificateError as error:
            return f"{step}: {id}: {error}", leaves, False
        if not result.accepted or result.kind != "proof":
            return f"{step}: the certificate of {id} was refused: {result.reason}", leaves, False
        leaves += result.leaves
        is_exact &= result.exact
    return "", leaves, is_exact


def _compare(certificate: Path, folder: Path, manifest: Mapping[str, Any], spec: Path, chain: ChainSpec) -> None:
    theirs = read_chain_spec(spec, chain.parameters)
    pairs = [(spec, SPEC), (theirs.core.file, CORE)]
    pairs += [(step.file, model_name(step)) for step in theirs.steps]
    for own, name in pairs:
        digest = sha256_of(own)
        if manifest["files"].get(name) != digest:
            raise CertificateError(f"{certificate}: it is about another file than {own}")
