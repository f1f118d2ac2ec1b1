"""The side bar: which store, the filters, picking by coordinates, what the store is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from functools import partial
from pathlib import Path
from typing import cast

import streamlit as st

from stac.errors import AreaError, DataError
from stac.period import Period

from .filters import Filters, resolve_period, resolve_place
from .picking import pick
from .session import OpenStore
from .state import HIT_COUNTS, norm_lonlat
from .words import count_text, markdown_text, place_text

WORDS = (
    "**Score**: how alike two changes are; 1 is the same direction of change. **Change ratio**: how far a place moved, "
    "over how far it moves from date to date within a year: about 1 where nothing happened, well above elsewhere."
)
"""What the two figures of a hit mean."""


def show_sidebar(store: OpenStore | None, stores: Mapping[str, Path]) -> Filters:
    """Draw the side bar.

    Args:
        store: The open store, or None when it could not be opened: then another can be chosen.
        stores: Name → path.
    """
    with st.sidebar:
        if stores:
            chosen = 0 if st.session_state["store"] is not None else None
            st.selectbox("Store", list(stores), chosen, placeholder="choose one", key="store", on_change=_store_changed)
        if store is None:
            return Filters()
        first, last = store.period.start.date(), store.period.end.date()
        filters = _place_filter()
        period = _period_filter(first, last)
        st.select_slider("Number of hits", HIT_COUNTS, key="k")
        _coordinates_form(store, first, last)
        with st.expander("Base map", icon=":material/layers:"):
            st.checkbox("OpenStreetMap tiles (internet)", key="osm", help="Off: nothing is asked of any other machine.")
        _about(store)
        return replace(filters, period=period)


def _store_changed() -> None:
    """Another store: what was picked belongs to the last one."""
    state = st.session_state
    state["event"] = state["at"] = state["dates"] = state["hit"] = None
    state["place"], state["period"], state["follow"], state["kind"] = "", (), False, None
    state["page_hits"] = state["page_strongest"] = 0
    state["problems"] = []
    for name in ("form_at", "form_before", "form_after", "form_problem"):
        state.pop(name, None)


def _place_filter() -> Filters:
    """A name or a box, or what the map shows."""
    follow = bool(st.session_state.get("follow"))
    st.text_input(
        "Place",
        key="place",
        placeholder="the map's view" if follow else "everywhere",
        disabled=follow,
        help="A country, US state or city, or W,S,E,N in degrees. Hits have their chip's centre inside.",
    )
    st.toggle(
        "Only what the map shows",
        key="follow",
        on_change=_follow_changed,
        help="The hits follow the map as it is moved.",
    )
    text = st.session_state.get("view_box", "") if follow else st.session_state.get("place", "")
    try:
        return Filters(resolve_place(text))
    except AreaError as err:
        st.error(markdown_text(err))
        return Filters(wrong=True)


def _follow_changed() -> None:
    """What the map showed when it was last followed is of no concern."""
    st.session_state["view_box"] = ""


def _period_filter(first: date, last: date) -> Period | None:
    """Both dates of a hit lie in the period."""
    state = st.session_state
    kept = tuple(state.get("period") or ())
    if any(not first <= day <= last for day in kept):
        state["period"] = ()
        st.warning(f"The period was left out: this store reaches from {first} to {last}.")
    days = st.date_input(
        "Period",
        key="period",
        min_value=first,
        max_value=last,
        format="YYYY-MM-DD",
        help="Hits have both dates inside. Empty: any time.",
    )
    chosen = cast(tuple[date, ...], days)  # a range: none, one or two days, whatever the stubs say
    return resolve_period((chosen[0], chosen[1])) if len(chosen) == 2 else None


def _coordinates_form(store: OpenStore, first: date, last: date) -> None:
    """Pick by longitude, latitude and two dates: the way without a mouse. What stands there first leads somewhere."""
    example, before, after = _example(store, first, last)
    days = partial(st.date_input, min_value=first, max_value=last, format="YYYY-MM-DD")
    with st.expander("Pick by coordinates", icon=":material/my_location:"), st.form("coordinates", border=False):
        st.text_input("Longitude, latitude", key="form_at", placeholder=example)
        days("Before", value=before, key="form_before")
        days("After", value=after, key="form_after")
        st.form_submit_button("Find changes like this", on_click=_coordinates_given, args=(store,), width="stretch")
        problem = st.session_state.get("form_problem")
        if problem:
            st.error(markdown_text(problem))


def _example(store: OpenStore, first: date, last: date) -> tuple[str, date, date]:
    """Coordinates and days of the change that the page begins with."""
    if store.store.events.empty:
        return "", first, last
    row = store.first
    before, after = (min(max(row[name].date(), first), last) for name in ("time_before", "time_after"))
    return place_text(row["geometry"]), before, after


def _coordinates_given(store: OpenStore) -> None:
    """Take the form's place and dates as the picked change; where they lead to none, what was picked stays."""
    state = st.session_state
    try:
        at = norm_lonlat(state["form_at"])
    except ValueError as err:
        state["form_problem"] = f"'{state['form_at']}': {err}."
        return
    before, after = state["form_before"], state["form_after"]
    if before is None or after is None or before >= after:
        state["form_problem"] = "Give two dates, the first earlier than the second."
        return
    try:
        store.query(None, at, (before, after))
    except DataError as err:
        state["form_problem"] = str(err)
        return
    state["form_problem"] = None
    pick(None, at, (before, after))


def _about(store: OpenStore) -> None:
    """What the store was made of."""
    manifest = store.store.manifest
    encoder, counts = manifest.encoder, manifest.counts
    with st.expander("About this store", icon=":material/info:"):
        rows = {
            "Encoder": f"{encoder.get('name', 'unknown')}, {encoder.get('dim', '?')} numbers",
            "Bands": " ".join(encoder.get("bands", ())),
            "Chip": f"{manifest.chip_size * manifest.gsd} m ({manifest.chip_size} px of {manifest.gsd} m)",
            "Pairs in time": str(manifest.arguments.get("pairs", "")),
            "Observations": count_text(int(counts.get("observations", 0)), "row"),
        }
        for name, text in rows.items():
            st.caption(f"{name}")
            st.text(text)
        st.caption(WORDS)
