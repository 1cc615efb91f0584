"""A proof by a cover as a file: the network, the box, the level, the certificate of steepness; written and judged."""

from __future__ import annotations

import hashlib
import json
import time
import zipfile
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from specs.errors import CertificateError, CertifyError
from specs.language.text.decimals import exact
from verifier.archives import save_archive
from verifier.relaxed_checker.cover import Covered, OpenCell, Point, cover
from verifier.statistics.sampling import Box

if TYPE_CHECKING:
    from verifier.checking import CheckResult
    from verifier.relaxed_checker.checkers import NetworkChecker

FORMAT, VERSION, SUFFIX = "nncover", 1, ".nncover"
MANIFEST, MODEL, CERTIFICATE = "cover.json", "relaxed.onnx", "steep.nncert"
KEYS = {"format", "version", "lower", "upper", "level", "steepness", "cells", "claim"}
LARGEST_MEMBER = 1 << 28
MOST_CELLS = 20_000


class NoCover(CertifyError):
    """The level is not shown on the whole box; ``state`` is one where the score exceeds it, if one was met."""

    def __init__(self, message: str, state: tuple[float, ...] | None = None) -> None:
        super().__init__(message)
        self.state = state


@dataclass(frozen=True)
class Cover:
    """No state of the box is flagged at the level by the network in real arithmetic: of class ``sound``."""

    checker: str
    states: Box
    level: Fraction
    steepness: Fraction
    covered: Covered
    file: Path

    @property
    def claim(self) -> str:
        return claim(self.checker, self.states, self.level, self.steepness, self.covered)


def claim(checker: str, states: Box, level: Fraction, steepness: Fraction, covered: Covered) -> str:
    """The statement as a sentence."""
    return (
        f"FOR ALL states in {_sides(states)}: the relaxed checker sha256:{checker} gives at most {exact(level)}, "
        f"CLASS sound ({covered.cells} cells, at most {float(covered.largest):.6g} at their centres). RESTS ON: A1 "
        f"(proved, certificate embedded) its derivatives there sum to at most {exact(steepness)} in size, A2 (binding "
        "recompiled) these were made of the network by the loader. DOES NOT SAY: anything about inputs whose states "
        "lie elsewhere, about what the overseer says, or about what the network gives in floating point."
    )


def prove_by_cover(
    checker: NetworkChecker, states: Box, level: Fraction, steepness: Fraction, target: Path, seconds: float = 60.0
) -> Cover:
    """Prove that no state of the box has a score above the level, and write the file.

    ``steepness`` is what to prove about derivatives first, in at most ``seconds``. Raises ``NoCover`` where one of the
    two is not shown, with a state that is flagged if there is one at the centre of a cell.
    """
    from verifier.api import certify

    with TemporaryDirectory(prefix="certify-") as folder:
        spec = Path(folder) / "steep.yaml"
        spec.write_text(steepness_spec(states, steepness), encoding="utf-8")
        certificate = Path(folder) / CERTIFICATE
        report = certify(checker.file, spec, timeout=seconds, certificate=certificate)
        if report.verdict != "certified":
            raise NoCover(f"derivatives of {checker.name} are not shown to sum to at most {exact(steepness)}")
        found = _covered(checker.file.read_bytes(), states, steepness, level)
        manifest = {
            "format": FORMAT,
            "version": VERSION,
            "lower": [v.hex() for v in states.lower],
            "upper": [v.hex() for v in states.upper],
            "level": str(level),
            "steepness": str(steepness),
            "cells": found.cells,
            "claim": claim(checker.sha256, states, level, steepness, found),
        }
        members = {MODEL: checker.file.read_bytes(), CERTIFICATE: certificate.read_bytes()}
        save_archive(target, {MANIFEST: json.dumps(manifest, indent=1).encode(), **members})
    return Cover(checker.sha256, states, level, steepness, found, target)


def steepness_spec(states: Box, steepness: Fraction) -> str:
    """The question whose certificate bounds the derivatives; judged again, it is made again."""
    lower, upper = (", ".join(exact(Fraction(v)) for v in end) for end in (states.lower, states.upper))
    return (
        'certify: "1.0"\nname: steepness\nmodels: {relaxed: {path: "$MODEL"}}\n'
        f"inputs: {{a: {{shape: [{len(states.lower)}], box: {{lo: [{lower}], hi: [{upper}]}}}}}}\n"
        f'require: [{{id: steep, assert: "lipschitz(relaxed, norm=inf) <= {exact(steepness)}"}}]\n'
    )


def is_cover(file: Path) -> bool:
    """Whether this is an archive with a cover in it."""
    from verifier.checker.container import has_member

    return has_member(file, MANIFEST)


