"""The page: pick a change, see every place that changed like it.

Top to bottom: what to open and the filters (side bar), the map beside a list of changes, the pictures of the picked
change and of one hit, their time lines. The state lives in `st.session_state` and is mirrored in the address, so a link
restores the view.
"""

from __future__ import annotations

import functools
import math
import os
import sys
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from urllib.parse import urlencode

import geopandas as gpd
import pandas as pd
import streamlit as st
from shapely.geometry.base import BaseGeometry
from streamlit_folium import st_folium

from index.search import Query
from stac.cli import data_folder
from stac.errors import DataError
from stac.lattice import Location
from stac.period import Period

from . import panels
from .filters import Place, bounds_text
from .mapview import OSM_CREDIT, OSM_TILES, PICKED_COLOUR, BaseMap, chip_layer, find_clicked, new_base_map
from .markup import banner_html, head_html, legend_html, title_html
from .session import OpenStore, first_pick, opened, overview_uri
from .sidebar import show_sidebar
from .state import View, parse_view, view_params
from .stores import MANIFEST, given_store, list_stores, resolve_store
from .words import count_text

MAP_WIDTH = 620
"""assumed: of the map's column on a screen of 1,400 px; only the map's height is drawn from it."""

EMPTY = """\
**There is no store yet.** A store holds the changes of an area, ready to be searched. Make the demo store with

```
make demo
```

or build one of your own, for example

```
python -m index.build --catalog earth-search --area "-122.6,39.6,-122.2,39.9" --period 2023-05-01/2023-10-31 \\
    --store {folder}/stores/mine
```

then reload this page.
"""


@dataclass(frozen=True)
class Found:
    """What the current view leads to."""

    picked: gpd.GeoDataFrame | None
    """The picked event in one row, or None."""
    hits: gpd.GeoDataFrame | None
    """With `rank` and `score`, or None where nothing could be searched."""
    shown: str | None
    """`event_id` of the hit shown below."""


def main() -> None:
    """Draw the page once; Streamlit calls it on every interaction."""
    st.set_page_config(page_title="Afterimage", page_icon=str(files("app") / "data" / "icon.png"), layout="wide")
    st.html(f"<style>{_css()}</style>")
    data = data_folder()
    stores = list_stores(data, given_store(sys.argv[1:]))
    problems = _restore(stores)
    if not stores:
        st.html(head_html([]))
        st.info(EMPTY.format(folder=data))
        return
    name, path = resolve_store(st.session_state.get("store"), stores)
    try:
        store = opened(path, data)
        store.store.events  # noqa: B018  # read now: what is wrong with the store is said here
    except DataError as err:
        st.html(head_html([name]))
        show_sidebar(None, stores)
        st.error(f"This store cannot be opened: {err}")
        return
    place, period = show_sidebar(store, stores)
    _show_head(store, name)
    for problem in problems:
        st.warning(problem)
    if store.store.events.empty:
        st.info("This store holds no events: no place was seen clearly twice. Build it with a longer period.")
        return
    found = _find(store, place, period)
    _show_map_and_lists(store, found, place, period, path)
    link = _mirror()
    if found.picked is not None:
        _show_compare(store, found, link)


@functools.cache
def _css() -> str:
    return (files("app") / "data" / "style.css").read_text(encoding="utf-8")


def _restore(stores: dict[str, Path]) -> list[str]:
    """On a session's first run, take the view from the address; returns what was wrong with it, on every run."""
    state = st.session_state
    if "restored" in state:
        return list(state["restored"])
    view, problems = parse_view(st.query_params.to_dict())
    if view.store is not None and stores and view.store not in stores:
        problems.append(f"The link's store '{view.store}' is not here: it names one of {', '.join(stores)}.")
        view = View(k=view.k)
    if stores:
        state["store"] = resolve_store(view.store, stores)[0]
    state["event"], state["at"], state["dates"], state["hit"] = view.event, view.at, view.dates, view.hit
    state["k"], state["place"] = view.k, view.place
    state["period"] = view.period or ()
    state["tab"] = TABS[0]
    state["restored"] = problems
    return problems


