"""Networks and questions on which floating-point arithmetic gives the wrong answer; the right one is known on paper.

A verdict is about the real function of exactly the stored weights. ``unknown`` is always allowed where it is in the
list; what a test forbids is a proof of what is false and a counterexample that is none.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from tests.soundness.deciding import checker_of, decide_files, float_verdict

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytestmark = [
    pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning"),
    pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning"),
]

NEVER_CERTIFIED, NEVER_VIOLATED = {"violated", "unknown"}, {"certified", "unknown"}
Layers = Sequence[tuple[Sequence[Sequence[float]], Sequence[float]]]


def verdict(folder: Path, model: bytes, spec: str, seconds: float = 2.0) -> str:
    """The program's verdict; its evidence is checked once more, and kept if and only if there is a verdict."""
    (folder / "net.onnx").write_bytes(model)
    (folder / "query.vnnlib").write_text(spec, encoding="utf-8")
    certificate = folder / "proof.nncert"
    certificate.unlink(missing_ok=True)
    outcome = decide_files(folder / "net.onnx", folder / "query.vnnlib", certificate, seconds)
    assert certificate.exists() is (outcome.verdict == "certified")
    if outcome.verdict == "certified":
        checker = checker_of(folder / "net.onnx", folder / "query.vnnlib")
        assert float_verdict(checker, certificate).accepted
    return outcome.verdict


def network(layers: Layers) -> bytes:
    """Gemm layers with a ReLU between them."""
    import onnx
    from onnx import helper, numpy_helper

    nodes, stored, value = [], [], "x"
    for k, (weight, bias) in enumerate(layers):
        stored += [
            numpy_helper.from_array(np.array(weight, dtype=np.float32), f"w{k}"),
            numpy_helper.from_array(np.array(bias, dtype=np.float32), f"b{k}"),
        ]
        last = k == len(layers) - 1
        nodes.append(helper.make_node("Gemm", [value, f"w{k}", f"b{k}"], ["y" if last else f"z{k}"], transB=1))
        value = f"z{k}"
        if not last:
            nodes.append(helper.make_node("Relu", [value], [value := f"a{k}"]))
    ends = [
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, size])
        for name, size in (("x", len(layers[0][0][0])), ("y", len(layers[-1][1])))
    ]
    graph = helper.make_graph(nodes, "trap", ends[:1], ends[1:], stored)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8).SerializeToString()


def query(bounds: Sequence[tuple[str, str]], unsafe: str, outputs: int = 1) -> str:
    """The box as decimals, and what must not be."""
    lines = [f"(declare-const X_{i} Real)" for i in range(len(bounds))]
    lines += [f"(declare-const Y_{i} Real)" for i in range(outputs)]
    for i, (low, up) in enumerate(bounds):
        lines += [f"(assert (>= X_{i} {low}))", f"(assert (<= X_{i} {up}))"]
    return "\n".join([*lines, f"(assert {unsafe})"]) + "\n"


@pytest.mark.parametrize("scale", [2.0**27, 1e8, 1e16, 1e30])
class TestCancellation:
    """y = relu(s x + 1) - relu(s x) is 1 for every x >= 0; in float32 (and from 2^53 on in float64) it is 0."""

    def model(self, scale: float) -> bytes:
        return network([([[scale], [scale]], [1, 0]), ([[1, -1]], [0])])

    def test_what_holds_is_not_refuted(self, scale: float, tmp_path: Path) -> None:
        assert verdict(tmp_path, self.model(scale), query([("1", "2")], "(<= Y_0 0.5)")) in NEVER_VIOLATED

    def test_what_fails_everywhere_is_not_certified(self, scale: float, tmp_path: Path) -> None:
        assert verdict(tmp_path, self.model(scale), query([("1", "2")], "(>= Y_0 0.5)")) in NEVER_CERTIFIED

    def test_what_fails_at_one_point_is_not_certified(self, scale: float, tmp_path: Path) -> None:
        """With x - 2 in front the value is relu(s t + 1) - relu(s t) for t = x - 2, which reaches 1 at t >= 0 only."""
        shifted = network([([[1], [0]], [-2, 0]), ([[scale, 0], [scale, 0]], [1, 0]), ([[1, -1]], [-1])])
        # relu(x - 2) = 0 below 2 as well, so y = 0 all over: the strict claim y > 0 is false at every point.
        assert verdict(tmp_path, shifted, query([("0", "3")], "(<= Y_0 0)")) in NEVER_CERTIFIED


