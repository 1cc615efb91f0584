"""Whether a statement of probability is about a requirement of a specification: the plan made anew, and what was shown.

The checker judges the statement alone. Here the specification is read again, and everything that it fixes has to be
what the ledger has: the law, the number of draws and their seed, the event's number, the method, the confidence, the
files of the models, the program and its budget. What a program was shown behind each draw is computed anew, too, and
compared bit by bit; so are the answers where networks answer themselves. What the program answered is left to the
ledger's word.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

from specs.errors import CertificateError
from specs.hashes import sha256_of
from specs.language.kinds import mentions_surrogate
from specs.language.rates.question import StatisticalQuestion
from specs.language.rates.spec import read_statistical_spec
from specs.language.rates.surrogates import read_surrogates
from specs.language.rates.trained import NOTHING_TRAINED
from specs.language.text.decimals import exact
from specs.loading import load_model
from verifier.statistics.answer import Networks, budget_of, plan_of
from verifier.statistics.difference import identity_of
from verifier.statistics.queries import Budget
from verifier.statistics.shown import other_questions
from verifier.statistics.statement import LEDGER, STATEMENT
from verifier.surrogate.answer import networks_beside

_MEANING = {
    "sampler": "the law",
    "seed": "the seed",
    "queries": "the number of draws",
    "method": "the method",
    "sides": "the sides",
    "confidence": "the confidence",
    "below": "the number that the event compares with",
    "kappa": "kappa",
    "nature": "the law that is meant",
    "model": "the files of the models",
}


def bound_to(statement: Path, model: Path | None, spec: Path, parameters: Mapping[str, str]) -> str:
    """Which requirement the statement is about, and whether its bound is low enough; in words.

    The statement has to be one that the checker has accepted. Raises ``CertificateError`` where it is about something
    else, and ``SpecError`` or ``ModelError``.
    """
    with zipfile.ZipFile(statement) as archive:
        if STATEMENT not in archive.namelist():
            raise CertificateError(
                f"{statement}: composed of several statements, which are bound to no specification yet"
            )
        manifest = json.loads(archive.read(STATEMENT))
        lines = [json.loads(line) for line in archive.read(LEDGER).splitlines()]
    trained = NOTHING_TRAINED
    if mentions_surrogate(spec):
        names = [one.name for one in read_surrogates(spec, model, parameters, load_model)]
        trained = networks_beside(statement, spec, names)
    read = read_statistical_spec(spec, model, parameters, load_model, trained)
    name = manifest["plan"]
    numbered = {question.id: (number, question) for number, question in enumerate(read.questions)}
    if name not in numbered:
        known = ", ".join(numbered)
        raise CertificateError(f"{statement}: {spec} has no statistical requirement {name!r}; there are {known}")
    number, question = numbered[name]
    if question.relaxed is not None:
        raise CertificateError(f"{statement}: requirement {name} of {spec} is stated by way of a relaxed checker")
    plan = next(line["plan"] for line in lines if line["kind"] == "plan" and line["name"] == name)
    wrong = [*_other_plan(plan, question, read.seed + number), *_other_overseer(lines[0], question)]
    wrong = wrong or list(other_questions(lines, question))[:1]
    if wrong:
        raise CertificateError(f"{statement}: not about requirement {name} of {spec}: {', '.join(wrong)} differ")
    most, upper = Fraction(question.terms.max_rate), Fraction(manifest["upper"])
    shown = "is at most" if upper <= most else "is not shown to be at most"
    return f"requirement {name}: its rate {shown} {exact(most)}"


def _other_plan(plan: Mapping[str, Any], question: StatisticalQuestion, seed: int) -> Iterator[str]:
    wanted = json.loads(json.dumps(plan_of(question, seed).to_json()))
    return (_MEANING.get(key, key) for key in {**wanted, **plan} if plan.get(key) != wanted.get(key))


def _other_overseer(header: Mapping[str, Any], question: StatisticalQuestion) -> Iterator[str]:
    program = question.program
    if program is None:
        name, source, deterministic = Networks(question).name, Networks(question).sha256, True
    else:
        file, _, function = program.python.rpartition(":")
        name = f"{Path(file).name}:{function}"
        source, deterministic = sha256_of(Path(file)), program.deterministic
        if question.against is not None:
            name, source = identity_of(question, name, source)
    if header["source"] != source or header["overseer"] != name:
        yield "the event or the networks" if program is None else f"the program {name}"
    if header["deterministic"] != deterministic:
        yield "whether the program answers in one way only"
    budget = Budget(question.terms.queries) if program is None else budget_of(program)
    if question.against is None and header["budget"] != budget.to_json():  # a difference is charged to another ledger
        yield "the budget"
