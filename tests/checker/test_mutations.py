"""Tampered certificates: each is refused, or what it claims is proved a second time in rational arithmetic."""

from __future__ import annotations

import json
import random
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from hashlib import sha256

import numpy as np
import pytest

from tests.checker.phase_words import EMPTY
from tests.oracle import Row, minimum_of_max
from tests.oracle.files import vnnlib_text
from tests.soundness.certificates import Parts, Proved, proved_questions, zipped
from tests.soundness.seeds import BASE_SEED
from verifier.checker.__main__ import make_checker
from verifier.checker.container import Certificate, read_evidence
from verifier.checker.errors import CheckError
from verifier.checker.exact_tree import audit
from verifier.checker.phase_tree import Cuts, PhaseTree, Proof, read_phase_tree

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

POOL = 15
LEAF, CLIP, REF, PHASES, SPLIT = 0, 1, 2, 3, 16


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> list[Proved]:
    """Trees over inputs, and a few over ReLU phases."""
    split = proved_questions(POOL, tmp_path_factory.mktemp("split"))
    phases = proved_questions(5, tmp_path_factory.mktemp("phases"), stream=5, way="phases")
    return split + phases + proved_questions(3, tmp_path_factory.mktemp("both"), stream=6, way="both")


def accepted(data: bytes, model: bytes | None = None, query: bytes | None = None) -> bool:
    """Whether the checker accepts; the audit then has to agree. Files not given are those the certificate embeds."""
    try:
        evidence = read_evidence(data)
        assert isinstance(evidence, Certificate)
        if model is None or query is None:
            if evidence.model.embedded is None or evidence.query.embedded is None:
                return False  # the command line would look for files that are not there
            model, query = evidence.model.embedded, evidence.query.embedded
        elif not named(evidence, model, query):
            return False
        checker = make_checker(model, query)
        verdict = checker.check(evidence, None)
    except CheckError:
        return False
    if verdict.accepted:
        exact = audit(checker, evidence)
        assert exact.accepted, f"accepted in float64 ({verdict.leaves} leaves), but {exact.reason}"
    return verdict.accepted


def named(evidence: Certificate, model: bytes, query: bytes) -> bool:
    """Whether the certificate is about these files, as ``read_source`` finds out."""
    return (evidence.model.sha256, evidence.query.sha256) == tuple(sha256(f).hexdigest() for f in (model, query))


def test_the_pool_is_accepted_as_it_is(pool: list[Proved]) -> None:
    for proved in pool:
        assert accepted(proved.parts.to_bytes())
        assert accepted(proved.parts.to_bytes(embed=False), proved.parts.model, proved.parts.query)
        assert proved.question.holds


# --- bytes of the file ------------------------------------------------------------------------------------------------


def flip(rng: random.Random, data: bytes) -> bytes:
    at = rng.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]


def truncate(rng: random.Random, data: bytes) -> bytes:
    return data[: rng.randrange(len(data))]


def drop(rng: random.Random, data: bytes) -> bytes:
    at = rng.randrange(len(data))
    return data[:at] + data[at + rng.randint(1, 9) :]


def insert(rng: random.Random, data: bytes) -> bytes:
    at = rng.randrange(len(data))
    return data[:at] + rng.randbytes(rng.randint(1, 9)) + data[at:]


def append(rng: random.Random, data: bytes) -> bytes:
    return data + rng.randbytes(rng.randint(1, 40))


def exchange(rng: random.Random, data: bytes) -> bytes:
    a, b = sorted(rng.sample(range(len(data) - 8), 2))
    return data[:a] + data[b : b + 8] + data[a + 8 : b] + data[a : a + 8] + data[b + 8 :] if b - a > 8 else data[::-1]


BYTES = (flip, truncate, drop, insert, append, exchange)


@pytest.mark.parametrize("change", BYTES, ids=lambda change: change.__name__)
def test_changed_bytes(pool: list[Proved], change: Callable[[random.Random, bytes], bytes]) -> None:
    """What is about the user's own files is proved of them; the claim of the pool is true, so nothing false passes."""
    rng = random.Random(f"{BASE_SEED}-{change.__name__}")
    seen: Counter[bool] = Counter()
    for proved in pool:
        whole = proved.parts.to_bytes(embed=False)
        for _ in range(8):
            seen[accepted(change(rng, whole), proved.parts.model, proved.parts.query)] += 1
    if change is not append:  # ZIP readers ignore what follows the archive; the proof is what it was
        assert seen[False] >= 4 * seen[True], "most damage has to be noticed"


