"""Reading arguments: one clear sentence for each mistake, with a suggestion where there is one."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from typing import NoReturn

from specs.errors import CertifyError


class Parser(argparse.ArgumentParser):
    """An argument parser that raises ``CertifyError`` and suggests the option that was meant."""

    def error(self, message: str) -> NoReturn:
        raise CertifyError(f"{message} (see {self.prog} --help)")

    def read(self, arguments: Sequence[str]) -> argparse.Namespace:
        """Options and positional arguments in any order. Raises ``CertifyError`` naming all that is not known."""
        options, rest = self.parse_known_intermixed_args(arguments)
        if rest:
            raise CertifyError("; ".join(self._unknown(word) for word in rest) + f" (see {self.prog} --help)")
        return options

    def _unknown(self, word: str) -> str:
        if not word.startswith("-"):
            return f"unexpected argument {word!r}"
        from specs.language.text.suggest import did_you_mean

        name = word.partition("=")[0]
        options = [option for option in self._option_string_actions if option.startswith("--")]
        return f"unknown option {name!r}{did_you_mean(name, options)}"


def positive_seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"expected a positive number of seconds, not {text!r}")
    return value


def at_least_one(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) >= 1):
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, not {text!r}")
    return int(text)


def natural(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 0, not {text!r}")
    return int(text)


def assignment(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (equals and name.isidentifier()):
        raise argparse.ArgumentTypeError(f"expected NAME=VALUE, not {text!r}")
    return name, value


def names(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())
