"""States moved between runs and probes, decided as exact enumeration of a network that computes both runs does."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from tests.oracle import Network, Row, Unit, minimum, minimum_of_max
from tests.soundness.deciding import CheckerHere
from tests.unit.specs.compose.modules import dense, write
from tests.unit.specs.compose.residual import Residual
from verifier.api import certify, check

ONE, STEP = Fraction(1), Fraction(1, 64)


def write_spec(folder: Path, limit: Fraction, expand: str) -> Path:
    path = folder / "s.yaml"
    path.write_text(f"""certify: "1.0"
name: expanded
models: {{target: {{path: "$MODEL", taps: {{h: relu1}}}}}}
inputs:
  x: {{shape: [2], box: {{lo: -1, hi: 1}}}}
  x2: {{shape: [2], box: {{lo: -2, hi: 1}}}}
require:
  - {{id: r, assert: "target(x)[0] <= {float(limit)!r}"}}
adversary: {{expand_catastrophe: {{{expand}}}}}
""")
    return path


def greatest(net: Residual, moved: bool) -> Fraction:
    """The exact greatest output on x, or of the run on x2 with the first layer as on x."""
    units, _, y = net.units(4, [0, 1], [2, 3] if moved else [0, 1])
    low, up = [-1, -1, -2, -2], [1, 1, 1, 1]
    return -minimum(Network(4, tuple(units), tuple(y)), low, up, Row((), ((0, -ONE),)))


@pytest.mark.parametrize("seed", range(8))
def test_moved_states_are_decided_as_the_oracle_does(tmp_path: Path, seed: int) -> None:
    """Just above the exact greatest value of both runs there is a proof of R+, just below it an attack, which is one
    on R exactly where the run by itself reaches as far."""
    net = Residual.random(np.random.default_rng(seed), 2, 3, 2, 1)
    model = write(tmp_path / "m.onnx", net.graph())
    plain, moved = greatest(net, False), greatest(net, True)
    worst = max(plain, moved)
    for limit, verdict in ((worst + STEP, "certified"), (worst - STEP, "violated")):
        spec = write_spec(tmp_path, limit, "transfer: {context: x2, at: h}")
        report = certify(model, spec, workers=1, timeout=30, out=tmp_path, start_checker=CheckerHere.start)
        assert report["r+"].verdict == verdict
        assert report["r"].verdict == ("violated" if plain > limit else "certified")
        if verdict == "certified":
            assert "IMPLIES r" in report["r+"].sentence
            assert check(tmp_path / "s.r+.nncert", model, spec, exact=True)
        else:
            x, x2 = np.split(np.array([float(v) for v in report["r+"].attack.point]), 2)
            values = [net.rest(net.hidden(x), at)[0] for at in (x, x2)]
            assert max(values) > limit - 1e-6
            assert ("r FAILS AT THIS INPUT" in report["r+"].sentence) == (values[0] > limit)


@pytest.mark.parametrize("seed", range(8))
def test_probes_are_decided_as_the_oracle_does(tmp_path: Path, seed: int) -> None:
    """The larger of the output and of the probe, over its threshold: the exact greatest value decides."""
    rng = np.random.default_rng(100 + seed)
    net = Residual.random(rng, 2, 3, 2, 1)
    weight, bias = rng.integers(-8, 9, (3, 1)) / 8, rng.integers(-8, 9, 1) / 8
    model = write(tmp_path / "m.onnx", net.graph())
    write(tmp_path / "probe.onnx", dense((weight, bias)))
    units, h, y = net.units(2, [0, 1], [0, 1])
    probe = Unit(tuple(zip(h, map(Fraction, weight[:, 0].tolist()))), Fraction(float(bias[0])))
    both = Network(2, (*units, probe), (*y, 2 + len(units)))
    for limit in (plain := greatest(net, False)) + STEP, plain + 3:
        rows = [Row((), ((1, -ONE),), Fraction(0))]
        largest = -minimum(both, [-1, -1], [1, 1], rows[0])  # of the probe
        for threshold, verdict in ((largest + STEP, "certified"), (largest - STEP, "violated")):
            counts = f'probe: {{path: probe.onnx, at: h, of: x}}, counts_when: "probe(h) >= {float(threshold)!r}"'
            spec = write_spec(tmp_path, limit, counts)
            report = certify(model, spec, workers=1, timeout=30, start_checker=CheckerHere.start)
            assert (report["r"].verdict, report["r+"].verdict) == ("certified", verdict)
            if verdict == "violated":
                assert "r HOLDS AT THIS INPUT: what counts happens" in report["r+"].sentence
    least, _ = minimum_of_max(both, [-1, -1], [1, 1], rows)
    assert least == -largest
