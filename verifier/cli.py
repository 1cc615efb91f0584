"""The command line. Starting up is part of every answer, so nothing heavy is imported before it is known to be needed.

Exit codes: 0 certified or accepted, 1 violated or rejected, 2 the question could not be read, 3 unknown, 70 the program
contradicted itself.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from specs.errors import CertifyError
from verifier.exit_codes import BUG, INTERRUPTED, OK, USAGE

COMMANDS = ("check", "lint", "frontier", "coverage", "power", "combine", "overseer-audit", "export", "schema", "doctor")
THREADS = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS")


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; every failure is one message on standard error and an exit code."""
    for name in THREADS:  # read when NumPy loads: two BLAS threads slow small steps down many times
        os.environ.setdefault(name, "1")
    if argv is not None:
        return _answered(list(argv))
    code = _answered(sys.argv[1:])
    if {"concurrent.futures.process", "jax"} & sys.modules.keys():
        _leave(code)
    return code


def _leave(code: int) -> None:
    """End at once: a worker in the middle of its answer, or a program being compiled, would be waited for."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _answered(arguments: list[str]) -> int:
    try:
        return _dispatch(arguments)
    except CertifyError as error:
        print(f"certify: error: {error}", file=sys.stderr)
        return USAGE
    except KeyboardInterrupt:
        print("certify: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # the reader of our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        print(f"certify: error: {where}{error.strerror or error}", file=sys.stderr)
        return USAGE
    except Exception as error:  # noqa: BLE001 - the last resort: users see what to do, developers find the traceback
        from verifier.soundness import SoundnessError

        message = f"CONTRADICTION: {error}" if isinstance(error, SoundnessError) else f"error: {_bug(error)}"
        print(f"certify: {message}", file=sys.stderr)
        return BUG


def _dispatch(arguments: list[str]) -> int:
    first = arguments[0] if arguments else ""
    if first in COMMANDS:
        from importlib import import_module

        return int(import_module(f"verifier.commands.{first.replace('-', '_')}").main(arguments[1:]))
    if first and not first.startswith("-") and not Path(first).suffix and not Path(first).is_file():
        from verifier.commands.plugins import run_plugin

        return run_plugin(first, arguments[1:], COMMANDS)
    from verifier.commands.run import main as run

    return run(arguments)


def _bug(error: Exception) -> str:
    import tempfile
    import traceback

    with tempfile.NamedTemporaryFile("w", prefix="certify-", suffix=".traceback", delete=False) as file:
        traceback.print_exception(error, file=file)
    summary = " ".join(f"{type(error).__name__}: {error}".split())
    return f"this is a bug in certify: {summary}. No verdict was reached; please report it with {file.name}"
