"""Phase trees worked out by hand, before the float checker and before the rational audit, which proves them itself.

The network is y = relu(x) - relu(-x) and the row y - x > -1/4 on [-1, 1]. Truly y = x; relaxed, nothing above -1/2 can
be shown before both neurons are split. Where their signs exclude each other but for x = 0, multipliers say so.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from tests.checker.judging import Judge
from tests.checker.phase_words import (
    EMPTY,
    END,
    NOWHERE,
    OPEN,
    SYMBOLS,
    Cut,
    Refined,
    certificate,
    chunk,
    float32,
    frame,
    half,
    nibbles,
    proof,
    split,
    words,
    zonotope,
)
from verifier.checker.check import Checker, Verdict
from verifier.checker.container import Certificate
from verifier.checker.errors import CheckError
from verifier.checker.exact_tree import audit
from verifier.checker.network import Affine, Dense, Gather, Input, Network, Relu, Sign
from verifier.checker.phase_tree import Frame, Proof, read_phase_tree
from verifier.checker.tree import LEAF, SPLIT
from verifier.checker.vnnlib import QueryCase, QueryRow

FIRST = (Input(1), Affine(((0, Dense(np.array([[1.0], [-1.0]]))),), np.zeros(2)), Relu(1))
ONE_LAYER = Network((*FIRST, Affine(((2, Dense(np.array([[1.0, -1.0]]))),), np.zeros(1))), (1, 2, 2, 1))
QUARTER = Fraction(1, 4)
SAME_SIGNS, OTHER_SIGNS = [1.0, 0.0], [0.0, 0.0]  # multipliers of the two splits


def row(above: Fraction) -> QueryRow:
    """y - x > above."""
    return QueryRow({0: Fraction(-1)}, {0: Fraction(1)}, -above, True)


def case(*rows: QueryRow, lower: Fraction = Fraction(-1), upper: Fraction = Fraction(1)) -> QueryCase:
    return QueryCase(lower=(lower,), upper=(upper,), rows=rows, empty=False)


def checker_of(*cases: QueryCase) -> Checker:
    return Checker(ONE_LAYER, cases)


def leaf(multipliers: list[float], *cases: int) -> list[int]:
    return [*(w for c in cases for w in proof(c, [1], [], multipliers)), END]


def both_split(*cases: int) -> list[int]:
    """The nodes below the root: (-, -), (-, +), (+, -), (+, +)."""
    leaves = [leaf(hints, *cases) for hints in (SAME_SIGNS, OTHER_SIGNS, OTHER_SIGNS, SAME_SIGNS)]
    halves = [[*split(0, 1), *leaves[0], *leaves[1]], [*split(0, 1), *leaves[2], *leaves[3]]]
    return [*split(0, 0), *halves[0], *halves[1]]


def positions(verdict: Verdict) -> list[int]:
    return [failure.position for _, _, failure in verdict.failures]


def test_splits_prove_what_a_leaf_does_not(judge: Judge) -> None:
    checker = checker_of(case(row(-QUARTER)))
    assert not judge(checker, Certificate(NOWHERE, NOWHERE, 1, (words([LEAF]),), "")).accepted
    verdict = judge(checker, certificate(1, chunk([0], both_split(0))))
    assert verdict.accepted
    assert verdict.leaves == 4


def test_a_false_claim_is_refused(judge: Judge) -> None:
    assert not judge(checker_of(case(row(Fraction(0)))), certificate(1, chunk([0], both_split(0)))).accepted


def test_without_the_multipliers_the_impossible_signs_stay_open(judge: Judge) -> None:
    leaves = leaf(OTHER_SIGNS, 0)
    tree = chunk([0], split(0, 0), split(0, 1), leaves, leaves, split(0, 1), leaves, leaves)
    assert positions(judge(checker_of(case(row(-QUARTER))), certificate(1, tree))) == [8, 8 + 3 * len(leaves) + 3]


def test_a_proof_without_weight_proves_nothing(judge: Judge) -> None:
    tree = chunk([0], proof(0, [0]), [END])
    assert positions(judge(checker_of(case(row(Fraction(-9)))), certificate(1, tree))) == [2]
    assert judge(checker_of(case(row(Fraction(-9)))), certificate(1, chunk([0], proof(0, [1]), [END]))).accepted


def test_an_ending_without_a_proof_is_refused_where_it_stands(judge: Judge) -> None:
    tree = chunk([0], split(0, 0), [END], [END])
    assert positions(judge(checker_of(case(row(Fraction(-9)))), certificate(1, tree))) == [5, 6]


def test_a_proof_counts_for_everything_below_it_and_for_nothing_beside_it(judge: Judge) -> None:
    checker = checker_of(case(row(Fraction(-9))))
    above = chunk([0], proof(0, [1]), split(0, 0), [END], split(0, 1), [END], [END])
    assert judge(checker, certificate(1, above)).accepted
    beside = chunk([0], split(0, 0), proof(0, [1], [], [0]), [END], [END])
    assert positions(judge(checker, certificate(1, beside))) == [len(beside) - 1]


def test_empty_where_something_is_left_is_refused(judge: Judge) -> None:
    """On [0, 1] the half x <= 0 is a single point: still not empty."""
    for lower in (Fraction(-1), Fraction(0)):
        checker = checker_of(case(row(Fraction(-9)), lower=lower))
        tree = chunk([0], split(0, 0), [EMPTY], [EMPTY])
        assert positions(judge(checker, certificate(1, tree))) == [5, 6]
    assert positions(judge(checker, certificate(1, chunk([0], [EMPTY])))) == [2]


def test_empty_where_nothing_is_left_is_accepted(judge: Judge) -> None:
    checker = checker_of(case(row(-QUARTER), lower=Fraction(1, 2)))
    rest = leaf([0], 0)
    assert judge(checker, certificate(1, chunk([0], split(0, 0), [EMPTY], rest))).accepted
    assert positions(judge(checker, certificate(1, chunk([0], split(0, 0), [EMPTY], [EMPTY])))) == [6]
    assert positions(judge(checker, certificate(1, chunk([0], split(0, 0), rest, [EMPTY])))) != []


def test_an_ending_that_is_not_called_empty_does_not_count_as_such(judge: Judge) -> None:
    checker = checker_of(case(row(-QUARTER), lower=Fraction(1, 2)))
    assert positions(judge(checker, certificate(1, chunk([0], split(0, 0), [END], leaf([0], 0))))) == [5]


def test_one_tree_proves_several_cases(judge: Judge) -> None:
    checker = checker_of(case(row(-QUARTER)), case(row(Fraction(-9))), case(row(Fraction(-1, 3))))
    assert judge(checker, certificate(3, chunk([0, 1, 2], proof(1, [1]), both_split(0, 2)))).accepted
    assert judge(checker, certificate(3, chunk([2, 0, 1], proof(2, [1]), both_split(0, 1)))).accepted


def test_a_proof_of_one_case_does_not_prove_another(judge: Judge) -> None:
    """The second row is false at every x; the first one's proof must not cover it, whatever the order."""
    for cases in ((case(row(-QUARTER)), case(row(QUARTER))), (case(row(QUARTER)), case(row(-QUARTER)))):
        true = 0 if cases[0].rows[0].constant > 0 else 1
        for named in ([0, 1], [1, 0]):
            at = named.index(true)
            verdict = judge(checker_of(*cases), certificate(2, chunk(named, both_split(at))))
            assert not verdict.accepted
            twice = chunk(named, proof(at, [1]), both_split(at, at))
            assert not judge(checker_of(*cases), certificate(2, twice)).accepted


