"""``certify check``: the independent checker, in a fresh process that has nothing but NumPy.

A relaxed attack is validated here: it proves nothing, so nothing hangs on who looks at it.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from specs.errors import CertifyError
from verifier.commands.arguments import Parser, assignment
from verifier.commands.save import save_text
from verifier.exit_codes import OK, REJECTED
from verifier.places import RELAXED_SUFFIX, check_writable


def main(arguments: Sequence[str]) -> int:
    """0 accepted (or valid), 1 rejected (or not); raises ``CertifyError`` for what cannot be read."""
    options = _parser().read(arguments)
    absent = [str(f) for f in (options.certificate, options.model, options.spec) if f is not None and not f.is_file()]
    if absent:
        raise CertifyError(f"there is no file {' and no file '.join(absent)}")
    if options.json:
        check_writable(options.json, "JSON")
    relaxed = options.certificate.suffix == RELAXED_SUFFIX
    try:
        return (_relaxed if relaxed else _evidence)(options)
    except CertifyError as error:
        if options.json:
            answer = {"valid" if relaxed else "accepted": False, "error": str(error)}
            save_text(json.dumps(answer, indent=1) + "\n", options.json)
        raise


def _evidence(options: argparse.Namespace) -> int:
    from verifier.checker.container import Origin
    from verifier.checking import run_checker

    result = run_checker(options.certificate, options.model, options.spec, options.exact, dict(options.set))
    if options.json:
        save_text(json.dumps(vars(result), indent=1) + "\n", options.json)
    statistical = result.kind == "statistical"
    rounded = "outward-rounded decimals" if statistical else "outward-rounded float64"
    arithmetic = "rational arithmetic" if result.exact else rounded
    word = "accepted" if result.accepted else "REJECTED"
    size = f"{result.leaves} {'lines' if statistical else 'leaves'}"
    print(f"{word}: {result.reason}; {size}, {arithmetic}, {result.seconds:.2f} s")
    for what, origin in (("model", result.model), ("ledger" if statistical else "query", result.query)):
        if origin:
            print(f"{what}: {Origin(**origin)}")
    print(f"claim, in the producer's words: {result.claim}")
    return OK if result.accepted else REJECTED


def _relaxed(options: argparse.Namespace) -> int:
    if options.exact:
        raise CertifyError(f"--exact is for proofs; {options.certificate} is a relaxed attack, which proves nothing")
    from verifier.relaxed.checking import check_relaxed
    from verifier.relaxed.contents import CLAIM

    result = check_relaxed(options.certificate, options.model, options.spec, dict(options.set))
    attack, found = result.attack, result.validation
    if options.json:
        save_text(json.dumps(result.to_json(), indent=1) + "\n", options.json)
    word = "valid relaxed attack" if found.valid else "NOT VALID"
    print(f"{word}: a point of {attack.relaxation!r} for {result.id}, case {attack.case}, {result.seconds:.2f} s")
    print(f"this is {CLAIM}")
    print(f"score {found.score:.6g} in the relaxation, {found.real:.6g} in the network itself at its input")
    for check in found.checks:
        print(f"  {check}")
    for words in found.remarks:
        print(f"  note: {words}")
    for words in found.not_checked:
        print(f"  not checked: {words}")
    if attack.note:
        print(f"note, in the producer's words: {attack.note}")
    return OK if found.valid else REJECTED


def _parser() -> Parser:
    parser = Parser(
        prog="certify check",
        usage="certify check CERTIFICATE [--model MODEL --spec SPEC] [--exact] [--json FILE]",
        description="Check a certificate (.nncert) or a counterexample (.nnwitness) without the search, in a process "
        "of its own that loads NumPy and nothing else. A relaxed attack (.nnrelax) is validated against the model; it "
        "is no counterexample.",
        epilog="Exit codes: 0 accepted (relaxed attack: valid), 1 rejected (not valid), 2 something could not be read.",
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
