"""Show how locations are drawn: figures and a map of CACo's sampler beside SeCo's, and a sheet of gathered series.

    python bench/sampling_map.py --page docs/sampling.md --out docs/sampling
    python bench/sampling_map.py --series data/simulated-sample --out docs/sampling

The first command draws 10,000 locations by each sampler, puts its figures between the marks of the page, and writes
`map.png`. The second writes `series.png`, some locations of a folder that `stac.sample` has gathered. Both print JSON.
"""

from __future__ import annotations

import argparse
import io
import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from stac.cli import check_folder, number, parse_args
from stac.errors import DataError, exit_code
from stac.files import write_whole
from stac.sampling.land import has_land, land_share
from stac.sampling.points import OCEAN, SIGMA_KM, Draw, Sampler
from stac.shards import open_shards

WORLD = (-180, -58, 180, 76)
ITALY = (6, 36, 19, 47)
"""West, south, east, north of the maps, degrees."""
SIDE = 264
MARKS = ("<!-- figures of bench/sampling_map.py -->", "<!-- end of figures -->")
NAMES = {"caco": "CACo", "seco": "SeCo"}
COLOURS = {"caco": "#c2410c", "seco": "#1d4ed8"}
LAND, SEA = "#d9d6cf", "#ffffff"
RGB, WHITE = ("B04", "B03", "B02"), 0.3


def draw_all(kind: str, count: int, seed: int) -> tuple[list[Draw], list[Draw]]:
    """All draws that were made for some locations, and those that were taken."""
    sampler = Sampler("seco" if kind == "seco" else "caco", seed=seed, side=SIDE)
    made, taken = [], []
    for location in range(count):
        attempt, draw, _ = sampler.first(location)
        made += [*(sampler.draw(location, turn) for turn in range(attempt)), draw]
        taken.append(draw)
    return made, taken


def figures_of(kind: str, made: Sequence[Draw], taken: Sequence[Draw]) -> dict[str, Any]:
    """What the draws of one sampler amount to; shares in percent, lengths in km."""
    km = np.array([draw.city_km for draw in taken])
    at_sea = sum(draw.window is not None and not has_land(*draw.window.ring.bounds) for draw in taken)
    sigma = SIGMA_KM[kind]
    return {
        "sampler": kind,
        "locations": len(taken),
        "draws": len(made),
        "rejected as ocean, %": round(100 * sum(draw.reason == OCEAN for draw in made) / len(made), 2),
        "taken wholly in ocean, %": round(100 * at_sea / len(taken), 2),
        "median distance to the city, km": round(float(np.median(km)), 2),
        "of a normal offset, km": round(sigma * float(np.sqrt(2 * np.log(2))), 2),
        "within 10 km, %": round(100 * float((km < 10).mean()), 1),
        "of a normal offset, %": round(100 * float(1 - np.exp(-((10 / sigma) ** 2) / 2)), 1),
        "cities drawn around": len({draw.city.name for draw in taken if draw.city}),
    }


def table_of(results: Sequence[dict[str, Any]]) -> str:
    """The figures as a Markdown table, a column for each sampler."""
    lines = ["| | " + " | ".join(NAMES[result["sampler"]] for result in results) + " |"]
    lines.append("|---" * (len(results) + 1) + "|")
    names = [name for name in results[0] if name != "sampler"]
    lines += ["| " + " | ".join([name, *(f"{result[name]:,}" for result in results)]) + " |" for name in names]
    return "\n".join(lines)


def write_figures(page: Path, table: str) -> None:
    """Put a table between the marks of a page.

    Raises:
        DataError: The page lacks the marks.
    """
    text = page.read_text(encoding="utf-8")
    between = re.compile(f"({re.escape(MARKS[0])}).*?({re.escape(MARKS[1])})", re.DOTALL)
    if not between.search(text):
        raise DataError(f"{page} lacks the marks of the figures", " … ".join(MARKS), "put them where the table belongs")
    with write_whole(page) as temporary:
        temporary.write_text(between.sub(lambda m: f"{m[1]}\n\n{table}\n\n{m[2]}", text), encoding="utf-8")


