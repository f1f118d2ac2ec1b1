"""What is picked: the event, its hits, the hit that is shown, and what a click does to them.

All of it lies in `st.session_state`; callbacks change it before the page is drawn again.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import geopandas as gpd
import pandas as pd
import streamlit as st

from index.search import Query
from stac.errors import DataError
from stac.lattice import Location

from .filters import Filters
from .session import OpenStore
from .words import markdown_text

TABS = ("Similar changes", "Strongest changes")
"""Names of the two lists."""


@dataclass(frozen=True)
class Found:
    """What the current view leads to."""

    picked: gpd.GeoDataFrame | None
    """The picked event in one row, or None."""
    hits: gpd.GeoDataFrame | None
    """With `rank` and `score`, or None where nothing could be searched."""
    shown: str | None
    """`event_id` of the hit shown below."""


def find_hits(store: OpenStore, filters: Filters) -> Found:
    """Resolve the picked event and search; what fails is said where the list would stand."""
    state = st.session_state
    if state.get("event") is None and state.get("at") is None:
        state["event"] = str(store.first["event_id"])
    try:
        query = store.query(state.get("event"), state.get("at"), state.get("dates"))
        picked = picked_row(store, query, state.get("event"))
        if filters.wrong:
            return Found(picked, None, None)
        hits = store.find(query, state["k"], filters.place, filters.period)
    except DataError as err:
        st.error(markdown_text(err))
        state["event"] = state["at"] = state["dates"] = state["hit"] = None
        return Found(None, None, None)
    ids = set(hits["event_id"])
    if state.pop("linked_hit", None) not in ids | {None}:
        st.warning("The link's hit is not among the hits of this view: the best one is shown.")
    if state.get("hit") not in ids:
        state["hit"] = str(hits["event_id"].iloc[0]) if len(hits) else None
    return Found(picked, hits, state["hit"])


def picked_row(store: OpenStore, query: Query, event_id: str | None) -> gpd.GeoDataFrame:
    """The picked event as a table of one row; a place picked by coordinates has no magnitude of its own."""
    events = store.store.events
    same = events[events["event_id"] == event_id] if event_id else events[events["location_id"] == query.location_id]
    if event_id is None:
        exact = (same["time_before"] == query.time_before) & (same["time_after"] == query.time_after)
        same = same[exact]
    if len(same):
        return same.head(1).reset_index(drop=True)
    outline = Location.from_id(query.location_id, store.store.manifest.gsd).outline
    row = {
        "event_id": "",
        "location_id": query.location_id,
        "time_before": pd.Timestamp(query.time_before),
        "time_after": pd.Timestamp(query.time_after),
        "change_ratio": float("nan"),
        "label": None,
    }
    return gpd.GeoDataFrame([row], geometry=[outline], crs=4326)


def pick(event_id: str | None, at: tuple[float, float] | None = None, dates: tuple[date, date] | None = None) -> None:
    """Make an event, or a place (longitude, latitude, degrees) and two days, the picked change."""
    state = st.session_state
    state["event"], state["at"], state["dates"], state["hit"] = event_id, at, dates, None
    state["page_hits"] = 0
    state["tab"] = TABS[0]
    state["problems"] = []


def show_hit(event_id: str) -> None:
    """Show a hit beside the picked event."""
    st.session_state["hit"] = event_id


def keep_tab() -> None:
    """A click on the chosen tab leaves it chosen."""
    st.session_state["tab"] = st.session_state["tab"] or TABS[0]
