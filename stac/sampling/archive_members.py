"""The members of a published archive, in the order in which they lie: folder, tar, tar.gz, its parts, or zip.

Nothing is ever unpacked, and no name from an archive becomes the name of a file: a member counts when it is a regular
file whose last three names are a location, a dated image and a band's GeoTIFF (or `metadata.json`). All else, links,
previews and whatever was slipped in, is passed over unread.
"""

from __future__ import annotations

import contextlib
import gzip
import os
import re
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import DataError
from .archive_parts import PartsReader, find_files

DATED = re.compile(r"(?P<day>\d{8})T\d{6}_\w+")
"""Name of a dated image, Earth Engine's `system:index` (`20200921T075629_20200921T080225_T36QZH`)."""

METADATA = "metadata.json"
"""Name of what Earth Engine says of an image."""

MAX_BYTES = 16 << 20
"""Size of the largest member that is read. assumed: two hundred times a band of 264 × 264 bytes."""

_LOCATION = re.compile(r"[A-Za-z0-9][\w.-]*")
_FILE = re.compile(r"B\d{1,2}A?\.tiff?|metadata\.json")
_DEPTH = 5
"""Folders below the one given that are looked into; the layout has three."""

_CHUNK = 1 << 20
_BAD_ENTRY = (OSError, EOFError, RuntimeError, NotImplementedError, zlib.error, zipfile.BadZipFile)


@dataclass(frozen=True)
class Member:
    """Names of a file of an archive that belongs to an image."""

    root: str
    """The folder above all locations; empty when there is none."""
    location: str
    """The location's folder."""
    dated: str
    """The image's folder, its `system:index`."""
    file: str
    """`B4.tif` or `metadata.json`."""


Want = Callable[[Member], bool]
Found = Generator[tuple[Member, bytes], None, None]


class Archive:
    """A published archive, to be read once from its beginning to its end."""

    def __init__(self, sources: Sequence[Path]) -> None:
        """Look at what the sources are; see `find_files`.

        Raises:
            DataError: They are no archive, or a part is missing.
        """
        self.files = find_files(sources)
        more = f" and {len(self.files) - 1} more parts" if len(self.files) > 1 else ""
        self.name: str = f"{self.files[0]}{more}"
        """What to call it in a message."""
        self._reader = None if self.files[0].is_dir() else PartsReader(self.files)
        self.total: int | None = self._reader.total if self._reader else None
        """Bytes of all files; None for a folder."""

    @property
    def position(self) -> int:
        """How many of these bytes were read."""
        return self._reader.position if self._reader else 0

    def members(self, want: Want) -> Found:
        """The members that are wanted, and their bytes, in the order in which they lie; call it once.

        Args:
            want: Whether a member is to be read.

        Returns:
            Members and their bytes; none (b"") where a folder or a zip holds one that cannot be read.

        Raises:
            DataError: It is no archive, or it is cut short or damaged; what came before that is whole.
            OSError: The disk cannot be read.
        """
        if self._reader is None:
            folder = self.files[0].absolute()
            return _walk(folder, folder.parts, want, _DEPTH)
        head = self._head()
        if head.startswith(b"PK"):
            return _unzip(self.files, want)
        if head.startswith(b"\x1f\x8b"):
            stream: Any = self._reader  # it has what is used of a file, which is less than the stubs ask for
            return _untar(self._reader, gzip.GzipFile(fileobj=stream, mode="rb"), want)
        if head[257:262] == b"ustar":
            return _untar(self._reader, self._reader, want)
        found = f"{self.files[0]} does not begin as an archive does"
        do = "check the path; of an archive in parts, give the first part too"
        raise DataError(found, "a tar.gz, a tar, a zip or a folder", do)

    def _head(self) -> bytes:
        """Its first bytes, which may lie in several parts."""
        with contextlib.closing(PartsReader(self.files)) as reader:
            return reader.read(512)

    def close(self) -> None:
        """Close its files."""
        if self._reader:
            self._reader.close()


def _name(names: Sequence[str], size: int) -> Member | None:
    """The member of this path, if it belongs to an image."""
    names = [name for name in names if name not in ("", ".")]
    if len(names) < 3 or size > MAX_BYTES:
        return None
    location, dated, file = names[-3:]
    if not (_LOCATION.fullmatch(location) and DATED.fullmatch(dated) and _FILE.fullmatch(file)):
        return None
    return Member(names[-4] if len(names) > 3 else "", location, dated, file)


