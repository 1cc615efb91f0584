"""A program run on symbols: constants are computed as Python computes them, data become piecewise linear forms."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any, TypeVar, cast

from specs.core.constants import Constant, computed, held, literal
from specs.core.forms import Affine, Tape
from specs.core.program import BUILTINS, Program
from specs.core.values import Below, Both, Condition, Data, Opposite
from specs.language.suggest import did_you_mean

MAX_STEPS, MAX_CALLS, MAX_LENGTH = 200_000, 50, 10_000

Environment = dict[str, Data]
Form = TypeVar("Form", Affine, "Affine | None")


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
        self.program, self.tape = program, tape
        self._outside = outside or {}
        self._steps = self._calls = 0
        self._constants: dict[str, Data] = {}

    def result(self, definition: ast.FunctionDef, arguments: Sequence[Data]) -> tuple[Affine, ...]:
        """What a call returns, as forms: one for a number, several for a sequence of numbers."""
        found = self.call(definition, arguments)
        values = found if isinstance(found, tuple) else (found,)
        if not values:
            raise self.program.fault(f"{definition.name} returns nothing", definition)
        return tuple(self._form(value, definition, f"what {definition.name} returns") for value in values)

    def call(self, definition: ast.FunctionDef, arguments: Sequence[Data]) -> Data:
        """What a call returns."""
        try:
            return self._called(definition, arguments, definition)
        except RecursionError:
            raise self.program.fault("is nested too deeply", definition) from None

    def forms(self, value: Data, node: ast.AST) -> tuple[Affine, ...]:
        """A number, or a sequence of numbers, as forms."""
        return tuple(self._form(one, node, "this") for one in (value if isinstance(value, tuple) else (value,)))

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
                    after = self._arithmetic(first.op, before, self._value(first.value, env, own), first)
                    env[target.id] = after
                case ast.Expr(value=ast.Constant()) | ast.Pass():
                    pass
                case ast.For(orelse=[]):
                    items = self._sequence(self._passed(first.iter, env, own), first.iter)
                    rounds: list[Work] = [(_Bind(first.target, item, first), *first.body) for item in items]
                    work = (*chain.from_iterable(rounds), *work)
                case ast.If():
                    test = self._value(first.test, env, own)
                    if not isinstance(test, Condition):
                        work = (*(first.body if self._truth(test, first.test) else first.orelse), *work)
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
                env[name] = self._choose(test, after_yes[name], after_no[name], node, name)
            return None
        yes = self._run(rest, after_yes, own) if yes is None else yes
        no = self._run(rest, after_no, own) if no is None else no
        if yes is None or no is None:
            raise self.program.fault("one branch returns a value, and the other can end without", node)
        return self._choose(test, yes, no, node, "the result")

    def _bind(self, target: ast.expr, value: Data, env: Environment, node: ast.AST) -> None:
        if isinstance(target, ast.Name):
            env[target.id] = value
        elif isinstance(target, (ast.Tuple, ast.List)):
            parts = self._sequence(value, node)
            if len(parts) != len(target.elts):
                raise self.program.fault(f"{len(target.elts)} names for {len(parts)} values", node)
            for one, part in zip(target.elts, parts):
                self._bind(one, part, env, node)
        else:
            raise self.program.fault("only names are assigned to, not elements or attributes", target)

    # choices that depend on data

    def _choose(self, test: Condition, yes: Data, no: Data, node: ast.AST, what: str) -> Data:
        match test:
            case Opposite(part):
                return self._choose(part, no, yes, node, what)
            case Both(left, right):
                return self._choose(left, self._choose(right, yes, no, node, what), no, node, what)
        if isinstance(yes, tuple) and isinstance(no, tuple) and len(yes) == len(no):
            return tuple(self._choose(test, a, b, node, what) for a, b in zip(yes, no))
        if type(yes) is type(no) and yes == no:
            return yes
        a, b = self._form(yes, node, what), self._form(no, node, what)
        found = self._tape(node, partial(self.tape.choose, test.form, a, b, _line(node)))
        if found is None:
            raise self.program.fault(
                f"if on data: {what} is not proved to be continuous where the condition changes; "
                "say it with max, min and abs",
                node,
            )
        return cast(Data, found)

    # expressions

    def _value(self, node: ast.expr, env: Environment, own: frozenset[str]) -> Data:
        self._step(node)
        match node:
            case ast.Constant():
                return literal(self.program, node)
            case ast.Name():
                return self._name(node, env, own)
            case ast.Tuple() | ast.List():
                return self._short(tuple(self._value(part, env, own) for part in node.elts), node)
            case ast.UnaryOp():
                return self._unary(node, self._value(node.operand, env, own))
            case ast.BinOp():
                left, right = self._value(node.left, env, own), self._value(node.right, env, own)
                return self._arithmetic(node.op, left, right, node)
            case ast.Compare():
                return self._comparison(node, env, own)
            case ast.BoolOp():
                return self._logic(node, env, own)
            case ast.IfExp():
                test = self._value(node.test, env, own)
                if isinstance(test, Condition):
                    yes, no = self._value(node.body, env, own), self._value(node.orelse, env, own)
                    return self._choose(test, yes, no, node, "the result")
                return self._value(node.body if self._truth(test, node.test) else node.orelse, env, own)
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

    def _unary(self, node: ast.UnaryOp, value: Data) -> Data:
        if isinstance(node.op, ast.Not):
            return Opposite(value) if isinstance(value, Condition) else not self._truth(value, node)
        if isinstance(node.op, ast.Invert):
            raise self.program.refusal(node.op)
        number = self._number(value, node)
        if isinstance(node.op, ast.UAdd):
            return number
        return number.times(-1) if isinstance(number, Affine) else -number

    def _arithmetic(self, op: ast.operator, left: Data, right: Data, node: ast.AST) -> Data:
        if isinstance(op, ast.Add) and isinstance(left, tuple) and isinstance(right, tuple) and not self._outside:
            return self._short((*left, *right), node)
        a, b = self._number(left, node), self._number(right, node)
        if not isinstance(a, Affine) and not isinstance(b, Affine):
            return computed(self.program, op, a, b, node)
        x, y = _affine(a), _affine(b)
        match op:
            case ast.Add():
                return x.plus(y)
            case ast.Sub():
                return x.plus(y, -1)
            case ast.Mult() if y.is_constant:
                return x.times(y.constant)
            case ast.Mult() if x.is_constant:
                return y.times(x.constant)
            case ast.Mult():
                raise self.program.fault("a product of data is not piecewise linear", node)
            case ast.Div() if y.is_constant and y.constant:
                factor = 1 / y.constant
                held(self.program, float(factor), factor, node)
                return x.times(factor)
            case ast.Div():
                raise self.program.fault("division by data (or by zero) is not piecewise linear", node)
        raise self.program.fault(f"{_OPERATIONS.get(type(op), 'this operation')} of data is not piecewise linear", node)

    def _comparison(self, node: ast.Compare, env: Environment, own: frozenset[str]) -> Data:
        values = [self._number(self._value(part, env, own), part) for part in (node.left, *node.comparators)]
        links: list[Condition | bool] = []
        for op, a, b in zip(node.ops, values, values[1:]):
            function = _COMPARE.get(type(op))
            if function is None:
                raise self.program.refusal(op)
            gap = _affine(a).plus(_affine(b), -1)
            if not isinstance(a, Affine) and not isinstance(b, Affine):
                links.append(function(a, b))
            elif gap.is_constant:
                links.append(function(gap.constant, 0))
            elif isinstance(op, (ast.Eq, ast.NotEq)):
                raise self.program.fault("equality of data decides a border, which is not continuous", node)
            else:
                links.append(Below(gap if isinstance(op, (ast.Lt, ast.LtE)) else gap.times(-1)))
        return self._joined(links)

    def _logic(self, node: ast.BoolOp, env: Environment, own: frozenset[str]) -> Data:
        """Conditions of data are joined; constants decide as in Python, the rest not looked at."""
        opposite = isinstance(node.op, ast.Or)
        found: list[Condition | bool] = []
        value: Data = not opposite
        for part in node.values:
            value = self._value(part, env, own)
            if isinstance(value, Condition):
                found.append(Opposite(value) if opposite else value)
            elif self._truth(value, part) == opposite:
                if found and value != opposite:
                    raise self.program.fault("this is no truth value, and other parts are conditions on data", part)
                found += [False] if found else []
                break
        if not found:
            return value
        joined = self._joined(found)
        if isinstance(joined, Condition):
            return Opposite(joined) if opposite else joined
        return joined != opposite

    def _joined(self, parts: Sequence[Condition | bool]) -> Condition | bool:
        if False in [part for part in parts if isinstance(part, bool)]:
            return False
        conditions = [part for part in parts if isinstance(part, Condition)]
        if not conditions:
            return True
        result = conditions[-1]
        for part in reversed(conditions[:-1]):
            result = Both(part, result)
        return result

    def _element(self, node: ast.Subscript, env: Environment, own: frozenset[str]) -> Data:
        value = self._value(node.value, env, own)
        if not isinstance(value, tuple):
            raise self.program.fault("a number has no elements", node)
        if isinstance(node.slice, ast.Slice):
            ends = [
                None if end is None else self._whole(self._value(end, env, own), end)
                for end in (node.slice.lower, node.slice.upper, node.slice.step)
            ]
            if ends[2] == 0:
                raise self.program.fault("a slice has the step 0", node)
            return value[slice(*ends)]
        index = self._whole(self._value(node.slice, env, own), node.slice)
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
            for item in self._sequence(self._passed(part.iter, inside, own), part.iter):
                one = dict(inside)
                self._bind(part.target, item, one, node)
                if all(self._truth(self._value(test, one, own), test) for test in part.ifs):
                    rounds(k + 1, one)

        rounds(0, env)
        return self._short(tuple(found), node)

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
        return self._built_in(name, values, node)

    def _built_in(self, name: str, values: list[Data], node: ast.Call) -> Data:
        if name in ("max", "min"):
            parts = self._sequence(values[0], node) if len(values) == 1 else values
            return self._extreme(name, [self._number(part, node) for part in parts], node)
        if name == "range":
            ends = [self._whole(value, node) for value in values]
            numbers = range(*ends) if 1 <= len(ends) <= 3 and ends[2:] != [0] else range(0)
            if not 1 <= len(ends) <= 3 or ends[2:] == [0] or len(numbers) > MAX_LENGTH:
                raise self.program.fault(
                    f"range takes 1 to 3 whole numbers, a step other than 0, and has at most {MAX_LENGTH:,}", node
                )
            return tuple(numbers)
        if name == "zip":
            return tuple(zip(*(self._sequence(value, node) for value in values)))
        if len(values) != 1:
            raise self.program.fault(f"{name} takes one argument here, found {len(values)}", node)
        (value,) = values
        if name == "abs":
            number = self._number(value, node)
            if not isinstance(number, Affine):
                return abs(number)
            return self._extreme("max", [number, number.times(-1)], node)
        if name in ("float", "int"):
            number = self._number(value, node)
            if isinstance(number, Affine):
                if name == "int":
                    raise self.program.fault("int of data is not piecewise linear", node)
                return number
            return float(number) if name == "float" else int(number)
        parts = self._sequence(value, node)
        if name == "sum":
            total: Data = 0
            for part in parts:
                total = self._arithmetic(ast.Add(), total, part, node)
            return total
        if name == "len":
            return len(parts)
        if name == "enumerate":
            return tuple(enumerate(parts))
        return tuple(reversed(parts)) if name == "reversed" else parts

    def _extreme(self, name: str, numbers: Sequence[Constant | Affine], node: ast.AST) -> Data:
        if not numbers:
            raise self.program.fault(f"{name} of nothing", node)
        constants = [part for part in numbers if not isinstance(part, Affine)]
        if len(constants) == len(numbers):
            return max(constants) if name == "max" else min(constants)
        join = self.tape.maximum if name == "max" else self.tape.minimum
        result = _affine(numbers[0])
        for part in numbers[1:]:
            result = self._tape(node, partial(join, result, _affine(part), _line(node)))
        return result

    # kinds

    def _number(self, value: Data, node: ast.AST) -> Constant | Affine:
        if isinstance(value, (int, float, Affine)):
            return value
        what = "a condition on data" if isinstance(value, Condition) else "a sequence"
        raise self.program.fault(f"{what} is used as a number", node)

    def _form(self, value: Data, node: ast.AST, what: str) -> Affine:
        if isinstance(value, Affine):
            return value
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return Affine.number(value)
        kind = "a sequence of another length" if isinstance(value, tuple) else "a truth value"
        raise self.program.fault(f"{what} is {kind}, no number", node)

    def _truth(self, value: Data, node: ast.AST) -> bool:
        if isinstance(value, (int, float)):
            return bool(value)
        if isinstance(value, tuple):
            return bool(value)
        what = (
            "a condition on data cannot decide this" if isinstance(value, Condition) else "data are used as a condition"
        )
        raise self.program.fault(what, node)

    def _whole(self, value: Data, node: ast.AST) -> int:
        if isinstance(value, int):
            return value
        what = "depends on data" if isinstance(value, Affine) else "is no whole number"
        raise self.program.fault(f"an index {what}", node)

    def _sequence(self, value: Data, node: ast.AST) -> tuple[Data, ...]:
        if isinstance(value, tuple):
            return value
        raise self.program.fault("expected a sequence of fixed length", node)

    def _short(self, values: tuple[Data, ...], node: ast.AST) -> tuple[Data, ...]:
        if len(values) > MAX_LENGTH:
            raise self.program.fault(f"a sequence is longer than {MAX_LENGTH:,}", node)
        return values

    def _tape(self, node: ast.AST, operation: Callable[[], Form]) -> Form:
        try:
            return operation()
        except OverflowError as error:
            raise self.program.fault(str(error), node) from None

    def _step(self, node: ast.AST) -> None:
        self._steps += 1
        if self._steps > MAX_STEPS:
            raise self.program.fault(f"takes more than {MAX_STEPS:,} steps when unrolled", node)


def _affine(value: Constant | Affine) -> Affine:
    return value if isinstance(value, Affine) else Affine.number(value)


def _line(node: ast.AST) -> int:
    return int(getattr(node, "lineno", 0))


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
_OPERATIONS = {ast.FloorDiv: "floor division", ast.Mod: "the remainder", ast.Pow: "a power"}
_COMPARE: Mapping[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
