"""Mistakes on the command line: one sentence each, with what to do."""

from __future__ import annotations

import os

import pytest

from verifier.cli import main


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "say which model and which specification: certify MODEL SPEC"),
        (["--tiemout", "3", "MODEL", "SPEC"], "unknown option '--tiemout'. Did you mean '--timeout'?"),
        (["MODEL", "SPEC", "--timeout", "-1"], "--timeout: expected a positive number of seconds, not '-1'"),
        (["MODEL", "SPEC", "--timeout", "nan"], "--timeout: expected a positive number of seconds, not 'nan'"),
        (["MODEL", "SPEC", "--timeout", "inf"], "--timeout: expected a positive number of seconds, not 'inf'"),
        (["MODEL", "SPEC", "--workers", "0"], "--workers: expected a whole number of at least 1, not '0'"),
        (["MODEL", "SPEC", "--seed", "x"], "--seed: expected a whole number of at least 0, not 'x'"),
        (["MODEL", "SPEC", "--set", "eps"], "--set: expected NAME=VALUE, not 'eps'"),
        (["MODEL", "SPEC", "--set", "eps=1"], "a VNN-LIB query has no parameters"),
        (["MODEL", "SPEC", "--methods", "crwn"], "unknown method 'crwn'. Did you mean 'crown'?"),
        (["MODEL", "SPEC", "--methods", "sos"], "known are pgd, ibp, crown, alpha-crown, lp, sdp, milp, smt, bab)"),
        (["MODEL", "SPEC", "--branching", "smaer"], "unknown branching rule 'smaer'. Did you mean 'smear'?"),
        (["SPEC", "MODEL"], "model and specification are swapped: say certify"),
        (["MODEL"], "there is no specification for"),
        (["MODEL", "MODEL"], "is a model, not a specification"),
        (["SPEC"], "does not name its model"),
        (["MODEL", "SPEC", "SPEC"], "expected MODEL SPEC, found 3 files"),
        (["a.onnx", "b.vnnlib"], "there is no file a.onnx and no file b.vnnlib"),
        (["MODEL", "README.md"], "there is no file README.md"),
        (["MODEL", "SPEC", "--certificate", "no/p.nncert"], "make no first"),
        (["MODEL", "SPEC", "--json", "no/r.json"], "make no first"),
        (["MODEL", "SPEC", "--out", "SPEC"], "cannot be made"),
        (["benhc"], "'benhc' is neither a file nor a command. Did you mean 'bench'?"),
        (["check"], "the following arguments are required: CERTIFICATE"),
        (["check", "no.nncert"], "there is no file no.nncert"),
        (["check", "SPEC"], "not a certificate"),
        (["lint", "MODEL"], "say which specification"),
    ],
)
def test_message(arguments, message, absolute, holds, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names = {"MODEL": str(absolute), "SPEC": str(holds)}
    assert main([names.get(word, word) for word in arguments]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("certify: error: ")
    assert message in printed.err
    assert printed.err.count("\n") == 1
    assert sorted(os.listdir(tmp_path)) == ["absolute.onnx", "holds.vnnlib"]


def test_a_folder_that_cannot_be_written_is_named(absolute, holds, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write everywhere
    assert main([str(absolute), str(holds), "--out", str(tmp_path / "o")]) == 2
    assert f"the output folder {tmp_path / 'o'} is not writable" in capsys.readouterr().err


def test_a_query_that_is_damaged_is_told_with_its_line(absolute, holds, tmp_path, capsys):
    holds.write_text(holds.read_text().replace("(>= Y_0 2)", "(>= Y_0 two)"))
    assert main([str(absolute), str(holds), "--out", str(tmp_path / "o")]) == 2
    assert f"certify: error: {holds}:5:" in capsys.readouterr().err


def test_a_model_that_is_damaged_is_an_error(absolute, holds, tmp_path, capsys):
    absolute.write_bytes(b"no model at all")
    assert main([str(absolute), str(holds), "--out", str(tmp_path / "o")]) == 2
    assert f"certify: error: {absolute}: is not a valid ONNX model" in capsys.readouterr().err


def test_version_and_help(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == "certify 0.1.0\n"
    with pytest.raises(SystemExit) as stop:
        main(["--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    for word in ("certify MODEL SPEC", "certify check", "certify lint", "certify doctor", "certify bench", "--timeout"):
        assert word in text


def test_an_error_of_our_own_is_told_as_a_bug_and_keeps_its_traceback(absolute, holds, tmp_path, monkeypatch, capsys):
    import verifier.answer

    def broken(*arguments):
        raise ZeroDivisionError("made for this test")

    monkeypatch.setattr(verifier.answer, "answer", broken)
    monkeypatch.setattr("verifier.api.answer", broken)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert main([str(absolute), str(holds), "--out", str(tmp_path / "o")]) == 70
    assert "this is a bug in certify: ZeroDivisionError: made for this test" in capsys.readouterr().err
    (saved,) = tmp_path.glob("*.traceback")
    assert "made for this test" in saved.read_text()


def test_doctor_tries_the_checker(capsys):
    assert main(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("numpy ") for line in lines)
    assert lines[-1].startswith("checker       passes its test of the arithmetic")