def _mirror() -> str:
    """Write the view into the address; returns the whole link."""
    state = st.session_state
    period = tuple(state.get("period") or ())
    view = View(
        store=state.get("store"),
        event=state.get("event"),
        at=state.get("at"),
        dates=state.get("dates"),
        hit=state.get("hit"),
        k=state["k"],
        place=state.get("view_box") or state.get("place", "") if state.get("follow") else state.get("place", ""),
        period=(period[0], period[1]) if len(period) == 2 else None,
    )
    params = view_params(view)
    if st.query_params.to_dict() != params:
        st.query_params.from_dict(params)
    base = (getattr(st.context, "url", None) or "").split("?")[0]
    return f"{base}?{urlencode(params)}"


def _show_head(store: OpenStore, name: str) -> None:
    """The page's head, and the banner over simulated imagery."""
    manifest = store.store.manifest
    facts = [
        name,
        str(manifest.period).replace("/", " – "),
        count_text(manifest.counts.get("locations", store.store.events["location_id"].nunique()), "place"),
        count_text(len(store.store.events), "change"),
    ]
    st.html(head_html(facts) + (banner_html() if manifest.simulated else ""))


def _find(store: OpenStore, place: Place | None, period: Period | None) -> Found:
    """Resolve the picked event and search; what fails is said where the list would stand."""
    state = st.session_state
    if state.get("event") is None and state.get("at") is None:
        state["event"] = first_pick(store.store.events)
    try:
        query = store.query(state.get("event"), state.get("at"), state.get("dates"))
        picked = _picked_row(store, query, state.get("event"))
        hits = store.find(query, state["k"], place, period)
    except DataError as err:
        st.error(str(err))
        state["event"] = state["at"] = state["dates"] = state["hit"] = None
        return Found(None, None, None)
    ids = set(hits["event_id"])
    if state.get("hit") not in ids:
        state["hit"] = str(hits["event_id"].iloc[0]) if len(hits) else None
    return Found(picked, hits, state["hit"])


def _picked_row(store: OpenStore, query: Query, event_id: str | None) -> gpd.GeoDataFrame:
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


def pick(event_id: str) -> None:
    """Make an event the picked one."""
    state = st.session_state
    state["event"], state["at"], state["dates"], state["hit"] = event_id, None, None, None
    state["page_hits"] = 0
    state["tab"] = TABS[0]


def show_hit(event_id: str) -> None:
    """Show a hit beside the picked event."""
    st.session_state["hit"] = event_id


def _keep_tab() -> None:
    """A click on the chosen tab leaves it chosen."""
    st.session_state["tab"] = st.session_state["tab"] or TABS[0]


TABS = ("Similar changes", "Strongest changes")


def _show_map_and_lists(store: OpenStore, found: Found, place: Place | None, period: Period | None, path: Path) -> None:
    """The map on the left, the list of hits or of the strongest changes on the right."""
    strongest = store.strongest(place, period)
    left, right = st.columns([1.38, 1], gap="medium")
    with left:
        _show_map(store, found, strongest, path)
        st.html(legend_html(found.hits is not None))
    with right:
        tab = st.segmented_control(
            "List", TABS, key="tab", default=TABS[0], label_visibility="collapsed", required=True
        )
        if tab == TABS[1]:
            panels.show_list(
                store, strongest, key="strongest", shown=st.session_state.get("event"), choose=pick, height=room
            )
        elif found.hits is None:
            st.info("Pick a change: on the map, among the strongest changes, or by coordinates.")
        elif found.hits.empty:
            st.info("Nothing in this store passes the filters. Widen the place or the period.")
        else:
            panels.show_list(store, found.hits, key="hits", shown=found.shown, choose=show_hit, height=room)