def test_changed_bytes_of_embedded_files(pool: list[Proved]) -> None:
    """Every byte of a model or query counts: its hash is in the manifest."""
    rng = random.Random(f"{BASE_SEED}-embedded")
    for proved in pool:
        members = proved.parts.members()
        for name in ("model.onnx", "query.vnnlib") * 3:
            assert not accepted(zipped({**members, name: flip(rng, members[name])}))


# --- words of the trees -----------------------------------------------------------------------------------------------


def other_word(rng: random.Random, words: list[int], inputs: int) -> list[int]:
    at = rng.randrange(len(words))
    pool = [LEAF, CLIP, REF, PHASES, 4, 5, 6, 7, 15, *range(SPLIT, SPLIT + inputs + 1), 0xFFFF]
    return [*words[:at], rng.choice(pool), *words[at + 1 :]]


def without_a_word(rng: random.Random, words: list[int], inputs: int) -> list[int]:
    at = rng.randrange(len(words))
    return words[:at] + words[at + 1 :]


def one_word_more(rng: random.Random, words: list[int], inputs: int) -> list[int]:
    at = rng.randint(0, len(words))
    return [*words[:at], rng.choice([LEAF, CLIP, SPLIT, REF]), *words[at:]]


def exchanged_words(rng: random.Random, words: list[int], inputs: int) -> list[int]:
    a, b = rng.randrange(len(words)), rng.randrange(len(words))
    changed = list(words)
    changed[a], changed[b] = words[b], words[a]
    return changed


def subtree_to_leaf(rng: random.Random, words: list[int], inputs: int) -> list[int]:
    at = rng.randrange(len(words))
    return [*words[:at], LEAF, *words[end_of_tree(words, at) :]]


def leaf_to_split(rng: random.Random, words: list[int], inputs: int) -> list[int]:
    at = rng.choice([i for i, word in enumerate(words) if word == LEAF])
    return [*words[:at], SPLIT + rng.randrange(inputs), LEAF, LEAF, *words[at + 1 :]]


def other_input(rng: random.Random, words: list[int], inputs: int) -> list[int]:
    splits = [i for i, word in enumerate(words) if word >= SPLIT]
    at = rng.choice(splits) if splits else 0
    return [*words[:at], SPLIT + rng.randrange(inputs), *words[at + 1 :]]


def exchanged_children(rng: random.Random, words: list[int], inputs: int) -> list[int]:
    splits = [i for i, word in enumerate(words) if word >= SPLIT]
    if not splits:
        return [LEAF]
    at = rng.choice(splits)
    middle = end_of_tree(words, at + 1)
    end = end_of_tree(words, middle)
    return [*words[: at + 1], *words[middle:end], *words[at + 1 : middle], *words[end:]]


def without_clips(rng: random.Random, words: list[int], inputs: int) -> list[int]:
    return [word for word in words if word != CLIP] if CLIP in words else [CLIP, *words]


def end_of_tree(words: list[int], at: int) -> int:
    """Position behind the tree that starts at ``at``."""
    open_places = 1
    while open_places:
        word = words[at]
        open_places += 1 if word >= SPLIT else 0 if word == CLIP else -1
        at += 3 if word == REF else 1
    return at


WORDS = (
    other_word, without_a_word, one_word_more, exchanged_words, subtree_to_leaf, leaf_to_split, other_input,
    exchanged_children, without_clips,
)  # fmt: skip


@pytest.mark.parametrize("change", WORDS, ids=lambda change: change.__name__)
def test_changed_trees(pool: list[Proved], change: Callable[[random.Random, list[int], int], list[int]]) -> None:
    rng = random.Random(f"{BASE_SEED}-{change.__name__}")
    seen: Counter[bool] = Counter()
    by_words = change in (other_word, without_a_word, one_word_more, exchanged_words)
    for proved in pool if by_words else pool[:POOL]:
        for _ in range(5):
            last = len(proved.parts.chunks) - 1  # of phase trees the chunk that holds one
            changed = change(rng, proved.parts.chunks[last], proved.question.net.inputs)
            seen[accepted(proved.parts.with_chunk(last, changed).to_bytes())] += 1
    assert sum(seen.values()) == 5 * len(pool if by_words else pool[:POOL])
    # A finer tree need not be proved, even below a proved leaf: the lower slope of a ReLU jumps with its range.
    assert seen[True] if change in (leaf_to_split, exchanged_children, other_input) else seen[False]