def test_cancellation_that_float64_survives_is_certified(tmp_path: Path) -> None:
    """s = 1e8 costs eight digits of sixteen: outward-rounded float64 proves it where float32 computes 0."""
    model = network([([[1e8], [1e8]], [1, 0]), ([[1, -1]], [0])])
    assert verdict(tmp_path, model, query([("1", "2")], "(<= Y_0 0.5)")) == "certified"


def test_a_network_that_branches_on_its_own_rounding_noise(tmp_path: Path) -> None:
    """n = relu(x + 2^24 + 1) - relu(x + 2^24) - 1 is 0 for x >= 0 in real arithmetic and not in float32.

    y = 1 - 2^20 relu(n) - 2^20 relu(-n) is 1 in real arithmetic, so y > 0 is true, whatever a runtime says.
    """
    big = 2.0**24
    model = network(
        [
            ([[1], [1]], [big + 2, big]),
            ([[1, -1], [-1, 1]], [-2, 2]),
            ([[-(2.0**20), -(2.0**20)]], [1]),
        ]
    )
    assert verdict(tmp_path, model, query([("0", "0.9")], "(<= Y_0 0)")) in NEVER_VIOLATED
    assert verdict(tmp_path, model, query([("0", "0.9")], "(>= Y_0 0)")) in NEVER_CERTIFIED
    assert verdict(tmp_path, model, query([("0", "0.9")], "(>= Y_0 1)")) in NEVER_CERTIFIED


@pytest.mark.parametrize("weight", [1e-45, 2.0**-140, 2.0**-126])
def test_denormal_weights_count(weight: float, tmp_path: Path) -> None:
    """y = w x on [1, 2] for a w that is denormal in float32 is positive, if only just, and never more than 2 w."""
    model = network([([[weight]], [0])])
    exact = Fraction(float(np.float32(weight)))
    assert exact > 0
    assert verdict(tmp_path, model, query([("1", "2")], "(<= Y_0 0)")) in NEVER_VIOLATED
    assert verdict(tmp_path, model, query([("1", "2")], "(> Y_0 0)")) in NEVER_CERTIFIED
    assert verdict(tmp_path, model, query([("1", "2")], f"(>= Y_0 {tiny(2 * exact)})")) in NEVER_CERTIFIED


def tiny(value: Fraction) -> str:
    """All digits of a dyadic number below one."""
    places = value.denominator.bit_length() - 1
    return "0." + str(value.numerator * 5**places).rjust(places, "0")


def test_denormal_inputs_count(tmp_path: Path) -> None:
    """y = x on [0, 1e-310], a box between zero and the smallest float32: its end is reached, its double is not."""
    model, end = network([([[1]], [0])]), "0." + "0" * 309 + "1"
    assert verdict(tmp_path, model, query([("0", end)], f"(>= Y_0 {end})")) in NEVER_CERTIFIED
    assert verdict(tmp_path, model, query([("0", end)], "(< Y_0 0)")) in NEVER_VIOLATED
    assert verdict(tmp_path, model, query([("0", end)], "(>= Y_0 0.001)")) == "certified"


