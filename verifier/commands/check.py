"""``certify check``: the independent checker, in a fresh process that has nothing but NumPy."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from specs.errors import CertifyError
from verifier.commands.arguments import Parser, assignment
from verifier.commands.save import save_text
from verifier.exit_codes import OK, REJECTED
from verifier.places import check_writable


def main(arguments: Sequence[str]) -> int:
    """0 accepted, 1 rejected; raises ``CertifyError`` for what cannot be read."""
    options = _parser().read(arguments)
    absent = [str(f) for f in (options.certificate, options.model, options.spec) if f is not None and not f.is_file()]
    if absent:
        raise CertifyError(f"there is no file {' and no file '.join(absent)}")
    if options.json:
        check_writable(options.json, "JSON")
    from verifier.checker.container import Origin
    from verifier.checking import run_checker

    try:
        result = run_checker(options.certificate, options.model, options.spec, options.exact, dict(options.set))
    except CertifyError as error:
        if options.json:
            save_text(json.dumps({"accepted": False, "error": str(error)}, indent=1) + "\n", options.json)
        raise
    if options.json:
        save_text(json.dumps(vars(result), indent=1) + "\n", options.json)
    arithmetic = "rational arithmetic" if result.exact else "outward-rounded float64"
    word = "accepted" if result.accepted else "REJECTED"
    print(f"{word}: {result.reason}; {result.leaves} leaves, {arithmetic}, {result.seconds:.2f} s")
    for what, origin in (("model", result.model), ("query", result.query)):
        if origin:
            print(f"{what}: {Origin(**origin)}")
    print(f"claim, in the producer's words: {result.claim}")
    return OK if result.accepted else REJECTED


def _parser() -> Parser:
    parser = Parser(
        prog="certify check",
        usage="certify check CERTIFICATE [--model MODEL --spec SPEC] [--exact] [--json FILE]",
        description="Check a certificate (.nncert) or a counterexample (.nnwitness) without the search, in a process "
        "of its own that loads NumPy and nothing else.",
        epilog="Exit codes: 0 accepted, 1 rejected, 2 something could not be read.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("certificate", type=Path, metavar="CERTIFICATE", help="the file to check")
    add("--model", type=Path, metavar="MODEL", help="the model it has to be about")
    add("--spec", "--query", type=Path, metavar="SPEC", help="the specification it has to be about")
    add("--set", type=assignment, action="append", default=[], metavar="K=V", help="a parameter of the specification")
    add("--exact", action="store_true", help="prove every leaf a second time in rational arithmetic (slow)")
    add("--json", type=Path, metavar="FILE", help="write the answer as JSON")
    return parser