# --- phase trees ------------------------------------------------------------------------------------------------------


def no_weight(rng: random.Random, proved: Proved, tree: PhaseTree, words: list[int]) -> list[int]:
    at = rng.choice(proofs(tree)).position + 2
    return [*words[:at], *[0] * (2 * len(proved.question.rows)), *words[at + 2 * len(proved.question.rows) :]]


def without_a_proof(rng: random.Random, proved: Proved, tree: PhaseTree, words: list[int]) -> list[int]:
    at, end = span(rng.choice(proofs(tree)))
    return words[:at] + words[end:]


def other_hints(rng: random.Random, proved: Proved, tree: PhaseTree, words: list[int]) -> list[int]:
    """Everything behind the weights of a proof, or the multipliers of the splits in a zonotope."""
    item = rng.choice(proofs(tree))
    at, end = span(item)
    first = end - 2 * splits(item) if isinstance(item, Cuts) else at + 2 + 2 * len(proved.question.rows)
    return [*words[:first], *(rng.randrange(0x7000) for _ in range(end - first)), *words[end:]]


def emptied(rng: random.Random, proved: Proved, tree: PhaseTree, words: list[int]) -> list[int]:
    """An ending called empty, with the proofs of its node taken away."""
    node = rng.choice([node for node in tree.nodes if node.end >= 0 and not node.empty])
    claims = [item for item in node.items if isinstance(item, Proof | Cuts)]
    at, end = (claims[0].position, span(claims[-1])[1]) if claims else (0, 0)
    ending = max(node.position, end)
    return [*words[:at], *words[end:ending], EMPTY, *words[ending + 1 :]]


def exchanged_halves(rng: random.Random, proved: Proved, tree: PhaseTree, words: list[int]) -> list[int]:
    inner = [node for node in tree.nodes if node.end < 0]
    if not inner:
        return words[:-1]
    node = rng.choice(inner)
    below, above = (child.at for child in node.children[-2:])
    start, middle = tree.nodes[below].position, tree.nodes[above].position
    end = next((other.position for other in tree.nodes[above:] if other.first_end >= node.last_end), len(words))
    return [*words[:start], *words[middle:end], *words[start:middle], *words[end:]]


def proofs(tree: PhaseTree) -> list[Proof | Cuts]:
    return [item for node in tree.nodes for item in node.items if isinstance(item, Proof | Cuts)]


def splits(cuts: Cuts) -> int:
    return int(np.count_nonzero(cuts.column >= 0))


def span(proof: Proof | Cuts) -> tuple[int, int]:
    if isinstance(proof, Cuts):
        hints = 2 * len(proof.weights) + len(proof.slopes) + 2 * len(proof.multipliers)
        return proof.position, proof.position + 2 + hints + 2 + len(proof.column) + 2 * splits(proof)
    hints = 2 * len(proof.weights) + (len(proof.slopes) + 1) // 2 + 2 * len(proof.multipliers)
    return proof.position, proof.position + 2 + hints


PHASE_CHANGES = (no_weight, without_a_proof, other_hints, emptied, exchanged_halves)


@pytest.mark.parametrize("change", PHASE_CHANGES, ids=lambda change: change.__name__)
def test_changed_phase_trees(pool: list[Proved], change: Callable[..., list[int]]) -> None:
    rng = random.Random(f"{BASE_SEED}-{change.__name__}")
    seen: Counter[bool] = Counter()
    for proved in pool[POOL:]:
        checker = make_checker(proved.parts.model, proved.parts.query)
        words = proved.parts.chunks[1]
        network = checker.bounder.network
        rows = [len(proved.question.rows)]
        tree = read_phase_tree(np.array(words, dtype=np.uint16), network.sizes[0], network.widths, rows)
        for _ in range(6):
            changed = change(rng, proved, tree, words)
            assert changed != words or change is other_hints  # a proof that needs no hint has none to change
            seen[accepted(proved.parts.with_chunk(1, changed).to_bytes())] += 1
    assert seen[False]
    if change in (no_weight, without_a_proof):
        assert not seen[True]


# --- the manifest -----------------------------------------------------------------------------------------------------


