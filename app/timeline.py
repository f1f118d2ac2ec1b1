"""The time line of a location: how far each observation lies from the one before the event."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd
from numpy.typing import NDArray

HEIGHT_PX = 150

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


def timeline_chart(series: pd.DataFrame, before: pd.Timestamp, after: pd.Timestamp, *, colour: str) -> Chart:
    """Dots and a line over time, the event's interval shaded; axis and tooltips in UTC.

    Args:
        series: As `change_series` gives it.
        before: The event's earlier date, UTC.
        after: The event's later date, UTC.
        colour: Of dots and line, as CSS.
    """
    utc = alt.Scale(type="utc")
    x = alt.X("time:T", scale=utc, title=None, axis=alt.Axis(grid=False, tickCount=6, labelOverlap=True))
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
