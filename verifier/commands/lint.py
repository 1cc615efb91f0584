"""``certify lint``: what a specification means, in words, without any search."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from specs.errors import CertifyError
from verifier.commands.arguments import Parser, assignment
from verifier.exit_codes import OK
from verifier.files import is_model, is_vnnlib


def main(arguments: Sequence[str]) -> int:
    """0 with a description on standard output; raises ``CertifyError`` with every fault of the specification."""
    options = _parser().read(arguments)
    if len(options.files) > 2:
        raise CertifyError(f"expected SPEC [MODEL], found {len(options.files)} files")
    models = [file for file in options.files if is_model(file)]
    specs = [file for file in options.files if file not in models]
    if len(specs) != 1:
        raise CertifyError("say which specification: certify lint SPEC [MODEL]")
    absent = [str(file) for file in options.files if not file.is_file()]
    if absent:
        raise CertifyError(f"there is no file {' and no file '.join(absent)}")
    spec, model = specs[0], models[0] if models else None
    if model is None and is_vnnlib(spec):
        from specs.language.vnnlib.reader import read_vnnlib

        query = read_vnnlib(spec)
        print(f"{spec.name}: {query.n_inputs} inputs, {query.n_outputs} outputs, {len(query.assertions)} assertions")
        print("name the model as well to have it compiled: certify lint SPEC MODEL")
        return OK
    if model is None:
        from specs.language.polynomials.spec import is_polynomial_spec, read_polynomial_spec

        if is_polynomial_spec(spec):
            print(read_polynomial_spec(spec, dict(options.set)).describe())
            return OK
    from verifier.special import describe_special

    told = describe_special(model, spec, dict(options.set))
    if told is not None:
        print(told)
        return OK
    from specs.language.load_spec import load_spec
    from verifier.reach import reach
    from verifier.report.words import property_in_words, set_in_words

    read = load_spec(spec, model, dict(options.set), reach=reach)
    print(read.describe())
    if is_vnnlib(spec):
        for requirement in read.requirements:
            print(f"for all x in {set_in_words(requirement.problem)}")
            print(f"  {property_in_words(requirement.problem) or 'the assertions are not all true'}")
    return OK


def _parser() -> Parser:
    parser = Parser(
        prog="certify lint",
        usage="certify lint SPEC [MODEL] [--set K=V]",
        description="Say in words what a specification means, and warn about what is probably not meant.",
        epilog="Exit codes: 0 understood, 2 not understood.",
        allow_abbrev=False,
    )
    parser.add_argument("files", nargs="+", type=Path, metavar="SPEC [MODEL]", help="a .yaml or .vnnlib; its model")
    parser.add_argument(
        "--set", type=assignment, action="append", default=[], metavar="K=V", help="a parameter of the specification"
    )
    return parser
