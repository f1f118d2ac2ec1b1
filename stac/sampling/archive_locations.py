"""Members gathered into locations while an archive streams by, in bounded memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterator
from dataclasses import dataclass, field

from ..bands import BANDS
from ..errors import DataError
from .archive_members import METADATA, Archive, Member

IDLE = 64
"""A location is whole when so many others began after its last member. assumed: archives are written folder by folder,
so 1 would do; the rest is for those that were not."""

HELD_BYTES = 1 << 30
"""What is held at most, bytes; beyond it, the location that has been idle longest is taken for whole. assumed."""


@dataclass
class RawLocation:
    """Files of a location, as they lie in the archive."""

    name: str
    """Its folder's name."""
    root: str
    """Name of the folder above all locations."""
    images: dict[str, dict[str, bytes]] = field(default_factory=dict)
    """Dated image → canonical band, or `metadata.json` → the file's bytes."""
    size: int = 0
    """Bytes of all its files."""


class Locations:
    """The locations of an archive, one after another."""

    def __init__(self, archive: Archive, bands: Container[str], skip: Container[str]) -> None:
        """Prepare to read.

        Args:
            archive: Read once, from its beginning.
            bands: Canonical bands whose files are read.
            skip: Names of locations whose files are not read.
        """
        self._archive, self._bands, self._skip = archive, bands, skip
        self._held: dict[str, RawLocation] = {}  # the one that was idle longest comes first
        self._past: set[str] = set()
        self._began: dict[str, int] = {}
        self._strewn = False
        self._bytes = 0
        self.seen: int = 0
        """Locations that began, those that are skipped left out."""
        self.skipped: set[str] = set()
        """Locations that were skipped."""
        self.late: Counter[str] = Counter()
        """Location → members that came after it was taken for whole, and are lost."""

    def _want(self, member: Member) -> bool:
        if member.file != METADATA and band_of(member.file) not in self._bands:
            return False
        if member.location in self._skip:
            self.skipped.add(member.location)
            return False
        if member.location in self._past:
            self.late[member.location] += 1
            return False
        return True

    def __iter__(self) -> Iterator[RawLocation]:
        """Locations, as soon as they are whole.

        A location is whole when `IDLE` others began after its last member, or when all that is held exceeds
        `HELD_BYTES` and it has been idle longest, or at the end of the archive. Where the archive breaks off, the
        location that was being read is dropped; and all that are held, when members of a location did not lie together.

        Raises:
            DataError: The archive is cut short or damaged; raised after the locations that are whole.
        """
        broken: DataError | None = None
        members = self._archive.members(self._want)
        try:
            for member, data in members:
                yield from self._take(member, data)
        except DataError as err:
            broken = err
            if self._held and not self._strewn:
                self._held.popitem()
            elif self._strewn:
                self._held.clear()
        for name in list(self._held):
            yield self._release(name)
        if broken:
            raise broken

    def _take(self, member: Member, data: bytes) -> Iterator[RawLocation]:
        """Put a member to its location; gives those that are whole now."""
        last = next(reversed(self._held), None)
        location = self._held.pop(member.location, None)
        begins = location is None
        if location is None:
            self.seen += 1
            location = RawLocation(member.location, member.root)
        elif last != member.location:
            self._strewn = True
        key = METADATA if member.file == METADATA else band_of(member.file)
        location.images.setdefault(member.dated, {})[key] = data
        location.size += len(data)
        self._bytes += len(data)
        self._held[member.location] = location
        self._began[member.location] = self.seen
        while len(self._held) > 1:
            first = next(iter(self._held))
            if not (begins and self.seen - self._began[first] >= IDLE) and self._bytes <= HELD_BYTES:
                break
            yield self._release(first)

    def _release(self, name: str) -> RawLocation:
        location = self._held.pop(name)
        del self._began[name]
        self._past.add(name)
        self._bytes -= location.size
        return location


def band_of(file: str) -> str:
    """Canonical band of a file's name (`B4.tif` → `B04`); empty for one that level 2A does not carry."""
    stem = file.partition(".")[0]
    band = f"B{stem[1:]:0>2}" if stem[1:].isdigit() else stem
    return band if band in BANDS else ""