class TestSumOfAThousand:
    """y = sum of 1,000 inputs, each at most u = float32(0.1); the maximum is 1000 u. Adding in float32 falls short."""

    count = 1000
    most = Fraction(float(np.float32(0.1)))

    def ask(self, folder: Path, threshold: Fraction) -> str:
        model = network([(np.ones((1, self.count), dtype=np.float32).tolist(), [0])])
        box = [("0", tiny(self.most))] * self.count
        places = max(threshold.denominator.bit_length(), 1)
        digits = str(threshold * 10**places // 1).rjust(places + 1, "0")
        assert Fraction(int(digits), 10**places) == threshold
        return verdict(folder, model, query(box, f"(>= Y_0 {digits[:-places]}.{digits[-places:]})"))

    def test_float32_falls_short(self) -> None:
        total = np.float32(0)
        for _ in range(self.count):
            total = np.float32(total + np.float32(0.1))
        assert Fraction(float(total)) != self.count * self.most

    def test_the_exact_maximum_is_reached(self, tmp_path: Path) -> None:
        assert self.ask(tmp_path, self.count * self.most) in NEVER_CERTIFIED

    def test_a_hair_below_the_maximum_is_exceeded(self, tmp_path: Path) -> None:
        assert self.ask(tmp_path, self.count * self.most - Fraction(1, 2**40)) in NEVER_CERTIFIED

    def test_above_the_maximum_is_never_reached(self, tmp_path: Path) -> None:
        assert self.ask(tmp_path, self.count * self.most + Fraction(1, 2**60)) in NEVER_VIOLATED
        assert self.ask(tmp_path, self.count * self.most + Fraction(1, 2**20)) == "certified"

    def test_a_sum_in_which_float32_loses_every_small_term(self, tmp_path: Path) -> None:
        """2^24 + 999 ones in [0, 1]: float32 stays at 2^24, the maximum is 2^24 + 999."""
        model = network([(np.ones((1, 999), dtype=np.float32).tolist(), [2.0**24])])
        box = [("0", "1")] * 999
        assert verdict(tmp_path, model, query(box, "(>= Y_0 16778215)")) in NEVER_CERTIFIED
        assert verdict(tmp_path, model, query(box, "(>= Y_0 16778215.5)")) == "certified"


class TestThresholdAtTheOptimum:
    """y = relu(x) on [-1, 1] and y = x on [1/4, 1]: the least values 0 and 1/4 are attained."""

    @pytest.mark.parametrize(
        ("low", "unsafe", "allowed"),
        [
            ("-1", "(<= Y_0 0)", NEVER_CERTIFIED),
            ("-1", "(< Y_0 0)", NEVER_VIOLATED),
            ("-1", "(<= Y_0 -0.0000001)", {"certified"}),
            ("0.25", "(<= Y_0 0.25)", {"violated"}),
            ("0.25", "(< Y_0 0.25)", NEVER_VIOLATED),
            ("0.25", "(<= Y_0 0.2499999999)", {"certified"}),
            ("0.25", "(>= Y_0 1)", {"violated"}),
            ("0.25", "(> Y_0 1)", NEVER_VIOLATED),
        ],
    )
    def test_strict_and_not(self, low: str, unsafe: str, allowed: set[str], tmp_path: Path) -> None:
        model = network([([[1]], [0]), ([[1]], [0])])
        assert verdict(tmp_path, model, query([(low, "1")], unsafe)) in allowed


class TestABoxWithoutAFloat:
    """x is fixed to 1/10, which no float is; y = 10 x - 1 is 0 there, though not at any float nearby."""

    @pytest.mark.parametrize(
        ("unsafe", "allowed"),
        [
            ("(<= Y_0 0)", NEVER_CERTIFIED),
            ("(>= Y_0 0)", NEVER_CERTIFIED),
            ("(< Y_0 0)", NEVER_VIOLATED),
            ("(> Y_0 0)", NEVER_VIOLATED),
            ("(<= Y_0 -0.000000000001)", {"certified"}),
            ("(>= Y_0 0.000000000001)", {"certified"}),
        ],
    )
    def test_no_float_stands_in_for_it(self, unsafe: str, allowed: set[str], tmp_path: Path) -> None:
        model = network([([[10]], [-1])])
        assert verdict(tmp_path, model, query([("0.1", "0.1")], unsafe)) in allowed

    def test_a_narrow_box_between_two_floats(self, tmp_path: Path) -> None:
        """[0.1 + 1e-30, 0.1 + 2e-30] lies between neighbouring floats: 10 x - 1 is at least 1e-29 and at most 2e-29."""
        box = [("0.100000000000000000000000000001", "0.100000000000000000000000000002")]
        model = network([([[10]], [-1])])
        assert verdict(tmp_path, model, query(box, "(<= Y_0 0)")) in NEVER_VIOLATED
        assert verdict(tmp_path, model, query(box, "(>= Y_0 0.00000000000000000000000000001)")) in NEVER_CERTIFIED


def test_weights_that_overflow_float32_when_multiplied(tmp_path: Path) -> None:
    """y = relu(1e30 x) * 1e30 - 1e30 on [1, 2] is huge and positive; in float32 it is infinite."""
    model = network([([[1e30]], [0]), ([[1e30]], [-1e30])])
    assert verdict(tmp_path, model, query([("1", "2")], "(<= Y_0 0)")) in NEVER_VIOLATED
    assert verdict(tmp_path, model, query([("1", "2")], "(>= Y_0 0)")) in NEVER_CERTIFIED


def test_values_that_overflow_float64(tmp_path: Path) -> None:
    """Twelve layers of 3e38 exceed float64; the output is positive at x >= 1 all the same, and -1 at 0."""
    layers = [([[3e38]], [0])] * 12 + [([[1]], [-1])]
    assert verdict(tmp_path, network(layers), query([("1", "2")], "(<= Y_0 0)")) in NEVER_VIOLATED
    assert verdict(tmp_path, network(layers), query([("0", "2")], "(<= Y_0 0)")) in NEVER_CERTIFIED
    assert verdict(tmp_path, network(layers), query([("1", "2")], "(>= Y_0 0)")) in NEVER_CERTIFIED
