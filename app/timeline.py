"""The time line of a location: how far each observation lies from the one before the event."""

from __future__ import annotations

from collections.abc import Iterable

import altair as alt
import numpy as np
import pandas as pd
from numpy.typing import NDArray

HEIGHT_PX = 150

MAX_TICKS = 7
"""So many labels of three letters or four digits stand side by side on a telephone's chart of 270 px."""

_STEPS = (("D", 1), ("D", 2), ("D", 7), ("D", 14), ("MS", 1), ("MS", 2), ("MS", 3), ("MS", 6), ("YS", 1), ("YS", 2))
"""Distances between ticks, as pandas names them: days, months, years."""

Chart = alt.LayerChart | alt.FacetChart
"""What `altair.layer` is declared to give."""


def change_series(observations: pd.DataFrame, before: pd.Timestamp) -> pd.DataFrame:
    """Change of each embedded observation against the one nearest to a date.

    Args:
        observations: `time` (UTC), `clear_fraction`, `embedding` (arrays, None where there is none).
        before: The event's earlier date, UTC.

    Returns:
        Columns `time` (UTC), `day` (text, UTC), `clear_fraction`, `change`: 1 − cosine of the two embeddings, 0 for the
        reference itself. No rows where nothing is embedded.
    """
    rows = observations[observations["embedding"].notna()].reset_index(drop=True)
    if rows.empty:
        return pd.DataFrame({"time": pd.to_datetime([], utc=True), "day": [], "clear_fraction": [], "change": []})
    time = pd.to_datetime(rows["time"], utc=True)
    embedding: NDArray[np.float64] = np.stack([np.asarray(row, np.float64) for row in rows["embedding"]])
    embedding /= np.maximum(np.linalg.norm(embedding, axis=1, keepdims=True), 1e-12)
    reference = int((time - before).abs().argmin())
    # From the difference, ‖a − b‖² / 2 = 1 − a·b for unit vectors: near vectors do not cancel.
    change = ((embedding - embedding[reference]) ** 2).sum(axis=1) / 2
    return pd.DataFrame(
        {
            "time": time,
            "day": time.dt.strftime("%Y-%m-%d %H:%M UTC"),
            "clear_fraction": rows["clear_fraction"].astype(float),
            "change": change,
        }
    )


def time_ticks(first: pd.Timestamp, last: pd.Timestamp) -> tuple[list[pd.Timestamp], str]:
    """Where the time axis has its labels, and how they are written: the year stands at the first of each year.

    Args:
        first: Left end, UTC.
        last: Right end, UTC.

    Returns:
        At most `MAX_TICKS` times between the two, and a Vega expression for a label.
    """
    year = pd.Timestamp(first.year, 1, 1, tz="UTC")
    ticks: list[pd.Timestamp] = []
    unit = "D"
    steps = [*_STEPS, *(("YS", 5 * 2**i) for i in range(6))]
    for unit, step in steps:
        ticks = [tick for tick in pd.date_range(year, last, freq=f"{step}{unit}") if tick >= first]
        if len(ticks) <= MAX_TICKS:
            break
    if not ticks:
        return [first], "utcFormat(datum.value, '%d %b %Y')"
    if unit == "YS":
        return ticks, "utcFormat(datum.value, '%Y')"
    short = "'%d %b'" if unit == "D" else "'%b'"
    turns = [tick for i, tick in enumerate(ticks) if i == 0 or tick.year > ticks[i - 1].year]
    both = f"[utcFormat(datum.value, {short}), utcFormat(datum.value, '%Y')]"
    return ticks, f"indexof({_epochs(turns)}, +datum.value) >= 0 ? {both} : utcFormat(datum.value, {short})"


def _epochs(times: Iterable[pd.Timestamp]) -> list[int]:
    """Milliseconds since 1970, as Vega counts time."""
    return [round(time.timestamp() * 1000) for time in times]


def timeline_chart(series: pd.DataFrame, before: pd.Timestamp, after: pd.Timestamp, *, colour: str) -> Chart:
    """Dots and a line over time, the event's interval shaded; axis and tooltips in UTC.

    Args:
        series: As `change_series` gives it.
        before: The event's earlier date, UTC.
        after: The event's later date, UTC.
        colour: Of dots and line, as CSS.
    """
    utc = alt.Scale(type="utc")
    first, last = min(series["time"].min(), before), max(series["time"].max(), after)
    ticks, label = time_ticks(first, last)
    # As dates: Vega-Lite leaves plain numbers out.
    days = [
        alt.DateTime(year=t.year, month=t.month, date=t.day, hours=t.hour, minutes=t.minute, utc=True) for t in ticks
    ]
    axis = alt.Axis(grid=False, values=days, labelExpr=label, labelOverlap=False)
    x = alt.X("time:T", scale=utc, title=None, axis=axis)
    y = alt.Y(
        "change:Q",
        title="change",
        axis=alt.Axis(tickCount=3, format="~g", domain=False, ticks=False),
        scale=alt.Scale(nice=True, zero=True),
    )
    interval = pd.DataFrame({"time": [before], "end": [after]})
    band = alt.Chart(interval).mark_rect(color=colour, opacity=0.16).encode(x=x, x2="end:T")
    base = alt.Chart(series)
    line = base.mark_line(color=colour, strokeWidth=1.2, opacity=0.45).encode(x=x, y=y)
    dots = base.mark_circle(size=46, color=colour).encode(
        x=x,
        y=y,
        opacity=alt.Opacity("clear_fraction:Q", scale=alt.Scale(domain=[0, 1], range=[0.12, 1]), legend=None),
        tooltip=[
            alt.Tooltip("day:N", title="observed"),
            alt.Tooltip("change:Q", title="change", format=".3f"),
            alt.Tooltip("clear_fraction:Q", title="clear", format=".0%"),
        ],
    )
    return alt.layer(band, line, dots).properties(
        height=HEIGHT_PX, padding={"left": 0, "right": 8, "top": 6, "bottom": 0}
    )
