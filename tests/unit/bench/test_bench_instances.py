"""Listings are read completely, or every fault in them is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.instances import find_instances, read_instances
from specs.errors import SpecError

HEADER = "onnx,vnnlib,timeout_s,expected,confidence\n"


def benchmark(folder: Path, listing: str, *files: str) -> Path:
    folder.mkdir(parents=True)
    (folder / "instances.csv").write_text(listing, encoding="utf-8")
    for name in files:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("", encoding="utf-8")
    return folder


def test_reads_columns_by_name_and_finds_packed_files(tmp_path: Path) -> None:
    listing = "vnnlib,extra,onnx,timeout_s,expected\np.vnnlib,x,m.onnx,1.5,sat\np.vnnlib,x,m.onnx,20,\n"
    folder = benchmark(tmp_path / "toy", listing, "m.onnx", "p.vnnlib.gz")
    first, second = find_instances(folder)
    assert (first.benchmark, first.model, first.spec, first.timeout) == ("toy", "m.onnx", "p.vnnlib", 1.5)
    assert (first.expected, second.expected) == ("sat", "unknown")
    assert first.model_path == folder / "m.onnx"
    assert first.spec_path == folder / "p.vnnlib.gz"


def test_reads_the_headerless_competition_layout(tmp_path: Path) -> None:
    folder = benchmark(tmp_path / "toy", "m.onnx,p.vnnlib,116\n\nm.onnx,q.vnnlib,7\n")
    assert [(i.spec, i.timeout, i.expected) for i in read_instances(folder)] == [
        ("p.vnnlib", 116.0, "unknown"),
        ("q.vnnlib", 7.0, "unknown"),
    ]


def test_names_every_bad_line(tmp_path: Path) -> None:
    rows = "m,p,soon,sat\nm,p,1,unsat\nm,p,0,sat\nm,,1,sat\nm,p,1,maybe\nm,p,nan,sat\n"
    folder = benchmark(tmp_path / "toy", HEADER + rows)
    with pytest.raises(SpecError) as caught:
        read_instances(folder)
    message = str(caught.value)
    for line in (2, 4, 5, 6, 7):
        assert f"instances.csv:{line}: " in message
    assert "instances.csv:3: " not in message


def test_names_a_missing_column(tmp_path: Path) -> None:
    folder = benchmark(tmp_path / "toy", "onnx,spec,timeout_s\nm,p,1\n")
    with pytest.raises(SpecError, match="no column vnnlib"):
        read_instances(folder)


def test_names_every_missing_file_once(tmp_path: Path) -> None:
    folder = benchmark(tmp_path / "toy", HEADER + "m.onnx,p.vnnlib,1,sat\nm.onnx,q.vnnlib,1,sat\n", "q.vnnlib")
    with pytest.raises(SpecError, match="2 listed file") as caught:
        find_instances(folder)
    assert str(caught.value).count("m.onnx") == 1
    assert "p.vnnlib" in str(caught.value)


def test_chooses_benchmarks_and_instances(tmp_path: Path) -> None:
    for name in ("a", "b"):
        benchmark(tmp_path / name, HEADER + "m.onnx,p1.vnnlib,1,sat\nm.onnx,p2.vnnlib,1,sat\n", *FILES)
    (tmp_path / "notes.txt").write_text("not a benchmark", encoding="utf-8")
    assert [(i.benchmark, i.spec) for i in find_instances(tmp_path)] == [
        (name, spec) for name in ("a", "b") for spec in ("p1.vnnlib", "p2.vnnlib")
    ]
    assert [(i.benchmark, i.spec) for i in find_instances(tmp_path, ["b"], r"p2\.")] == [("b", "p2.vnnlib")]
    assert [i.benchmark for i in find_instances(tmp_path, None, "^a ")] == ["a", "a"]


FILES = ("m.onnx", "p1.vnnlib", "p2.vnnlib")


@pytest.mark.parametrize(
    ("names", "pattern", "message"),
    [
        (["a", "c", "d"], None, "no benchmark named c, d; there are: a"),
        (None, "(", "not a regular"),
        (None, "z", "no inst"),
    ],
)
def test_a_choice_that_makes_no_sense_is_an_error(
    tmp_path: Path, names: list[str] | None, pattern: str | None, message: str
) -> None:
    benchmark(tmp_path / "a", HEADER + "m.onnx,p1.vnnlib,1,sat\n", *FILES)
    with pytest.raises(SpecError, match=message):
        find_instances(tmp_path, names, pattern)


def test_a_folder_without_benchmarks_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"holds an instances\.csv"):
        find_instances(tmp_path)
    with pytest.raises(SpecError, match="no such folder"):
        find_instances(tmp_path / "absent")


@pytest.mark.shared
def test_reads_every_public_benchmark(shared_dir: Path) -> None:
    """The collection's own count: 24 benchmarks, 1053 instances of which 263 are known sat and 729 known unsat."""
    instances = find_instances(shared_dir / "benchmarks")
    expected = [instance.expected for instance in instances]
    assert len({instance.benchmark for instance in instances}) == 24
    assert (len(expected), expected.count("sat"), expected.count("unsat")) == (1053, 263, 729)