def _show_map(store: OpenStore, found: Found, strongest: gpd.GeoDataFrame, path: Path) -> None:
    """Base map, chips, and what a click on them does."""
    follow = bool(st.session_state.get("follow"))
    stamp = (path / MANIFEST).stat().st_mtime_ns if (path / MANIFEST).is_file() else 0
    picture = overview_uri(store, str(path.resolve()), stamp)
    base = st.get_option("server.baseUrlPath").strip("/")
    tiles = os.environ.get("AFTERIMAGE_TILES") or (OSM_TILES if st.session_state.get("osm") else None)
    base_map = new_base_map(
        BaseMap(
            area=store.store.area,
            picture=picture[0] if picture else None,
            picture_bbox=picture[1] if picture else None,
            tiles=tiles,
            credit=OSM_CREDIT if tiles == OSM_TILES else "Tiles as set by AFTERIMAGE_TILES",
            dark=st.context.theme.type == "dark",
            static=f"/{base}/app/static" if base else "/app/static",
        )
    )
    key = "map_followed" if follow else "map"
    layer = chip_layer(store.store.area, events=strongest, hits=found.hits, picked=found.picked, shown=found.shown)
    st_folium(
        base_map,
        key=key,
        height=map_height(store.store.area),
        use_container_width=True,
        returned_objects=["last_clicked", "bounds"] if follow else ["last_clicked"],
        feature_group_to_add=layer,
        on_change=functools.partial(_map_changed, key, store, found, strongest),
    )


def map_height(area: BaseGeometry) -> int:
    """Height of the map, pixels: the area fills it, within what a page can bear."""
    west, south, east, north = area.bounds
    wide = max((east - west) * math.cos(math.radians((south + north) / 2)), 1e-9)
    return round(min(max(MAP_WIDTH * (north - south) / wide + 24, 370), 520))


def _map_changed(key: str, store: OpenStore, found: Found, strongest: gpd.GeoDataFrame) -> None:
    """A click picks what lies under it; with the map followed, its view becomes the place filter."""
    state = st.session_state
    answer = state.get(key) or {}
    if key == "map_followed":
        state["view_box"] = bounds_text(answer.get("bounds"))
    click = answer.get("last_clicked")
    if not click or click == state.get("click"):
        return
    state["click"] = click
    lon, lat = float(click["lng"]), float(click["lat"])
    hit = find_clicked(lon, lat, found.hits)
    if hit is not None:
        show_hit(hit)
        return
    event = find_clicked(lon, lat, strongest) or find_clicked(lon, lat, store.strongest())
    if event is not None:
        pick(event)
    else:
        st.toast("No change of this store lies there.")


def _show_compare(store: OpenStore, found: Found, link: str) -> None:
    """Pictures and time lines of the picked event and of the hit that is shown."""
    if found.picked is None:
        return
    picked = found.picked.iloc[0]
    hit = None
    if found.hits is not None and found.shown is not None:
        hit = found.hits[found.hits["event_id"] == found.shown].iloc[0]
    with st.container(key="compare"):
        with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
            st.html(panels.picked_title(picked))
            if found.hits is not None and len(found.hits):
                panels.show_exports(found.hits, str(picked["event_id"] or "place"), link)
        panels.show_pictures(store, picked)
        if hit is not None and found.hits is not None:
            with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
                st.html(panels.hit_title(hit))
                _hit_buttons(found.hits, str(hit["event_id"]))
            panels.show_pictures(store, hit)
        _show_timelines(store, picked, hit)


def _hit_buttons(hits: gpd.GeoDataFrame, shown: str) -> None:
    """Previous and next hit, and a new search from the one shown."""
    before, after = panels.step(hits, shown, -1), panels.step(hits, shown, 1)
    with st.container(horizontal=True, gap="small", width="content"):
        st.button(
            "Previous",
            key="hit_previous",
            disabled=before is None,
            on_click=show_hit,
            args=(before,),
            shortcut="Alt+Left",
        )
        st.button(
            "Next", key="hit_next", disabled=after is None, on_click=show_hit, args=(after,), shortcut="Alt+Right"
        )
        st.button("Search from this", key="search_from", type="primary", on_click=pick, args=(shown,))


def _show_timelines(store: OpenStore, picked: pd.Series, hit: pd.Series | None) -> None:
    """One time line for each of the two places."""
    st.html(
        title_html(
            "Time line",
            ["change of the place since the “before” date, from its embeddings; fainter dots were cloudier"],
        )
    )
    left, right = st.columns(2, gap="medium")
    with left:
        st.caption("Picked")
        panels.show_timeline(store, picked, PICKED_COLOUR)
    if hit is not None:
        with right:
            st.caption(f"Similar change {int(hit['rank'])}")
            panels.show_timeline(store, hit, panels.HIT_COLOUR)
