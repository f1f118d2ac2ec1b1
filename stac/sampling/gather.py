"""Gathering: from a plan and a catalog to shards, location by location, several at once.

A location whose dates cannot all be had is drawn again. What comes out depends on the plan's arguments and the catalog
alone: not on threads, nor on how often the run was stopped. Pixels go into shards (`stac.shards`), what became of each
location into the plan beside them.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from itertools import islice
from typing import NoReturn

import numpy as np
from tqdm import tqdm

from ..errors import AreaError, ReadError
from ..raster import ReadOptions, enter_env, quiet_rasterio
from ..shards import ShardsSpec, ShardWriter
from .find import Finder, Found
from .pixels import split_bands
from .plan import GIVEN_UP, PLANNED, Row
from .prepare import Prepared

PER_SHARD = 64
"""assumed: locations in a shard. At the default side, bands and dates a shard has 490 MB; it is kept in memory until it
is full, and lost when the process is killed."""
THREADS = 16
"""assumed: locations at once. Each waits for its own files one after the other."""

LICENCE = "Copernicus Sentinel data: https://sentinels.copernicus.eu/documents/247904/690755/Sentinel_Data_Legal_Notice"

_HOPELESS = 16
"""assumed: so many locations given up, and none gathered, will not be followed by others."""
_SILENT = 32
"""assumed: so many locations in a row that cannot be read mean that the network is gone."""


@dataclass(frozen=True)
class Summary:
    """How a run ended."""

    locations: int
    """Of the plan."""
    gathered: int
    """In the shards, now and before."""
    given_up: int
    """Drawn as often as allowed, without success."""
    redrawn: Mapping[str, int]
    """Why draws were not taken, over all locations settled so far."""
    searches: int
    """Searches that this run sent."""
    complete: bool
    """Whether no location is left to gather."""


def gather(
    prepared: Prepared,
    *,
    limit: int | None = None,
    threads: int = THREADS,
    per_shard: int = PER_SHARD,
    options: ReadOptions | None = None,
    progress: bool = False,
) -> Summary:
    """Gather the locations of a plan that are not in its shards yet.

    Args:
        prepared: With a catalog.
        limit: Gather at most so many in this run.
        threads: Locations at once.
        per_shard: Locations in a shard.
        options: How to fetch.
        progress: Show a progress bar on standard error.

    Raises:
        AreaError: Nothing that the plan wants can be had.
        DataError: The catalog does not answer; the folder holds other shards, or another run writes to it.
        ReadError: A local file cannot be read, or remote ones could not; what was gathered stays.
        OSError: The disk is full; likewise.
    """
    config = prepared.config
    finder = Finder(prepared, options or ReadOptions(threads=threads))
    quiet_rasterio()
    pool = ThreadPoolExecutor(threads, "locate", enter_env, (finder.options,))
    try:
        with ShardWriter(config.out, _spec(prepared), per_shard) as writer:
            numbers = _open_numbers(prepared.rows, writer.done)[:limit]
            with tqdm(total=len(prepared.rows), desc="locations", unit="", disable=not progress) as bar:
                bar.update(len(writer.done))
                try:
                    put_off = _take_in(_in_order(pool, finder, numbers, 2 * threads), prepared, writer, finder, bar)
                finally:
                    prepared.save()
            _check_hope(prepared.rows, len(writer.done), finder.trouble)
            left = _open_numbers(prepared.rows, writer.done)
            writer.close(complete=not left)
            summary = _summarise(prepared, len(writer.done), complete=not left)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
    if put_off:
        raise ReadError(
            f"{len(put_off)} locations could not be read ({put_off[0]})",
            "remote files within reach",
            "check the network and run the same command again; what was gathered stays",
        )
    return summary


def _take_in(
    found: Iterable[Found], prepared: Prepared, writer: ShardWriter, finder: Finder, bar: tqdm[NoReturn]
) -> list[str]:
    """Note what became of locations and write their pictures.

    Returns:
        Why locations were put off. Too many in a row end it, for then the network is gone.
    """
    put_off: list[str] = []
    silent = added = 0
    for one in found:
        silent = silent + 1 if one.fault else 0
        if one.fault:
            put_off.append(one.fault)
            if silent >= _SILENT:
                break
            continue
        prepared.rows[one.row.number] = one.row
        bar.update(1)
        if one.pictures:
            added += 1
            if added % writer.per_shard == 0:
                prepared.save()  # the plan is on the disk before a shard is
            _add(writer, one, prepared)
        _check_hope(prepared.rows, len(writer.done), finder.trouble)
    return put_off


def _in_order(pool: ThreadPoolExecutor, finder: Finder, rows: Sequence[Row], most: int) -> Iterator[Found]:
    """What became of locations, in their order, with so many under way at once."""
    todo = iter(rows)
    ahead: deque[Future[Found]] = deque(pool.submit(finder.find, row) for row in islice(todo, most))
    try:
        while ahead:
            yield ahead.popleft().result()
            ahead.extend(pool.submit(finder.find, row) for row in islice(todo, 1))
    finally:
        for future in ahead:
            future.cancel()


def _open_numbers(rows: Sequence[Row], done: set[str]) -> list[Row]:
    """Rows of the locations that are neither in the shards nor given up."""
    return [row for row in rows if row.location_id not in done and row.state != GIVEN_UP]


def _add(writer: ShardWriter, found: Found, prepared: Prepared) -> None:
    """Put a location into the shards."""
    bands10, bands20 = split_bands(prepared.config.bands)
    images10 = np.stack([picture.images10 for picture in found.pictures]) if bands10 else None
    images20 = np.stack([picture.images20 for picture in found.pictures]) if bands20 else None
    days = np.array([day.toordinal() - date(1970, 1, 1).toordinal() for day in found.row.days], np.int32)
    halves = np.array(prepared.dates.halves, np.int8)
    writer.add(found.row.location_id, images10, images20, days, halves, found.row.window.lonlat)


def _spec(prepared: Prepared) -> ShardsSpec:
    config, source = prepared.config, prepared.source
    bands10, bands20 = split_bands(config.bands)
    archive = source.simulated if source is not None else ""
    kind = "SIMULATED Sentinel-2" if archive else "Sentinel-2 level 2A"
    return ShardsSpec(
        bands10=bands10,
        bands20=bands20,
        side=config.side,
        dates=2 * config.dates,
        full=10_000,
        source=f"{kind}, sampled as {prepared.sampler.kind} from {archive or config.catalog}",
        licence="simulated: drawn by a program" if archive else LICENCE,
        truth=False,
    )


def _check_hope(rows: Sequence[Row], gathered: int, trouble: str) -> None:
    """Stop where location after location is given up and none is found."""
    if gathered:
        return
    lost = [row for row in rows if row.state == GIVEN_UP]
    if len(lost) < min(_HOPELESS, len(rows)):
        return
    told = ", ".join(f"{reason} {count}" for reason, count in _count(lost).items())
    raise AreaError(
        f"{len(lost)} locations were drawn again and again, and none has all its dates ({told})"
        + (f"; {trouble}" if trouble else ""),
        "images on all dates of a location",
        "lower --years-apart, --dates or --span-weeks, or raise --window-days, --max-cloud or --max-cloud-window",
    )


def _count(rows: Sequence[Row]) -> dict[str, int]:
    """Why draws were not taken, most first."""
    total: Counter[str] = Counter()
    for row in rows:
        total.update(row.redrawn)
    return dict(total.most_common())


def _summarise(prepared: Prepared, gathered: int, *, complete: bool) -> Summary:
    settled = [row for row in prepared.rows if row.state != PLANNED]
    return Summary(
        locations=len(prepared.rows),
        gathered=gathered,
        given_up=sum(row.state == GIVEN_UP for row in settled),
        redrawn=_count(settled),
        searches=prepared.source.searches if prepared.source else 0,
        complete=complete,
    )
