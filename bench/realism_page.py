"""The page `docs/simulated-archive.md`: hand-written words around figures that come from the command's JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from realism_plots import name_of, series_of

Reports = Mapping[str, Any]

PAGE = """# The simulated archive against real pixels

<!-- Written by bench/realism.py from {folder}/before.json and after.json: edit bench/realism_page.py. -->

How far is the simulated archive from real Sentinel-2? Everything here compares *simulated* with *real*; no real pixel
is shown or kept in this repository. *Before* is the first generator, *after* the present one.

It is invented country: eight biomes with relief, land cover, farms, towns and roads; seasons, harvests, droughts, snow,
tides; skies and an instrument; and labelled events of eleven classes (`ARCHITECTURE.md` says where each stands, the
modules name the source of their numbers). It makes no claim about the world: a figure won on it says so.

![Events of each class, simulated: before and after, true colour, then short-wave infrared]({folder}/events.jpg)

*Every class of event, one example, all simulated: before and after in true colour (B04 B03 B02), before and after in
short-wave infrared (B12 B08 B04).* With `--real ../shared/data` the same command draws real fires, towns and clear-cuts
beside them, for who has those data.

```
python -m stac.simulate --out data/simulated --size benchmark
python bench/realism.py --archive data/simulated --label after --real ../shared/data
python bench/event_sheet.py --archive data/simulated --out docs/simulated-archive/events.jpg
```

{archives}

The real side: 250 chips of level 2A (10 bands, summer, Europe by their look; `l2a-chips`); one square kilometre of
Romanian forest on 140 dates (`romania-series`); ten Californian fires (`calfire-style`). Each is small: a figure says
how near we are to *these* pixels. Simulated chips are taken clear by SCL, in the growing season, in biomes that the
real chips show. Bands of 20 m come to 10 m bilinear, as in the real chips (measured: exact to the rounding).

## Can a classifier tell them apart?

Two networks of 48,000 weights each see whole chips of 64 px and vote: one log reflectance as it is, one the same with
each band of each chip standardised (alone, either misses what the other sees). There are as many *simulated* as *real*
chips of each kind; held-out chips come from groups (scenes, areas) that were not trained on; three draws, five folds.
0.5 means that they cannot tell. Intervals are 95 %, over groups. The other lines say what is needed for it: networks on
parts (one draw, three folds), plain classifiers on numbers with a name.

Read with care: *before* was one area, held out by squares, in six bands; *after* is held out by whole areas, in ten.
Held out by squares, plain classifiers on *after* reach 0.86 on ratios, 0.84 on the finest scale and 0.86 on the
spectrum: part of the fall in the first two is the folds'. Figures well below 0.5 mean that what was learnt on some
areas is wrong on another. A network on the finest scale still tells nearly all. The generator's constants were set
against these same 250 chips.

{accuracies}

![Accuracy of each classifier, simulated against real]({folder}/classifier.png)

What gives a chip away, one number at a time (AUC within each kind of chip: 0.5 = no use, 0 and 1 = all):

{numbers}

{composition}

### The three worst, before and after

{worst}

## Reflectance by band and land cover

Land cover is one plain rule on both sides (`bench/realism_cover.py`). Mean absolute difference of log reflectance
between *simulated* and *real*, over classes and the quantiles 5, 25, 50, 75, 95 (0.10 = 10 % off):

{bands}

{covers}

![Quantiles of reflectance, simulated and real]({folder}/reflectance.png)

## Autocorrelation against distance

Median over chips, of the variance within a chip; the slope is that of the power spectrum between 320 and 20 m.

{slopes}

![Autocorrelation against distance, simulated and real]({folder}/autocorrelation.png)

## Season

NDVI of untouched forest, clear by SCL: *real* Romania against *simulated* temperate forest (any forest, where the
archive has one area). Scatter is that of single values around the curve, 1.4826 × median absolute residual.

{season}

