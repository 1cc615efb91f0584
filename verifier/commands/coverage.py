"""``certify coverage``: what a data file exercises inside a network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from specs.errors import CertifyError
from specs.hashes import sha256_of
from verifier.commands.arguments import Parser, assignment, at_least_one, names
from verifier.commands.save import save_text
from verifier.exit_codes import OK
from verifier.files import is_model
from verifier.places import check_writable


def main(arguments: Sequence[str]) -> int:
    """0 with the report on standard output; raises ``CertifyError`` for what cannot be read."""
    options = _parser().read(arguments)
    if len(options.files) != 2 or not is_model(options.files[0]) or is_model(options.files[1]):
        raise CertifyError("say which model and which data: certify coverage MODEL DATA.npz")
    model, data = options.files
    absent = [str(file) for file in options.files if not file.is_file()]
    if absent:
        raise CertifyError(f"there is no file {' and no file '.join(absent)}")
    if (options.attack is None) != (options.spec is None) or (options.attack and not options.prune):
        raise CertifyError("to try attacks on the pruned network say all of --prune FILE --attack REPORT --spec SPEC")
    for file, what in ((options.out, "output"), (options.json, "JSON"), (options.prune, "pruned model")):
        if file:
            check_writable(file, what)
    import numpy as np

    from specs.compose.internal import activation_inputs
    from specs.hulls import activations
    from specs.hulls.coverage import arrays_of, layer_of
    from specs.language.inputs.dataset import read_examples
    from specs.loading import load_model
    from verifier.report.coverage import Coverage, json_text, text

    graph = load_model(model)
    try:
        examples = read_examples(data)
        found = activations(graph, examples.inputs, options.taps or activation_inputs(graph))
    except ValueError as error:
        raise CertifyError(str(error)) from None
    if not all(np.isfinite(values).all() for values in found.values.values()):
        raise CertifyError(f"{model} computes values on {data} that are no finite numbers")
    layers = {tap: layer_of(values) for tap, values in found.values.items()}
    whole = Coverage(str(model), sha256_of(model), str(data), examples.sha256, len(examples.inputs), layers)
    print(text(whole), flush=True)
    if options.prune:
        from verifier.commands.pruning import prune

        whole = replace(whole, pruning=prune(options, model, graph, examples.inputs))
        print(f"\n{whole.pruning.text()}", flush=True)
    if options.json:
        save_text(json_text(whole), options.json)
    if options.out:
        partial = options.out.with_name(options.out.name + ".partial")
        with partial.open("wb") as file:
            np.savez_compressed(
                file,
                data_sha256=np.array(whole.data_sha256),
                model_sha256=np.array(whole.model_sha256),
                examples=np.array(whole.examples),
                **arrays_of(layers),
            )
        partial.replace(options.out)
    return OK


def _parser() -> Parser:
    parser = Parser(
        prog="certify coverage",
        usage="certify coverage MODEL DATA [options]",
        description="Count what the examples of a data file exercise inside a network: units, ranges, sign patterns.",
        epilog="DATA holds inputs as the network consumes them. Exit codes: 0 counted, 2 not understood.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("files", nargs="+", type=Path, metavar="MODEL DATA", help=".onnx, .pt2 or .pt; .npz or .npy")
    add(
        "--taps",
        type=names,
        default=(),
        metavar="A,B",
        help="layers (default: what every activation function is given)",
    )
    add("--out", type=Path, metavar="FILE", help="write all counts and patterns as .npz")
    add("--json", type=Path, metavar="FILE", help="write the counts as JSON")
    add("--prune", type=Path, metavar="FILE", help="write the network without idle ReLU units, .onnx, and a spec.yaml")
    add(
        "--min-support",
        type=at_least_one,
        default=1,
        metavar="M",
        help="prune below so many examples (default 1)",
    )
    add("--attack", type=Path, metavar="REPORT", help="a report.json whose attacks are tried on the pruned network")
    add("--spec", type=Path, metavar="SPEC", help="the specification that the attacks break")
    add("--set", type=assignment, action="append", default=[], metavar="K=V", help="a parameter of it")
    return parser
