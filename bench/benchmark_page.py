"""The page of the retrieval benchmark, written from the figures of `benchmark.py`, `traps.py` and `sizes.py`.

    python bench/benchmark_page.py --figures figures.jsonl --traps traps.jsonl --sizes sizes.json

Writes `docs/benchmark.md`; no figure on that page is typed by hand.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmark import table

from stac.cli import check_output, parse_args
from stac.errors import DataError, exit_code
from stac.files import write_whole

Record = Mapping[str, Any]

PAGE = """# Retrieval on the simulated benchmark

<!-- Written by bench/benchmark_page.py: edit that. -->

Everything on this page is *simulated*: it says how encoders compare on invented country
([how near to real](simulated-archive.md)), not how good they are in the world. Figures on real pixels stand in the
README.

```
python -m stac.simulate --out data/archives/benchmark --size benchmark
python bench/benchmark.py --archive data/archives/benchmark --work data/benchmark --monthly --max-cloud 20 \\
  --encoders {encoders} --json figures.jsonl
python bench/traps.py --archive data/archives/benchmark --work data/benchmark --monthly --max-cloud 20 \\
  --json traps.jsonl
python bench/sizes.py --work data/sizes --json sizes.json
python bench/benchmark_page.py --figures figures.jsonl --traps traps.jsonl --sizes sizes.json
```

Run on commit {commit}, {machine}.

- *Archive*: {areas} areas of as many biomes, three years, {items} items, {events} labelled events of {classes} classes.
- *Stores*: the {read:,} items under {max_cloud:g} % cloud, {bands} bands, {locations:,} locations of {chip_size} px,
  pairs a year apart of each month's clearest observation: {rows:,} rows.
- *Queries and gallery never share an area*: {queries} events ask, each with its best row; the gallery is the {others}
  other areas. {unshown} events are shown by no row, {alone} have none of their class to find.
- AP@K divides by min(K, positives); chance is what a random order reaches; intervals are 95 %, bootstrap over query
  events within classes (`python -m index.evaluate --help`, [decision 5](decisions/0005-retrieval-evaluation.md)).
- `random` is a ResNet-18 with random weights, `pixels` the chip itself as a small grid (difference per pixel),
  `spectral` statistics of bands and indices.

*Simulated*, mean over classes, each location counted once:

{places}

*Simulated*, the same, every row counted: a location that shows one change on several pairs of dates counts as often.

{every}

*Simulated*, {metric} by class, each location once (positives: mean over queries of the locations that show the class):

{by_class}

By `spectral`, {best} are found best and {worst} worst.

## What the rules of `stac` are worth

One rule is switched off at a time and the store built anew with `{trapped}`; the fall is what the rule is worth, with a
paired 95 % interval. Where figures fall, the archive holds the trap. *Offset*: nothing is taken from pixels that carry
+1000. *Duplicates*: of {doubled} items that are there twice, of {read:,} that are read, both deliveries are kept, and
the day's merge takes the older one. Most of these are of a reprocessing campaign of 300 days, whose first deliveries
are as good as the second ones but that 70 % (assumed) deny in `earthsearch:boa_offset_applied` that the offset was
taken off, a fault that Earth Search has (`stac/simulation/products.py`): what is lost without the rule is lost to that
flag. Without the campaign the rule was worth nothing that could be measured (docs/experiments.md). *Cloud*: every pixel
with data counts as clear.

*Simulated*, mean over classes, each location once ({trap_queries} queries):

{trap_places}

*Simulated*, every row:

{trap_rows}

## Sizes and rates

On commit {sizes_commit}; the machine is shared, and other work ran beside at times.

| *simulated* | bytes | seconds | processor seconds | items | events |
| --- | --- | --- | --- | --- | --- |
{sizes}

