"""The page of what pre-training learns, written from the figures of `change.py`: tables, plots and the order found.

    python bench/change_page.py --figures change.jsonl

Writes `docs/pretraining-change.md` and its plots; no figure on that page is typed by hand. Runs that are not finished
are named and left out.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmark import table
from benchmark_page import read_lines
from change_plots import draw_plots
from change_runs import ARMS
from change_tables import (
    SHOWN,
    ablation_columns,
    ablation_table,
    asked_words,
    at_end,
    auroc_table,
    collect,
    differences,
    kinds_table,
    list_values,
    medians_table,
    memory_table,
    norms_table,
    order_words,
    separations_table,
    spread,
    steps_of,
)

from stac.cli import check_output, parse_args
from stac.errors import DataError, exit_code
from stac.files import write_whole

Record = Mapping[str, Any]
ABLATION = ("seco-quiet", "seco-year", "teco", "caco")
SAME = ("batch", "steps", "bands", "crop", "queue", "views", "lr", "ema", "schedule", "mixture", "precision", "arch",
        "series", "drop_bands", "held")  # fmt: skip
"""What all runs on the page have in common."""

PAGE = """# What pre-training learns

<!-- Written by bench/change_page.py from the figures of bench/change.py: edit those. -->

Does the network learn what it should: to tell a change from a season? Known truth is needed for that, so everything
here is *simulated* but where a column says *real*. It compares methods on invented country at a small scale; it says
nothing about how good the published weights are.

{short}

## What was run

- Finished runs: {count}. {runs}; seeds {seeds}. Each trains on {rows:,} rows ({steps} steps of {batch}) of `{arch}`,
  views `{views}` of {crop} px, bands {bands}, queue {queue}, learning rate {lr} ({schedule}), momentum of the key
  network {ema}, mixture on `{mixture}`.
- *Trained on* (simulated): {series} locations a run, drawn with its seed. *Measured on* (simulated): {held}, of which
  {changed} have changed: the change has taken another 5 % of the chip or more in the recent half.
- Commit {commits}; torch {torch}; {machines}.
- Cells are means over seeds (least … most). {left_out}

```
python bench/change.py --country … --held-country … --work data/change --steps {steps} --series {series} \\
  --batch {batch} --crop {crop} --json change.jsonl
python bench/change_page.py --figures change.jsonl
```

## Change ratio against real change

Ten dates of a location are encoded, whole chips, no augmentation. R = mean distance across the halves, four years
apart, over mean distance within a half. AUROC: the chance that a changed location has the larger R than an unchanged
one; 0.5 knows nothing. *Long* is the long distance alone. *Untrained* is the network before its first step (batch
statistics), *pixels* 8 × 8 means of the view and no network.

{auroc}

![AUROC of the change ratio by rows seen, a line for each of {shown}: {auroc_alt}]({folder}/auroc.png)

*Simulated*: thin lines are seeds, thick ones their mean. Training's own estimate is noisier: one pair of dates at a
time, on crops, smoothed over epochs. Of its last split, on the rows trained on:

{memory}