![Seasonal curve of NDVI, simulated and real]({folder}/season.png)

## Fires

dNBR inside and outside the perimeter. Ten *real* fires are ten fires: one of them lies among larger burns, two are
partly under smoke.

{fires}

![dNBR of each fire, simulated and real]({folder}/fires.png)

## Cloudy dates

Share of dates by how much of the place was clear.

{skies}
"""

WORST: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        "1. *Fine texture.* Bands of 10 m were too smooth below 40 m, those of 20 m too sharp for theirs.",
        ("B08 power at 28 m", "B02 power at 28 m", "B11 power at 28 m"),
    ),
    (
        "2. *Bands too alike.* Visible and short-wave infrared bands rose and fell as one.",
        ("B04 B12 correlation", "B03 B11 correlation", "B04 B11 correlation"),
    ),
    (
        "3. *Too much blue.* It was bright against green and infrared, over vegetation and water.",
        ("log B03/B02 median", "log B11/B02 median", "log B08/B02 median"),
    ),
)
"""Hand-written, from the first generator's figures: what gave it away, and the numbers that show it."""


def write_page(reports: Reports, out: Path) -> None:
    """Write the page beside the folder of plots."""
    sides = ["real", *reports]
    text = PAGE.format(
        folder=out.name,
        archives=_archives(reports),
        accuracies=_accuracies(reports),
        numbers=_both_numbers(reports),
        composition=_composition(reports),
        worst=_worst(reports),
        bands=_differences(reports, "band"),
        covers=_differences(reports, "class"),
        slopes=_slopes(reports, sides),
        season=_season(reports),
        fires=_fires(reports),
        skies=_skies(reports),
    )
    out.with_suffix(".md").write_text(text, encoding="utf-8")


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def _archives(reports: Reports) -> str:
    """What each archive was."""
    lines = []
    for label, report in reports.items():
        says = report["archive"]
        names = [f"{a['name']} ({a['biome']})" for a in says["areas"] if a["chips_used"] and a["biome"]]
        areas = f" of {', '.join(names)}" if names else ""
        stamp = f"size `{says.get('size')}`, seed {says.get('seed')}, version {says.get('version')}"
        lines.append(f"- *Simulated, {label}*: {stamp}; {len(report['bands'])} bands; {says['chips']} chips{areas}.")
    return "\n".join(lines)


def _range(found: Mapping[str, Any] | None) -> str:
    """Accuracy with its interval."""
    return "" if not found else f"{found['accuracy']:.3f} ({found['low']:.2f} to {found['high']:.2f})"


def _accuracies(reports: Reports) -> str:
    """The network, the parts of what it sees, and the groups of numbers, the most telling first."""
    last = list(reports.values())[-1]["classifier"]
    rows: list[list[str]] = [
        ["**both networks, all bands**", *(_range(r["classifier"]["cnn"]) for r in reports.values())]
    ]
    for part, word in (("views", "network on"), ("groups", "plain classifier on")):
        for name in sorted(last[part], key=lambda n, p=part: -last[p][n]["accuracy"]):  # type: ignore[misc]
            rows.append([f"{word}: {name}", *(_range(r["classifier"][part].get(name)) for r in reports.values())])
    return table(["told apart by", *(f"accuracy, simulated, {label}, against real" for label in reports)], rows)


def _numbers(report: Mapping[str, Any]) -> str:
    """The most telling numbers of one archive."""
    rows = [
        [r["number"], r["group"], f"{r['auc']:.2f}", f"{r['real median']:.3g}", f"{r['simulated median']:.3g}"]
        for r in report["classifier"]["numbers"][:12]
    ]
    return table(["number", "group", "AUC", "median, real", "median, simulated"], rows)


def _both_numbers(reports: Reports) -> str:
    """The same, one table for each archive."""
    return "\n\n".join(f"*Simulated, {label}:*\n\n{_numbers(report)}" for label, report in reports.items())


