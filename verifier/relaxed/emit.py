"""``emit: [extrapolation]``: the network on which an unknown verdict's relaxed attack is a real one, as files.

Beside ``NAME.nnrelax`` come ``NAME.extrapolation.onnx``, an ordinary network, and ``NAME.extrapolation.tsv``, the units
of it that deviate from their ReLUs.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from relaxations.actions import Point
from relaxations.base import Query
from relaxations.lowering import lower
from specs.errors import CertifyError
from specs.joint import JointSet
from specs.language.inputs.dataset import read_inputs
from specs.language.spec import Extrapolate
from specs.problem import Problem
from specs.sets import InputSet
from verifier.attack.witness import inside, replay
from verifier.engine.floats import float_rows
from verifier.engine.outcome import Extrapolated
from verifier.relaxed.container import read_relaxed
from verifier.relaxed.contents import PointAction
from verifier.relaxed.extrapolation import extrapolate, query_of
from verifier.relaxed.minimal import LOSS, minimal


def emit_extrapolation(
    problem: Problem, inputs: InputSet | JointSet | None, file: Path, options: Extrapolate, seconds: float
) -> Extrapolated:
    """The extrapolation of the attack in ``file``, written next to it, or why there is none.

    The network is replayed in onnxruntime in float32. ``seconds`` bound the search for few deviating units.
    """
    try:
        return _emitted(problem, inputs, file, options, seconds)
    except CertifyError as error:
        return Extrapolated(why=str(error))


def _emitted(
    problem: Problem, inputs: InputSet | JointSet | None, file: Path, options: Extrapolate, seconds: float
) -> Extrapolated:
    attack = read_relaxed(file)
    case, network = problem.cases[attack.case], lower(problem.graph)
    query = query_of(attack, network, float_rows(case, network.input_size, len(network.output.bias)))
    data = None if options.data is None else _model_inputs(options.data, inputs, network.input_size)
    assert isinstance(attack.content, PointAction)  # `query_of` refuses all others
    action = _chosen(query, attack.content.point, options, seconds)
    made = extrapolate(problem.graph, query, action, data)
    model, table = (file.with_name(f"{file.stem}.extrapolation.{kind}") for kind in ("onnx", "tsv"))
    written = made.onnx()
    model.write_bytes(written)
    table.write_text(made.table(), encoding="utf-8")
    point = inside(case, made.action.x)
    ran = replay(written, made.graph, case, point)
    return Extrapolated(
        model,
        table,
        made.score,
        None if ran is None else _score(query, np.array([float(x) for x in point]), np.array(ran.outputs)),
        len(made.deviations),
        sum(len(query.unstable(k)) for k in range(len(query.ranges))),
        None if data is None else made.difference(data),
    )


def _chosen(query: Query, action: Point, options: Extrapolate, seconds: float) -> Point:
    if not options.minimal:
        return action
    return minimal(query, action, seconds, LOSS if options.loss is None else options.loss)


def _score(query: Query, x: np.ndarray, y: np.ndarray) -> float:
    """What the adversary scores with outputs ``y`` at ``x``."""
    rows = query.rows
    return -float((rows.x @ x + rows.y @ y + rows.constant).max())


def _model_inputs(path: Path, inputs: InputSet | JointSet | None, size: int) -> np.ndarray:
    """The examples of a data set (N, n) as the model consumes them. Raises ``CertifyError``."""
    if isinstance(inputs, JointSet):
        raise CertifyError("data are the examples of one input, and this requirement is about several")
    try:
        raw = read_inputs(path, size)
    except ValueError as error:
        raise CertifyError(str(error)) from None
    if inputs is None:
        return raw
    return (raw - np.array([float(m) for m in inputs.mean])) / np.array([float(s) for s in inputs.scale])
