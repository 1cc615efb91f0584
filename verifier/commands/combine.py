"""``certify combine``: claims about parts of a set, in files, made into one claim about the whole."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from specs.errors import CertifyError
from verifier.commands.arguments import Parser, assignment
from verifier.commands.save import save_text
from verifier.exit_codes import OK, UNKNOWN
from verifier.places import check_writable

if TYPE_CHECKING:
    from verifier.combining.combine import Combined, Whole
    from verifier.combining.members import Claims


def main(arguments: Sequence[str]) -> int:
    """Print what the files prove together and return its exit code; raises ``CertifyError`` for what cannot be read."""
    started = time.monotonic()
    options = _parser().read(arguments)
    if options.json:
        check_writable(options.json, "JSON")
    out = options.out if options.out.suffix else options.out.with_name(options.out.name + ".nncombined")
    check_writable(out, "statement")
    from verifier.answer import versions
    from verifier.combining.combine import combine
    from verifier.combining.cover import Undecided
    from verifier.combining.members import read_claims

    claims = read_claims(options.files, options.model)
    whole, producer = _whole(options, claims)
    try:
        found = combine(claims, whole, out, options.model, options.exact, {**versions(), **producer})
    except Undecided as error:
        raise CertifyError(f"{error}; combine fewer files at a time, or with larger sets") from None
    if options.json:
        save_text(json.dumps(found.to_json(), indent=1) + "\n", options.json)
    print(_text(found, time.monotonic() - started))
    return OK if found.checked is not None else UNKNOWN


def _whole(options: argparse.Namespace, claims: Claims) -> tuple[Whole, dict[str, str]]:
    from verifier.combining.combine import whole_of

    if options.spec is not None and options.box is not None:
        raise CertifyError("--spec says what the whole is; leave --box out")
    if options.spec is None:
        return whole_of(claims, options.box), {}
    from verifier.combining.question import whole_in

    return whole_in(options.spec, options.model, dict(options.set), options.requirement, claims, options.exact)


def _text(found: Combined, seconds: float) -> str:
    from verifier.combining.combine import shown

    proofs = sum(claim.sampled is None for claim in found.claims.all)
    rates = len(found.claims.all) - proofs
    counts = ((proofs, "certificate"), (rates, "rate"))
    files = " and ".join(f"{count} {noun}{'' if count == 1 else 's'}" for count, noun in counts if count)
    lines = [f"{found.verdict}: {files}, {found.cells} cells, {seconds:.2f} s"]
    if found.gap:
        lines += [f"  a gap     no file is about X = {shown(found.gap)}"]
    if found.path is not None:
        lines += [f"  statement {found.path}"]
    return "\n".join([*lines, f"  {found.sentence}"])


def _box(text: str) -> tuple[tuple[Fraction, ...], tuple[Fraction, ...]]:
    try:
        ends = [[Fraction(end.strip()) for end in side.split(":")] for side in text.split(",")]
        lower, upper = zip(*ends, strict=True)
    except (ValueError, ZeroDivisionError):
        raise argparse.ArgumentTypeError(f"expected LO:HI,LO:HI,... with a pair for each input, not {text!r}") from None
    if any(low > up for low, up in zip(lower, upper)):
        raise argparse.ArgumentTypeError(f"the box {text!r} is empty")
    return lower, upper


def _parser() -> Parser:
    parser = Parser(
        prog="certify combine",
        usage="certify combine FILE FILE... [options]",
        description="Make one claim of several about the same model and property on different sets: proofs (.nncert), "
        "and bounds of rates under uniform laws on boxes (.nnstat). The sets have to cover the whole exactly.",
        epilog="The whole is the least box that holds all sets, or --box, or the question of --spec. "
        "Exit codes: 0 combined, 3 there is a gap, 2 something could not be read or does not belong together.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("files", nargs="+", type=Path, metavar="FILE", help="certificates and statistical statements")
    add("--out", type=Path, default=Path("combined.nncombined"), metavar="FILE", help="the combined statement")
    add("--model", type=Path, metavar="MODEL", help="the model, where it is not at the path the certificates record")
    add("--box", type=_box, metavar="LO:HI,...", help="the whole, as the network consumes it")
    add("--spec", type=Path, metavar="SPEC", help="the specification whose question is the whole")
    add("--requirement", default="", metavar="ID", help="which requirement of it")
    add("--set", type=assignment, action="append", default=[], metavar="K=V", help="a parameter of the specification")
    add("--exact", action="store_true", help="check every leaf of every certificate in rational arithmetic, too (slow)")
    add("--json", type=Path, metavar="FILE", help="write the answer as JSON")
    return parser
