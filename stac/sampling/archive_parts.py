"""The files of a published archive: one file, or numbered parts that are read one after another as if they were one.

CACo's largest set is published as `clean_1m_geography_part*`, several records of files whose bytes, one after another,
are one tar.gz (https://zenodo.org/records/10913174 and the records that it names). Nothing is joined on the disk.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

from ..errors import DataError

_PART = re.compile(r"(?P<stem>.+?)[._-]?part[._-]?(?P<number>\d+|[a-z]{1,4})(?:\.(?:tar\.gz|tgz|tar|gz|bin))?", re.I)


class PartsReader:
    """Bytes of several files, one after another, from the first to the last."""

    def __init__(self, paths: Sequence[Path]) -> None:
        """Open the first of some files, which are in their order."""
        self.paths = list(paths)
        self.total: int = sum(path.stat().st_size for path in paths)
        """Size of all files, bytes."""
        self.position: int = 0
        """How many bytes were read."""
        self.current: Path = self.paths[0]
        """The file that was read last."""
        self._next = 0
        self._file = self._open_next()

    def _open_next(self) -> BinaryIO:
        self.current = self.paths[self._next]
        self._next += 1
        return self.current.open("rb")

    def read(self, size: int) -> bytes:
        """The next `size` bytes, across files; fewer only at the end of the last one."""
        pieces, left = [], size
        while left:
            piece = self._file.read(left)
            if not piece:
                if self._next == len(self.paths):
                    break
                self._file.close()
                self._file = self._open_next()
            pieces.append(piece)
            left -= len(piece)
        self.position += size - left
        return b"".join(pieces)

    def close(self) -> None:
        """Close the file that is open."""
        self._file.close()


def find_files(sources: Sequence[Path]) -> list[Path]:
    """The files of one archive, in the order in which they are read.

    Args:
        sources: One folder of images, one file, or the parts of one archive: files, or folders that hold them.

    Returns:
        The folder, the file, or all parts in the order of their numbers (10 after 9; letters as `split` gives them).

    Raises:
        DataError: A source is not there, several are no parts of one archive, or a part is missing or stands twice.
    """
    found: list[Path] = []
    for source in sources:
        if not source.exists():
            raise DataError(f"{source} is not there", "a published archive, its parts or its folder", "check the path")
        parts = _parts_within(source) if source.is_dir() else []
        found += parts or [source]
    if len(found) == 1:
        return found
    strange = [path for path in found if path.is_dir() or not _PART.fullmatch(path.name)]
    if strange or not found:
        raise DataError(
            f"{len(found)} sources, of which {strange[0] if strange else 'none'} is no part of an archive",
            "one folder, one file, or files such as clean_1m_geography_part1",
            "repack one archive at a time",
        )
    return _in_order(found)


def _parts_within(folder: Path) -> list[Path]:
    """Files in a folder that are named as parts."""
    return [path for path in folder.iterdir() if path.is_file() and _PART.fullmatch(path.name)]


def _in_order(paths: list[Path]) -> list[Path]:
    """Parts by number.

    Raises:
        DataError: They belong to several archives, or their numbers have a gap or stand twice.
    """
    stems, kinds, numbered = set(), set(), []
    for path in paths:
        match = _PART.fullmatch(path.name)
        if match:
            stems.add(match["stem"])
            number = match["number"].lower()
            kinds.add("number" if number.isdigit() else len(number))
            numbered.append((_count(number), path))
    if len(stems) > 1 or len(kinds) > 1:
        found = "parts of several archives: " + ", ".join(sorted(path.name for path in paths)[:4])
        raise DataError(found, "the parts of one", "repack one archive at a time")
    numbered.sort(key=lambda pair: pair[0])
    for (before, earlier), (after, later) in pairwise(numbered):
        if before == after:
            raise DataError(f"{earlier} and {later} are the same part", "each part once", "give one of them")
        if after != before + 1:
            found = f"{after - before - 1} of the parts between {earlier.name} and {later.name} are missing"
            raise DataError(found, "every part of the archive", "fetch them, and give all parts")
    return [path for _, path in numbered]


def _count(number: str) -> int:
    """Place of a part: its number, or the place of its letters in the order in which `split` names files."""
    if number.isdigit():
        return int(number)
    place = 0
    for letter in number:
        place = place * 26 + ord(letter) - ord("a")
    return place
