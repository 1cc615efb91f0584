"""``certify MODEL SPEC``: answer a question."""

from __future__ import annotations

import argparse
import gc
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from specs.errors import CertifyError
from verifier.commands.arguments import Parser, assignment, at_least_one, names, natural, positive_seconds
from verifier.commands.early import EarlyChecker
from verifier.commands.save import save_text
from verifier.commands.signals import stoppable
from verifier.exit_codes import OK
from verifier.files import is_model, is_vnnlib, is_yaml
from verifier.interruption import Stopped
from verifier.places import check_writable, make_folder

if TYPE_CHECKING:
    from verifier.report.report import Report

DESCRIPTION = """\
Decide whether a network always does what a specification says.

  certified   a proof, accepted by the independent checker             exit code 0
  violated    an input that breaks the property, replayed and proved   exit code 1
  unknown     what stands in the way, and what to try                  exit code 3

Exit code 2: the command, the model or the specification could not be read."""

EPILOG = """\
other commands:
  certify check CERTIFICATE   check a proof or a counterexample without the search
  certify lint SPEC [MODEL]   say in words what a specification means
  certify frontier MODEL SPEC compare all relaxations on one question
  certify coverage MODEL DATA count what data exercises inside a network
  certify power MODEL SPEC    say how strong an adversary inside the network is
  certify combine FILES       make one claim of several about parts of a set
  certify overseer-audit SPEC DATA  say what an overseer is worth
  certify export MODEL SPEC   write a specification as VNN-LIB, for other tools
  certify schema              print the JSON Schema of spec.yaml
  certify doctor              say what works on this machine
  certify bench FOLDER        run a folder of benchmark instances"""

DEFAULT_OUT = Path("certify-out")


def main(arguments: Sequence[str]) -> int:
    """Print what was found and return its exit code; whatever could not be read is raised, after ``--json`` got it."""
    started = time.monotonic()
    options = _parser().read(arguments)
    if options.version:
        import verifier

        print(f"certify {verifier.__version__}")
        return OK
    if options.json:
        check_writable(options.json, "JSON")
    try:
        report, out = _answer(options, started)
    except Exception as error:
        if options.json:
            save_text(json.dumps({"verdict": "error", "message": str(error)}, indent=1) + "\n", options.json)
        raise
    if options.json:
        save_text(report.json_text(), options.json)
    if options.out:
        save_text(report.json_text(), out / "report.json")
    from verifier.report.text import text

    print(text(report, options.quiet), flush=True)
    return report.exit_code


def _answer(options: argparse.Namespace, started: float) -> tuple[Report, Path]:
    """The report and the folder of its files."""
    model, spec = model_and_spec(options.files)
    if options.certificate:
        check_writable(options.certificate, "certificate")
    deadline = started + options.timeout
    with ExitStack() as stack:
        stack.callback(_end_children)
        out = options.certificate.parent if options.certificate and not options.out else options.out or DEFAULT_OUT
        stack.enter_context(_folder(out, keep=options.out is not None))
        try:
            stack.enter_context(stoppable(deadline))
            early = stack.enter_context(EarlyChecker(model, spec, options.workers))
            return _certify(options, model, spec, out, started, early), out
        except Stopped as stop:  # before the question was read: nothing is known
            from verifier.report.report import Report

            return Report((), f"{stop.reason} while reading", {"total": time.monotonic() - started}), out


def _certify(
    options: argparse.Namespace, model: Path | None, spec: Path, out: Path, started: float, early: EarlyChecker
) -> Report:
    gc.disable()  # importing allocates so much that a sixth of the start-up time would go into collections
    from verifier.api import certify
    from verifier.engine.phases.surroundings import environment
    from verifier.report.progress import ProgressLine

    gc.freeze()
    gc.enable()

    for name, value in environment(options.device).items():  # this process is ours, should JAX be loaded in it
        os.environ.setdefault(name, value)
    line = ProgressLine(None if options.quiet else sys.stderr, started, options.timeout)
    try:
        return certify(
            model,
            spec,
            timeout=max(started + options.timeout - time.monotonic(), 1e-3),
            workers=options.workers,
            seed=options.seed,
            certificate=options.certificate,
            out=out,
            parameters=dict(options.set),
            methods=options.methods,
            branching=options.branching,
            order=options.order,
            memory_mb=options.memory,
            device=options.device,
            fail_on=options.fail_on,
            progress=line.show,
            start_checker=early.take,
        )
    finally:
        line.clear()


