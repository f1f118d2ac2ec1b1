"""The page `docs/simulated-archive.md`: tables and sentences that come from the command's JSON, words between them."""

from __future__ import annotations

from pathlib import Path

from realism_plots import Reports
from realism_tables import (
    accuracies,
    all_quantiles,
    archives,
    california,
    composition,
    differences,
    fires_table,
    give_aways,
    season_table,
    seconds,
    skies_table,
    slopes,
    towns,
    wood,
    worst_three,
)
from realism_words import covers, fires, season, skies, summary, waters

PAGE = """# The simulated archive against real pixels

<!-- Written by bench/realism.py from {folder}/before.json and after.json: edit bench/realism_page.py. -->

How far is the simulated archive from real Sentinel-2? It is invented country: eight biomes with relief, land cover,
farms, towns and roads; seasons, harvests, snow, tides; skies and an instrument; labelled events of eleven classes
(`ARCHITECTURE.md` says where each stands, the modules name the source of their numbers). It makes no claim about the
world: a figure won on it says so. Everything here compares *simulated* with *real*; no real pixel is shown or kept in
this repository. *Before* is the first generator, *after* the present one.

## In short

Each sentence is made from the figures below. Accuracy 0.5 means that *simulated* cannot be told from *real*, 1 that it
always can; intervals are 95 %.

{summary}

![Events of each class, simulated: before and after, true colour, then short-wave infrared]({folder}/events.jpg)

*Every class of event, one example, all simulated: before and after in true colour (B04 B03 B02), before and after in
short-wave infrared (B12 B08 B04).* With `--real ../shared/data` and `--out` outside the repository, the third command
below draws real fires, towns and clear-cuts beside them, for who has those data.

## What an archive holds

`catalog.json` with a collection and items in the form of Earth Search v1 (`afterimage:archive` in each says size, seed
and version), COGs of ten bands and SCL, `areas.geojson`, `simulation.json`, and the planted truth in `events.geojson`.
Left out of Earth Search's items (`sentinel-2-l2a`): the instrument's view angles and bandwidths, the sun-earth
distance, checksums, file sizes, storage and software, what points to other files (B01, B09, AOT, WVP, previews,
metadata). The truth says of each event:

- `event_id`, `class`: `temperate-flood-02`; one of eleven classes.
- `start`, `end`: first day on which the ground differs; day on which the work, the burning, the rise of water is over.
- `before_date`, `after_date`: the last pass before the start and the first after the end that show at least 70 % of the
  event's pixels without cloud and snow (under broken clouds by the classification, which misses some), within 60
  days (220 where snow lay meanwhile); after a flood, one on which at least half of its water still stands; null where
  there is none.
- `area_ha`, `area`, `biome`, `split`: size; area, its biome, and the split to which all of the area belongs.
- `simulated`: true.

## What was compared

{archives}
- *Real*: 250 chips of level 2A (`l2a-chips`: ten bands, summer, Europe by their look); one square kilometre of Romanian
  forest on 140 dates (`romania-series`); ten Californian fires (`calfire-style`). Each is small: a figure says how near
  we are to *these* pixels.
- *What was set on what*: constants of reflectance and texture on the 250 chips, the season's and the skies' on Romania,
  the severity of burns on the ten fires. These figures are therefore fits, not tests. Not used: the Californian
  images before the fires, and the reflectance of the Romanian wood ("Pixels on which nothing was set").
- *Alike on both sides*: *simulated* chips are clear by SCL (99 % of pixels), of May to September, in biomes that the
  real chips show, read through the project's own door; bands of 20 m come to 10 m bilinear (measured: so do the real
  ones, exact to the rounding). Not alike: the real chips come without SCL, so that their clouds are not sifted out.

```
python -m stac.simulate --out data/simulated --size benchmark
python bench/realism.py --archive data/simulated --label after --real ../shared/data
python bench/event_sheet.py --archive data/simulated --out docs/simulated-archive/events.jpg

git worktree add data/first ff65b9b~1                        # the first generator, for before
(cd data/first && python -m stac.simulate --out ../before --size demo)
python bench/realism.py --archive data/before --label before --real ../shared/data
```

{seconds}

## Can a classifier tell them apart?

Two networks of some 48,000 weights see whole chips of 64 px and vote: one log reflectance as it is, one the same with
each band of each chip standardised (alone, either misses what the other sees). On both sides there are as many chips of
each kind. Five folds, two draws. A held-out *real* chip is of a group (a guess at its scene) that was not trained on.
For *simulated* chips there are two rules: by *squares* of {square} of ground, the same for both archives; and by *whole
areas*, stricter, for the archive that has five. *Six bands* are B02 B03 B04 B08 B11 B12, which both archives have.
Kinds of which a side has fewer than five chips, or the *real* one a single group, are left out, so the columns do not
hold quite the same kinds. Five areas are few: the intervals of whole areas are rough, and figures below 0.5 mean that
what was learnt on some groups or areas is wrong on another.

{accuracies}

Networks on parts: one draw, three folds; plain classifiers: logistic regressions on numbers that have a name.

![Accuracy of each classifier, simulated against real]({folder}/classifier.png)

{composition}

{towns}

What gives a chip away, one number at a time (six bands, squares; AUC within each kind of chip: 0.5 = no use, 0 and 1 =
all):

{numbers}

### The three worst of the first generator, before and after

The three kinds of numbers by which a plain classifier told the first generator's chips best; of each the three numbers
that told most then.

{worst}

## Pixels on which nothing was set

California before its fires: the images of `calfire-style` cut in 32 px of about 20 m, against the *simulated*
mediterranean (before: the only area) brought to such pixels in the same way. As many chips of each kind and season
on both sides; held out by fire (*real*) and by square (*simulated*). The real images have no SCL: smoke and haze
may be in them.

{california}

Mean absolute difference of log reflectance over classes and quantiles (0.10 = about 10 % off); bare holds built here:

{california_covers}

A wood in Romania, dense pixels (NDVI ≥ 0.7), May to September, against *simulated* forest of the temperate area, which
has conifers too: median reflectance (5 to 95 %).

{wood}

## Reflectance by band and land cover

{cover_words} {water_words}

Land cover is one plain rule on both sides (`bench/realism_cover.py`). Mean absolute difference of log reflectance
between *simulated* and *real*, over classes and the quantiles 5, 25, 50, 75, 95; all quantiles stand at the end.

{bands}

{covers}

![Quantiles of reflectance, simulated and real]({folder}/reflectance.png)

## Autocorrelation against distance

Median over chips, of the variance within a chip; the slope is that of the power spectrum between 320 and 20 m.

{slopes}

![Autocorrelation against distance, simulated and real]({folder}/autocorrelation.png)

## Season

{season_words}

*Real* is one wood in Romania; *simulated* is the temperate area (the whole archive, where it has one area). Scatter is
that of single values around the curve, 1.4826 × median absolute residual.

{season}

![Seasonal curve of NDVI, simulated and real]({folder}/season.png)

## Fires

{fire_words}

One of the *real* fires lies among larger burns, two are partly under smoke.

{fires}

![dNBR of each fire, simulated and real]({folder}/fires.png)

## Cloudy dates

{sky_words}

Share of dates by how much of the place was clear; *real* is Romania, *simulated* the temperate area.

{skies}

## All quantiles

Reflectance × 100 at the quantiles 5, 25, 50, 75 and 95 %, *real* and *simulated, {label}*.

{quantiles}
"""


def write_page(reports: Reports, out: Path) -> None:
    """Write the page beside the folder of plots."""
    sides = ["real", *reports]
    label, last = list(reports.items())[-1]
    side = last["archive"]["square_m"] / 1000
    text = PAGE.format(
        folder=out.name,
        label=label,
        summary=summary(reports),
        archives=archives(reports),
        seconds=seconds(last),
        square=f"{side:.2f} × {side:.2f} km",
        accuracies=accuracies(reports),
        towns=towns(last),
        numbers=give_aways(reports),
        composition=composition(reports),
        worst=worst_three(reports),
        california=california(reports),
        california_covers=differences({k: r["unseen"]["california"] for k, r in reports.items()}, "class"),
        wood=wood(reports),
        bands=differences(reports, "band"),
        covers=differences(reports, "class"),
        cover_words=covers(last),
        water_words=waters(last),
        slopes=slopes(reports, sides),
        season=season_table(reports),
        season_words=season(last),
        fires=fires_table(reports),
        fire_words=fires(last),
        skies=skies_table(reports),
        sky_words=skies(last),
        quantiles=all_quantiles(last["quantiles"]),
    )
    out.with_suffix(".md").write_text(text, encoding="utf-8")
