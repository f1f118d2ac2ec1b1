"""Repacking: the locations of a published archive, decoded by a few threads, into shards, once."""

from __future__ import annotations

import contextlib
import os
import time
import warnings
from collections import Counter, deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from pathlib import Path
from typing import NoReturn

from rasterio.errors import NotGeoreferencedWarning
from tqdm import tqdm

from ..bands import BANDS
from ..errors import DataError
from ..shards import ShardsSpec, ShardWriter
from ..shards_form import INDEX, ShardIndex, places, read_index, shard_fault
from .archive_locations import Locations, RawLocation
from .archive_members import Archive, find_root
from .published import Decoded, decode_location, make_spec, source_of, split_bands

SAMPLE = 16
"""Locations whose images decide the side, the dates and what `all` bands are. assumed."""

SHARD_BYTES = 256 << 20
"""Largest shard, bytes: so much is kept in memory, and lost when killed. assumed."""

NAMED = 20
"""How many of the images and locations that were left out are named."""

LATE = "files that came after their location was packed: unpack the archive, and repack its folder"

_THREADS = 8
"""Threads that decode at most. assumed: past these, reading the archive in one thread is what takes the time."""


@dataclass
class Outcome:
    """What a repack did."""

    folder: Path
    """Where the shards are."""
    spec: ShardsSpec
    """What they have in common."""
    locations: int = 0
    """Locations in the folder now."""
    packed: int = 0
    """Of these, packed by this run."""
    images: int = 0
    """Dated images packed by this run."""
    complete: bool = False
    """Whether the archive was read to its end."""
    seconds: float = 0.0
    """How long it took."""
    left_out: Counter[str] = field(default_factory=Counter)
    """Why → how many locations were left out."""
    images_left_out: Counter[str] = field(default_factory=Counter)
    """Why → how many dated images were left out."""
    named: list[str] = field(default_factory=list)
    """The first of what was left out, each with its reason."""

    def note(self, decoded: Decoded) -> None:
        """Count what was left out of a location."""
        lines = [f"{name}: {why}" for name, why in decoded.faults]
        self.images_left_out.update(why for _, why in decoded.faults)
        if decoded.series is None:
            self.left_out[decoded.left_out] += 1
            lines.append(f"{decoded.name}: {decoded.left_out} ({decoded.detail})")
        else:
            self.packed += 1
            self.images += len(decoded.series.days)
        self.named += lines[: NAMED - len(self.named)]

    def note_late(self, locations: Locations) -> None:
        """Count files that came after their location was packed."""
        for name, count in locations.late.items():
            self.images_left_out[LATE] += count
            self.named += [f"{name}: {count} {LATE}"][: NAMED - len(self.named)]


@dataclass(frozen=True)
class PackRequest:
    """What is to be packed."""

    sources: tuple[Path, ...]
    """A folder, a file, or the parts of one archive."""
    out: Path
    """Folder of the shards."""
    bands: tuple[str, ...] | None = ("B04", "B03", "B02")
    """Canonical bands; None = all that the archive has."""
    limit: int | None = None
    """Stop at so many locations in the folder; None = all."""
    threads: int = 0
    """Threads that decode; 0 = one for each processor, eight at most."""


def pack(request: PackRequest, progress: bool = False) -> Outcome:
    """Repack a published archive into shards; stopped at any time, the same call goes on.

    Args:
        request: What, and where to.
        progress: Show a bar on standard error.

    Raises:
        DataError: It is no such archive, it is cut short or damaged (what was packed before is whole, and the folder
            is not `complete`), none of its locations can be used, or the folder holds other shards.
        OSError: The shards cannot be written, the disk is full.
    """
    began = time.monotonic()
    source = source_of(find_root(request.sources))
    standing = read_index(request.out) if (request.out / INDEX).exists() else None
    if standing:
        bands = request.bands or standing.spec.bands10 + standing.spec.bands20
        wanted = replace(standing.spec, source=source, **split_bands(bands))
        if wanted == standing.spec and not _is_due(request, standing):
            ids = sum(len(names) for names in standing.ids)
            return Outcome(request.out, wanted, ids, complete=standing.complete, seconds=time.monotonic() - began)
    archive = Archive(request.sources)
    bar = tqdm(total=archive.total, unit="B", unit_scale=True, disable=not progress)
    with contextlib.closing(archive), bar, warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)  # what has no reference has no lonlat
        outcome = _pack(request, archive, wanted if standing else None, bar)
    outcome.seconds = time.monotonic() - began
    return outcome


