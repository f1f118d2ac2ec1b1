"""Which stores there are."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.stores import given_store, list_stores, resolve_store
from stac.errors import StoreError


def new_store(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text("{}")
    return folder


def test_stores_are_the_folders_with_a_manifest(tmp_path: Path) -> None:
    two, one = new_store(tmp_path / "stores" / "two"), new_store(tmp_path / "stores" / "one")
    new_store(tmp_path / "stores" / ".hidden")
    (tmp_path / "stores" / "unfinished").mkdir()
    assert list(list_stores(tmp_path).items()) == [("one", one), ("two", two)]


def test_a_store_given_by_path_comes_first_and_wins_its_name(tmp_path: Path) -> None:
    new_store(tmp_path / "stores" / "one")
    given = new_store(tmp_path / "elsewhere" / "one")
    assert list_stores(tmp_path, given) == {"one": given}


def test_no_data_folder_means_no_stores(tmp_path: Path) -> None:
    assert list_stores(tmp_path / "absent") == {}


@pytest.mark.parametrize(
    ("argv", "environ", "expected"),
    [
        (["--store", "a/b"], {}, Path("a/b")),
        (["--store=a/b"], {"AFTERIMAGE_STORE": "c"}, Path("a/b")),
        (["--other"], {"AFTERIMAGE_STORE": "c"}, Path("c")),
        (["--store"], {}, None),
        ([], {}, None),
    ],
)
def test_the_command_line_wins_over_the_environment(
    argv: list[str], environ: dict[str, str], expected: Path | None
) -> None:
    assert given_store(argv, environ) == expected


def test_a_name_that_is_not_listed_is_refused_with_the_ones_that_are(tmp_path: Path) -> None:
    stores = {"one": tmp_path / "one", "two": tmp_path / "two"}
    assert resolve_store("two", stores) == ("two", tmp_path / "two")
    assert resolve_store(None, stores) == ("one", tmp_path / "one")
    with pytest.raises(StoreError, match="choose another store"):
        resolve_store("../one", stores)
