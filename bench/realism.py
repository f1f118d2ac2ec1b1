"""The simulated archive against real Sentinel-2 pixels: one command, one page.

    python bench/realism.py --archive data/simulated --label after [--real ../shared/data] [--json FILE]

Compared are reflectance by band and land cover, autocorrelation against distance, the season of forest, fires, cloudy
dates; and classifiers try to tell simulated chips from real ones, on the chips that the generator was set on and on
real pixels that it was not. Figures go to `<out>/<label>.json`, or to `--json`; `<out>.md` and the plots in `<out>/`
are drawn from `before.json` and `after.json`, whichever are there. Real pixels stay where they are: only figures are
written. About a quarter of an hour for the benchmark on two cores, most of it for the small networks.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from inputs import ARCHIVE, check_archive, check_real
from numpy.typing import NDArray
from realism_archive import EUROPEAN, SQUARE, read_archive
from realism_classifier import (
    EPOCHS,
    FOLDS,
    Match,
    accuracy,
    cnn_scores,
    halves,
    line_scores,
    match,
    single_numbers,
    standardise,
    views,
)
from realism_cover import CLASSES, KINDS, cover_of, differences, kind_of, quantiles, shares
from realism_page import write_page
from realism_plots import draw_plots
from realism_read import CHIP, Chips, Place, Series, open_places, read_real_chips
from realism_texture import features, texture
from realism_time import fire_summary, read_romania, real_fires, save_json, season, simulated_fires, skies
from realism_unseen import read_california, read_simulated, read_wood, simple_cover, simulated_wood, strata

from index.figures import read_commit
from stac.cli import check_folder, check_output, parse_args
from stac.errors import DataError, exit_code

RUNS = 2
"""Draws of chips, each with its own seed and folds. assumed: intervals come from the groups, not from the draws."""
DEALS = 6
"""Times that real chips are dealt to two sides."""
VIEW_FOLDS = 3
"""Folds held out for what only localises the give-aways."""
SIX = ("B02", "B03", "B04", "B08", "B11", "B12")
"""The bands of the first generator: on these both archives are compared."""
SIDES = ("real", "simulated")
REAL = ("l2a-chips/chips.npz", "calfire-style", "romania-series")
"""Parts of the real data that are read."""
Kinds = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Contest:
    """One way to let classifiers try."""

    kinds: Sequence[str]
    """Names of the kinds of chips."""
    gsd: int = 10
    """Side of a pixel, metres."""
    parts: bool = False
    """Whether networks see parts of the chips too."""
    quick: bool = False
    """One draw, few epochs."""


def compare(archive: Path, real: Path, *, quick: bool = False) -> dict[str, Any]:
    """Every figure of one archive and of the real data.

    Args:
        archive: Folder with `catalog.json` and `events.geojson`.
        real: Folder of the real data.
        quick: Few chips, one run, no networks on parts: to see that it works.

    Raises:
        DataError: A folder does not hold what is needed.
    """
    clock = Clock()
    places = open_places(archive)
    drawn, sought, series = read_archive(archive, places, np.random.default_rng(0), 300 if quick else 1500)
    theirs = read_real_chips(real)
    bands = tuple(band for band in theirs.bands if band in drawn.bands)
    sides = {"real": theirs.only(bands), "simulated": drawn.only(bands)}
    covers = {name: cover_of(side) for name, side in sides.items()}
    report: dict[str, Any] = {
        "archive": describe(archive, places, drawn, sought),
        "bands": list(bands),
        "cover": {name: shares(covers[name], CLASSES) for name in sides},
        "kinds": {name: shares(kind_of(side, covers[name]), KINDS) for name, side in sides.items()},
        "quantiles": {name: quantiles(side, covers[name]) for name, side in sides.items()},
    }
    report["differences"] = differences(report["quantiles"]["simulated"], report["quantiles"]["real"])
    clock.lap("reading chips and series")
    all_sides = {"real": sides["real"], "simulated": sides["simulated"].joined(sought.only(bands))}
    kinds: Kinds = {name: kind_of(side, cover_of(side)) for name, side in all_sides.items()}
    report["texture"] = {name: texture(side, kinds[name]) for name, side in all_sides.items()}
    report["fires"] = {"real": real_fires(real), "simulated": simulated_fires(archive, places)}
    report["fire_summary"] = {name: fire_summary(rows) for name, rows in report["fires"].items()}
    report |= over_time(real, series)
    clock.lap("texture, fires, seasons")
    report["unseen"] = unseen(archive, real, places, all_sides["simulated"], kinds["simulated"], quick=quick)
    clock.lap("California")
    report["classifier"] = contests(all_sides, kinds, clock, quick=quick)
    report["seconds"] = clock.laps
    return report


def over_time(real: Path, series: Sequence[Series]) -> dict[str, Any]:
    """The season and the skies, against Romania's."""
    theirs, ours = read_romania(real), like(series, "temperate")
    return {
        "season": {"real": season([theirs]), "simulated": season(ours)},
        "skies": {"real": skies([theirs]), "simulated": skies(ours)},
        "skies_by_area": {one.name: skies([one]) for one in series},
    }


