"""A pickle interpreter for state dicts that cannot call anything.

Pickle is a program for a stack machine whose ``REDUCE`` calls any function of any module. This machine knows the
few instructions ``torch.save`` needs for dictionaries of tensors, and the names in the file are only compared with
a fixed list; no module is imported, no attribute looked up, no class instantiated.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from specs.errors import UnsafeModelFileError

STORAGES: Mapping[str, str] = {
    "torch.DoubleStorage": "float64", "torch.FloatStorage": "float32", "torch.HalfStorage": "float16",
    "torch.BFloat16Storage": "bfloat16", "torch.LongStorage": "int64", "torch.IntStorage": "int32",
    "torch.ShortStorage": "int16", "torch.CharStorage": "int8", "torch.ByteStorage": "uint8",
    "torch.BoolStorage": "bool",
}  # fmt: skip
TENSOR, PARAMETER = "torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_parameter"
CONTAINERS = frozenset(("collections.OrderedDict", "torch.Size"))
DTYPES = frozenset(f"torch.{dtype}" for dtype in STORAGES.values())
ALLOWED = frozenset((TENSOR, PARAMETER)) | STORAGES.keys() | CONTAINERS | DTYPES


@dataclass(frozen=True)
class Name:
    """A global the file mentions, kept as its dotted name."""

    dotted: str


@dataclass(frozen=True)
class Storage:
    """A reference to the member ``data/<key>`` holding ``count`` values of ``dtype``."""

    key: str
    dtype: str
    count: int


@dataclass(frozen=True)
class Tensor:
    """A tensor as the file describes it; nothing about it has been checked yet."""

    storage: Storage
    offset: object
    sizes: object
    strides: object


MARK = object()


def read_pickle(data: bytes, file: str) -> object:
    """The value ``data`` describes, of dicts, lists, tuples, numbers, strings, ``Name`` and ``Tensor``.

    Guarantees: executes nothing, takes time and memory linear in ``len(data)``.
    Raises ``UnsafeModelFileError`` naming every global outside the list, or the first instruction without a meaning.
    """
    machine = _Machine()
    try:
        for opcode, argument, _ in pickletools.genops(data):
            step = STEPS.get(opcode.name)
            if step is None:
                names = f" and names {', '.join(sorted(machine.refused))}" if machine.refused else ""
                raise UnsafeModelFileError(
                    f"holds the pickle instruction {opcode.name}{names}, which no state dict needs; {ADVICE}", file
                )
            step(machine, argument)
    except (ValueError, TypeError, KeyError, IndexError, OverflowError, UnicodeDecodeError) as why:
        raise UnsafeModelFileError(f"the pickle is not one torch.save writes for a state dict ({why})", file) from None
    if machine.refused:
        raise UnsafeModelFileError(f"reading it would call {', '.join(sorted(machine.refused))}; {ADVICE}", file)
    return machine.result


ADVICE = (
    "refusing to execute anything. Save weights only with torch.save(model.state_dict(), 'weights.pt'), or the whole "
    "model with torch.export.save(torch.export.export(model, (x,)), 'model.pt2')"
)


class _Machine:
    """Stack, memo and the names that were not allowed; objects those names would have made are ``Name``s too."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.refused: set[str] = set()
        self.result: object = None

    def push(self, value: object) -> None:
        self.stack.append(value)

    def pop(self) -> Any:
        value = self.stack.pop()
        if value is MARK:
            raise ValueError("stack underflow")
        return value

    def pop_to_mark(self) -> list[Any]:
        index = len(self.stack) - 1
        while self.stack[index] is not MARK:
            index -= 1
            if index < 0:
                raise ValueError("no mark on the stack")
        items = self.stack[index + 1 :]
        del self.stack[index:]
        return items

    def find(self, dotted: str) -> None:
        if dotted not in ALLOWED:
            self.refused.add(dotted)
        self.push(Name(dotted))

    def call(self) -> None:
        arguments, function = self.pop(), self.pop()
        if not isinstance(function, Name):
            raise ValueError("a call of something that is not a function")
        self.push(function if function.dotted in self.refused else _construct(function.dotted, arguments))

    def build(self) -> None:
        """An object's ``__dict__`` (``_metadata`` of a state dict) carries no weights: it is dropped."""
        self.pop()
        target = self.stack[-1]
        if not isinstance(target, dict) and not (isinstance(target, Name) and target.dotted in self.refused):
            raise ValueError("attributes of something that is not a dict")

    def persistent(self) -> None:
        kind, storage, key, _location, count = self.pop()
        if kind != "storage" or not isinstance(storage, Name) or not isinstance(key, str) or type(count) is not int:
            raise ValueError("a reference to something that is not a storage")
        self.push(storage if storage.dotted in self.refused else Storage(key, STORAGES[storage.dotted], count))

    def set_items(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if isinstance(target, Name) and target.dotted in self.refused:
            return
        if not isinstance(target, dict) or len(items) % 2:
            raise ValueError("items of something that is not a dict")
        for key, value in zip(items[::2], items[1::2]):
            # Hashing a nest of shared tuples takes exponential time; no state dict has such keys.
            if not isinstance(key, str | int | float | bool | None):
                raise ValueError("a key that is not a string or number")
            target[key] = value

    def append(self, items: list[Any]) -> None:
        if not isinstance(self.stack[-1], list):
            raise ValueError("items of something that is not a list")
        self.stack[-1].extend(items)

    def stop(self) -> None:
        self.result = self.pop()
        if self.stack:
            raise ValueError("values left on the stack")


def _construct(dotted: str, arguments: Any) -> object:
    if not isinstance(arguments, tuple):
        raise ValueError("arguments that are not a tuple")
    if dotted == TENSOR:
        storage, offset, sizes, strides = arguments[:4]
        if not isinstance(storage, Storage):
            raise ValueError("a tensor without a storage")
        return Tensor(storage, offset, sizes, strides)
    if dotted == PARAMETER:
        if not isinstance(arguments[0], Tensor):
            raise ValueError("a parameter without a tensor")
        return arguments[0]
    if dotted == "collections.OrderedDict" and not arguments:
        return {}
    if dotted == "torch.Size" and len(arguments) == 1 and isinstance(arguments[0], tuple):
        return arguments[0]
    raise ValueError(f"a call of {dotted} with {len(arguments)} arguments")


def _literal(machine: _Machine, value: Any) -> None:
    machine.push(value)


def _tuple_of(count: int) -> Callable[[_Machine, Any], None]:
    def step(machine: _Machine, _: Any) -> None:
        items = [machine.pop() for _ in range(count)]
        machine.push(tuple(reversed(items)))

    return step


def _memoize(machine: _Machine, index: Any) -> None:
    machine.memo[len(machine.memo) if index is None else index] = machine.stack[-1]


def _stack_global(machine: _Machine, _: Any) -> None:
    name, module = machine.pop(), machine.pop()
    if not isinstance(name, str) or not isinstance(module, str):
        raise ValueError("a global without a name")
    machine.find(f"{module}.{name}")


STEPS: Mapping[str, Callable[[_Machine, Any], None]] = {
    **dict.fromkeys(("PROTO", "FRAME"), lambda m, a: None),
    **dict.fromkeys(("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE"), _literal),
    **dict.fromkeys(("BINPUT", "LONG_BINPUT", "MEMOIZE"), _memoize),
    **dict.fromkeys(("BINGET", "LONG_BINGET"), lambda m, a: m.push(m.memo[a])),
    "NONE": lambda m, a: m.push(None),
    "NEWTRUE": lambda m, a: m.push(True),
    "NEWFALSE": lambda m, a: m.push(False),
    "EMPTY_DICT": lambda m, a: m.push({}),
    "EMPTY_LIST": lambda m, a: m.push([]),
    "EMPTY_TUPLE": lambda m, a: m.push(()),
    "MARK": lambda m, a: m.push(MARK),
    "TUPLE": lambda m, a: m.push(tuple(m.pop_to_mark())),
    "TUPLE1": _tuple_of(1),
    "TUPLE2": _tuple_of(2),
    "TUPLE3": _tuple_of(3),
    "SETITEM": lambda m, a: m.set_items(list(reversed([m.pop(), m.pop()]))),
    "SETITEMS": lambda m, a: m.set_items(m.pop_to_mark()),
    "APPEND": lambda m, a: m.append([m.pop()]),
    "APPENDS": lambda m, a: m.append(m.pop_to_mark()),
    "GLOBAL": lambda m, a: m.find(".".join(a.split(" ", 1))),
    "STACK_GLOBAL": _stack_global,
    "REDUCE": lambda m, a: m.call(),
    "NEWOBJ": lambda m, a: m.call(),
    "BUILD": lambda m, a: m.build(),
    "BINPERSID": lambda m, a: m.persistent(),
    "STOP": lambda m, a: m.stop(),
}
"""What each pickle instruction means here. Others (``INST``, ``OBJ``, ``EXT1``, ``PERSID``, ...) are refused."""
