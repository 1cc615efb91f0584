"""``certify overseer-audit``: what an overseer is worth, by examples whose truth is known."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

from specs.errors import CertifyError
from verifier.commands.arguments import Parser, assignment, at_least_one, natural
from verifier.commands.save import save_text
from verifier.exit_codes import GATE_MISSED, OK
from verifier.places import check_writable


def main(arguments: Sequence[str]) -> int:
    """Print the audit; 4 where the recall that is required is excluded. Raises ``CertifyError``."""
    options = _parser().read(arguments)
    if len(options.files) != 2:
        raise CertifyError("name a specification and an .npz file of examples (see certify overseer-audit --help)")
    if options.json:
        check_writable(options.json, "JSON")
    from specs.language.load_spec import load_spec
    from verifier.auditing.audit import audit
    from verifier.auditing.report import text, to_json
    from verifier.reach import reach

    spec, data = options.files
    if not data.is_file() or data.suffix != ".npz":
        raise CertifyError(f"{data} is no .npz file")
    read = load_spec(spec, options.model, dict(options.set), reach=reach)
    found = audit(read, data, options.requirement, options.confidence, options.required, options.swaps, options.seed)
    if options.json:
        save_text(json.dumps(to_json(found), indent=1) + "\n", options.json)
    print(text(found))
    return GATE_MISSED if found.is_short else OK


def _share(text: str) -> Fraction:
    try:
        value = Fraction(text)
    except (ValueError, ZeroDivisionError):
        value = Fraction(-1)
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"expected a number between 0 and 1, not {text!r}")
    return value


def _parser() -> Parser:
    parser = Parser(
        prog="certify overseer-audit",
        usage="certify overseer-audit SPEC DATA [options]",
        description="Compare an overseer with the model it judges: sizes, errors, the share of known failures that it "
        "objects to, and elements of the input that it is blind to.",
        epilog="DATA is an .npz file with inputs in raw units, `failures` (true or false for each) and, if there are "
        "any, `labels`. Exit codes: 0 audited, 2 something could not be read, 4 the recall required is excluded.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("files", nargs="+", type=Path, metavar="SPEC DATA", help="a spec.yaml with an overseer; an .npz file")
    add("--requirement", default="", metavar="ID", help="the requirement that is its verdict (the first that asks it)")
    add("--required", type=_share, metavar="SHARE", help="the recall that there has to be")
    add("--confidence", type=_share, default=Fraction(99, 100), metavar="SHARE", help="of each interval (default 0.99)")
    add("--swaps", type=at_least_one, default=200, metavar="N", help="exchanges of each element (default 200)")
    add("--seed", type=natural, default=0, metavar="N", help="which examples are exchanged (default 0)")
    add("--model", type=Path, metavar="MODEL", help="the value of $MODEL")
    add("--set", type=assignment, action="append", default=[], metavar="K=V", help="a parameter of the specification")
    add("--json", type=Path, metavar="FILE", help="write everything as JSON")
    return parser