def _is_due(request: PackRequest, standing: ShardIndex) -> bool:
    """Whether there may be something left to pack."""
    if any(shard_fault(request.out, standing.spec, shard) for shard in standing.shards):
        return True
    enough = request.limit is not None and sum(len(names) for names in standing.ids) >= request.limit
    return not (standing.complete or enough)


def _pack(request: PackRequest, archive: Archive, spec: ShardsSpec | None, bar: tqdm[NoReturn]) -> Outcome:
    """Read, decode and write."""
    broken: list[DataError] = []
    with contextlib.ExitStack() as stack:
        done: set[str] = set()
        if spec:
            writer = stack.enter_context(_open_writer(request.out, spec))
            done = set(writer.done)
        locations = Locations(archive, set(request.bands or BANDS), done)
        raws = _until_broken(locations, broken)
        if not spec:
            sample = list(islice(raws, SAMPLE))
            spec = make_spec(sample, request.bands) if sample else None
            if spec is None:
                raise broken[0] if broken else _nothing(archive, f"the first {len(sample)} cannot be decoded")
            writer = stack.enter_context(_open_writer(request.out, spec))
            raws = chain(sample, raws)
        outcome = Outcome(request.out, spec, len(done))
        for decoded in _decode_all(raws, spec, request):
            outcome.note(decoded)
            if decoded.series:
                writer.add(**vars(decoded.series))
            outcome.locations = len(writer.done)
            bar.set_postfix_str(f"{outcome.locations} locations", refresh=False)
            bar.update(archive.position - bar.n)
            if request.limit and outcome.locations >= request.limit:
                break
        else:
            outcome.complete = not broken
        outcome.note_late(locations)
        writer.close(complete=outcome.complete and outcome.locations > 0)
    if broken:
        raise _with_count(broken[0], outcome)
    if not outcome.locations:
        reasons = ", ".join(f"{count} with {why}" for why, count in outcome.left_out.most_common())
        raise _nothing(archive, f"left out: {reasons}")
    return outcome


def _until_broken(locations: Locations, broken: list[DataError]) -> Iterator[RawLocation]:
    """Locations up to where the archive breaks off; the error goes into `broken`, as those before are still packed."""
    try:
        yield from locations
    except DataError as err:
        broken.append(err)


def _decode_all(raws: Iterator[RawLocation], spec: ShardsSpec, request: PackRequest) -> Iterator[Decoded]:
    """Decode locations side by side, and give them in their order; a few are in memory at a time."""
    threads = request.threads or min(_THREADS, os.cpu_count() or 1)
    pool = ThreadPoolExecutor(threads, "decode")
    ahead: deque[Future[Decoded]] = deque()
    try:
        for raw in raws:
            ahead.append(pool.submit(decode_location, raw, spec))
            if len(ahead) > 2 * threads:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _open_writer(out: Path, spec: ShardsSpec) -> ShardWriter:
    size = places(spec.form(1))[""]
    return ShardWriter(out, spec, max(1, min(256, SHARD_BYTES // size)))


def _nothing(archive: Archive, why: str) -> DataError:
    expected = "locations with dated images, five and five (CACo) or five (SeCo)"
    return DataError(f"no location of {archive.name} can be used ({why})", expected, "check what the archive holds")


def _with_count(err: DataError, outcome: Outcome) -> DataError:
    """The error, and how much is packed all the same."""
    return type(err)(err.found, err.expected, f"{err.do}; {outcome.locations} locations are packed and stay")
