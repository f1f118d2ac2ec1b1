"""Which stores there are."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.stores import choose_store, given_store, list_stores


def new_store(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text("{}")
    return folder


def test_stores_are_the_folders_with_a_manifest(tmp_path: Path) -> None:
    two, one = new_store(tmp_path / "stores" / "two"), new_store(tmp_path / "stores" / "one")
    new_store(tmp_path / "stores" / ".hidden")
    (tmp_path / "stores" / "unfinished").mkdir()
    assert list(list_stores(tmp_path).items()) == [("one", one), ("two", two)]


def test_demo_is_the_first_store_unless_one_is_given(tmp_path: Path) -> None:
    for name in ("zz", "demo", "Aa"):
        new_store(tmp_path / "stores" / name)
    given = new_store(tmp_path / "elsewhere" / "mine")
    assert list(list_stores(tmp_path)) == ["demo", "Aa", "zz"]
    assert list(list_stores(tmp_path, given)) == ["mine", "demo", "Aa", "zz"]


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


@pytest.mark.parametrize(
    ("name", "gone", "expected"),
    [
        (None, None, ("one", None)),  # the first visit
        ("two", None, ("two", None)),
        ("lost", None, (None, "lost")),  # removed while it was open
        (None, "lost", (None, "lost")),
        (None, "two", ("two", None)),  # it came back
        ("one", "lost", ("one", None)),  # the person chose another
    ],
)
def test_a_store_that_is_gone_is_not_replaced(
    name: str | None, gone: str | None, expected: tuple[str | None, str | None]
) -> None:
    assert choose_store(name, gone, {"one": Path("one"), "two": Path("two")}) == expected


def test_without_stores_none_is_chosen() -> None:
    assert choose_store(None, None, {}) == (None, None)