def test_a_tree_has_to_speak_of_every_case_that_refers_to_it(judge: Judge) -> None:
    checker = checker_of(case(row(-QUARTER)), case(row(Fraction(-9))))
    with pytest.raises(Exception, match="every case"):
        judge(checker, certificate(2, chunk([0], both_split(0))))


def test_cases_with_other_boxes_do_not_share_a_tree() -> None:
    half_box = case(row(-QUARTER), upper=Fraction(1, 2))
    checker = checker_of(case(row(-QUARTER)), half_box)
    with pytest.raises(Exception, match="two different boxes"):
        checker.check(certificate(2, chunk([0, 1], both_split(0, 1))), None)


def test_the_audit_walks_a_shared_tree_on_every_box_that_refers_to_it() -> None:
    """The float check refuses this already; alone, the audit is not misled either: x > 1/4 on the upper half only."""
    x_above = QueryRow({0: Fraction(1)}, {}, -QUARTER, True)
    upper, whole = case(x_above, lower=Fraction(1, 2)), case(x_above)
    tree = chunk([0, 1], proof(0, [1]), proof(1, [1]), [END])
    assert audit(checker_of(upper, upper), certificate(2, tree)).accepted
    assert [k for k, _, _ in audit(checker_of(upper, whole), certificate(2, tree)).failures] == [1, 1]


