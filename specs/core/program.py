"""Python files as data: functions and constants, everything else at the top of a file refused."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from specs.errors import SpecError
from specs.language.text.textfile import read_text

MAX_LENGTH = 100_000
BUILTINS = (
    "max",
    "min",
    "abs",
    "sum",
    "len",
    "range",
    "float",
    "int",
    "enumerate",
    "zip",
    "reversed",
    "tuple",
    "list",
)


@dataclass(frozen=True)
class Program:
    """The functions and the constants of a file, as syntax."""

    file: Path
    text: str
    functions: Mapping[str, ast.FunctionDef]
    constants: Mapping[str, ast.expr]

    def fault(self, message: str, node: ast.AST) -> SpecError:
        """An error at a place of the file."""
        return SpecError(message, self.file, getattr(node, "lineno", 0), getattr(node, "col_offset", -1) + 1)

    def refusal(self, node: ast.AST) -> SpecError:
        return self.fault(f"{noun(node)} is not part of the core language", node)


def read_program(file: Path) -> Program:
    """Parse a file; nothing in it is executed or imported. Raises ``SpecError``."""
    if not file.is_file():
        raise SpecError("there is no such file", file)
    text = read_text(file)
    if len(text) > MAX_LENGTH:
        raise SpecError(f"is longer than {MAX_LENGTH:,} characters", file)
    return parse_program(text, file)


def parse_program(text: str, file: Path) -> Program:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text)
    except SyntaxError as error:
        raise SpecError(f"is not Python: {error.msg}", file, error.lineno or 0, error.offset or 0) from None
    except (ValueError, MemoryError, RecursionError):
        raise SpecError("is nested too deeply to be read", file) from None
    functions: dict[str, ast.FunctionDef] = {}
    constants: dict[str, ast.expr] = {}
    program = Program(file, text, functions, constants)
    for node in tree.body:
        names = {*constants, *functions}
        match node:
            case ast.FunctionDef():
                _check_signature(program, node)
                functions[node.name] = node
            case ast.Assign(targets=[ast.Name() as target]):
                constants[target.id] = node.value
            case ast.AnnAssign(target=ast.Name() as target, value=ast.expr() as value):
                constants[target.id] = value
            case ast.Expr(value=ast.Constant(value=str())) | ast.ImportFrom(module="__future__"):
                pass
            case _:
                raise program.refusal(node)
        if not isinstance(node, (ast.Expr, ast.ImportFrom)) and {*constants, *functions} == names:
            raise program.fault("gives a name for the second time", node)
        for name in {*constants, *functions} - names:
            if name in BUILTINS:  # what it means before, and to defaults, would be another thing than after
                raise program.fault(f"{name!r} is a function of Python, and cannot be another thing here", node)
    return program


def _check_signature(program: Program, node: ast.FunctionDef) -> None:
    if node.decorator_list:
        raise program.fault("a decorator is not part of the core language", node.decorator_list[0])
    given = node.args
    for odd in (given.vararg, given.kwarg, *given.kwonlyargs, *given.posonlyargs):
        if odd is not None:
            raise program.fault("arguments are plain: no *, no **, no keywords, no /", odd)


def noun(node: ast.AST) -> str:
    """What a construct is called in a refusal."""
    known = {
        "While": "a while loop", "Lambda": "a lambda", "Import": "an import", "ImportFrom": "an import",
        "ClassDef": "a class", "AsyncFunctionDef": "an async function", "FunctionDef": "a function in a function",
        "Attribute": "an attribute", "JoinedStr": "an f-string", "Dict": "a dict", "Set": "a set", "Try": "try",
        "With": "with", "Raise": "raise", "Delete": "del", "Global": "global", "Nonlocal": "nonlocal",
        "Assert": "assert", "Break": "break", "Continue": "continue", "Yield": "yield", "YieldFrom": "yield",
        "Await": "await", "NamedExpr": "an assignment inside an expression", "Starred": "a starred value",
        "GeneratorExp": "a generator", "SetComp": "a set comprehension", "DictComp": "a dict comprehension",
        "Match": "match",
    }  # fmt: skip
    kind = type(node).__name__
    return known.get(kind) or f"a {' '.join(re.findall(r'[A-Z][a-z]*', kind)).lower()}"
