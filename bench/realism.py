"""The simulated archive against real Sentinel-2 pixels: one command, one page.

    python bench/realism.py --archive data/simulated --label after [--real ../shared/data] [--json FILE]

Compared are reflectance by band and land cover, autocorrelation against distance, the season of forest, fires, cloudy
dates; and classifiers try to tell simulated chips from real ones. Figures go to `<out>/<label>.json`, or to `--json`;
`<out>.md` and the plots in `<out>/` are drawn from `before.json` and `after.json`, whichever are there. Real pixels
stay where they are: only figures are written. About four minutes on two cores, most of it for the small networks.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from realism_classifier import (
    EPOCHS,
    FOLDS,
    Match,
    accuracy,
    cnn_scores,
    line_scores,
    match,
    single_numbers,
    standardise,
    views,
)
from realism_cover import CLASSES, KINDS, cover_of, differences, kind_of, quantiles, shares
from realism_page import write_page
from realism_plots import draw_plots
from realism_read import EUROPEAN, Chips, Place, Series, open_places, read_archive, read_real_chips
from realism_texture import features, texture
from realism_time import fire_summary, read_romania, real_fires, save_json, season, simulated_fires, skies

RUNS = 3
"""Draws of chips, each with its own seed and folds."""
VIEW_FOLDS = 3
"""Folds held out for what only localises the give-aways."""


def compare(archive: Path, real: Path, *, quick: bool = False) -> dict[str, Any]:
    """Every figure of one archive and of the real data.

    Args:
        archive: Folder with `catalog.json` and `events.geojson`.
        real: Folder of the real data.
        quick: Few chips, one run, no networks on parts: to see that it works.

    Raises:
        DataError: A folder does not hold what is needed.
    """
    places = open_places(archive)
    chips, series = read_archive(archive, places, np.random.default_rng(0), 300 if quick else 1500)
    theirs = read_real_chips(real)
    bands = tuple(band for band in theirs.bands if band in chips.bands)
    sides = {"real": theirs.only(bands), "simulated": chips.only(bands)}
    covers = {name: cover_of(side) for name, side in sides.items()}
    kinds = {name: kind_of(side, covers[name]) for name, side in sides.items()}
    say("chips read")
    report: dict[str, Any] = {
        "archive": describe(archive, places, chips),
        "bands": list(bands),
        "cover": {name: shares(covers[name], CLASSES) for name in sides},
        "kinds": {name: shares(kinds[name], KINDS) for name in sides},
        "quantiles": {name: quantiles(side, covers[name]) for name, side in sides.items()},
        "texture": {name: texture(side, kinds[name]) for name, side in sides.items()},
        "fires": {"real": real_fires(real), "simulated": simulated_fires(archive, places)},
        "season": {"real": season([read_romania(real)]), "simulated": season(like(series, "temperate"))},
        "skies": {"real": skies([read_romania(real)]), "simulated": skies(like(series, "temperate"))},
        "skies_by_area": {one.name: skies([one]) for one in series},
    }
    report["differences"] = differences(report["quantiles"]["simulated"], report["quantiles"]["real"])
    report["fire_summary"] = {name: fire_summary(rows) for name, rows in report["fires"].items()}
    say("series and fires compared")
    report["classifier"] = tell_apart(sides, kinds, quick=quick)
    return report


def describe(archive: Path, places: Sequence[Place], chips: Chips) -> dict[str, Any]:
    """What was compared."""
    stamp = json.loads((archive / "simulation.json").read_text(encoding="utf-8"))
    return {
        **{key: stamp[key] for key in ("size", "seed", "version") if key in stamp},
        "areas": [
            {"name": place.name, "biome": place.biome, "chips_used": place.biome in EUROPEAN} for place in places
        ],
        "chips": len(chips.pixels),
    }


def like(series: Sequence[Series], biome: str) -> list[Series]:
    """The series of a biome; all of them where the archive has none of it."""
    return [one for one in series if one.biome == biome] or list(series)


def tell_apart(sides: dict[str, Chips], kinds: dict[str, NDArray[np.int8]], *, quick: bool) -> dict[str, Any]:
    """Accuracies of the network and of the plain classifiers, and the numbers that give a chip away."""
    runs = 1 if quick else RUNS
    pair = kinds["real"], kinds["simulated"]
    drawn = [match(sides["real"], sides["simulated"], pair, seed) for seed in range(runs)]
    logs = [np.log(np.maximum(found.chips.pixels, 0.002)) for found in drawn]
    epochs = 2 if quick else EPOCHS
    nets = {
        "levels as they are": [
            cnn_scores(x, found, n, epochs=epochs) for n, (x, found) in enumerate(zip(logs, drawn, strict=True))
        ],
        "each chip and band standardised": [
            cnn_scores(standardise(x), found, n, epochs=epochs)
            for n, (x, found) in enumerate(zip(logs, drawn, strict=True))
        ],
    }
    together = [np.sum(scores, axis=0) for scores in zip(*nets.values(), strict=True)]
    report: dict[str, Any] = {
        "composition": composition(drawn[0]),
        "cnn": accuracy(together, drawn),
        "groups": {},
        "views": {name: accuracy(scores, drawn) for name, scores in nets.items()},
    }
    say(f"network on everything: {report['cnn']['accuracy']:.3f}")
    tables = [features(found.chips) for found in drawn]
    for group in tables[0]:
        scores = [line_scores(np.stack(list(t[group].values()), 1), f) for t, f in zip(tables, drawn, strict=True)]
        report["groups"][group] = accuracy(scores, drawn)
        say(f"{group}: {report['groups'][group]['accuracy']:.3f}")
    report["numbers"] = single_numbers(drawn[0], tables[0])
    for name, view in {} if quick else views(sides["real"].bands).items():
        report["views"][name] = accuracy([cnn_scores(view(logs[0]), drawn[0], 0, VIEW_FOLDS)], drawn[:1])
        say(f"network on {name}: {report['views'][name]['accuracy']:.3f}")
    return report


def composition(found: Match) -> dict[str, Any]:
    """Chips of each kind on either side, and how many groups."""
    half = found.kind[found.simulated == 1]
    groups = [len(np.unique(found.group[found.simulated == side])) for side in (0, 1)]
    return {
        "each_side": {name: int((half == n).sum()) for n, name in enumerate(KINDS)},
        "groups": {"real": groups[0], "simulated": groups[1]},
        "folds": FOLDS,
    }


def say(text: str) -> None:
    """Progress on standard error."""
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def main(argv: Sequence[str] | None = None) -> int:
    """Compare, write the figures, draw the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--archive", type=Path, help="the simulated archive; without it the page is drawn anew")
    parser.add_argument("--real", type=Path, default=Path("../shared/data"), help="folder of the real data")
    parser.add_argument("--out", type=Path, default=Path("docs/simulated-archive"), help="plots; the page is OUT.md")
    parser.add_argument("--json", type=Path, help="where the figures go (default: OUT/LABEL.json)")
    parser.add_argument("--label", choices=("before", "after"), default="after")
    parser.add_argument("--quick", action="store_true", help="few chips, one run: to see that it works")
    args = parser.parse_args(argv)
    torch.set_num_threads(1)  # so small a net is slower on two, much slower where something else runs
    if args.archive:
        report = compare(args.archive, args.real, quick=args.quick)
        save_json(args.json or args.out / f"{args.label}.json", report)
    reports = {
        label: json.loads((args.out / f"{label}.json").read_text(encoding="utf-8"))
        for label in ("before", "after")
        if (args.out / f"{label}.json").exists()
    }
    if reports:
        draw_plots(reports, args.out)
        write_page(reports, args.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
