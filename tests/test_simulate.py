"""The simulated archive's command: arguments, sizes, and what it says when it cannot write."""

import json
import resource
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from stac.errors import DataError
from stac.simulate import main, simulate_archive
from stac.simulation.areas import SIZES, Plan

AREA = replace(SIZES["demo"].areas[0], tile_px=96, step_px=64)


@pytest.fixture
def small(monkeypatch):
    """A demo that is drawn in a moment."""
    monkeypatch.setitem(SIZES, "demo", Plan((AREA,), events=1, last=date(2021, 5, 10)))


def test_the_command_writes_a_named_size_and_reports_it_as_json(tmp_path, capsys, small):
    assert main(["--out", str(tmp_path / "demo"), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert Path(report["catalog"]) == simulate_archive(tmp_path / "demo")
    assert json.loads((tmp_path / "demo" / "simulation.json").read_text())["seed"] == 0
    (tmp_path / "demo" / "thesis.txt").write_text("dear")
    assert main(["--out", str(tmp_path / "demo"), "--seed", "6"]) == 2
    error = capsys.readouterr().err
    assert str(tmp_path / "demo" / "thesis.txt") in error
    assert error.count("\n") == 1


def test_a_full_disk_gets_one_sentence_and_leaves_nothing(tmp_path, capsys, small):
    # A limit on the size of files stands in for the full disk: the same write fails, with EFBIG for ENOSPC.
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4000, before[1]))
    try:
        code = main(["--out", str(tmp_path / "archive")])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    error = capsys.readouterr().err
    assert (code, error.count("\n")) == (2, 1)
    assert error.startswith(f"error: the disk is full at {tmp_path / 'archive'}")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_other_things_is_refused_and_kept(tmp_path, capsys):
    (tmp_path / "thesis.txt").write_text("dear")
    assert main(["--out", str(tmp_path)]) == 2
    assert "choose another folder" in capsys.readouterr().err
    assert (tmp_path / "thesis.txt").read_text() == "dear"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--size", "huge"], "choose one of these sizes"),
        (["--seed", "-1"], "--seed -1"),
        (["--seed", "1" + 30 * "0"], "--seed 1000"),
        (["--out", ""], "--out names no folder"),
        (["--out", "."], "'.'"),
        (["--out", __file__], "is a file"),
        (["--out", f"{__file__}/archive"], "which is a file"),
    ],
)
def test_bad_arguments_get_one_sentence_and_code_2(tmp_path, capsys, arguments, told):
    assert main(["--out", str(tmp_path / "x"), *arguments]) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    "options", [{"seed": 1.5}, {"seed": "3"}, {"seed": None}, {"seed": True}, {"seed": 2**63}, {"size": ["demo"]}]
)
def test_bad_values_from_python_are_refused_in_words(tmp_path, options):
    with pytest.raises(DataError, match=r"size|seed"):
        simulate_archive(tmp_path / "x", **options)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_no_path_is_refused_in_words():
    with pytest.raises(DataError, match="the folder 3"):
        simulate_archive(3)


def test_a_place_where_nothing_can_be_made_is_named_as_it_was_typed(capsys):
    assert main(["--out", "/proc/afterimage"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: /proc/afterimage cannot be made")
    assert ".simulating" not in error
