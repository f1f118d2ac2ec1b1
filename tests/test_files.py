"""Files that are whole or absent, and the lock on a folder."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from stac import files
from stac.errors import StoreError
from stac.files import lock, write_whole


def test_a_write_that_fails_leaves_the_old_file_and_names_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    path.write_text("old")

    def fill() -> None:
        with write_whole(path) as temporary:
            temporary.write_text("half")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(OSError, match="No space") as failure:
        fill()
    assert failure.value.filename == str(path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    link, target = tmp_path / "rows.json", tmp_path / "there" / "own.json"
    link.symlink_to(target)
    with write_whole(link) as temporary:
        temporary.write_text("new")
    assert link.is_symlink()
    assert target.read_text() == "new"
    assert sorted(path.name for path in target.parent.iterdir()) == ["own.json"]


def test_a_folder_is_held_by_one_and_left_as_it_was(tmp_path: Path) -> None:
    with lock(tmp_path):
        with pytest.raises(StoreError, match="another build is writing"), lock(tmp_path):
            pass
        assert (tmp_path / ".lock").exists()
    assert list(tmp_path.iterdir()) == []


def test_a_lock_that_its_holder_removes_while_it_is_taken_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files.fcntl, "flock", lambda *_: (tmp_path / ".lock").unlink())
    with pytest.raises(StoreError, match="another build is writing"), lock(tmp_path):
        pass