def _worst(reports: Reports) -> str:
    """The numbers behind the three worst give-aways of the first generator, in every archive."""
    parts = []
    for title, numbers in WORST:
        rows = []
        for name in numbers:
            for label, report in reports.items():
                found = next((r for r in report["classifier"]["numbers"] if r["number"] == name), None)
                if found:
                    values = (f"{found[key]:.3g}" for key in ("real median", "simulated median"))
                    rows.append([name, label, *values, f"{found['auc']:.2f}"])
        parts.append(f"{title}\n\n{table(['number', 'archive', 'median, real', 'median, simulated', 'AUC'], rows)}")
    return "\n\n".join(parts)


def _composition(reports: Reports) -> str:
    """How many chips of each kind were compared."""
    lines = []
    for label, report in reports.items():
        says = report["classifier"]["composition"]
        kinds = ", ".join(f"{count} {kind}" for kind, count in says["each_side"].items())
        groups = f"{says['groups']['real']} groups of real and {says['groups']['simulated']} of simulated chips"
        lines.append(f"Compared {label}: {kinds} on each side; {groups}, {says['folds']} folds.")
    return "\n\n".join(lines)


def _differences(reports: Reports, part: str) -> str:
    """Differences of log reflectance by band or class."""
    names = list(dict.fromkeys(n for r in reports.values() for n in r["differences"][part]))
    if part == "band":
        order = max(reports.values(), key=lambda r: len(r["bands"]))["bands"]
        names = [n for n in order if n in names]
    rows = [
        [label, *(r["differences"][part].get(n, "") for n in names), r["differences"]["all"]]
        for label, r in reports.items()
    ]
    return table(["simulated", *names, "all"], rows)


def _slopes(reports: Reports, sides: Sequence[str]) -> str:
    """Slopes of the power spectrum by kind of chip and band."""
    found = series_of(reports, "texture")
    kinds = list(found["real"])
    bands = [b for b in ("B02", "B04", "B08", "B11") if b in found["real"]["all"]]
    rows = [
        [kind, name_of(side), *(f"{found[side][kind][b]['slope']:.2f}" for b in bands)]
        for kind in kinds
        for side in sides
        if kind in found[side]
    ]
    return table(["chips", "side", *(f"{b}: slope" for b in bands)], rows)


def _season(reports: Reports) -> str:
    """Amplitude and scatter."""
    rows = []
    for side, f in series_of(reports, "season").items():
        if f:
            peak = f["day"][f["ndvi"].index(max(f["ndvi"]))]
            rows.append(
                [name_of(side), f"{max(f['ndvi']):.2f}", f"{min(f['ndvi']):.2f}", peak]
                + [f"{f[key]:.3f}" for key in ("scatter", "of_dates", "of_pixels")]
            )
    head = ["side", "highest", "lowest", "day of the highest", "scatter", "of it: of whole dates", "of pixels"]
    return table(head, rows)


def _fires(reports: Reports) -> str:
    """Means over fires."""
    rows = []
    for side, f in series_of(reports, "fire_summary").items():
        if f.get("fires"):
            rows.append(
                [name_of(side), f["fires"]]
                + [f"{f[w + '_mean']:.2f} ± {f[w + '_between_fires']:.2f}" for w in ("inside", "outside")]
                + [f"{f[w + '_5_to_95']:.2f}" for w in ("inside", "outside")]
                + [f"{f['more_inside']} of {f['fires']}"]
            )
    head = ["side", "fires", "mean inside ± between fires", "mean outside ± between fires"]
    return table([*head, "5 to 95 % inside a fire", "outside", "more inside than outside"], rows)


def _skies(reports: Reports) -> str:
    """Shares of dates."""
    found = series_of(reports, "skies")
    names = list(found["real"]["share"])
    rows = [[name_of(side), f["dates"], *(f"{f['share'][n]:.2f}" for n in names)] for side, f in found.items()]
    return table(["side", "dates", *names], rows)