{stream}
"""


SAME = ("commit", "areas", "protocol", "split", "max_cloud", "labels_sha256", "rows", "monthly", "pairs", "simulated")
"""What all figures on the page have in common."""
ASKED: Record = {"protocol": "areas", "split": None, "monthly": True, "pairs": "yearly", "simulated": True}
"""What the page says of its figures."""


def read_lines(path: Path) -> list[dict[str, Any]]:
    """JSON objects, one a line.

    Raises:
        DataError: The file is missing, or not of such lines.
    """
    try:
        found = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError) as fault:
        raise DataError(f"{path}: {fault}", "JSON lines", "write it with the script's --json") from fault
    if not found:
        raise DataError(f"{path} is empty", "figures, one a line", "run the script again")
    return found


def check_same(figures: Sequence[Record], traps: Sequence[Record], sizes: Record) -> None:
    """Refuse figures of different runs, or of others than the page speaks of.

    Raises:
        DataError: They differ in something, or are not of simulated areas apart from each other.
    """
    for key in SAME:
        found = {json.dumps(record[key]) for record in (*figures, *traps)}
        if len(found) > 1:
            raise DataError(f"{key} {' and '.join(sorted(found))}", f"figures of one {key}", "run the scripts again")
    said = {key: figures[0][key] for key in ASKED}
    if said != ASKED or not sizes["simulated"]:
        raise DataError(f"figures of {said}", f"of {ASKED}", "run the scripts as this one's help says")


def span(record: Record, value: str = "value") -> str:
    """`0.280 [0.255, 0.306]`."""
    low, high = record["interval"]
    return f"{record[value]:.3f} [{low:.3f}, {high:.3f}]"


def means(figures: Sequence[Record], unit: str) -> str:
    """Means over classes: a line an encoder, chance last."""
    own = [record for record in figures if record["unit"] == unit and record["class"] is None]
    metrics = list(dict.fromkeys(record["metric"] for record in own))
    found = {(record["encoder"], record["metric"]): record for record in own}
    names = list(dict.fromkeys(record["encoder"] for record in own))
    lines = [["encoder", *metrics], *([name, *(span(found[name, m]) for m in metrics)] for name in names)]
    return table([*lines, ["chance", *(f"{found[names[0], m]['chance']:.3f}" for m in metrics)]])


def classes_table(figures: Sequence[Record], metric: str) -> str:
    """One metric by class, each location once: a column an encoder."""
    own = [r for r in figures if r["unit"] == "place" and r["metric"] == metric and r["class"] is not None]
    names = list(dict.fromkeys(record["encoder"] for record in own))
    lines = [["class", "queries", "positives", *names, "chance"]]
    for label in dict.fromkeys(record["class"] for record in own):
        found = {record["encoder"]: record for record in own if record["class"] == label}
        first = found[names[0]]
        counts = [str(first["queries"]), f"{first['positives']:.1f}"]
        lines.append([label, *counts, *(span(found[name]) for name in names), f"{first['chance']:.3f}"])
    return table(lines)


def traps_table(traps: Sequence[Record], unit: str) -> str:
    """How far each metric falls, and to what: a line a rule."""
    own = [record for record in traps if record["unit"] == unit]
    metrics = list(dict.fromkeys(record["metric"] for record in own))
    found = {(record["switched_off"], record["metric"]): record for record in own}
    rules = list(dict.fromkeys(record["switched_off"] for record in own))
    start = ["nothing", *(f"{found[rules[0], m]['with_all']:.3f}" for m in metrics)]
    lines = [["switched off", *(f"{m} falls by" for m in metrics)], start]
    for rule in rules:
        cells = (f"{span(found[rule, m], 'fall')} to {found[rule, m]['without']:.3f}" for m in metrics)
        lines.append([rule, *cells])
    return table(lines)


def sizes_lines(sizes: Record) -> str:
    """A line a size."""
    lines = []
    for one in sizes["sizes"]:
        size = f"{one['bytes'] / 1e6:,.0f} MB"
        cells = [f"`{one['size']}`", size, f"{one['seconds']:.0f}", f"{one['processor_seconds']:.0f}"]
        cells += [f"{one['items']:,}", f"{one['events']} of {one['classes']} classes"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def stream_line(sizes: Record) -> str:
    """The stream's rate, and where it was taken."""
    found = sizes["stream"]
    text = f"`stream`, series in memory, {found['chip']}: {found['chips_s']:,.0f} *simulated* chips a second on"
    text += f" {found['machine']} ({found['device']}), {100 * found['part_of_copying']:.2g} % of the rate of copying."
    return text + (" No GPU was at hand: `make gpu` measures it there." if found["device"] == "cpu" else "")


def page(figures: Sequence[Record], traps: Sequence[Record], sizes: Record) -> str:
    """The page."""
    said, own = figures[0], [r for r in figures if r["unit"] == "place"]
    metric = own[0]["metric"]
    spectral = [r for r in own if r["encoder"] == "spectral" and r["metric"] == metric and r["class"] is not None]
    order = [record["class"] for record in sorted(spectral, key=lambda record: -record["value"])]
    versions = ", ".join(f"{name} {number}" for name, number in said["machine"]["versions"].items())
    benchmark = {one["size"]: one for one in sizes["sizes"]}["benchmark"]
    return PAGE.format(
        encoders=" ".join(dict.fromkeys(record["encoder"] for record in figures)),
        commit=said["commit"],
        machine=f"{said['machine']['cores']} shared cores, Python {said['machine']['python']}, {versions}",
        **{key: said[key] for key in ("areas", "max_cloud", "locations", "chip_size", "rows", "unshown", "alone")},
        items=f"{said['items']:,}",
        events=benchmark["events"],
        classes=benchmark["classes"],
        bands=len(said["bands"]),
        queries=said["asking"],
        others=said["areas"] - 1,
        places=means(figures, "place"),
        every=means(figures, "row"),
        metric=metric,
        by_class=classes_table(figures, metric),
        best=" and ".join(order[:2]),
        worst=" and ".join(order[-2:]),
        trapped=traps[0]["encoder"],
        doubled=traps[0]["doubled"],
        read=traps[0]["read"],
        trap_queries=traps[0]["queries"],
        trap_places=traps_table(traps, "place"),
        trap_rows=traps_table(traps, "row"),
        sizes=sizes_lines(sizes),
        sizes_commit=sizes["commit"],
        stream=stream_line(sizes),
    )


def _run(argv: Sequence[str] | None) -> int:
    """Read, write."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="python bench/benchmark_page.py", description=__doc__, formatter_class=raw)
    for name in ("figures", "traps", "sizes"):
        parser.add_argument(f"--{name}", type=Path, required=True, metavar="FILE", help=f"of bench/{name}.py --json")
    parser.add_argument("--out", type=Path, default=Path("docs/benchmark.md"), metavar="FILE")
    args = parse_args(parser, argv)
    check_output(args.out, "--out")
    figures, traps = read_lines(args.figures), read_lines(args.traps)
    try:
        sizes = json.loads(args.sizes.read_text(encoding="utf-8"))
        check_same(figures, traps, sizes)
        text = page(figures, traps, sizes)
    except (OSError, ValueError, KeyError) as fault:
        found = f"{args.figures}, {args.traps} or {args.sizes}: {type(fault).__name__} {fault}"
        raise DataError(found, "figures of these scripts of one version", "run the scripts again") from fault
    with write_whole(args.out) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    return exit_code(lambda: _run(argv))


if __name__ == "__main__":
    sys.exit(main())
