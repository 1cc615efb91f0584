"""YAML as plain data with the position of every value, from a subset that holds no surprises."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from specs.errors import SpecError
from specs.language.text.decimals import parse_decimal
from specs.language.text.faults import Faults
from specs.language.text.suggest import did_you_mean

if TYPE_CHECKING:
    from ruamel.yaml.error import StreamMark
    from ruamel.yaml.nodes import Node

YamlPath = tuple[str | int, ...]

_PARAMETER = re.compile(r"\$(?:([A-Za-z_]\w*)|\{([A-Za-z_]\w*)\})")
_MAX_CHARACTERS = 8 * 1024 * 1024
_MAX_DEPTH = 30
_PLAIN_TAGS = frozenset("tag:yaml.org,2002:" + name for name in ("map", "seq", "str", "int", "float", "bool", "null"))


@dataclass(frozen=True)
class Document:
    """``data`` of dicts, lists, text, whole numbers, exact ``Fraction`` decimals, booleans and ``None``.

    ``positions`` gives line and column (from 1) of each value by its path; ``key_positions`` those of mapping keys.
    ``uses`` are the paths of values that are, or contain, a parameter; ``longer`` those that only contain one.
    """

    data: Any
    positions: Mapping[YamlPath, tuple[int, int]]
    key_positions: Mapping[YamlPath, tuple[int, int]]
    uses: Mapping[str, tuple[YamlPath, ...]] = field(default_factory=dict)
    longer: frozenset[YamlPath] = frozenset()

    def position(self, path: YamlPath) -> tuple[int, int]:
        """Position of the value at ``path``, or of the nearest thing around it."""
        while path and path not in self.positions:
            path = path[:-1]
        return self.positions.get(path, (0, 0))


def parse_number(text: str) -> Fraction | None:
    """The exact value of a decimal literal or of a quotient of two, as in ``8/255``; ``None`` for anything else."""
    numerator, slash, denominator = text.partition("/")
    value = parse_decimal(numerator.strip())
    if value is None or not slash:
        return value
    divisor = parse_decimal(denominator.strip())
    return value / divisor if divisor else None


def read_yaml(text: str, file: Path, parameters: Mapping[str, str], optional: Collection[str] = ()) -> Document:
    """The document in ``text`` with ``$name`` and ``${name}`` in its values replaced by ``parameters``.

    Tags, anchors, aliases, merge keys, duplicate keys and several documents are refused. Raises ``SpecError`` for
    these, for bad syntax, for parameters without a value and for those that nothing uses.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    if len(text) > _MAX_CHARACTERS:
        raise SpecError(f"is longer than {_MAX_CHARACTERS:,} characters", file)
    try:
        node = YAML(typ="safe", pure=True).compose(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        raise SpecError(f"is not valid YAML: {error.problem or error.context}", file, line, column) from None
    except (YAMLError, ValueError) as error:
        raise SpecError(f"is not valid YAML: {str(error).splitlines()[0]}", file) from None
    except RecursionError:
        raise SpecError(f"is nested deeper than {_MAX_DEPTH} levels", file) from None
    if node is None:
        raise SpecError('is empty; expected a specification that starts with certify: "1.0"', file, 1)
    reader = _Reader(Faults(file), parameters)
    data = reader.read(node, ())
    unused = sorted(set(parameters) - set(reader.used) - {"MODEL", *optional})
    if unused:
        known = did_you_mean(unused[0], reader.used) if reader.used else "; the file has no parameters"
        reader.faults.add(f"nothing uses the parameter(s) {', '.join(f'${name}' for name in unused)}{known}")
    reader.faults.raise_if_any()
    uses = {name: tuple(paths) for name, paths in reader.used.items()}
    return Document(data, reader.positions, reader.key_positions, uses, frozenset(reader.longer))


@dataclass
class _Reader:
    faults: Faults
    parameters: Mapping[str, str]
    positions: dict[YamlPath, tuple[int, int]] = field(default_factory=dict)
    key_positions: dict[YamlPath, tuple[int, int]] = field(default_factory=dict)
    used: dict[str, list[YamlPath]] = field(default_factory=dict)
    longer: set[YamlPath] = field(default_factory=set)
    seen: set[int] = field(default_factory=set)

    def read(self, node: Node, path: YamlPath) -> Any:
        from ruamel.yaml.nodes import MappingNode, ScalarNode, SequenceNode

        where = _position(node.start_mark)
        self.positions[path] = where
        if node.anchor is not None or id(node) in self.seen:
            self.faults.add("anchors and aliases (& and *) are not allowed: write the value out", *where)
            return None
        self.seen.add(id(node))
        tag = str(node.tag)
        if tag not in _PLAIN_TAGS and not isinstance(node, ScalarNode):
            self.faults.add(f"the tag {tag} is not allowed: a specification is plain data", *where)
            return None
        if len(path) > _MAX_DEPTH:
            self.faults.add(f"is nested deeper than {_MAX_DEPTH} levels", *where)
            return None
        if isinstance(node, MappingNode):
            return self._mapping(node, path)
        if isinstance(node, SequenceNode):
            return [self.read(item, (*path, index)) for index, item in enumerate(node.value)]
        return self._scalar(node, where, path)

    def _mapping(self, node: Any, path: YamlPath) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            where = _position(key_node.start_mark)
            key = key_node.value
            if not isinstance(key, str) or key == "<<":
                self.faults.add("keys are plain words; merge keys and nested keys are not allowed", *where)
                continue
            if key in result:
                first, _ = self.key_positions[(*path, key)]
                self.faults.add(f"the key {key!r} is here twice, first in line {first}", *where)
                continue
            self.key_positions[(*path, key)] = where
            result[key] = self.read(value_node, (*path, key))
        return result

    def _scalar(self, node: Any, where: tuple[int, int], path: YamlPath) -> Any:
        text, plain = node.value, node.style is None
        if str(node.tag) not in _PLAIN_TAGS and not (plain and node.tag == "tag:yaml.org,2002:timestamp"):
            self.faults.add(f"the tag {node.tag} is not allowed: a specification is plain data", *where)
            return None
        whole = _PARAMETER.fullmatch(text)
        if whole:
            return _typed(self._parameter(whole, where, path))
        if "$" not in text:
            return self._number(text, where) if plain else text
        self.longer.add(path)
        return _PARAMETER.sub(lambda match: _within(self._parameter(match, where, path)), text)

    def _number(self, text: str, where: tuple[int, int]) -> Any:
        try:
            return _typed(text)
        except OverflowError as error:
            self.faults.add(str(error), *where)
            return None

    def _parameter(self, match: re.Match[str], where: tuple[int, int], path: YamlPath) -> str:
        name = match[1] or match[2]
        self.used.setdefault(name, []).append(path)
        if name not in self.parameters:
            how = "give the model on the command line" if name == "MODEL" else f"add --set {name}=VALUE"
            self.faults.add(f"the parameter ${name} has no value; {how}", *where)
            return "0"
        return self.parameters[name]


def _typed(text: str) -> Any:
    if text in ("", "~", "null"):
        return None
    if text in ("true", "false"):
        return text == "true"
    value = parse_decimal(text)
    if value is None:
        return text
    return int(value) if text.lstrip("+-").isdigit() else value


def _within(value: str) -> str:
    """A parameter's value inside a longer text: a number keeps its meaning whatever stands around it."""
    return f"({value})" if not value.isdigit() and parse_number(value) is not None else value


def _position(mark: StreamMark) -> tuple[int, int]:
    return mark.line + 1, mark.column + 1