def check_cover(file: Path, model: Path | None, spec: Path | None, exact_too: bool) -> CheckResult:
    """Accepted if the certificate is, about this network on this box, and the cover, made again, holds the level.

    With ``model`` it has to be the network of the file. Raises ``CertificateError`` for what is not of the format.
    """
    from verifier.checking import CheckResult, run_checker

    started = time.perf_counter()
    members = _members(file)
    states, level, steepness, told = _manifest(file, members[MANIFEST])
    if spec is not None:
        raise CertificateError(f"{file}: a cover states its own question; leave {spec} out")
    if model is not None and model.read_bytes() != members[MODEL]:
        raise CertificateError(f"{file}: it is about another network than {model}")
    with TemporaryDirectory(prefix="certify-") as folder:
        paths = {name: Path(folder) / name for name in (MODEL, CERTIFICATE)}
        for name, path in paths.items():
            path.write_bytes(members[name])
        spec = Path(folder) / "steep.yaml"
        spec.write_text(steepness_spec(states, steepness), encoding="utf-8")
        try:
            proof = run_checker(paths[CERTIFICATE], paths[MODEL], spec, exact_too, {})
        except CertifyError as error:
            raise CertificateError(f"{file}: {error}") from None
    digest = hashlib.sha256(members[MODEL]).hexdigest()
    wrong, reason, cells = "", "", 0
    if not proof.accepted or proof.kind != "proof":
        wrong = f"the certificate of its steepness is refused: {proof.reason}"
    else:
        try:
            found = _covered(members[MODEL], states, steepness, level)
            reason, cells = claim(digest, states, level, steepness, found), found.cells
        except NoCover as error:
            wrong = str(error)
    sources = {"taken": "embedded", "path": "", "sha256": digest}
    own = {"taken": "embedded", "path": "", "sha256": hashlib.sha256(members[MANIFEST]).hexdigest()}
    seconds = round(time.perf_counter() - started, 4)
    return CheckResult(not wrong, wrong or reason, cells, None, seconds, proof.exact, "proof", told, sources, own)


def _covered(model: bytes, states: Box, steepness: Fraction, level: Fraction) -> Covered:
    """The cover, by the checker's reader of networks and its exact arithmetic. Raises ``NoCover``."""
    from verifier.checker.errors import CheckError
    from verifier.checker.exact import evaluate
    from verifier.checker.onnx import read_network

    lower, upper = (tuple(map(Fraction, end)) for end in (states.lower, states.upper))
    try:
        network = read_network(model)
        if network.sizes[0] != len(lower):
            raise NoCover(f"the network takes {network.sizes[0]} numbers, and the box has {len(lower)}")
        return cover(lambda a: evaluate(network, a)[0], lower, upper, steepness, level, MOST_CELLS)
    except CheckError as error:
        raise NoCover(str(error)) from None
    except OpenCell as cell:
        state = _floats(cell.centre)
        if cell.attained:
            told = f"the level {exact(level)} is exceeded: the score is {float(cell.score):.6g} at {state}"
            raise NoCover(told, state) from None
        raise NoCover(f"the level {exact(level)} is not shown with {MOST_CELLS} cells, around {state}") from None


def _floats(point: Point) -> tuple[float, ...]:
    return tuple(map(float, point))


def _members(file: Path) -> dict[str, bytes]:
    try:
        with zipfile.ZipFile(file) as archive:
            infos = archive.infolist()
            names = sorted(info.filename for info in infos)
            if names != sorted((MANIFEST, MODEL, CERTIFICATE)):
                raise CertificateError(f"{file}: not a cover: members are {names[:6]}")
            if any(i.file_size > LARGEST_MEMBER or i.compress_type != zipfile.ZIP_STORED for i in infos):
                raise CertificateError(f"{file}: a member is compressed or larger than 256 MiB")
            return {name: archive.read(name) for name in names}
    except (zipfile.BadZipFile, EOFError, OSError, ValueError) as error:
        raise CertificateError(f"{file}: not a cover: {error}") from None


def _manifest(file: Path, data: bytes) -> tuple[Box, Fraction, Fraction, str]:
    from verifier.checker.errors import CheckError
    from verifier.checker.statistics_ledger import hexadecimal, json_object, rational, text

    try:
        told: dict[str, Any] = json_object(data, MANIFEST)
        if set(told) != KEYS or told["format"] != FORMAT or told["version"] is not VERSION:
            raise CertificateError(f"{file}: {MANIFEST} does not have exactly the keys {sorted(KEYS)} of version 1")
        ends = [told[end] for end in ("lower", "upper")]
        if not all(isinstance(end, list) for end in ends) or len(ends[0]) != len(ends[1]) or not ends[0]:
            raise CertificateError(f"{file}: a box has a lower and an upper end")
        box = Box(*(tuple(map(hexadecimal, end)) for end in ends))
        return box, rational(told["level"]), rational(told["steepness"]), text(told["claim"])
    except (CheckError, ValueError) as error:
        raise CertificateError(f"{file}: {error}") from None


def _sides(states: Box) -> str:
    return " x ".join(f"[{l!r}, {u!r}]" for l, u in zip(states.lower, states.upper))
