"""The page: pick a change, see every place that changed like it.

Top to bottom: what to open and the filters (side bar), the places to start from, the map beside a list of changes, the
pictures of the picked change and of one hit, their time lines. The state lives in `st.session_state` and is mirrored in
the address, so a link restores the view.
"""

from __future__ import annotations

import functools
import sys
from importlib.resources import files
from pathlib import Path
from urllib.parse import urlencode

import geopandas as gpd
import pandas as pd
import streamlit as st

from stac.cli import data_folder
from stac.errors import DataError

from . import panels
from .filters import Filters
from .mappanel import map_height, show_map
from .mapview import PICKED_COLOUR
from .markup import banner_html, head_html, legend_html, title_html
from .picking import TABS, Found, find_hits, keep_tab, pick, show_hit
from .session import OpenStore, opened
from .sidebar import show_sidebar
from .state import View, parse_view, view_params
from .stores import choose_store, given_store, list_stores
from .words import count_text, kind_text, markdown_text

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


def main() -> None:
    """Draw the page once; Streamlit calls it on every interaction."""
    st.set_page_config(page_title="Afterimage", page_icon=str(files("app") / "data" / "icon.png"), layout="wide")
    st.html(f"<style>{_css()}</style>")
    data = data_folder()
    stores = list_stores(data, given_store(sys.argv[1:]))
    _restore(stores)
    gone = st.session_state.get("gone")
    if not stores or gone is not None:
        st.html(head_html([]))
        if gone is not None:
            _say_gone(gone, stores)
        if not stores:
            st.info(EMPTY.format(folder=data))
        return
    name = st.session_state["store"]
    path = stores[name]
    try:
        store = opened(path, data)
    except DataError as err:
        st.html(head_html([name]))
        show_sidebar(None, stores)
        st.error(f"The store {markdown_text(name)} cannot be opened: {markdown_text(err)}")
        return
    filters = show_sidebar(store, stores)
    _show_head(store, name)
    for problem in st.session_state["problems"]:
        st.warning(markdown_text(problem))
    if store.store.events.empty:
        st.info("This store holds no events: no place was seen clearly twice. Build it with a longer period.")
        return
    found = find_hits(store, filters)
    panels.show_gallery(store, st.session_state["event"], pick)
    _show_map_and_lists(store, found, filters, path)
    link = _mirror()
    if found.picked is not None:
        _show_compare(store, found, link)


@functools.cache
def _css() -> str:
    return (files("app") / "data" / "style.css").read_text(encoding="utf-8")


def _say_gone(name: str, stores: dict[str, Path]) -> None:
    """The store that was open is no longer there: another one is opened only by the person."""
    show_sidebar(None, stores)
    do = "choose another store in the side bar, or bring it back" if stores else "bring it back, or build one"
    st.error(
        f"The store {markdown_text(name)} is gone (its folder was removed, renamed, or is being built again): "
        f"{do} and reload this page."
    )


def _restore(stores: dict[str, Path]) -> None:
    """On a session's first run, take the view from the address; on every run, make sure that the state is whole.

    Sentences about what was wrong with the address go to the state's `problems`.
    """
    state = st.session_state
    if "problems" not in state:
        view, state["problems"] = parse_view(st.query_params.to_dict())
        if view.store is not None and stores and view.store not in stores:
            state["problems"].append(
                f"The link's store '{view.store}' is not here; the stores are {', '.join(stores)}."
            )
            view = View(k=view.k)
        state["store"] = view.store
        state["event"], state["at"], state["dates"] = view.event, view.at, view.dates
        state["hit"] = state["linked_hit"] = view.hit
        state["k"], state["place"], state["period"] = view.k, view.place, view.period or ()
    state["store"], state["gone"] = choose_store(state.get("store"), state.get("gone"), stores)
    # Streamlit drops the state of widgets that were not drawn in the last run.
    for name, value in (("k", View().k), ("place", ""), ("period", ()), ("tab", TABS[0])):
        state.setdefault(name, value)


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


def _show_map_and_lists(store: OpenStore, found: Found, filters: Filters, path: Path) -> None:
    """The map on the left, the list of hits or of the strongest changes on the right."""
    kind = st.session_state.get("kind") if st.session_state["tab"] == TABS[1] else None
    strongest = store.strongest(filters.place, filters.period, kind)
    if filters.wrong:
        strongest = strongest.head(0)
    left, right = st.columns([1.38, 1], gap="medium")
    with left:
        show_map(store, found, strongest, path)
        st.html(legend_html(found.hits is not None))
    with right:
        room = map_height(store.store.area) - 34
        with st.container(horizontal=True, horizontal_alignment="distribute"):
            st.segmented_control("List", TABS, key="tab", label_visibility="collapsed", on_change=keep_tab)
            if st.session_state["tab"] == TABS[1] and store.kinds:
                st.selectbox(
                    "Kind",
                    store.kinds,
                    key="kind",
                    index=None,
                    placeholder="any kind",
                    label_visibility="collapsed",
                    format_func=kind_text,
                    width=150,
                )
        if filters.wrong:
            st.info("Nothing is listed until the place in the side bar is corrected or cleared.")
        elif strongest.empty if st.session_state["tab"] == TABS[1] else found.hits is not None and found.hits.empty:
            st.info("Nothing in this store passes the filters. Widen the place or the period.")
        elif st.session_state["tab"] == TABS[1]:
            panels.show_list(
                store, strongest, key="strongest", shown=st.session_state.get("event"), choose=pick, height=room
            )
        elif found.hits is None:
            st.info("Pick a change: on the map, among the strongest changes, or by coordinates.")
        else:
            panels.show_list(store, found.hits, key="hits", shown=found.shown, choose=show_hit, height=room)


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
