"""The parts of the page beside the map: the lists, the pictures, the time lines, the link and the download."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import geopandas as gpd
import numpy as np
import streamlit as st

from index.output import hits_geojson
from stac.errors import DataError

from .imagery import SHORT_WAVE, TRUE_COLOUR, Composite, Shot, margin_px
from .mapview import EVENT_RAMP, HIT_RAMP, PICKED_COLOUR, ramp_colours
from .markup import Pair, card_html, strip_html, tile_html, title_html
from .session import OpenStore
from .timeline import change_series, timeline_chart
from .words import event_title, file_stem, interval_text, markdown_text, number_text, place_text, score_text, utc

PAGE = 12
"""Cards on one page of a list; each shows two pictures that have to be read."""

HIT_COLOUR = HIT_RAMP[1]


def read_shots(store: OpenStore, wanted: Iterable[tuple[str, Any, Composite]]) -> list[Shot]:
    """Pictures of (location id, date, composite), several at a time, in the order asked for."""
    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(lambda args: store.shot(*args), list(wanted)))


def show_gallery(store: OpenStore, picked: str | None, choose: Callable[[str], None]) -> None:
    """The places to start from in one row that scrolls sideways; a click on one calls `choose` with its event id.

    Args:
        store: Where places and pictures come from.
        picked: `event_id` of the tile to mark.
        choose: A callback.
    """
    rows = store.highlights
    times = [(row["location_id"], row[name]) for _, row in rows.iterrows() for name in ("time_before", "time_after")]
    shots = read_shots(store, ((place, time, TRUE_COLOUR) for place, time in times))
    facts = "one for each kind of change first" if rows["label"].notna().any() else "changes that stand out and last"
    st.html(title_html("Places to start from", [facts]))
    with st.container(horizontal=True, key="gallery"):
        for i, (_, row) in enumerate(rows.iterrows()):
            with st.container(key=f"card_start_{i}", gap=None, width="content"):
                st.html(tile_html(row, (shots[2 * i], shots[2 * i + 1]), on=row["event_id"] == picked))
                what = f"Start from: {_name(row)}"
                st.button(markdown_text(what), key=f"cardbutton_start_{i}", on_click=choose, args=(row["event_id"],))


def _name(row: Any) -> str:
    """An event in words, for who cannot see its card."""
    return f"{event_title(row) or 'Change'}, {interval_text(row['time_before'], row['time_after'])}"


def show_list(
    store: OpenStore,
    rows: gpd.GeoDataFrame,
    *,
    key: str,
    shown: str | None,
    choose: Callable[[str], None],
    height: int,
) -> None:
    """A page of cards; a click on one calls `choose` with its event id.

    Args:
        store: Where the pictures come from.
        rows: Events, or hits with `rank` and `score`, best first.
        key: Name of the list in the session's state.
        shown: `event_id` of the card to mark.
        choose: A callback.
        height: Of the list, pixels.
    """
    pages = max(1, -(-len(rows) // PAGE))
    page = min(st.session_state.get(f"page_{key}", 0), pages - 1)
    part = rows.iloc[page * PAGE : (page + 1) * PAGE]
    is_hits = "score" in rows.columns
    ramp, value = (HIT_RAMP, "score") if is_hits else (EVENT_RAMP, "magnitude")
    colours = ramp_colours(rows[value].to_numpy(np.float64), ramp)[page * PAGE : (page + 1) * PAGE]
    times = [(row["location_id"], row[name]) for _, row in part.iterrows() for name in ("time_before", "time_after")]
    shots = read_shots(store, ((place, time, TRUE_COLOUR) for place, time in times))
    with st.container(height=height, border=False, key="list"):
        for i, (_, row) in enumerate(part.iterrows()):
            pair = (shots[2 * i], shots[2 * i + 1])
            with st.container(key=f"card_{key}_{i}", gap=None):
                st.html(card_html(row, colours[i], pair, on=row["event_id"] == shown))
                what = f"Show hit {int(row['rank'])}: {_name(row)}" if is_hits else f"Find changes like {_name(row)}"
                st.button(markdown_text(what), key=f"cardbutton_{key}_{i}", on_click=choose, args=(row["event_id"],))
    if pages > 1:
        _pager(key, page, pages, len(rows))


def _pager(key: str, page: int, pages: int, total: int) -> None:
    """Previous page, where we are, next page."""

    def turn(to: int) -> None:
        st.session_state[f"page_{key}"] = to

    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="right", gap="small"):
        st.caption(f"{page * PAGE + 1}–{min(total, (page + 1) * PAGE)} of {total:,}")
        st.button("‹", key=f"previous_{key}", disabled=page == 0, on_click=turn, args=(page - 1,), help="Previous page")
        st.button("›", key=f"next_{key}", disabled=page >= pages - 1, on_click=turn, args=(page + 1,), help="Next page")


def show_pictures(store: OpenStore, row: Any) -> None:
    """Before and after of an event, in true colour and in the short-wave infrared."""
    times = (row["time_before"], row["time_after"])
    wanted = [(row["location_id"], time, composite) for composite in (TRUE_COLOUR, SHORT_WAVE) for time in times]
    shots = read_shots(store, wanted)
    pairs = [Pair(TRUE_COLOUR, (shots[0], shots[1])), Pair(SHORT_WAVE, (shots[2], shots[3]))]
    side = store.store.manifest.chip_size
    st.html(strip_html(pairs, *times, chip_share=side / (side + 2 * margin_px(side))))


def show_timeline(store: OpenStore, row: Any, colour: str) -> None:
    """The time line of an event's location, the event shaded."""
    before, after = utc(row["time_before"]), utc(row["time_after"])
    try:
        series = change_series(store.series(row["location_id"]), before)
    except DataError as err:
        st.info(f"The time line could not be read: {markdown_text(err)}")
        return
    if series.empty:
        st.info("No observation of this place was clear enough to be embedded.")
        return
    st.altair_chart(timeline_chart(series, before, after, colour=colour), width="stretch")