def test_one_case_may_not_use_a_tree_on_two_boxes() -> None:
    checker = checker_of(case(row(-QUARTER)))
    root = words([SPLIT, 3, 0, 1, 3, 0, 1])
    evidence = Certificate(NOWHERE, NOWHERE, 1, (root, words(chunk([0], both_split(0)))), "")
    with pytest.raises(Exception, match="two different boxes"):
        checker.check(evidence, None)


@pytest.mark.parametrize("parts", [1, 2, 3, 4, 5, 7, 100])
def test_parts_prove_the_whole_together(parts: int) -> None:
    """Whatever the tree is cut into: what is true is proved, and one bad place anywhere is found once."""
    cases = case(row(-QUARTER)), case(row(Fraction(-9))), case(row(Fraction(-8)))
    top = [*proof(1, [1]), *split(0, 0), *proof(2, [1], [], [0])]  # a proof at the root, one above two leaves
    below = both_split(0)[3:]
    middle = len(below) // 2
    good = chunk([0, 1, 2], top, below[:middle], proof(2, [1], [], [0]), below[middle:])
    verdict = checker_of(*cases).check(certificate(3, good), None, parts)
    assert verdict.accepted
    assert verdict.leaves == 4
    tree = read_phase_tree(words(good), 1, [2], [1, 1, 1])
    places = [item.position for node in tree.nodes for item in node.items if isinstance(item, Proof)]
    assert len(places) == 7
    for at in places:
        bad = list(good)
        bad[at + 2 : at + 4] = float32(0.0)
        assert positions(checker_of(*cases).check(certificate(3, bad), None, parts)) == [at]
    for node in (node for node in tree.nodes if node.end >= 0):
        end = node.items[-1].position + len(leaf([0, 0], 0)) - 1
        bad = [*good[:end], EMPTY, *good[end + 1 :]]
        assert positions(checker_of(*cases).check(certificate(3, bad), None, parts)) == [node.position]


# --- splits in a zonotope ---------------------------------------------------------------------------------------------

NEURONS = [(0, 0), (0, 1)]
MIDDLE = [32768, 32768]  # slopes of about 1/2


def in_zonotope(below: tuple[float, float] = (1.0, 0.0), above: tuple[float, float] = (0.0, 1.0)) -> Cut:
    """Both neurons split, relu(-x) first; y - x is then x or -x, and where the signs exclude x != 0 they say so."""
    return Cut(1, (0.0, 0.0), Cut(0, below), Cut(0, above))


@pytest.mark.parametrize("slopes", [[0, 0], [65535, 65535], MIDDLE, [0, 65535]])
def test_splits_in_a_zonotope_prove_what_it_does_not(judge: Judge, slopes: list[int]) -> None:
    checker = checker_of(case(row(-QUARTER)))
    alone = chunk([0], frame(NEURONS), zonotope(0, [1], slopes, 0), [END])
    assert not judge(checker, certificate(1, alone)).accepted
    verdict = judge(checker, certificate(1, chunk([0], frame(NEURONS), zonotope(0, [1], slopes, in_zonotope()), [END])))
    assert verdict.accepted


