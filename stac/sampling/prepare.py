"""What a sample is asked to be, and what that comes to: sampler, dates, catalog, and the plan's rows."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import shapely
from tqdm import tqdm

from ..area import Area, norm_area
from ..bands import norm_bands
from ..document import check_max_cloud
from ..errors import AreaError, DataError
from ..period import MISSION_START, Period
from .dates import DatePlan
from .plan import PLAN, Row, check_same, open_plan, plan_row, save_plan
from .points import SAMPLERS, Sampler, SamplerKind
from .sources import ListedSource, SearchedSource, Source, check_samples, find_search
from .windows import LEAST_SIDE, MOST_SIDE

BANDS = ("B02", "B03", "B04", "B08", "B05", "B06", "B07", "B8A", "B11", "B12")
"""The ten bands of 10 and 20 m."""
SIDE = 264
"""Pixels of 10 m. Source: SeCo's published images, which CACo's follow."""
REFERENCE_WEEKS = 4
"""The recent set ends so long before today. Source: SeCo."""


@dataclass(frozen=True)
class SampleConfig:
    """What is asked."""

    out: Path
    """Folder of the plan and the shards."""
    locations: int
    """How many."""
    catalog: str | None = None
    """As `find_items` takes it; None writes the plan only."""
    collection: str | None = None
    """Only this one; None means the preset's, or all."""
    sampler: SamplerKind = "caco"
    """One of `SAMPLERS`."""
    seed: int = 0
    """Names the sample."""
    area: str | None = None
    """As `norm_area` takes it; None means everywhere, or all that a catalog in files shows."""
    side: int = SIDE
    """Of a window, pixels of 10 m, even."""
    bands: tuple[str, ...] = BANDS
    """Canonical names."""
    until: date | None = None
    """Reference date of the recent set; None means the plan's, else the newest item of a catalog in files, else
    `REFERENCE_WEEKS` before today."""
    dates: int = 5
    """Dates in each of the two sets."""
    years_apart: float = 4.0
    """From the older set to the recent one, years."""
    span_weeks: int = 48
    """From the first date of a set to its last."""
    window_days: int = 15
    """Days around a wanted date that will do."""
    max_cloud: float = 10.0
    """Percent of an item under cloud, by its metadata. Source: SeCo's command."""
    max_cloud_window: float = 10.0
    """Percent of the window under cloud, by its classification. assumed: as for items. SeCo masks each such pixel."""
    tries: int = 20
    """Draws of a location whose items are looked at, before it is given up."""


@dataclass(frozen=True)
class Prepared:
    """What a sample comes to."""

    config: SampleConfig
    """What was asked."""
    dates: DatePlan
    """When to look."""
    sampler: Sampler
    """Where to look."""
    source: Source | None
    """Where items come from; None without a catalog."""
    rows: list[Row]
    """The plan, changed as locations come in."""
    arguments: Mapping[str, Any]
    """What the plan follows from."""

    @property
    def path(self) -> Path:
        """Of the plan."""
        return self.config.out / PLAN

    def save(self) -> None:
        """Write the plan.

        Raises:
            OSError: The disk is full.
        """
        save_plan(self.rows, self.dates, self.arguments, self.path)


def prepare(config: SampleConfig, *, progress: bool = False) -> Prepared:
    """Settle everything that a sample rests on, and write its plan, or take up the one that is there.

    Args:
        config: What is asked.
        progress: Show a progress bar on standard error.

    Raises:
        DataError: Bad input, or the folder holds another plan.
    """
    _check(config)
    path = config.out / PLAN
    rows, found = open_plan(path) if path.exists() else ([], {})
    if rows and config.locations < len(rows):
        raise DataError(
            f"{path} plans {len(rows)} locations, more than {config.locations}",
            "as many or more; --limit gathers fewer in one go",
            f"give --locations {len(rows)}, or another --out",
        )
    until = config.until or (date.fromisoformat(found["until"]) if found else None)
    area = norm_area(config.area) if config.area is not None else None
    dates, source, room = _open_source(config, until, area)
    if source is not None:
        check_samples(source, config.bands)
    sampler = Sampler(config.sampler, seed=config.seed, side=config.side, area=area, room=room)
    arguments = _arguments(config, dates, sampler)
    if found:
        check_same(found, arguments, path)
        if config.catalog is None:
            arguments |= {name: found[name] for name in ("catalog", "collection")}
    more = tqdm(range(len(rows), config.locations), desc="plan", unit="", disable=not progress)
    grown = [*rows, *(plan_row(number, sampler, dates) for number in more)]
    prepared = Prepared(config, dates, sampler, source, grown, arguments)
    if len(grown) > len(rows) or arguments != found:
        prepared.save()
    return prepared