![Change ratio of changed and unchanged locations: left the memory of training with the mixture's crossing as a black \
line for each seed, right the held-out locations]({folder}/ratio.png)

*Simulated.* AUROC of R in the projection by class of change, each class against all unchanged locations:

{kinds}

The same by network and by batch norm (`running`: its running statistics, as weights are used; `batch`: each batch's
own, as CACo's code estimates change), R in the projection:

{norms}

## Invariance to season, sensitivity to events

Cosine of two images in the season-invariant projection, median over pairs:

{medians}

Separation: the AUROC with which unlikeness tells pairs of the second kind from pairs of the first (*season*: same half,
other date; *years*: across the halves, unchanged; *event*: across the halves, changed; *others*: two locations). 0.5
for *season-years*: four years look like another season. Above 0.5 for *season-event*: a change looks like more than a
season.

{separations}

![Histograms of the cosine of two images for {shown}: same half, across the halves unchanged, across the halves \
changed, other locations]({folder}/similarity.png)

*Simulated*, all seeds together.

## The paper's ablation

CACo's table 6 adds to SeCo first its sampling, then the long-term contrast, then the change estimate. The first two
rows are analogues: sampling is country where {eventful} instead of {quiet} of the locations hold a change; SeCo's
dates are those of one half. {asked}

{ablation}

From row to row, paired by seed:

{steps_table}

In the paper (EuroSAT linear, real; Mall et al., CVPR 2023, table 6: 100,000 images, 1,000 epochs): 90.05, 91.42, 92.56,
93.08. {told}
"""


def check_same(records: Sequence[Record]) -> None:
    """Refuse figures of unlike runs.

    Raises:
        DataError: They differ in something.
    """
    for key in SAME:
        found = sorted({str(record[key]) for record in records if key in record})
        if len(found) != 1:
            raise DataError(f"{key} {' and '.join(found)}", f"figures of one {key}", "run bench/change.py again")


def page(records: Sequence[Record], folder: str) -> str:
    """The page, of figures of any runs."""
    finished = {(r["arm"], r["seed"]) for r in records if r["what"] == "run"}
    own = [r for r in records if r["arm"] == "pixels" or (r["arm"], r["seed"]) in finished]
    dropped = sorted({f"{r['arm']}-{r['seed']}" for r in records} - {f"{r['arm']}-{r['seed']}" for r in own})
    arms = [arm for arm in ARMS if any(name == arm for name, _ in finished)]
    if not arms:
        raise DataError("no finished run", "one or more", "run bench/change.py to its end")
    check_same(own)
    said = next(r for r in own if r["arm"] == arms[0] and r["what"] == "change" and r["last"])
    rows = [arm for arm in ABLATION if arm in arms]
    columns = ablation_columns(own, rows)
    changes = differences(columns, rows)
    ends = {arm: collect(at_end(own, arm), lambda r: r["projection"]["ratio_auroc"]) for arm in arms}
    shown = [arm for arm in SHOWN if arm in arms]
    told = order_words(changes)
    short = [f"- AUROC of the change ratio at the end (*simulated*): {list_values(ends)}."]
    short += [f"- From row to row of the ablation, {sentence}" for sentence in told]
    return PAGE.format(
        **{key: said[key] for key in (*SAME, "torch", "changed") if key not in {"bands", "drop_bands"}},
        short="\n".join(short),
        count=len(finished),
        runs=", ".join(f"`{arm}` ({ARMS[arm].words.removeprefix('+ ')})" for arm in arms),
        seeds=", ".join(map(str, sorted({seed for _, seed in finished}))),
        rows=said["rows"],
        bands=" ".join(said["bands"]) + (", some left out at random" if said["drop_bands"] else ""),
        commits=" and ".join(sorted({str(r["commit"] or "unknown") for r in own})),
        machines=" and ".join(sorted({r["machine"] for r in own})),
        left_out=f"Not finished and left out: {', '.join(dropped)}." if dropped else "",
        auroc=auroc_table(own, arms),
        shown=", ".join(shown),
        auroc_alt=list_values({arm: ends[arm] for arm in shown}),
        folder=folder,
        memory=memory_table(own),
        kinds=kinds_table(own, arms),
        norms=norms_table(own, arms),
        medians=medians_table(own, arms),
        separations=separations_table(own, arms),
        eventful=ARMS["caco"].changed,
        quiet=ARMS["seco-quiet"].changed,
        ablation=ablation_table(columns, rows),
        steps_table=table(
            [["step", *changes], *([s, *(spread(changes[c][s], "+") for c in changes)] for s in steps_of(rows))]
        ),
        told=" ".join(told),
        asked=asked_words(own),
    )


def _run(argv: Sequence[str] | None) -> int:
    """Read, write."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="python bench/change_page.py", description=__doc__, formatter_class=raw)
    parser.add_argument("--figures", type=Path, required=True, metavar="FILE", help="of bench/change.py --json")
    parser.add_argument("--out", type=Path, default=Path("docs/pretraining-change.md"), metavar="FILE")
    args = parse_args(parser, argv)
    check_output(args.out, "--out")
    records = read_lines(args.figures)
    try:
        text = page(records, args.out.stem)
        finished = {(r["arm"], r["seed"]) for r in records if r["what"] == "run"}
        draw_plots(
            [r for r in records if r["seed"] is None or (r["arm"], r["seed"]) in finished], args.out.with_suffix("")
        )
    except (KeyError, TypeError, ValueError, IndexError) as fault:
        found = f"{args.figures}: {type(fault).__name__} {fault}"
        raise DataError(found, "figures of bench/change.py of one version", "run it again") from fault
    with write_whole(args.out) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    return exit_code(lambda: _run(argv))


if __name__ == "__main__":
    sys.exit(main())