def manifests(parts: Parts) -> Iterator[tuple[str, dict[str, object]]]:
    """Manifests that differ in one field which means something; none may pass."""
    good = json.loads(parts.members()["manifest.json"])
    for key in good:
        yield f"no {key}", {k: v for k, v in good.items() if k != key}
    yield "a key more", {**good, "hints": []}
    for key, values in {
        "format": ["nnwitness", "NNCERT", "", None, 1],
        "version": [0, 1, 6, 8, "7", True, None, [7], 2.5, 7.0],
        "semantics": ["float", "", None],
        "cases": [0, 2, -1, 1.5, "1", None, True, 10**30, [1]],
        "chunks": [
            [], [0], [-1], None, "1", {}, [n + 1 for n in good["chunks"]], [n - 1 for n in good["chunks"]],
            [*good["chunks"], 1], [*good["chunks"], 0], [1.0 * n for n in good["chunks"]], [10**30], [1 << 28],
        ],
        "model": [None, {}, [], "x", {"sha256": "0" * 64, "path": "m"}, {**good["model"], "extra": 1},
                  {"sha256": good["query"]["sha256"], "path": ""}, {"sha256": None, "path": ""}],
        "pairs": [None, {}, "x", 1, [0], [[]], [[0]], [[0, 1, 2]], [[0, 0]], [[0, 99]], [[-1, 0]], [[0.0, 1]],
                  [[True, 0]], [["0", "1"]], [[0, 10**30]], [[[0], [1]]]],
        "query": [None, {}, {"sha256": "", "path": ""}, {"sha256": good["model"]["sha256"], "path": ""}],
    }.items():  # fmt: skip
        for value in values:
            yield f"{key}={value!r:.20}", {**good, key: value}
    yield "exchanged sources", {**good, "model": good["query"], "query": good["model"]}


def test_changed_manifests(pool: list[Proved]) -> None:
    for proved in pool[:5]:
        members = proved.parts.members()
        for what, manifest in manifests(proved.parts):
            changed = {**members, "manifest.json": json.dumps(manifest).encode()}
            assert not accepted(zipped(changed)), what


@pytest.mark.parametrize(
    "text",
    [b"", b"{", b"[]", b"null", b"1", b'"x"', b"\xff\xfe", b"[" * 100_000, b'{"format":' * 50_000, b"NaN", b"{}" * 2],
    ids=range(11),
)
def test_a_manifest_that_is_none(pool: list[Proved], text: bytes) -> None:
    members = pool[0].parts.members()
    assert not accepted(zipped({**members, "manifest.json": text}))


# --- the claim --------------------------------------------------------------------------------------------------------


def test_other_models_and_queries(pool: list[Proved]) -> None:
    """A proof about one question, offered for every other one of the pool."""
    for a in pool:
        assert not accepted(a.parts.to_bytes(embed=False), pool[0].parts.model[:-1], a.parts.query)
        for b in pool:
            if a is not b:
                assert not accepted(a.parts.to_bytes(embed=False), b.parts.model, b.parts.query)
                forged = replace(a.parts, model=b.parts.model, query=b.parts.query)
                accepted(forged.to_bytes())  # may happen to prove b: then the audit inside agrees, and b is true


def test_weights_of_the_model_changed_by_one_unit_and_by_much(pool: list[Proved]) -> None:
    """A proof that carries over to the changed weights is a proof about them."""
    rng = random.Random(f"{BASE_SEED}-weights")
    seen: Counter[str] = Counter()
    for proved in pool:
        for large in (False, True, True):
            net = proved.question.net
            weights = [layer.weight.copy() for layer in net.layers]
            weight = rng.choice(weights)
            at = rng.randrange(weight.shape[0]), rng.randrange(weight.shape[1])
            weight[at] = weight[at] + rng.choice((-2, 2)) if large else np.nextafter(weight[at], np.float32(9e9))
            layers = tuple(replace(layer, weight=w) for layer, w in zip(net.layers, weights, strict=True))
            changed = replace(proved.question, net=replace(net, layers=layers))
            model, _ = changed.write(proved.folder)
            forged = replace(proved.parts, model=model.read_bytes())
            assert not accepted(forged.to_bytes(), proved.parts.model, proved.parts.query)
            if accepted(forged.to_bytes()):
                assert holds(changed.net.network(), changed.lower, changed.upper, changed.rows)
                seen["still true"] += 1
            else:
                seen["refused"] += 1
    assert seen["refused"] >= 5
    assert seen["still true"] >= 5