def _open_source(
    config: SampleConfig, until: date | None, area: Area | None
) -> tuple[DatePlan, Source | None, Area | None]:
    """The dates, the catalog's items, and the room that windows have; None where there is no end to it."""
    today = datetime.now(UTC).date()
    if config.catalog is None:
        return _date_plan(config, until or today - timedelta(weeks=REFERENCE_WEEKS)), None, None
    search = find_search(config.catalog, config.collection)
    if search is not None:
        dates = _date_plan(config, until or today - timedelta(weeks=REFERENCE_WEEKS))
        api, collection = search
        searched = SearchedSource(api, collection=collection, max_cloud=config.max_cloud)
        searched.probe(area, dates.periods)
        return dates, searched, None
    early = _date_plan(config, until) if until else None
    period = _whole(early) if early else Period(MISSION_START, datetime.combine(today, time.max, UTC))
    listed = ListedSource(config.catalog, area, period, collection=config.collection, max_cloud=config.max_cloud)
    dates = early or _date_plan(config, listed.days[-1])
    listed.keep(dates.periods)
    if not listed.items:
        raise AreaError(
            f"{config.catalog} has no item within {_whole(dates)}", "items on the dates wanted", "change --until"
        )
    dates.check_fits(listed.days, config.catalog)
    return dates, listed, listed.covered


def _date_plan(config: SampleConfig, until: date) -> DatePlan:
    return DatePlan(until, config.dates, config.years_apart, config.span_weeks, config.window_days)


def _whole(dates: DatePlan) -> Period:
    """One period that holds all."""
    return Period(dates.periods[0].start, dates.periods[-1].end)


def _arguments(config: SampleConfig, dates: DatePlan, sampler: Sampler) -> dict[str, Any]:
    """What a plan follows from, as JSON has it."""
    area = sampler.area
    digest = hashlib.sha256(shapely.to_wkb(shapely.normalize(area.geometry))).hexdigest()[:16] if area else ""
    return {
        "sampler": sampler.kind,
        "seed": config.seed,
        "side": config.side,
        "area": f"{area.name} ({digest})" if area else "everywhere",
        "until": dates.until.isoformat(),
        "dates": config.dates,
        "years_apart": config.years_apart,
        "span_weeks": config.span_weeks,
        "window_days": config.window_days,
        "max_cloud": config.max_cloud,
        "max_cloud_window": config.max_cloud_window,
        "bands": list(config.bands),
        "tries": config.tries,
        "catalog": config.catalog,
        "collection": config.collection,
    }


def _check(config: SampleConfig) -> None:
    """Refuse what no sample can be.

    Raises:
        DataError: It is none.
    """
    limits = {
        "--sampler": (config.sampler in SAMPLERS, config.sampler, " or ".join(SAMPLERS)),
        "--locations": (config.locations >= 1, config.locations, "1 or more"),
        "--side": (
            LEAST_SIDE <= config.side <= MOST_SIDE and config.side % 2 == 0,
            config.side,
            f"an even number of pixels from {LEAST_SIDE} to {MOST_SIDE}",
        ),
        "--max-cloud-window": (0 <= config.max_cloud_window <= 100, config.max_cloud_window, "from 0 to 100 percent"),
    }
    for flag, (good, value, expected) in limits.items():
        if not good:
            raise DataError(f"{flag} {value}", expected, f"correct {flag}")
    check_max_cloud(config.max_cloud)
    norm_bands(config.bands)
    if config.until is not None and config.until > datetime.now(UTC).date():
        raise AreaError(f"--until {config.until} lies in the future", "a day up to today", "correct --until")