def test_the_form_of_a_zonotope_is_the_bound_of_its_lines(judge: Judge) -> None:
    """y - x = s x + h + h e - (-s x + h + h e') - x on [-1, 1] with h = 1/2 for s = 0: at least -1 - 2 h = -2."""
    for below, accepted in ((Fraction(1, 1000), True), (Fraction(-1, 1000), False)):
        checker = checker_of(case(row(-2 - below)))
        tree = chunk([0], frame(NEURONS), zonotope(0, [1], [0, 0], 0), [END])
        assert judge(checker, certificate(1, tree)).accepted == accepted


def test_false_claims_and_wrong_multipliers_in_a_zonotope_are_refused(judge: Judge) -> None:
    def verdict(threshold: Fraction, tree: Cut) -> Verdict:
        parts = frame(NEURONS), zonotope(0, [1], MIDDLE, tree), [END]
        return judge(checker_of(case(row(threshold))), certificate(1, chunk([0], *parts)))

    assert verdict(-QUARTER, in_zonotope()).accepted
    assert not verdict(Fraction(0), in_zonotope()).accepted
    assert not verdict(-QUARTER, in_zonotope(below=(0.0, 0.0))).accepted
    assert not verdict(-QUARTER, in_zonotope(above=(0.0, 0.0))).accepted
    assert not verdict(-QUARTER, in_zonotope(below=(0.0, 1.0))).accepted
    assert not verdict(-QUARTER, in_zonotope(above=(1.0, 0.0))).accepted


def test_a_column_may_be_stable(judge: Judge) -> None:
    """On [1/2, 1] the first neuron is active and the second is not; a wrong slope costs, splits make good for it."""
    checker = checker_of(case(row(-QUARTER), lower=Fraction(1, 2)))
    for slopes, tree, accepted in (
        ([65535, 0], 0, True),
        ([0, 0], 0, False),
        ([65535, 65535], 0, False),
        ([65535, 65535], in_zonotope(), True),
        (MIDDLE, in_zonotope(), True),
    ):
        chunk_words = chunk([0], frame(NEURONS), zonotope(0, [1], slopes, tree), [END])
        assert judge(checker, certificate(1, chunk_words)).accepted == accepted
    false = checker_of(case(row(Fraction(2)), lower=Fraction(1, 2)))
    for slopes in ([65535, 0], [0, 0], MIDDLE):
        chunk_words = chunk([0], frame(NEURONS), zonotope(0, [1], slopes, in_zonotope()), [END])
        assert not judge(false, certificate(1, chunk_words)).accepted


def test_the_multipliers_of_the_splits_above_count(judge: Judge) -> None:
    """Below x <= 0 and -x <= 0 the row is -x; with the first split's multiplier 1 it is 0."""
    checker = checker_of(case(row(-QUARTER)))
    for multipliers, accepted in (([1.0, 0.0], True), ([0.0, 0.0], False), ([0.0, 1.0], False)):
        here = [*frame(NEURONS), *zonotope(0, [1], [0, 0], 0, multipliers), END]
        others = [leaf(hints, 0) for hints in (OTHER_SIGNS, OTHER_SIGNS, SAME_SIGNS)]
        below = [*split(0, 0), *split(0, 1), *here, *others[0], *split(0, 1), *others[1], *others[2]]
        assert judge(checker, certificate(1, chunk([0], below))).accepted == accepted


