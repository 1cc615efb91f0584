"""Answering a chain: its parts one after the other, then the whole."""

from __future__ import annotations

import math
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from specs.errors import SpecError
from specs.graph import Graph
from specs.hashes import sha256_of
from specs.language.chains.archive import SPEC
from specs.language.chains.parts import joint_spec, model_name
from specs.language.chains.spec import ChainSpec, read_chain_spec
from specs.language.load_spec import load_spec
from verifier.answer import versions
from verifier.chain.check import check_chain
from verifier.chain.folder import SUFFIX, lay_out, parts, write_archive
from verifier.chain.report import ChainAnswer
from verifier.chain.table import table
from verifier.engine.outcome import Proof
from verifier.files import stem
from verifier.places import make_folder
from verifier.report.report import Answer, Report

Certify = Callable[..., Report]
SAMPLES = 2000
PROBES = 3  # bounds tried for the whole chain at once


def answer_chain(
    model: Path | None,
    file: Path,
    deadline: float,
    parameters: Mapping[str, str],
    certify: Certify,
    out: Path | None = None,
) -> Report:
    """Prove every step by ``deadline``, a reading of ``time.monotonic``, and compose them; ``certify`` answers each.

    The first step that is not certified ends the chain: nothing about the whole follows. Raises ``CertifyError``.
    """
    started = time.monotonic()
    if model is not None:
        raise SpecError(f"a chain names its models; leave {model} out", file)
    chain = read_chain_spec(file, parameters)
    for step in chain.steps:
        if not step.file.is_file():
            raise SpecError(f"there is no model {step.file} for {step.id}", file, step.line)
    read = time.monotonic() - started
    with tempfile.TemporaryDirectory(prefix="certify-") as folder:
        run = _Run(chain, Path(folder), min(deadline, started + (chain.seconds or math.inf)), certify)
        lay_out(chain, run.folder)
        answers, whole = run.answer()
        if out is not None:
            home = make_folder(out)
            answers = tuple(run.kept(answer, home) for answer in answers)
            if whole.certificate is not None:
                kept = Path(shutil.copyfile(whole.certificate.path, home / f"{stem(file)}{SUFFIX}"))
                whole = replace(whole, certificate=replace(whole.certificate, path=kept))
        else:
            answers = tuple(run.kept(answer, None) for answer in answers)
            if whole.certificate is not None:
                whole = replace(whole, certificate=replace(whole.certificate, path=Path()))
    seconds = {"read": read, "decide": time.monotonic() - started - read}
    return Report((*answers, whole), "", seconds, versions(), dict(whole.hashes), chain.gates)


