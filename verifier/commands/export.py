"""``certify export``: every requirement of a specification as a VNN-LIB query and an ONNX model, for other tools."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from specs.errors import CertifyError
from verifier.commands.arguments import Parser, assignment
from verifier.commands.run import model_and_spec
from verifier.exit_codes import OK
from verifier.files import is_onnx


def main(arguments: Sequence[str]) -> int:
    """0 with the files written; raises ``CertifyError`` for what cannot be read or said in VNN-LIB."""
    options = _parser().read(arguments)
    model, spec = model_and_spec(options.files, "certify export")
    from specs.language.vnnlib.writer import write_vnnlib
    from specs.loading.onnx_writer import write_onnx
    from verifier.question import read_question

    question = read_question(model, spec, dict(options.set))
    written: dict[Path, bytes] = {}
    lines: list[str] = []
    for requirement in question.requirements:
        problem = requirement.stated.problem
        if not problem.cases:
            why = "nothing can violate it, and a query that nothing satisfies is refused by most readers"
            raise CertifyError(f"requirement {requirement.id}: {requirement.stated.vacuous}: {why}")
        text = write_vnnlib(problem)
        query = options.out / f"{requirement.id}.vnnlib"
        written[query] = text.encode()
        if question.model is not None and is_onnx(question.model):
            network = question.model
        else:
            network = options.out / f"{requirement.id}.onnx"
            written[network] = write_onnx(problem.graph)
        lost = ", ".join(_lost(text, requirement.stated.slack != 0, requirement.inputs is not None))
        lines.append(f"{requirement.id}: {network} {query}\n  not said there: {lost}")
    options.out.mkdir(parents=True, exist_ok=True)
    for file, content in written.items():
        file.write_bytes(content)
    print("\n".join(lines))
    return OK


def _lost(query: str, has_slack: bool, has_units: bool) -> list[str]:
    """What a query cannot say or says otherwise, in words."""
    found = ["severity, assumptions and gates"]
    if has_units:
        found.append("names and units (inputs are those of the network, normalised)")
    if has_slack:
        found.append("that a slack was asked for (it is part of the constraints)")
    if "outward" in query:
        found.append("bounds without a finite decimal (rounded outward: a proof still holds)")
    return found


def _parser() -> Parser:
    parser = Parser(
        prog="certify export",
        usage="certify export MODEL SPEC --out DIR [--set K=V]",
        description="Write every requirement as a VNN-LIB query and, unless it is an ONNX file already, its network.",
        epilog="Exit codes: 0 written, 2 not understood, or something that VNN-LIB cannot say.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("files", nargs="+", type=Path, metavar="MODEL SPEC", help=".onnx, .pt2 or .pt; .yaml or .vnnlib")
    add("--out", type=Path, required=True, metavar="DIR", help="the folder to write into")
    add("--set", type=assignment, action="append", default=[], metavar="K=V", help="a parameter of the specification")
    return parser