def test_what_a_zonotope_leaves_open_is_proved_by_nodes_of_their_own(judge: Judge) -> None:
    """The open leaves are (-, -) and (+, +), in this order; each is a node with both splits on its path."""
    checker = checker_of(case(row(-QUARTER)), case(row(Fraction(-9))))
    tree = Cut(1, (0.0, 0.0), Cut(0, (0.0, 0.0), below=OPEN), Cut(0, (0.0, 0.0), above=OPEN))

    def verdict(*nodes: list[int]) -> Verdict:
        head = frame(NEURONS), proof(1, [1], [0, 0]), zonotope(0, [1], MIDDLE, tree), [END]
        return judge(checker, certificate(2, chunk([0, 1], *head, *nodes)))

    first, second = ([*proof(0, [1], [0, 0], hints), END] for hints in ([0.0, 1.0], [0.0, 1.0]))
    assert verdict(first, second).accepted
    unproved = [END]
    assert len(set(positions(verdict(first, unproved)))) == 1
    assert len(set(positions(verdict(unproved, second)))) == 1
    wrong = [*proof(0, [1], [0, 0], [1.0, 0.0]), END]
    assert not verdict(first, wrong).accepted
    assert not verdict(wrong, second).accepted
    assert not verdict([*proof(1, [1], [0, 0], [0.0, 0.0]), END], second).accepted


def test_a_tree_in_a_zonotope_with_a_mistake_anywhere_is_found_in_parts() -> None:
    cases = case(row(-QUARTER)), case(row(-QUARTER / 2)), case(row(-QUARTER / 3))
    for parts in (1, 2, 3, 4, 7):
        for bad in (None, 0, 1, 2):
            trees = [in_zonotope(below=(0.0 if k == bad else 1.0, 0.0)) for k in range(3)]
            items = [zonotope(k, [1], MIDDLE, tree) for k, tree in enumerate(trees)]
            verdict = checker_of(*cases).check(
                certificate(3, chunk([0, 1, 2], frame(NEURONS), *items, [END])), None, parts
            )
            assert verdict.accepted == (bad is None)
            assert len(verdict.failures) == (bad is not None)


# --- frames below the root --------------------------------------------------------------------------------------------

# z = relu(x) - relu(-x) - x + 1/4, which is 1/4, and the row 3/10 - relu(z) > 0.
STRAIGHT = Gather(np.zeros(1, dtype=np.int64))
TWO_LAYERS = Network(
    (
        *FIRST,
        Affine(((0, Dense(np.array([[-1.0]]))), (2, Dense(np.array([[1.0, -1.0]])))), np.full(1, 0.25)),
        Relu(3),
        Affine(((4, STRAIGHT),), np.zeros(1)),
    ),
    (1, 2, 2, 1, 1, 1),
)
COLUMNS = [(0, 0), (0, 1), (1, 0)]


def two_layers_below(threshold: Fraction) -> Checker:
    return Checker(TWO_LAYERS, (case(QueryRow({}, {0: Fraction(-1)}, threshold, True)),))


def framed_leaf(same_signs: bool, refined: bool, lower: float = 1.0, upper: float = 1.0) -> list[int]:
    """Bounds of z by multipliers of the first split from below and of the second from above."""
    rows = [[lower, 0.0], [0.0, upper]] if same_signs else [[0.0, 0.0], [0.0, 0.0]]
    layer = Refined(1, [0], False, [[0, 0], [0, 0]], rows)
    final = [0.0, 1.0] if same_signs else [0.0, 0.0]
    return [*(frame(COLUMNS, layer) if refined else []), *proof(0, [1], [0, 0, 0], final), END]


def two_layers(*leaves: list[int]) -> list[int]:
    a, b, c, d = leaves
    return chunk([0], frame(COLUMNS), split(0, 0), split(0, 1), a, b, split(0, 1), c, d)


def test_bounds_computed_anew_count_for_what_lies_below(judge: Judge) -> None:
    checker = two_layers_below(Fraction(3, 10))
    good = [framed_leaf(same, True) for same in (True, False, False, True)]
    assert judge(checker, certificate(1, two_layers(*good))).accepted
    for i, same in enumerate((True, False, False, True)):
        stale = [*good[:i], framed_leaf(same, False), *good[i + 1 :]]
        assert len(positions(judge(checker, certificate(1, two_layers(*stale))))) == 1