@dataclass
class _Run:
    chain: ChainSpec
    folder: Path
    deadline: float
    certify: Certify

    def answer(self) -> tuple[tuple[Answer, ...], ChainAnswer]:
        self.started = time.monotonic()
        self.joint: Fraction | None = None
        outside = self.chain.outside()
        if outside is not None:
            return (), replace(self._made("violated", outside.words(), {}, None, None), outside=outside)
        answers: list[Answer] = []
        attained: dict[str, float] = {}
        names = [*(f"{step.id}.yaml" for step in self.chain.steps), *(["required.yaml"] if self.chain.require else [])]
        for number, name in enumerate(names):
            left = (self.deadline - time.monotonic()) / (len(names) - number + self.chain.joint)
            found = self._part(name, left)
            answers += found
            for one in found:
                if one.id.endswith(".gap") and math.isfinite(one.outcome.attained):
                    step = one.id.removesuffix(".gap")
                    tolerance = next(s.tolerance for s in self.chain.steps if s.id == step)
                    attained[step] = float(tolerance) - one.outcome.attained
            open_ones = [one for one in found if one.verdict != "certified"]
            if open_ones:
                return tuple(answers), self._unproved(open_ones[0], attained)
        sampled = self._sampled()
        if self.chain.joint:
            self._try_joint(sampled)
        return tuple(answers), self._composed(attained, sampled)

    def kept(self, answer: Answer, home: Path | None) -> Answer:
        """The answer with its evidence in the folder ``home``; with none, evidence is not kept."""
        proof, attack = answer.outcome.proof, answer.outcome.attack
        if proof is not None:
            path = Path(shutil.copyfile(proof.path, home / proof.path.name)) if home is not None else Path()
            proof = replace(proof, path=path)
        if attack is not None and attack.path is not None:
            kept = Path(shutil.copyfile(attack.path, home / attack.path.name)) if home is not None else None
            attack = replace(attack, path=kept)
        relaxed = answer.outcome.relaxed
        if relaxed is not None:
            relaxed = replace(relaxed, path=None)
        return replace(answer, outcome=replace(answer.outcome, proof=proof, attack=attack, relaxed=relaxed))

    def _part(self, name: str, seconds: float) -> list[Answer]:
        """The answers to the requirements of a part, their certificates called by requirement."""
        place = self.folder / "evidence"
        place.mkdir(exist_ok=True)
        report = self.certify(None, self.folder / name, timeout=max(seconds, 0.1), out=place)
        found = []
        for one in report.requirements:
            proof, attack = one.outcome.proof, one.outcome.attack
            if proof is not None:
                proof = replace(proof, path=proof.path.replace(self.folder / f"{one.id}.nncert"))
            if attack is not None and attack.path is not None:
                attack = replace(attack, path=attack.path.replace(self.folder / f"{one.id}.nnwitness"))
            found.append(replace(one, outcome=replace(one.outcome, proof=proof, attack=attack)))
        return found

    def _sampled(self) -> float:
        """The largest error of the last model among random questions."""
        (self.folder / "sampled.yaml").write_text(joint_spec(self.chain, Fraction(0)))
        (requirement,) = load_spec(self.folder / "sampled.yaml").requirements
        graph: Graph = requirement.problem.graph
        last = self.chain.steps[-1]
        low, up = (np.array([float(v) for v in end]) for end in (last.lower, last.upper))
        rng, worst = np.random.default_rng(0), 0.0
        for _ in range(SAMPLES):
            y = graph.evaluate_flat(rng.uniform(low, up))
            half = len(y) // 2
            worst = max(worst, float(abs(y[:half] - y[half:]).max()))
        return worst

    def _try_joint(self, sampled: float) -> None:
        """Bounds between what was seen and what was composed, the middle one first."""
        low, high = Fraction(sampled), self.chain.errors()[self.chain.steps[-1].id]
        for probe in range(PROBES):
            left = (self.deadline - time.monotonic()) / (PROBES - probe)
            bound = Fraction(math.ceil((low + high) / 2 * 1024), 1024)
            if not low < bound < high or left < 1:
                return
            (self.folder / "joint.yaml").write_text(joint_spec(self.chain, bound))
            (found,) = self._part("joint.yaml", left)
            if found.verdict == "certified":
                self.joint = high = bound
                (self.folder / "joint.nncert").replace(self.folder / "best.nncert")
            else:
                low = bound
        if self.joint is not None:
            (self.folder / "joint.yaml").write_text(joint_spec(self.chain, self.joint))
            (self.folder / "best.nncert").replace(self.folder / "joint.nncert")

    def _hashes(self) -> dict[str, str]:
        files = {"spec": SPEC, f"core {self.chain.core.name}": "core.py"}
        files |= {f"model {step.id}": model_name(step) for step in self.chain.steps}
        return {what: sha256_of(self.folder / name) for what, name in files.items()}

    def _unproved(self, one: Answer, attained: Mapping[str, float]) -> ChainAnswer:
        verdict = "violated" if one.verdict == "violated" else "unknown"
        reason = f"{one.id} is {verdict}{f' ({one.reason})' if one.reason else ''}: nothing about the whole follows"
        return self._made("unknown", reason, attained, None, None)

    def _composed(self, attained: Mapping[str, float], sampled: float) -> ChainAnswer:
        found = self._made("certified", "", attained, sampled, None)
        names = [SPEC, *parts(self.chain), *(model_name(step) for step in self.chain.steps)]
        names += ["joint.yaml"] if self.joint is not None else []
        names += sorted(
            path.name for path in self.folder.glob("*.nncert") if path.name != "joint.nncert" or self.joint is not None
        )
        manifest: dict[str, Any] = {
            "models": {step.id: model_name(step) for step in self.chain.steps},
            "parameters": dict(self.chain.parameters),
            "errors": [[row.id, str(row.error)] for row in found.rows],
            "joint": None if self.joint is None else str(self.joint),
            "claim": found.claim,
        }
        path = self.folder / f"whole{SUFFIX}"
        size = write_archive(path, self.folder, names, manifest)
        result = check_chain(path, None, None, False)
        if not result.accepted:
            return self._made("unknown", f"certificate: {result.reason}", attained, sampled, None)
        return replace(found, certificate=Proof(path, size, result.leaves, result.seconds, "recompiled"))

    def _made(
        self, verdict: Any, reason: str, attained: Mapping[str, float], sampled: float | None, proof: Proof | None
    ) -> ChainAnswer:
        return ChainAnswer(
            self.chain,
            verdict,
            reason,
            table(self.chain, attained),
            self.joint,
            sampled,
            proof,
            time.monotonic() - self.started,
            self._hashes(),
            versions()["certify"],
        )
