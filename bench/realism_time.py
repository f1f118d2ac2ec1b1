"""Change over time, simulated against real: the season of forest, cloudy dates, and what fires do to the spectrum."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import rasterio
import xarray as xr
from numpy.typing import NDArray
from rasterio.features import rasterize
from realism_cover import ratio
from realism_read import Place, Series, open_events, place_block, place_days, read_day, to_metres
from shapely.geometry.base import BaseGeometry

from stac.bands import CLEAR_SCL
from stac.blocks import Block
from stac.items import Scene
from stac.lattice import Lattice

FOREST = 0.7
"""assumed: the least summer NDVI, 75th percentile over the dates, of what counts as closed forest on both sides."""
STEADY = 0.55
"""assumed: and its least 20th percentile: fields are harvested, forest is not."""
SHED = 0.15
"""assumed: a pixel sheds its leaves where its median NDVI falls so far from June to August to December to February."""
WINDOW = 20.0
"""assumed: days, spread of the Gaussian weights that smooth the seasonal curve; the year is a circle."""
SKY_BINS = (0.0, 0.1, 0.5, 0.9, 1.0)
"""Edges of the clear share of a date."""
SKY_NAMES = ("overcast (under 10 % clear)", "10 to 50 %", "50 to 90 %", "clear (over 90 %)")
FIRE_QUANTILES = (5, 25, 50, 75, 95)
MARGIN = 0.6
"""assumed: of a burn's own extent, on each side: burns fill a fifth of the window then, as in the real set."""