def test_bounds_of_no_use_are_only_loose(judge: Judge) -> None:
    """Multipliers on the wrong rows make the range of z wide again: refused, not misled."""
    checker = two_layers_below(Fraction(3, 10))
    wrong = framed_leaf(True, True, 0.0, 4.0)
    other = framed_leaf(False, True)
    assert len(positions(judge(checker, certificate(1, two_layers(wrong, other, other, wrong))))) == 2
    false = two_layers_below(QUARTER)
    good = [framed_leaf(same, True) for same in (True, False, False, True)]
    assert not judge(false, certificate(1, two_layers(*good))).accepted


# --- what the words hold ----------------------------------------------------------------------------------------------


def test_hints_are_read_as_the_format_says() -> None:
    """Slopes four and two to a word, multipliers in 16 and 32 bits, columns and splits of earlier layers only."""
    columns = [(0, 0), (1, 1), (0, 1), (0, 2), (1, 0), (0, 3), (0, 4)]
    slopes = [[1, 2, 3, 4, 15], [15, 0, 7, 8, 9]]
    refined = Refined(1, [1], False, slopes, [[0.5, 3.25], [1e-3, 0.0]])
    shared = Refined(2, [2, 0], True, [[5, 0, 10, 1, 2, 3, 15]], [[2.0, 1.0, 0.25]])
    path = [*split(0, 0), END, *split(1, 0), END, *split(0, 4)]
    here = [*frame(columns, refined, shared), *proof(0, [0.1, 7], [0, 255, 51, 1, 2, 3, 254], [1e-9, 2, 3]), END]
    tree = read_phase_tree(words(chunk([0], path, here, [END])), 4, [5, 2, 3], [2])
    (node,) = [node for node in tree.nodes if node.items]
    (found, claim) = node.items
    assert isinstance(found, Frame)
    assert isinstance(claim, Proof)
    assert found.columns.tolist() == [list(pair) for pair in columns]
    assert [(r.layer, r.neurons.tolist(), r.shared) for r in found.refined] == [(1, [1], False), (2, [2, 0], True)]
    assert found.refined[0].slopes == pytest.approx(np.array(slopes) / 15)
    assert found.refined[0].multipliers == pytest.approx(np.array([[0.5, 3.25], [1e-3, 0.0]]), rel=2**-7)
    assert (found.refined[0].multipliers <= np.array([[0.5, 3.25], [1e-3, 0.0]])).all()
    assert found.refined[1].slopes == pytest.approx(np.array(shared.slopes) / 15)
    assert found.refined[1].multipliers.tolist() == [[2.0, 1.0, 0.25]]
    assert claim.slopes == pytest.approx(np.array([0, 255, 51, 1, 2, 3, 254]) / 255)
    assert claim.weights.tolist() == [float(np.float32(0.1)), 7.0]
    assert claim.multipliers.tolist() == [float(np.float32(1e-9)), 2.0, 3.0]


def test_packing_leaves_no_slope_out() -> None:
    assert nibbles([1, 2, 3, 4, 15]) == [0x1234, 0xF000]
    assert nibbles([]) == []
    assert half(1.0) == 0x3F80
    assert float32(1.0) == [0, 0x3F80]


def test_symbols_show_what_intervals_and_backward_bounds_do_not(judge: Judge) -> None:
    """z = relu(x) - x / 2 is |x| / 2, which is not negative; y = relu(z), and z - y > -1/100 is to be shown.

    The symbol of the first ReLU gives z = (1 + e) / 4 exactly, so that the second one is stable.
    """
    nodes = (
        Input(1),
        Affine(((0, Dense(np.eye(1))),), np.zeros(1)),
        Relu(1),
        Affine(((2, Dense(np.eye(1))), (0, Dense(np.array([[-0.5]])))), np.zeros(1)),
        Relu(3),
        Affine(((4, Dense(np.array([[-1.0]]))), (2, Dense(np.eye(1))), (0, Dense(np.array([[-0.5]])))), np.zeros(1)),
    )
    asked = case(QueryRow({}, {0: Fraction(1)}, Fraction(1, 100), True))
    checker = Checker(Network(nodes, (1,) * 6), (asked,))
    proved = [*frame([(0, 0), (1, 0)]), *proof(0, [1], [128, 128]), END]
    assert judge(checker, certificate(1, chunk([0], [SYMBOLS], proved))).accepted
    assert not judge(checker, certificate(1, chunk([0], proved))).accepted