def picked_title(row: Any) -> str:
    """Heading of the picked event."""
    return title_html(
        f"Picked: {event_title(row).lower()}" if event_title(row) else "Picked change",
        [
            interval_text(row["time_before"], row["time_after"]),
            f"change ratio {number_text(row['change_ratio'])}",
            place_text(row["geometry"]),
        ],
        PICKED_COLOUR,
    )


def hit_title(row: Any) -> str:
    """Heading of the hit that is shown."""
    label = event_title(row).lower()
    facts = [
        f"score {score_text(row['score'])}",
        interval_text(row["time_before"], row["time_after"]),
        f"change ratio {number_text(row['change_ratio'])}",
        place_text(row["geometry"]),
    ]
    return title_html(f"Similar change {int(row['rank'])}" + (f": {label}" if label else ""), facts, HIT_COLOUR)


def show_exports(hits: gpd.GeoDataFrame, title: str, link: str) -> None:
    """Download of the hits and the link that restores the view."""
    with st.container(horizontal=True, gap="small", width="content"):
        st.download_button(
            "Download GeoJSON",
            data=hits_geojson(hits),
            file_name=f"afterimage-{file_stem(title)}.geojson",
            mime="application/geo+json",
            icon=":material/download:",
            on_click="ignore",
            key="download",
        )
        with st.popover("Link to this view", icon=":material/link:"):
            st.caption("Opens the same store, change, filters and hit.")
            st.code(link, language=None, wrap_lines=True)


def step(hits: gpd.GeoDataFrame, shown: str | None, by: int) -> str | None:
    """`event_id` of the hit before or after the one shown; None at either end.

    Args:
        hits: Best first.
        shown: `event_id` of the hit shown, or None.
        by: −1 or 1.
    """
    ids: Sequence[str] = hits["event_id"].tolist()
    at = (ids.index(shown) if shown in ids else 0) + by
    return ids[at] if 0 <= at < len(ids) else None