def read_romania(folder: Path) -> Series:
    """The real series: every pixel, and which of them no cut touched (summer NDVI never fell by 0.12 in a year)."""
    with xr.open_dataset(folder / "romania-series" / "sentinel2_cube_subset_romania_10m.nc") as file:
        red, nir, scl = (file[name].values for name in ("B4", "B8", "SCL"))
        days = pd.DatetimeIndex(file.time.values)
    clear = np.isin(scl, CLEAR_SCL)
    ndvi = np.where(clear & (red > 0), ratio(nir, red), np.nan).reshape(len(days), -1).astype(np.float32)
    summer = np.asarray(days.month.isin((6, 7, 8)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a summer without a clear date stays unknown
        years = [np.nanpercentile(ndvi[summer & (days.year == y)], 75, axis=0) for y in range(2016, 2021)]
    untouched = np.asarray(~(np.diff(np.stack(years), axis=0) <= -0.12).any(axis=0), bool)
    share = clear.reshape(len(days), -1).mean(axis=1)
    return Series("Romania", "temperate", False, tuple(d.date() for d in days), ndvi, untouched, share)


def season(series: Sequence[Series]) -> dict[str, Any] | None:
    """Curve of forest's NDVI by day of the year (every 10 days), and how far single values lie from it.

    The residual is that of a pixel's value on a date from the curve; `scatter` is 1.4826 × its median absolute value,
    and it is split into what a whole date shares (`of_dates`: haze, light, leaf-out) and the rest (`of_pixels`).

    Returns:
        None where there is no forest.
    """
    days, values, shed = [], [], []
    for one in series:
        doy = np.array([(d.timetuple().tm_yday + (182 if one.south else 0)) % 365 for d in one.days])
        summer = (doy > 150) & (doy < 245)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            low, high = np.nanpercentile(one.ndvi[summer], (20, 75), axis=0)
            fall = np.nanmedian(one.ndvi[summer], axis=0) - np.nanmedian(one.ndvi[(doy < 60) | (doy > 334)], axis=0)
        forest = one.untouched & (high >= FOREST) & (low >= STEADY)
        own = one.ndvi[:, forest]
        if forest.sum() >= 20:
            days.append(doy)
            values.append(own)
            shed.append(fall[forest] > SHED)
    if not values:
        return None
    grid = np.arange(5, 365, 10)
    seen = [np.isfinite(v).sum(axis=1) >= 0.3 * v.shape[1] for v in values]
    dates = np.concatenate([d[s] for d, s in zip(days, seen, strict=True)])
    level = np.concatenate([np.nanmedian(v[s], axis=1) for v, s in zip(values, seen, strict=True)])
    curve = smooth(dates, level, grid)
    at = smooth(dates, level, dates)
    centres = np.split(at, np.cumsum([s.sum() for s in seen])[:-1])
    residual, of_pixels = [], []
    for block, mask, centre in zip(values, seen, centres, strict=True):
        residual.append((block[mask] - centre[:, None]).ravel())
        of_pixels.append((block[mask] - np.nanmedian(block[mask], axis=1, keepdims=True)).ravel())
    return {
        "day": [int(d) for d in grid],
        "ndvi": _rounded(curve),
        "dates": {"day": [int(d) for d in dates], "ndvi": _rounded(level)},
        "scatter": robust(np.concatenate(residual)),
        "of_dates": robust(level - at),
        "of_pixels": robust(np.concatenate(of_pixels)),
        "pixels": sum(len(own) for own in shed),
        **_shed(days, values, shed),
    }


def _shed(
    days: Sequence[NDArray[Any]], values: Sequence[NDArray[np.float32]], shed: Sequence[NDArray[np.bool_]]
) -> dict[str, float | None]:
    """Share of pixels that shed their leaves, and the lowest of their curve; None where they are under twenty."""
    share = round(float(np.concatenate(shed).mean()), 3)
    if sum(int(own.sum()) for own in shed) < 20:
        return {"shed_share": share, "shed_lowest": None}
    level, dates = [], []
    for doy, value, own in zip(days, values, shed, strict=True):
        seen = np.isfinite(value[:, own]).sum(axis=1) >= max(1, 0.3 * own.sum())
        if seen.any():
            level.append(np.nanmedian(value[seen][:, own], axis=1))
            dates.append(doy[seen])
    curve = smooth(np.concatenate(dates), np.concatenate(level), np.arange(5, 365, 10))
    return {"shed_share": share, "shed_lowest": round(float(curve.min()), 4)}


def smooth(day: NDArray[Any], value: NDArray[Any], at: NDArray[Any]) -> NDArray[np.float64]:
    """Weighted median of values around each day of the year `at`, weights Gaussian of spread `WINDOW` on the circle."""
    out = []
    order = np.argsort(value)
    for d in at:
        gap = np.abs(day - d)
        weight = np.exp(-0.5 * (np.minimum(gap, 365 - gap) / WINDOW) ** 2)[order]
        total = weight.cumsum()
        out.append(value[order][min(int(np.searchsorted(total, total[-1] / 2)), len(value) - 1)])
    return np.asarray(out, np.float64)


def robust(values: NDArray[Any]) -> float:
    """1.4826 × median absolute value: the standard deviation of a normal distribution around 0."""
    return round(float(1.4826 * np.nanmedian(np.abs(values))), 4)


def skies(series: Sequence[Series]) -> dict[str, Any]:
    """Share of dates by how much of the area was clear."""
    clear = np.concatenate([one.clear for one in series])
    count = np.histogram(clear, np.array([*SKY_BINS[:-1], 1.001]))[0] / len(clear)
    return {"dates": len(clear), "share": dict(zip(SKY_NAMES, _rounded(count, 3), strict=True))}


def real_fires(folder: Path) -> list[dict[str, Any]]:
    """The dNBR of the ten real fires, inside and outside the perimeter, over the whole of each file."""
    rows = []
    for place in sorted(path.parent for path in (folder / "calfire-style").glob("*/perimeter.tif")):
        images = []
        for name in ("before", "after"):
            with rasterio.open(place / f"{name}.tif") as file:
                index = {band: n + 1 for n, band in enumerate(file.descriptions)}
                images.append([file.read(index[band]).astype(np.float32) for band in ("B08", "B12")])
        with rasterio.open(place / "perimeter.tif") as file:
            inside = file.read(1) == 1
        valid = np.min([layer for pair in images for layer in pair], axis=0) > 0
        rows.append(_fire_row(place.name, images, inside, valid))
    return rows


def _fire_row(
    name: str, images: Sequence[Sequence[NDArray[np.float32]]], inside: NDArray[np.bool_], valid: NDArray[np.bool_]
) -> dict[str, Any]:
    """Means and quantiles of one fire: dNBR = NBR before − NBR after, NBR = (B08 − B12) / (B08 + B12)."""
    before, after = (ratio(nir, swir) for nir, swir in images)
    change = before - after
    row: dict[str, Any] = {"fire": name, "burnt_share": round(float(inside[valid].mean()), 3)}
    for word, where in (("inside", inside & valid), ("outside", ~inside & valid)):
        row[word] = {
            "mean": round(float(change[where].mean()), 4),
            "quantiles": _rounded(np.percentile(change[where], FIRE_QUANTILES)),
            "nbr_before": round(float(np.median(before[where])), 4),
            "nbr_after": round(float(np.median(after[where])), 4),
        }
    return row


def simulated_fires(archive: Path, places: Sequence[Place], most: int = 20) -> list[dict[str, Any]]:
    """The dNBR of planted wildfires from `before_date` to `after_date`, at 20 m, where both are clear by SCL."""
    events = open_events(archive)
    rows: list[dict[str, Any]] = []
    for place in places:
        own = [e for e in events if e[1]["class"] == "wildfire" and e[0].intersects(place.area.geometry)]
        own = [e for e in own if e[1].get("before_date") and e[1].get("after_date")][: max(2, most // len(places))]
        if not own:
            continue
        epsg, days = place_block(place).lattice.epsg, place_days(archive, place)
        others = [(o, p["event_id"]) for o, p in events if o.intersects(place.area.geometry)]
        for outline, says in own:
            row = _simulated_fire(outline, says, others, epsg, days)
            if row is not None:
                rows.append({**row, "biome": place.biome})
    return rows


def _simulated_fire(
    outline: BaseGeometry,
    says: dict[str, Any],
    others: Sequence[tuple[BaseGeometry, str]],
    epsg: int,
    days: dict[date, Sequence[Scene]],
) -> dict[str, Any] | None:
    """One planted fire in its window; None where less than half of it is seen on both dates."""
    burn = to_metres(outline, epsg)
    block = window(burn, epsg, MARGIN)
    images, clear = [], np.ones(block.shape, bool)
    for key in ("before_date", "after_date"):
        day = date.fromisoformat(says[key])
        layers = read_day(block, day, days[day], ("B08", "B12")) if day in days else None
        if layers is None:
            return None
        images.append([coarse(layers[band]) for band in ("B08", "B12")])
        clear &= np.isin(layers["scl"], CLEAR_SCL) & (layers["B08"] > 0)
    transform = block.transform
    inside = rasterize([burn], block.shape, transform=transform).astype(bool)
    strangers = [to_metres(o, epsg).buffer(40) for o, name in others if name != says["event_id"]]
    foreign = (
        rasterize(strangers, block.shape, transform=transform).astype(bool) if strangers else np.zeros_like(inside)
    )
    valid = coarse((clear & ~foreign).astype(np.float32)) == 1
    if (coarse(inside.astype(np.float32)) >= 0.5)[valid].sum() < 25:
        return None
    return _fire_row(says["event_id"], images, coarse(inside.astype(np.float32)) >= 0.5, valid)


def window(shape: BaseGeometry, epsg: int, margin: float) -> Block:
    """The rectangle around a shape, `margin` of its extent more on each side, as a block of 20 m pixels."""
    west, south, east, north = shape.bounds
    dx, dy = margin * (east - west), margin * (north - south)
    col0, row0 = int((west - dx) // 20), int((south - dy) // 20)
    ncols, nrows = int((east + dx) // 20) - col0 + 1, int((north + dy) // 20) - row0 + 1
    return Block(Lattice(epsg, 2, 10), "window", col0, row0, np.ones((nrows, ncols), bool))


def coarse(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Means of 2 × 2 pixels."""
    height, width = image.shape
    return np.asarray(image.reshape(height // 2, 2, width // 2, 2).mean(axis=(1, 3)))


def fire_summary(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Means over fires of each fire's figures, and how many show more change inside than outside."""
    if not rows:
        return {"fires": 0}
    inside, outside = (np.array([row[word]["mean"] for row in rows]) for word in ("inside", "outside"))
    spread = {w: np.mean([r[w]["quantiles"][4] - r[w]["quantiles"][0] for r in rows]) for w in ("inside", "outside")}
    return {
        "fires": len(rows),
        "inside_mean": round(float(inside.mean()), 4),
        "inside_between_fires": round(float(inside.std()), 4),
        "outside_mean": round(float(outside.mean()), 4),
        "outside_between_fires": round(float(outside.std()), 4),
        "inside_median": round(float(np.median(inside)), 4),
        "outside_median": round(float(np.median(outside)), 4),
        "inside_5_to_95": round(float(spread["inside"]), 4),
        "outside_5_to_95": round(float(spread["outside"]), 4),
        "more_inside": int((inside > outside).sum()),
    }


def _rounded(values: NDArray[Any], places: int = 4) -> list[float]:
    """Plain numbers for JSON."""
    return [round(float(v), places) for v in values]


def save_json(path: Path, content: dict[str, Any]) -> None:
    """Write a report, small and the same for the same content."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, separators=(",", ":")) + "\n", encoding="utf-8")