def test_symbols_of_different_relus_are_not_confused(judge: Judge) -> None:
    """relu(x + 1/2) - relu(1/2 - x) is 3/2 x plus up to 1/4; with one symbol for both ReLUs it would be 3/2 x exactly.

    Both read the input, neither reads the other.
    """
    half = np.array([0.5])
    nodes = (
        Input(1),
        Affine(((0, Dense(np.eye(1))),), half),
        Relu(1),
        Affine(((0, Dense(-np.eye(1))),), half),
        Relu(3),
        Affine(((2, Dense(-np.eye(1))), (4, Dense(np.eye(1))), (0, Dense(np.array([[1.5]])))), np.array([0.1])),
        Relu(5),
        Affine(((6, Dense(np.eye(1))), (5, Dense(-np.eye(1)))), np.zeros(1)),
    )
    asked = case(QueryRow({}, {0: Fraction(-1)}, Fraction(1, 100), True))  # -y > -1/100, not so at x = 1/2
    checker = Checker(Network(nodes, (1,) * 8), (asked,))
    proved = [*frame([(0, 0), (1, 0), (2, 0)]), *proof(0, [1], [0, 0, 0]), END]
    assert not judge(checker, certificate(1, chunk([0], [SYMBOLS], proved))).accepted


def test_symbols_stand_at_the_root_and_before_everything_else(judge: Judge) -> None:
    """The word has no meaning in any other place."""
    asked = case(row(-QUARTER), lower=Fraction(1, 4))
    for tree in ([[SYMBOLS], [SYMBOLS], leaf([], 0)], [split(0, 0), [SYMBOLS], leaf([0.0], 0), leaf([0.0], 0)]):
        with pytest.raises(CheckError, match="unknown word 7"):
            judge(checker_of(asked), certificate(1, chunk([0], *tree)))


SIGN = Network((Input(1), Affine(((0, Dense(np.eye(1))),), np.zeros(1)), Sign(1)), (1, 1, 1))
AT_ROOT = [*proof(0, [1]), END]


@pytest.mark.parametrize(
    ("lower", "upper", "x", "y", "above", "holds"),
    [
        (-1, 1, "0", 1, "-1.01", True),
        (-1, 1, "0", 1, "-0.99", False),
        (-1, 1, "0", -1, "-1.01", True),
        ("0.1", 1, "0", 1, "0.99", True),
        (-1, "-0.1", "0", -1, "0.99", True),
        (-1, 4, "-0.5", 1, "-1.01", True),  # y >= x / 2 - 1, from (0, -1) to (4, 1): a constant gives y - x / 2 >= -3
        (-4, 1, "0.5", -1, "-1.01", True),  # y <= x / 2 + 1, from (-4, -1) to (0, 1)
        (-1, 4, "-0.5", 1, "-0.99", False),
    ],
)
def test_signs_are_bounded_by_their_lines(
    lower: float | str, upper: float | str, x: str, y: int, above: str, holds: bool, judge: Judge
) -> None:
    """Rows x_coef x + y_coef sign(x) > above, whose least values are -1 or 1: the bounds are exact."""
    wanted = QueryRow({0: Fraction(x)}, {0: Fraction(y)}, -Fraction(above), True)
    checker = Checker(SIGN, (case(wanted, lower=Fraction(lower), upper=Fraction(upper)),))
    assert judge(checker, certificate(1, chunk([0], AT_ROOT))).accepted == holds
    by_boxes = Certificate(NOWHERE, NOWHERE, 1, (words([LEAF]),), "")
    assert judge(checker, by_boxes).accepted == holds