def draw_map(taken: dict[str, list[Draw]]) -> Figure:
    """For each sampler the world, one above the other, and Italy nearer by, side by side."""
    figure = Figure(figsize=(11, 15), layout="constrained")
    axes = figure.subplot_mosaic([["caco"] * 2, ["seco"] * 2, ["near caco", "near seco"]], height_ratios=(1, 1, 1.35))
    for kind, draws in taken.items():
        points = np.array([(draw.lon, draw.lat) for draw in draws])
        draw_points(axes[kind], points, WORLD, 20, COLOURS[kind], 1.6)
        title = f"{NAMES[kind]}: {len(draws):,} locations, {SIGMA_KM[kind]:g} km around cities"
        axes[kind].set_title(title, loc="left", fontsize=14)
        near = axes[f"near {kind}"]
        draw_points(near, points, ITALY, 2, COLOURS[kind], 14.0)
        near.set_title(f"{NAMES[kind]}: the same, Italy and its neighbours", loc="left", fontsize=14)
    return figure


def draw_points(
    axes: Axes, points: NDArray[np.float64], box: tuple[int, int, int, int], step: int, colour: str, size: float
) -> None:
    """Points over land, which is drawn from the mask itself in squares of `step` cells."""
    west, south, east, north = box
    share = land_share(step, box)
    colours = np.array([[int(c[k : k + 2], 16) for k in (1, 3, 5)] for c in (SEA, LAND)]) / 255
    image = colours[0] + share[..., np.newaxis] * (colours[1] - colours[0])
    axes.imshow(image, extent=(west, east, south, north), interpolation="nearest", aspect="auto")
    axes.scatter(points[:, 0], points[:, 1], s=size, c=colour, linewidths=0, alpha=0.75)
    axes.set(xlim=(west, east), ylim=(south, north), aspect=1 / np.cos(np.radians((south + north) / 2)))
    axes.set_xlabel("longitude, degrees")
    axes.set_ylabel("latitude, degrees")


def draw_series(folder: Path, count: int) -> Figure:
    """Some locations of a folder of shards, one a row, a date a column, in true colour.

    Raises:
        DataError: The folder holds no whole shards, or lacks the bands of true colour.
    """
    shards = open_shards(folder)
    shown = np.linspace(0, shards.count - 1, min(count, shards.count)).round().astype(np.int64)
    times = shards.spec.dates
    images = shards.read(shown, np.tile(np.arange(times), (len(shown), 1)), RGB)
    figure = Figure(figsize=(1.5 * times, 1.62 * len(shown) + 0.5), layout="constrained")
    figure.suptitle(shards.spec.source, fontsize=12)
    for row, location in zip(figure.subplots(len(shown), times, squeeze=False), range(len(shown)), strict=True):
        for k, axes in enumerate(row):
            picture = np.moveaxis(images[location, k].astype(np.float32) / (shards.spec.full * WHITE), 0, -1)
            axes.imshow(picture.clip(0, 1) ** (1 / 1.4))
            half = ("older", "recent")[int(shards.half[shown[location], k])]
            day = np.datetime64(int(shards.days[shown[location], k]), "D")
            axes.set_title(f"{day}\n{half}", fontsize=9)
            axes.set_xticks([])
            axes.set_yticks([])
    return figure


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PNG of few colours, whole or not at all."""
    image = io.BytesIO()
    figure.savefig(image, dpi=100)
    with write_whole(path) as temporary:
        Image.open(image).convert("RGB").quantize(256).save(temporary, format="PNG", optimize=True)


def _run(argv: Sequence[str] | None) -> int:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="python bench/sampling_map.py", description=__doc__, formatter_class=raw)
    whole = "a whole number from 1 to 1000000"
    add = parser.add_argument
    add("--out", required=True, metavar="DIR", help="folder of the pictures")
    add("--page", type=Path, metavar="FILE", help="page to put the figures into")
    add("--series", type=Path, metavar="DIR", help="draw these shards instead of the map")
    kind = number("--locations", int, whole, lambda value: 1 <= value <= 1_000_000)
    add("--locations", type=kind, default=10_000, metavar="N", help="of each sampler (default: 10000)")
    kind = number("--seed", int, "a whole number from 0", lambda value: value >= 0)
    add("--seed", type=kind, default=0, metavar="N", help="names the draws (default: 0)")
    args = parse_args(parser, argv)
    out = check_folder(args.out, "--out")
    if args.series is not None:
        save(draw_series(args.series, 4), out / "series.png")
        print(json.dumps({"picture": str(out / "series.png")}))
        return 0
    drawn = {kind: draw_all(kind, args.locations, args.seed) for kind in NAMES}
    results = [figures_of(kind, made, taken) for kind, (made, taken) in drawn.items()]
    if args.page is not None:
        write_figures(args.page, table_of(results))
    save(draw_map({kind: taken for kind, (_, taken) in drawn.items()}), out / "map.png")
    print(json.dumps(results, indent=1))
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    return exit_code(lambda: _run(argv))


if __name__ == "__main__":
    sys.exit(main())
