"""The page's own pieces of HTML. Every value that comes from data is escaped here, at the last moment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from .imagery import Composite, Shot
from .mapview import EVENT_RAMP, HIT_RAMP, PICKED_COLOUR
from .words import day_text, event_title, interval_text, number_text, score_text

_MARK = '<span class="ai-mark" role="img" aria-label="Afterimage"><i></i><i></i></span>'


@dataclass(frozen=True)
class Pair:
    """Before and after in one composite."""

    composite: Composite
    shots: tuple[Shot, Shot]
    """Before and after."""


def head_html(facts: Sequence[str]) -> str:
    """The page's head: mark, name, what it is for, and a few facts of the store."""
    return (
        f'<div class="ai-head">{_MARK}<span class="ai-word">Afterimage</span>'
        '<span class="ai-tag">Every place that changed like this one</span>'
        f'<span class="ai-facts">{escape(" · ".join(facts))}</span></div>'
    )


def banner_html() -> str:
    """Says that what is shown was never seen by a satellite."""
    return (
        '<div class="ai-banner" role="note"><b>SIMULATED imagery.</b> '
        "This store was built from pictures that a program made; no satellite took them.</div>"
    )


def title_html(title: str, facts: Sequence[str], colour: str | None = None) -> str:
    """A heading with facts beside it, and a small square in the colour that it has on the map."""
    dot = f'<span class="ai-dot" style="border-color:{escape(colour)}"></span>' if colour else ""
    shown = "".join(f"<span>{escape(fact)}</span>" for fact in facts if fact)
    return f'<div class="ai-title">{dot}<b>{escape(title)}</b>{shown}</div>'


def legend_html(searched: bool) -> str:
    """What the map's colours and marks mean."""
    ramps = [("strength of change", EVENT_RAMP)]
    if searched:
        ramps.insert(0, ("similar, by score", HIT_RAMP))
    bars = "".join(
        f'<span><i style="background:linear-gradient(90deg,{",".join(ramp)})"></i>{name}</span>' for name, ramp in ramps
    )
    picked = f'<span><i class="ai-box" style="border-color:{PICKED_COLOUR}"></i>picked</span>' if searched else ""
    start = '<span><i class="ai-ring"></i>place to start from</span>'
    return f'<div class="ai-legend">{picked}{bars}{start}</div>'


def strip_html(pairs: Sequence[Pair], before: Any, after: Any, chip_share: float) -> str:
    """Before and after side by side, for each composite, the chip outlined.

    Args:
        pairs: One for each composite.
        before: UTC.
        after: UTC.
        chip_share: Side of the chip over the side of the picture, 0 to 1.
    """
    cells = []
    for pair in pairs:
        titles = [pair.composite.title_of(shot.bands) if shot.uri else pair.composite.title for shot in pair.shots]
        # One name for both, unless one of the two had to be made of other bands.
        shown = (titles[0], "" if titles[0] == titles[1] else titles[1])
        figures = "".join(
            _figure(name, day_text(time), shot, titles[i], shown[i], chip_share)
            for i, (name, time, shot) in enumerate(zip(("Before", "After"), (before, after), pair.shots, strict=True))
        )
        cells.append(f'<div class="ai-pair">{figures}</div>')
    return f'<div class="ai-strip">{"".join(cells)}</div>'


def _figure(name: str, day: str, shot: Shot, title: str, shown: str, chip_share: float) -> str:
    """One picture with its caption; `shown` is written on it, `title` goes into its text for who cannot see it."""
    edge = 50 * (1 - chip_share)
    if shot.uri:
        note = f' title="{escape(shot.note)}"' if shot.note else ""
        inner = (
            f'<img src="{escape(shot.uri)}" alt="{escape(f"{title}, {name.lower()}, {day}")}"{note}>'
            f'<span class="ai-chip" style="inset:{edge:.2f}%"></span>'
        )
    else:
        inner = f"<p>{escape(shot.note or 'No picture.')}</p>"
    kind = f'<span class="ai-kind">{escape(shown)}</span>' if shown else ""
    caption = f"<figcaption><b>{name}</b> {escape(day)}</figcaption>"
    return f'<figure class="ai-shot"><div class="ai-frame">{inner}{kind}</div>{caption}</figure>'


def card_html(row: Any, colour: str, shots: tuple[Shot, Shot] | None, *, on: bool) -> str:
    """One event of a list: two thumbnails, its title, dates, and its score or change ratio.

    Args:
        row: An event; with `rank` and `score` where it is a hit.
        colour: As on the map, `#RRGGBB`.
        shots: Before and after in true colour, or None to do without.
        on: This is the one shown.
    """
    label = event_title(row)
    if "rank" in row:
        title = f"{int(row['rank'])} · {label or 'Change'}"
        value, unit = score_text(row["score"]), "score"
        facts = (
            f"{interval_text(row['time_before'], row['time_after'])} · ratio\u00a0{number_text(row['change_ratio'])}"
        )
    else:
        title = label or "Change"
        value, unit = number_text(row["change_ratio"]), "change ratio"
        facts = interval_text(row["time_before"], row["time_after"])
    thumbs = "".join(_thumb(shot) for shot in shots) if shots else ""
    kinds = "ai-card" + ("" if shots else " ai-plain") + (" ai-on" if on else "")
    return (
        f'<div class="{kinds}"><i style="background:{escape(colour)}"></i>{thumbs}'
        f'<div class="ai-text"><b>{escape(title)}</b><span>{escape(facts)}</span></div>'
        f'<div class="ai-score"><b>{escape(value)}</b><span>{unit}</span></div></div>'
    )


def tile_html(row: Any, shots: tuple[Shot, Shot], *, on: bool) -> str:
    """One event of the gallery: before and after side by side, what it is, its dates.

    Args:
        row: An event.
        shots: Before and after in true colour.
        on: This is the one picked.
    """
    title = event_title(row) or f"Change, ratio\u00a0{number_text(row['change_ratio'])}"
    dates = interval_text(row["time_before"], row["time_after"])
    return (
        f'<div class="ai-tile{" ai-on" if on else ""}"><div class="ai-thumbs">{"".join(map(_thumb, shots))}</div>'
        f"<b>{escape(title)}</b><span>{escape(dates)}</span></div>"
    )


def _thumb(shot: Shot) -> str:
    if shot.uri:
        return f'<div class="ai-thumb"><img src="{escape(shot.uri)}" alt=""></div>'
    return f'<div class="ai-thumb" title="{escape(shot.note or "")}"></div>'