@pytest.mark.parametrize("steps", [[*frame([(0, 0)]), END], [*split(0, 0), END, END]])
def test_signs_have_neither_slopes_nor_phases(steps: list[int], judge: Judge) -> None:
    checker = Checker(SIGN, (case(row(QUARTER)),))
    with pytest.raises(CheckError, match="one of a sign"):
        judge(checker, certificate(1, chunk([0], steps)))


def test_zonotopes_are_for_relus(judge: Judge) -> None:
    checker = Checker(SIGN, (case(row(QUARTER)),))
    with pytest.raises(CheckError, match="without signs"):
        judge(checker, certificate(1, chunk([0], zonotope(0, [1], [], 0), [END])))


def test_ranges_of_signs_are_refined(judge: Judge) -> None:
    """z = relu(x) - x + 1/4 is positive; intervals say -3/4 at least, a row of its own says 1/4."""
    nodes = (
        Input(1),
        Affine(((0, Dense(np.eye(1))),), np.zeros(1)),
        Relu(1),
        Affine(((2, Dense(np.eye(1))), (0, Dense(-np.eye(1)))), np.array([0.25])),
        Sign(3),
    )
    asked = case(QueryRow({}, {0: Fraction(1)}, Fraction(-99, 100), True))
    checker = Checker(Network(nodes, (1,) * 5), (asked,))
    refined = frame([(0, 0)], Refined(1, [0], False, [[15], [15]], [[], []]))
    assert judge(checker, certificate(1, chunk([0], refined, proof(0, [1], [255]), [END]))).accepted
    assert not judge(checker, certificate(1, chunk([0], AT_ROOT))).accepted


def test_a_sign_behind_a_relu_has_a_slope_though_its_range_begins_at_zero(judge: Judge) -> None:
    """sign(r) - 2 r + 3/2 with r = relu(x) is at least 1/2 on [-1, 1]; a constant line would say -1/2."""
    nodes = (
        Input(1),
        Affine(((0, Dense(np.eye(1))),), np.zeros(1)),
        Relu(1),
        Sign(2),
        Affine(((3, Dense(np.eye(1))), (2, Dense(np.array([[-2.0]])))), np.array([1.5])),
    )
    checker = Checker(Network(nodes, (1,) * 5), (case(QueryRow({}, {0: Fraction(1)}, Fraction(0), True)),))
    columns = frame([(0, 0)])
    assert judge(checker, certificate(1, chunk([0], columns, proof(0, [1], [255]), [END]))).accepted
    assert judge(checker, Certificate(NOWHERE, NOWHERE, 1, (words([LEAF]),), "")).accepted


@pytest.mark.parametrize("parts", [1, 2, 3, 5, 50])
@pytest.mark.parametrize("wrong", [None, 0, 1, 2])
def test_every_ending_of_every_tree_is_checked_in_some_part(parts: int, wrong: int | None) -> None:
    """Three cases with trees of their own, one of them with a leaf that proves nothing."""
    good, bad = both_split(0), both_split(0)
    last = len(bad) - len(leaf(SAME_SIGNS, 0))
    bad[last:] = leaf([0.0, 0.0], 0)
    trees = [chunk([k], bad if k == wrong else good) for k in range(3)]
    checker = checker_of(*[case(row(-QUARTER))] * 3)
    roots = [[3, 0, 3 + k] for k in range(3)]
    evidence = Certificate(NOWHERE, NOWHERE, 3, tuple(map(words, [*roots, *trees])), "")
    verdict = checker.check(evidence, None, parts)
    assert verdict.accepted == (wrong is None)
    assert {chunk for _, chunk, _ in verdict.failures} == ({3 + wrong} if wrong is not None else set())
