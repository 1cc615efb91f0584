"""A program run on symbols: constants are computed as Python computes them, data become piecewise linear forms."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import cast

from specs.core.constants import literal
from specs.core.forms import Affine, Tape
from specs.core.operations import Operations
from specs.core.program import BUILTINS, Program
from specs.core.values import Condition, Data, Opposite
from specs.language.text.suggest import did_you_mean

MAX_STEPS, MAX_CALLS = 200_000, 50

Environment = dict[str, Data]


@dataclass(frozen=True)
class _Bind:
    """The next round of an unrolled loop: its target gets a value."""

    target: ast.expr
    value: Data
    node: ast.For


Work = tuple["ast.stmt | _Bind", ...]


class Interpreter:
    """Runs functions of ``program``; what depends on data goes onto ``tape``. Raises ``SpecError`` with file and line.

    Arithmetic of constants is Python's own, and refused where it would round. ``outside`` are further functions; where
    there are any, sequences are not added: an expression of a specification would mean their elements.
    """

    def __init__(self, program: Program, tape: Tape, outside: Mapping[str, Callable[..., Data]] | None = None) -> None:
        self.program = program
        self._outside = outside or {}
        self._does = Operations(program, tape, joins_sequences=not self._outside)
        self._steps = self._calls = 0
        self._constants: dict[str, Data] = {}

    def result(self, definition: ast.FunctionDef, arguments: Sequence[Data]) -> tuple[Affine, ...]:
        """What a call returns, as forms: one for a number, several for a sequence of numbers."""
        found = self.call(definition, arguments)
        values = found if isinstance(found, tuple) else (found,)
        if not values:
            raise self.program.fault(f"{definition.name} returns nothing", definition)
        return tuple(self._does.form(value, definition, f"what {definition.name} returns") for value in values)

    def call(self, definition: ast.FunctionDef, arguments: Sequence[Data]) -> Data:
        """What a call returns."""
        try:
            return self._called(definition, arguments, definition)
        except RecursionError:
            raise self.program.fault("is nested too deeply", definition) from None

    def forms(self, value: Data, node: ast.AST) -> tuple[Affine, ...]:
        """A number, or a sequence of numbers, as forms."""
        return tuple(self._does.form(one, node, "this") for one in (value if isinstance(value, tuple) else (value,)))

    def expression(self, node: ast.expr, env: Mapping[str, Data]) -> Data:
        """The value of an expression where names have these values."""
        return self._value(node, dict(env), frozenset())

    # calls and statements

    def _called(self, definition: ast.FunctionDef, arguments: Sequence[Data], node: ast.AST) -> Data:
        given = definition.args
        least = len(given.args) - len(given.defaults)
        if not least <= len(arguments) <= len(given.args):
            raise self.program.fault(
                f"{definition.name} takes {len(given.args)} arguments, but is given {len(arguments)}", node
            )
        missing = given.defaults[len(arguments) - least :]
        values = [*arguments, *(self._value(default, {}, frozenset()) for default in missing)]
        env: Environment = dict(zip((part.arg for part in given.args), values))
        self._calls += 1
        if self._calls > MAX_CALLS:
            raise self.program.fault(f"calls are nested deeper than {MAX_CALLS}", node)
        found = self._run(tuple(definition.body), env, _assigned(definition))
        self._calls -= 1
        if found is None:
            raise self.program.fault(f"{definition.name} can end without return", definition)
        return found

    def _run(self, work: Work, env: Environment, own: frozenset[str]) -> Data | None:
        """Statements one after the other: what they return, or None if they end without."""
        while work:
            first, work = work[0], work[1:]
            self._step(first.node if isinstance(first, _Bind) else first)
            match first:
                case _Bind():
                    self._bind(first.target, first.value, env, first.node)
                case ast.Return():
                    if first.value is None:
                        raise self.program.fault("return needs a value", first)
                    return self._value(first.value, env, own)
                case ast.Assign():
                    value = self._value(first.value, env, own)
                    for target in first.targets:
                        self._bind(target, value, env, first)
                case ast.AnnAssign(value=ast.expr() as given):
                    self._bind(first.target, self._value(given, env, own), env, first)
                case ast.AugAssign(target=ast.Name() as target):
                    before = self._name(ast.copy_location(ast.Name(target.id, ast.Load()), first), env, own)
                    if isinstance(before, tuple):
                        raise self.program.fault("a list would be changed under all of its names: say a = a + b", first)
                    after = self._does.arithmetic(first.op, before, self._value(first.value, env, own), first)
                    env[target.id] = after
                case ast.Expr(value=ast.Constant()) | ast.Pass():
                    pass
                case ast.For(orelse=[]):
                    items = self._does.sequence(self._passed(first.iter, env, own), first.iter)
                    rounds: list[Work] = [(_Bind(first.target, item, first), *first.body) for item in items]
                    work = (*chain.from_iterable(rounds), *work)
                case ast.If():
                    test = self._value(first.test, env, own)
                    if not isinstance(test, Condition):
                        work = (*(first.body if self._does.truth(test, first.test) else first.orelse), *work)
                        continue
                    found = self._branch(test, first, work, env, own)
                    if found is not None:
                        return found
                case _:
                    raise self.program.refusal(first)
        return None

    def _branch(self, test: Condition, node: ast.If, rest: Work, env: Environment, own: frozenset[str]) -> Data | None:
        """Both branches: either what they return, with what follows where one falls through, or the names they set."""
        sides = []
        for body in (node.body, node.orelse):
            inside = dict(env)
            sides.append((self._run(tuple(body), inside, own), inside))
        (yes, after_yes), (no, after_no) = sides
        if yes is None and no is None:
            env.clear()
            for name in after_yes.keys() & after_no.keys():
                env[name] = self._does.choose(test, after_yes[name], after_no[name], node, name)
            return None
        yes = self._run(rest, after_yes, own) if yes is None else yes
        no = self._run(rest, after_no, own) if no is None else no
        if yes is None or no is None:
            raise self.program.fault("one branch returns a value, and the other can end without", node)
        return self._does.choose(test, yes, no, node, "the result")

    def _bind(self, target: ast.expr, value: Data, env: Environment, node: ast.AST) -> None:
        if isinstance(target, ast.Name):
            env[target.id] = value
        elif isinstance(target, (ast.Tuple, ast.List)):
            parts = self._does.sequence(value, node)
            if len(parts) != len(target.elts):
                raise self.program.fault(f"{len(target.elts)} names for {len(parts)} values", node)
            for one, part in zip(target.elts, parts):
                self._bind(one, part, env, node)
        else:
            raise self.program.fault("only names are assigned to, not elements or attributes", target)

    # expressions

    def _value(self, node: ast.expr, env: Environment, own: frozenset[str]) -> Data:
        self._step(node)
        match node:
            case ast.Constant():
                return literal(self.program, node)
            case ast.Name():
                return self._name(node, env, own)
            case ast.Tuple() | ast.List():
                return self._does.short(tuple(self._value(part, env, own) for part in node.elts), node)
            case ast.UnaryOp():
                return self._does.unary(node, self._value(node.operand, env, own))
            case ast.BinOp():
                left, right = self._value(node.left, env, own), self._value(node.right, env, own)
                return self._does.arithmetic(node.op, left, right, node)
            case ast.Compare():
                return self._comparison(node, env, own)
            case ast.BoolOp():
                return self._logic(node, env, own)
            case ast.IfExp():
                test = self._value(node.test, env, own)
                if isinstance(test, Condition):
                    yes, no = self._value(node.body, env, own), self._value(node.orelse, env, own)
                    return self._does.choose(test, yes, no, node, "the result")
                return self._value(node.body if self._does.truth(test, node.test) else node.orelse, env, own)
            case ast.Subscript():
                return self._element(node, env, own)
            case ast.ListComp():
                return self._comprehension(node, env, own)
            case ast.Call(func=ast.Name(id=name)):
                if name in _ONCE and name not in self._outside:
                    told = f"{name} gives its elements once, and has no value to keep: write list({name}(...))"
                    raise self.program.fault(told, node)
                return self._call(node, env, own)
        raise self.program.refusal(node)

    def _passed(self, node: ast.expr, env: Environment, own: frozenset[str]) -> Data:
        """The value of an expression whose elements are taken one after the other, and once."""
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _ONCE:
            self._step(node)
            return self._call(node, env, own)
        return self._value(node, env, own)

    def _name(self, node: ast.Name, env: Environment, own: frozenset[str]) -> Data:
        if node.id in env:
            return env[node.id]
        if node.id in own:
            raise self.program.fault(f"{node.id!r} has no value here on some path", node)
        if node.id in self.program.constants:
            if node.id not in self._constants:
                self._constants[node.id] = self._value(self.program.constants[node.id], {}, frozenset())
            return self._constants[node.id]
        raise self.program.fault(f"{node.id!r} is not defined{did_you_mean(node.id, env)}", node)

    def _comparison(self, node: ast.Compare, env: Environment, own: frozenset[str]) -> Data:
        parts = (node.left, *node.comparators)
        values = [self._does.number(self._value(part, env, own), part) for part in parts]
        return self._does.compared(node, values)

    def _logic(self, node: ast.BoolOp, env: Environment, own: frozenset[str]) -> Data:
        """Conditions of data are joined; constants decide as in Python, the rest not looked at."""
        opposite = isinstance(node.op, ast.Or)
        found: list[Condition | bool] = []
        value: Data = not opposite
        for part in node.values:
            value = self._value(part, env, own)
            if isinstance(value, Condition):
                found.append(Opposite(value) if opposite else value)
            elif self._does.truth(value, part) == opposite:
                if found and value != opposite:
                    raise self.program.fault("this is no truth value, and other parts are conditions on data", part)
                found += [False] if found else []
                break
        if not found:
            return value
        joined = self._does.joined(found)
        if isinstance(joined, Condition):
            return Opposite(joined) if opposite else joined
        return joined != opposite

    def _element(self, node: ast.Subscript, env: Environment, own: frozenset[str]) -> Data:
        value = self._value(node.value, env, own)
        if not isinstance(value, tuple):
            raise self.program.fault("a number has no elements", node)
        if isinstance(node.slice, ast.Slice):
            ends = [
                None if end is None else self._does.whole(self._value(end, env, own), end)
                for end in (node.slice.lower, node.slice.upper, node.slice.step)
            ]
            if ends[2] == 0:
                raise self.program.fault("a slice has the step 0", node)
            return value[slice(*ends)]
        index = self._does.whole(self._value(node.slice, env, own), node.slice)
        if not -len(value) <= index < len(value):
            raise self.program.fault(f"element {index} of {len(value)} is out of range", node)
        return cast(Data, value[index])

    def _comprehension(self, node: ast.ListComp, env: Environment, own: frozenset[str]) -> Data:
        found: list[Data] = []

        def rounds(k: int, inside: Environment) -> None:
            if k == len(node.generators):
                found.append(self._value(node.elt, inside, own))
                return
            part = node.generators[k]
            for item in self._does.sequence(self._passed(part.iter, inside, own), part.iter):
                one = dict(inside)
                self._bind(part.target, item, one, node)
                if all(self._does.truth(self._value(test, one, own), test) for test in part.ifs):
                    rounds(k + 1, one)

        rounds(0, env)
        return self._does.short(tuple(found), node)

    # functions

    def _call(self, node: ast.Call, env: Environment, own: frozenset[str]) -> Data:
        name = cast(ast.Name, node.func).id
        if name in env or name in own:
            raise self.program.fault(f"{name!r} is a value, no function", node)
        if node.keywords:
            raise self.program.fault("functions take their arguments by position", node)
        for part in node.args:
            if isinstance(part, ast.Starred):
                raise self.program.refusal(part)
        value = self._passed if name in _PASSING and name not in self._outside else self._value
        values = [value(part, env, own) for part in node.args]
        if name in self._outside:
            return self._outside[name](node, *values)
        if name in self.program.functions:
            return self._called(self.program.functions[name], values, node)
        if name not in BUILTINS:
            known = (*BUILTINS, *self.program.functions, *self._outside)
            raise self.program.fault(f"{name!r} is no function of the core language{did_you_mean(name, known)}", node)
        return self._does.built_in(name, values, node)

    def _step(self, node: ast.AST) -> None:
        self._steps += 1
        if self._steps > MAX_STEPS:
            raise self.program.fault(f"takes more than {MAX_STEPS:,} steps when unrolled", node)


def _assigned(definition: ast.FunctionDef) -> frozenset[str]:
    """Names that are local to a function."""
    names = {part.arg for part in definition.args.args}
    inside = [node for node in ast.walk(definition) if isinstance(node, ast.ListComp)]
    hidden = {id(part) for one in inside for generator in one.generators for part in ast.walk(generator.target)}
    return frozenset(names).union(
        node.id
        for node in ast.walk(definition)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and id(node) not in hidden
    )


_ONCE = ("enumerate", "zip", "reversed")
_PASSING = ("max", "min", "sum", "tuple", "list", "enumerate", "zip")