def test_larger_boxes_and_shifted_thresholds(pool: list[Proved]) -> None:
    """The threshold just above the exact optimum, and boxes that grow: what stays accepted is true."""
    seen: Counter[str] = Counter()
    for proved in pool:
        q = proved.question
        for shift in (Fraction(1, 10**30), Fraction(1, 10**9), Fraction(1, 1000), abs(q.optimum) * 3):
            rows = tuple(Row(r.x, r.y, r.constant - finite(q.optimum + shift), r.strict) for r in q.rows)
            text = vnnlib_text(q.lower, q.upper, q.net.outputs, rows).encode()
            assert not accepted(replace(proved.parts, query=text).to_bytes()), "the exact optimum is below"
        for grown in (Fraction(1, 10**6), Fraction(1, 100), Fraction(1, 2), Fraction(3)):
            lower = tuple(v - grown for v in q.lower)
            upper = tuple(v + grown for v in q.upper)
            text = vnnlib_text(lower, upper, q.net.outputs, q.rows).encode()
            if accepted(replace(proved.parts, query=text).to_bytes()):
                assert holds(q.network, lower, upper, q.rows)
                seen["still true"] += 1
            else:
                seen["refused"] += 1
    assert seen["refused"] >= POOL


def finite(value: Fraction) -> Fraction:
    """The value rounded up to 40 decimal places."""
    return Fraction(-(-value * 10**40 // 1), 10**40)


def holds(network: object, lower: object, upper: object, rows: tuple[Row, ...]) -> bool:
    least, _ = minimum_of_max(network, lower, upper, rows)  # type: ignore[arg-type]
    return least > 0 or (least == 0 and not rows[0].strict)


# --- the archive ------------------------------------------------------------------------------------------------------


def test_tricks_with_the_archive(pool: list[Proved]) -> None:
    proved = pool[0]
    members = proved.parts.members()
    tricks = {
        "deflated": zipped(members, zipfile.ZIP_DEFLATED),
        "bzip2": zipped(members, zipfile.ZIP_BZIP2),
        "lzma": zipped(members, zipfile.ZIP_LZMA),
        "one more": zipped({**members, "readme.txt": b""}),
        "a folder": zipped({**members, "trees.bin/": b""}),
        "a path": zipped({("../" + k if k == "trees.bin" else k): v for k, v in members.items()}),
        "another case": zipped({k.upper(): v for k, v in members.items()}),
        "no trees": zipped({k: v for k, v in members.items() if k != "trees.bin"}),
        "no manifest": zipped({k: v for k, v in members.items() if k != "manifest.json"}),
        "empty": zipped({}),
        "nothing": b"",
        "twice": twice(members),
        "encrypted": encrypted(zipped(members)),
        "longer than it says": resized(zipped(members), 1),
        "shorter than it says": resized(zipped(members), -1),
        "huge": resized(zipped(members), 1 << 31),
        "trees plain": zipped({**members, "trees.bin": zlib.decompress(members["trees.bin"])}),
        "trees empty": zipped({**members, "trees.bin": b""}),
        "trees of two streams": zipped({**members, "trees.bin": members["trees.bin"] * 2}),
        "trees cut": zipped({**members, "trees.bin": members["trees.bin"][:-1]}),
        "trees bomb": zipped({**members, "trees.bin": zlib.compress(bytes(1 << 26))}),
        "trees odd": zipped({**members, "trees.bin": zlib.compress(zlib.decompress(members["trees.bin"]) + b"\x00")}),
    }
    for what, data in tricks.items():
        assert not accepted(data), what


def twice(members: dict[str, bytes]) -> bytes:
    """The archive with a second member called manifest.json (written under another name of the same length)."""
    return zipped({**members, "manifest.jsom": b"{}"}).replace(b"manifest.jsom", b"manifest.json")


def encrypted(data: bytes) -> bytes:
    """The encryption flag set in the central directory's first entry."""
    at = data.index(b"PK\x01\x02") + 8
    return data[:at] + struct.pack("<H", struct.unpack("<H", data[at : at + 2])[0] | 1) + data[at + 2 :]


def resized(data: bytes, by: int) -> bytes:
    """The stated sizes of the first member changed in the central directory."""
    at = data.index(b"PK\x01\x02") + 20
    sizes = [size + by for size in struct.unpack("<II", data[at : at + 8])]
    return data[:at] + struct.pack("<II", *sizes) + data[at + 8 :]
