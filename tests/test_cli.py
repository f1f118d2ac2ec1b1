"""What the commands share: numbers within limits, and paths that are checked before any work."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from stac.cli import check_folder, check_output, number, parse_args
from stac.errors import DataError


@pytest.fixture
def not_root() -> Iterator[None]:
    """Root may write anywhere: be nobody for the test."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    yield
    os.seteuid(user)


@pytest.fixture
def sealed() -> Iterator[Path]:
    """A folder in which only root may write."""
    with TemporaryDirectory() as name:
        Path(name).chmod(0o555)
        yield Path(name)
        Path(name).chmod(0o755)


def test_a_device_or_a_pipe_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in ("/dev/null", str(tmp_path / "pipe")):
        with pytest.raises(DataError, match="is a device or a pipe"):
            check_output(path)


def test_an_output_that_can_be_written_is_given_back(tmp_path: Path) -> None:
    (tmp_path / "old.json").write_text("{}")
    for path in (tmp_path / "old.json", tmp_path / "new" / "deep" / "hits.json"):
        assert check_output(str(path)) == path
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("{folder}", "is a folder"),
        ("{file}/hits.json", "which is a file"),
        ("{folder}/" + "x" * 300, "cannot be reached"),
    ],
)
@pytest.mark.parametrize("check", [check_output, check_folder])
def test_an_output_that_cannot_be_written_is_refused(check, name: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    if check is check_folder and told == "is a folder":
        name, told = "{file}", "is a file"
    with pytest.raises(DataError, match=f"^--to .*{told}"):
        check(name.format(folder=tmp_path, file=tmp_path / "file"), "--to")


@pytest.mark.parametrize("path", ["", Path()])
def test_an_empty_output_is_refused(path: str | Path) -> None:
    with pytest.raises(DataError, match=r"^--out names no file"):
        check_output(path)


def test_an_empty_folder_name_is_refused() -> None:
    with pytest.raises(DataError, match=r"^--store names no folder"):
        check_folder("", "--store")


def test_a_folder_without_permission_is_refused(sealed: Path, not_root: None) -> None:
    for check, path in ((check_output, sealed / "x.json"), (check_folder, sealed / "x"), (check_folder, sealed)):
        with pytest.raises(DataError, match=r"cannot be (written|reached)"):
            check(path, "--out")


def share(text: str) -> float:
    return number("--share", float, "from 0 to 1", lambda value: 0 <= value <= 1)(text)


def test_a_number_within_its_limits_is_read() -> None:
    assert share("0.25") == 0.25


@pytest.mark.parametrize("text", ["nan", "2", "-1", "inf", "", "one"])
def test_a_number_beyond_its_limits_is_refused_with_its_flag(text: str) -> None:
    with pytest.raises(DataError, match=f"^--share {text} \\(expected from 0 to 1\\)"):
        share(text)


def test_wrong_arguments_get_one_line(capsys: pytest.CaptureFixture) -> None:
    parser = argparse.ArgumentParser(prog="search")
    parser.add_argument("--form", choices=["table", "json"])
    with pytest.raises(SystemExit) as stop:
        parse_args(parser, ["--form", "pdf"])
    err = capsys.readouterr().err
    assert (stop.value.code, err.count("\n")) == (2, 1)
    assert "--form" in err
    assert "see search --help" in err


def test_a_box_that_begins_with_a_minus_is_a_value() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--area")
    assert parse_args(parser, ["--area", "-122.4,39.6,-122,40"]).area == "-122.4,39.6,-122,40"