def contests(sides: dict[str, Chips], kinds: Kinds, clock: Clock, *, quick: bool) -> dict[str, Any]:
    """The classifiers on six bands held out by squares, as both archives allow, and by whole areas where there are."""
    bands = sides["real"].bands
    six = {name: side.only([band for band in SIX if band in bands]) for name, side in sides.items()}
    found = {"squares": tell_apart(six, kinds, Contest(KINDS, parts=not quick, quick=quick))}
    clock.lap("classifiers by squares")
    found["chance"] = chance(six["real"], kinds["real"], quick=quick)
    clock.lap("real chips against real ones")
    if len(set(sides["simulated"].places)) >= FOLDS:
        for word, chosen in (("areas", six), ("areas, all bands", sides)):
            by_place = {"real": chosen["real"], "simulated": chosen["simulated"].by_place()}
            found[word] = tell_apart(by_place, kinds, Contest(KINDS, quick=quick))
            clock.lap(f"classifiers by {word}")
    return found


def chance(real: Chips, kind: NDArray[Any], *, quick: bool) -> dict[str, Any]:
    """What the two networks reach where there is nothing to tell: groups of real chips dealt at random to two sides."""
    drawn = []
    for seed in range(1 if quick else DEALS):
        sides, kinds = halves(real, kind, seed)
        drawn.append(match(*sides, kinds, seed))
    scores = vote(drawn, 2 if quick else EPOCHS)[1]
    found = [accuracy([own], [deal])["accuracy"] for own, deal in zip(scores, drawn, strict=True)]
    sizes = [[len(names) for names in (deal.simulated, np.unique(deal.group))] for deal in drawn]
    chips, groups = (round(number / 2) for number in np.mean(sizes, axis=0))
    ends = {"accuracy": round(float(np.mean(found)), 4), "low": min(found), "high": max(found)}
    return {**ends, "deals": len(drawn), "chips": chips, "groups": groups}


def unseen(
    archive: Path, real: Path, places: Sequence[Place], chips: Chips, kind: NDArray[Any], *, quick: bool
) -> dict[str, Any]:
    """California before its fires, and a Romanian wood: real pixels on which nothing was set."""
    place = next((p for p in places if p.biome == "mediterranean"), places[0])
    read = read_california(real), read_simulated(archive, place, np.random.default_rng(0), 2 if quick else 8)
    sides = {name: side for name, (side, _) in zip(SIDES, read, strict=True)}
    kinds: Kinds = {}
    names: list[str] = []
    for name, (side, seasons) in zip(SIDES, read, strict=True):
        kinds[name], names = strata(side, seasons)
    temperate = np.array([p.biome == "temperate" for place in chips.places for p in places if p.name == place])
    chosen = temperate if temperate.any() else np.ones(len(temperate), bool)
    wood = {
        "real": read_wood(real),
        "simulated": simulated_wood(chips.pick(chosen), kind[chosen], KINDS.index("forest")),
    }
    table = {name: quantiles(side, simple_cover(side)) for name, side in sides.items()}
    california: dict[str, Any] = {
        "area": place.name,
        "quantiles": table,
        "differences": differences(table["simulated"], table["real"]),
    }
    if len(np.unique(sides["simulated"].groups)) >= FOLDS:
        california |= tell_apart(sides, kinds, Contest(names, gsd=20, quick=quick))
    return {"california": california, "wood": wood}


def describe(archive: Path, places: Sequence[Place], drawn: Chips, sought: Chips) -> dict[str, Any]:
    """What was compared."""
    stamp = json.loads((archive / "simulation.json").read_text(encoding="utf-8"))
    return {
        **{key: stamp[key] for key in ("size", "seed", "version") if key in stamp},
        "commit": read_commit(),
        "areas": [
            {"name": place.name, "biome": place.biome, "chips_used": place.biome in EUROPEAN} for place in places
        ],
        "chips": len(drawn.pixels),
        "sought": len(sought.pixels),
        "square_m": SQUARE * CHIP * 10,
    }


def like(series: Sequence[Series], biome: str) -> list[Series]:
    """The series of a biome; all of them where the archive has none of it."""
    return [one for one in series if one.biome == biome] or list(series)


