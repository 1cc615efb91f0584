"""``certify power``: how strong an adversary that writes into a layer is."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path

from specs.errors import CertifyError
from verifier.commands.arguments import Parser, assignment, at_least_one, natural, positive_seconds
from verifier.commands.run import model_and_spec
from verifier.commands.save import save_text
from verifier.commands.signals import stoppable
from verifier.exit_codes import GATE_MISSED, OK
from verifier.interruption import Stopped
from verifier.places import check_writable


def main(arguments: Sequence[str]) -> int:
    """0 with a table, 4 where the specification expects something else; raises ``CertifyError``."""
    started = time.monotonic()
    options = _parser().read(arguments)
    model, spec = model_and_spec(options.files, "certify power")
    if options.json:
        check_writable(options.json, "JSON")
    try:
        with stoppable(started + options.timeout):
            from verifier.latent.power import calibrate

            found = calibrate(model, spec, dict(options.set), 0.95 * options.timeout, options.samples, options.seed)
    except Stopped as stop:
        raise CertifyError(
            f"{stop.reason} before all was measured; give more than --timeout {options.timeout:g}"
        ) from None
    print(found.text(), flush=True)
    if options.json:
        save_text(json.dumps(found.to_json(), indent=1) + "\n", options.json)
    return GATE_MISSED if found.missed else OK


def _parser() -> Parser:
    parser = Parser(
        prog="certify power",
        usage="certify power MODEL SPEC [options]",
        description="Bracket the least radius at which the adversary of a specification makes fail: the network, "
        "networks of the same architecture with random weights, and one with the same safe answer for everything.",
        epilog="Exit codes: 0 measured, 2 something could not be read, 4 a baseline does what `calibrate_power` does "
        "not expect.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("files", nargs="*", type=Path, metavar="MODEL SPEC", help="as for certify MODEL SPEC")
    add("--timeout", type=positive_seconds, default=120.0, metavar="S", help="seconds for everything (default 120)")
    add("--samples", type=at_least_one, default=3, metavar="N", help="networks with random weights (default 3)")
    add("--seed", type=natural, default=0, metavar="N", help="seed of the weights and of the search (default 0)")
    add("--json", type=Path, metavar="FILE", help="write everything as JSON")
    add("--set", type=assignment, action="append", default=[], metavar="K=V", help="a parameter of the specification")
    return parser