def model_and_spec(files: list[Path], command: str = "certify") -> tuple[Path | None, Path]:
    """MODEL and SPEC; MODEL may be absent. Raises ``CertifyError`` naming every file that is not there."""
    if not files:
        raise CertifyError(f"say which model and which specification: {command} MODEL SPEC (see {command} --help)")
    if len(files) > 2:
        raise CertifyError(f"expected MODEL SPEC, found {len(files)} files: {', '.join(map(str, files))}")
    if len(files) == 1 and is_model(files[0]):
        raise CertifyError(f"there is no specification for {files[0]}: say {command} MODEL SPEC")
    if len(files) == 2 and is_model(files[1]) and (is_yaml(files[0]) or is_vnnlib(files[0])):
        raise CertifyError(f"model and specification are swapped: say {command} {files[1]} {files[0]}")
    absent = [str(file) for file in files if not file.exists()]
    if absent:
        raise CertifyError(f"there is no file {' and no file '.join(absent)}")
    return (files[0] if len(files) == 2 else None), files[-1]


@contextmanager
def _folder(folder: Path, keep: bool) -> Iterator[None]:
    """The folder for output; one that was made here and got nothing goes away again unless it was asked for."""
    made = not (keep or folder.exists())
    make_folder(folder)
    try:
        yield
    finally:
        if made and not any(folder.iterdir()):
            folder.rmdir()


def _end_children() -> None:
    """Search processes that are still at work have nothing to tell any more."""
    multiprocessing = sys.modules.get("multiprocessing")
    for child in multiprocessing.active_children() if multiprocessing else ():
        child.kill()


def _parser() -> Parser:
    parser = Parser(
        prog="certify",
        usage="certify MODEL SPEC [options]",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add(
        "files",
        nargs="*",
        type=Path,
        metavar="MODEL SPEC",
        help=".onnx, .pt2 or .pt (absent when SPEC names its model), and .yaml or .vnnlib; each may be .gz",
    )
    add("--timeout", type=positive_seconds, default=60.0, metavar="S", help="seconds for everything (default 60)")
    add("--json", type=Path, metavar="FILE", help="write the result as JSON")
    add("--certificate", type=Path, metavar="FILE", help="write the certificate here")
    add("--out", type=Path, metavar="DIR", help=f"folder for all files of the result (default {DEFAULT_OUT})")
    add("--set", type=assignment, action="append", default=[], metavar="K=V", help="a parameter of the specification")
    add("--methods", type=names, default=(), metavar="A,B", help="methods to use; without pgd, no attack comes first")
    add("--seed", type=natural, metavar="N", help="seed of the search (default 0); proofs do not depend on it")
    add("--workers", type=at_least_one, metavar="N", help="processes (default: one for each processor)")
    add("--branching", default="gap", metavar="RULE", help="how boxes are split (default gap)")
    add("--order", default="depth-first", metavar="ORDER", help="which boxes first: depth-first (default), best-first")
    add("--memory", type=at_least_one, metavar="MB", help="memory for the search tree (default 8000)")
    add("--device", default="auto", metavar="NAME", help="where long searches compute: auto (default), cpu, gpu")
    add("--fail-on", default="benign", metavar="SEVERITY", help="mildest that counts: malign, benign (default), info")
    add("-q", "--quiet", action="store_true", help="print the verdicts only, show no progress")
    add("--version", action="store_true", help="print the version")
    return parser
