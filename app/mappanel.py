"""The map on the page, and what a click or a move of it does."""

from __future__ import annotations

import functools
import math
import os
from pathlib import Path

import geopandas as gpd
import numpy as np
import shapely
import streamlit as st
from shapely.geometry.base import BaseGeometry
from streamlit_folium import st_folium

from .filters import bounds_text
from .mapview import OSM_CREDIT, OSM_TILES, BaseMap, chip_layer, draws_dots, new_base_map, unrolled_bounds
from .picking import Found, pick, show_hit
from .session import OpenStore, overview_uri
from .stores import MANIFEST

MAP_WIDTH = 620
"""assumed: of the map's column on a screen of 1,400 px; only the map's height is drawn from it."""


RING_SLACK = 2e-6
"""Degrees: layers are drawn with six decimals."""


def show_map(store: OpenStore, found: Found, strongest: gpd.GeoDataFrame, path: Path) -> None:
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
    layer = chip_layer(
        store.store.area,
        events=strongest,
        starts=store.highlights,
        hits=found.hits,
        picked=found.picked,
        shown=found.shown,
    )
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
    west, south, east, north = unrolled_bounds(area)
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
    dots = draws_dots(store.store.area, store.highlights)  # then a hit's own centre is reported of it, too
    event = None if dots else find_ringed(lon, lat, store.highlights)
    hit = find_clicked(lon, lat, found.hits) if event is None else None
    if hit is not None:
        show_hit(hit)
        return
    event = event or find_clicked(lon, lat, store.highlights, strongest, store.strongest())
    if event is not None:
        pick(event)
    else:
        st.toast("No change of this store lies there.")


def find_ringed(lon: float, lat: float, starts: gpd.GeoDataFrame | None) -> str | None:
    """`event_id` of the place to start from whose ring was clicked: Leaflet reports a ring's centre, wherever on it.

    Args:
        lon: Degrees, any turn of the globe.
        lat: Degrees.
        starts: Events to start from, or None.
    """
    if starts is None or starts.empty:
        return None
    centres = shapely.centroid(starts.geometry.to_numpy())
    east = np.abs((shapely.get_x(centres) - lon + 180) % 360 - 180)
    near = np.flatnonzero((east < RING_SLACK) & (np.abs(shapely.get_y(centres) - lat) < RING_SLACK))
    return str(starts["event_id"].iloc[int(near[0])]) if near.size else None


def find_clicked(lon: float, lat: float, *layers: gpd.GeoDataFrame | None) -> str | None:
    """`event_id` of the first row that holds a point, layer by layer in the order given; None where none does.

    Args:
        lon: Degrees, any turn of the globe.
        lat: Degrees.
        layers: Tables of events, each in its own order of preference.
    """
    lon = (lon + 180) % 360 - 180
    points = [shapely.Point(lon + turn, lat) for turn in (0, 360, -360)]  # a chip across the antimeridian goes beyond
    for layer in layers:
        if layer is None or layer.empty:
            continue
        chips = layer.geometry.to_numpy()
        inside = np.flatnonzero(np.any([shapely.intersects(chips, point) for point in points], axis=0))
        if inside.size:
            return str(layer["event_id"].iloc[int(inside[0])])
    return None