def _walk(folder: Path, names: tuple[str, ...], want: Want, depth: int) -> Found:
    """Members of an unpacked archive, by name."""
    try:
        with os.scandir(folder) as listed:
            entries = sorted(listed, key=lambda entry: entry.name)
    except OSError as err:
        found = f"the folder {folder} cannot be read ({err.strerror})"
        raise DataError(found, "a folder of images", "change its permissions, or mend the disk") from err
    for entry in entries:
        if entry.is_dir():
            if depth:
                yield from _walk(Path(entry.path), (*names, entry.name), want, depth - 1)
        elif entry.is_file() and (member := _name((*names, entry.name), entry.stat().st_size)) and want(member):
            try:
                data = Path(entry.path).read_bytes()
            except OSError:
                data = b""
            yield member, data


def _unzip(files: list[Path], want: Want) -> Found:
    """Members of a zip, in the order in which they lie in it; the list of all its names is kept in memory."""
    if len(files) > 1:
        raise DataError(f"{files[0]} is a zip in {len(files)} parts", "a zip in one file", "join the parts with cat")
    try:
        archive = zipfile.ZipFile(files[0])
    except (zipfile.BadZipFile, EOFError) as err:
        found = f"{files[0]} is cut short or damaged ({err})"
        raise DataError(found, "a whole zip", "fetch it again, and run the same command") from err
    with archive:
        for entry in sorted(archive.infolist(), key=lambda entry: entry.header_offset):
            is_link = entry.external_attr >> 28 == 0xA  # the type of file, where a Unix program wrote it
            names = () if is_link or entry.is_dir() else entry.filename.split("/")
            member = _name(names, entry.file_size)
            if member and want(member):
                try:
                    data = archive.read(entry)
                except _BAD_ENTRY:
                    data = b""
                yield member, data


class _Tail:
    """A file that remembers the end of what was read of it."""

    def __init__(self, file: Any) -> None:
        # read1 hands over what there is before it finds that a stream is cut; read would lose it.
        self._read = getattr(file, "read1", file.read)
        self.last = b""

    def read(self, size: int) -> bytes:
        """Up to `size` bytes; none at the end."""
        data: bytes = self._read(size)
        self.last = (self.last + data[-512:])[-512:]
        return data


def _untar(reader: PartsReader, file: Any, want: Want) -> Found:
    """Members of a tar, as it streams by."""
    tail = _Tail(file)
    try:
        with tarfile.open(fileobj=tail, mode="r|", bufsize=_CHUNK) as tar:  # type: ignore[call-overload]
            while (entry := tar.next()) is not None:
                tar.members.clear()  # it would keep them all
                member = _name(entry.name.split("/") if entry.isreg() else (), entry.size)
                if member and want(member):
                    yield member, tar.extractfile(entry).read()
            # It takes a damaged head for the end. What follows the end is zeros, and then nothing.
            while rest := tar.fileobj.read(_CHUNK):
                if rest.count(0) != len(rest):
                    raise tarfile.ReadError("a head is damaged")
        if tail.last.count(0) != 512:
            raise EOFError("its end is missing")
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as err:
        raise _cut(reader, err) from err


def _cut(reader: PartsReader, err: Exception) -> DataError:
    """What it means that a stream breaks off."""
    reason = " ".join(str(err).split()) or type(err).__name__
    damaged = isinstance(err, gzip.BadGzipFile) and not reason.startswith("Not a gzipped")
    number, name = reader.paths.index(reader.current) + 1, reader.current.name
    if damaged:  # only known at the end, when all has been handed out
        found = f"bytes within {reader.paths[0]}{' and the parts after it' * (len(reader.paths) > 1)} are damaged"
        do = "fetch it again and repack it into an empty folder, as images of this one may be damaged"
    elif len(reader.paths) == 1:
        found, do = f"{reader.current} is cut short or damaged", "fetch it again, and run the same command"
    elif reader.position >= reader.total:
        found = f"the archive goes on after its last part, {name}, or that is cut"
        do = "fetch what is missing, and run the same command"
    else:
        found = f"the archive breaks off in part {number} of {len(reader.paths)}, {name}"
        do = "fetch this part and the one before it again, and run the same command"
    return DataError(f"{found} ({reason})", "a whole archive", do)


def find_root(sources: Sequence[Path]) -> str:
    """Name of the folder above all locations, by the first image of an archive.

    Raises:
        DataError: It holds no image in the layout, or breaks off before the first.
    """
    archive = Archive(sources)
    with contextlib.closing(archive), contextlib.closing(archive.members(lambda member: True)) as members:
        for member, _ in members:
            return member.root
    expected = "CACo's or SeCo's layout: <location>/<date and tile>/B4.tif"
    raise DataError(f"{archive.name} holds no image", expected, "check the path")