def tell_apart(sides: dict[str, Chips], kinds: Kinds, how: Contest) -> dict[str, Any]:
    """Accuracies of the network and of the plain classifiers, and the numbers that give a chip away."""
    runs, epochs = (1, 2) if how.quick else (RUNS, EPOCHS)
    pair = kinds["real"], kinds["simulated"]
    drawn = [match(sides["real"], sides["simulated"], pair, seed) for seed in range(runs)]
    nets, together = vote(drawn, epochs)
    report: dict[str, Any] = {
        "bands": list(sides["real"].bands),
        "composition": composition(drawn[0], how.kinds),
        "cnn": accuracy(together, drawn),
        "groups": {},
        "views": {name: accuracy(scores, drawn) for name, scores in nets.items()},
    }
    tables = [features(found.chips, how.gsd) for found in drawn]
    for group in tables[0]:
        scores = [line_scores(np.stack(list(t[group].values()), 1), f) for t, f in zip(tables, drawn, strict=True)]
        report["groups"][group] = accuracy(scores, drawn)
    report["numbers"] = single_numbers(drawn[0], tables[0])
    logs = log_pixels(drawn[0])
    for name, view in views(sides["real"].bands).items() if how.parts else ():
        report["views"][name] = accuracy([cnn_scores(view(logs), drawn[0], 0, VIEW_FOLDS)], drawn[:1])
    return report


def log_pixels(found: Match) -> NDArray[np.float32]:
    """Log reflectance, from 0.002 up."""
    return np.asarray(np.log(np.maximum(found.chips.pixels, 0.002)), np.float32)


def vote(drawn: Sequence[Match], epochs: int) -> tuple[dict[str, list[NDArray[Any]]], list[NDArray[Any]]]:
    """Held-out scores of the two networks in each draw, by name, and their sums."""
    logs = [log_pixels(found) for found in drawn]
    seen = {"levels as they are": logs, "each chip and band standardised": [standardise(x) for x in logs]}
    nets = {
        name: [cnn_scores(x, found, n, epochs=epochs) for n, (x, found) in enumerate(zip(chips, drawn, strict=True))]
        for name, chips in seen.items()
    }
    return nets, [np.sum(scores, axis=0) for scores in zip(*nets.values(), strict=True)]


def composition(found: Match, names: Sequence[str]) -> dict[str, Any]:
    """Chips of each kind on either side, and how many groups."""
    half = found.kind[found.simulated == 1]
    groups = [len(np.unique(found.group[found.simulated == side])) for side in (0, 1)]
    return {
        "each_side": {name: int((half == n).sum()) for n, name in enumerate(names)},
        "groups": dict(zip(SIDES, groups, strict=True)),
        "real_groups": {
            name: len(np.unique(found.group[(found.kind == n) & (found.simulated == 0)]))
            for n, name in enumerate(names)
        },
        "folds": FOLDS,
    }


class Clock:
    """Seconds of each step, told on standard error as they pass."""

    def __init__(self) -> None:
        self.laps: dict[str, int] = {}
        self._last = time.monotonic()

    def lap(self, name: str) -> None:
        """End a step."""
        now = time.monotonic()
        self.laps[name] = round(now - self._last)
        self._last = now
        print(f"{time.strftime('%H:%M:%S')} {name}: {self.laps[name]} s", file=sys.stderr, flush=True)


def _run(argv: Sequence[str] | None) -> int:
    """Check the arguments, compare, write the figures, draw the page."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="python bench/realism.py", description=__doc__, formatter_class=raw)
    parser.add_argument("--archive", type=Path, help="the simulated archive; without it the page is drawn anew")
    parser.add_argument("--real", type=Path, default=Path("../shared/data"), help="folder of the real data")
    parser.add_argument("--out", type=Path, default=Path("docs/simulated-archive"), help="plots; the page is OUT.md")
    parser.add_argument("--json", type=Path, help="where the figures go (default: OUT/LABEL.json)")
    parser.add_argument("--label", choices=("before", "after"), default="after")
    parser.add_argument("--quick", action="store_true", help="few chips, one run: to see that it works")
    args = parse_args(parser, argv)
    figures = args.json or args.out / f"{args.label}.json"
    check_folder(args.out, "--out")
    check_output(args.out.with_name(f"{args.out.name}.md"), "--out")
    check_output(figures, "--json")
    torch.set_num_threads(1)  # so small a net is slower on two, much slower where something else runs
    if args.archive:
        check_archive(args.archive, (*ARCHIVE, "simulation.json"))
        check_real(args.real, REAL)
        save_json(figures, compare(args.archive, args.real, quick=args.quick))
    reports = {
        label: json.loads((args.out / f"{label}.json").read_text(encoding="utf-8"))
        for label in ("before", "after")
        if (args.out / f"{label}.json").exists()
    }
    if reports:
        draw_plots(reports, args.out)
        write_page(reports, args.out)
    elif not args.archive:
        found = f"no before.json and no after.json in {args.out}"
        raise DataError(found, "figures to draw the page from", "name the archive to compare with --archive")
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    return exit_code(lambda: _run(argv))


if __name__ == "__main__":
    sys.exit(main())
