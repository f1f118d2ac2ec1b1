"""The map: a base map that never changes, and one layer of chips that does.

Everything that the browser loads comes from Streamlit's own `static/` folder, so the map draws without internet; tiles
are drawn only where a person asks for them.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import folium
import geopandas as gpd
import numpy as np
import shapely
import shapely.affinity
from branca.element import Element, Figure, MacroElement
from folium.template import Template
from numpy.typing import NDArray
from shapely.geometry import mapping
from shapely.geometry.base import BaseGeometry

from stac.antimeridian import Bbox, bboxes

from .words import event_title, interval_text, number_text

SMALLEST_CHIP = 1 / 120
"""assumed: a chip smaller than this share of the area's width is drawn as a dot, or it would not be seen."""

PICKED_COLOUR = "#12C8DC"
HIT_RAMP = ("#FFD98A", "#FF9A3D", "#F2501D")
EVENT_RAMP = ("#D9D4EC", "#9E8CCB", "#5B3A9B")

RING_PX = 9
"""Radius of the ring around a place to start from. Not above 10: up to there Leaflet reports a click on it at its
centre, which lies in the chip (`Map._fireDOMEvent`)."""

OSM_TILES = "https://tile.openstreetmap.org/{z}/{x}/{y}.png"
OSM_CREDIT = "© OpenStreetMap contributors"


@dataclass(frozen=True)
class BaseMap:
    """What the unchanging part of the map shows."""

    area: BaseGeometry
    """The store's area, degrees."""
    picture: str | None
    """`data:` address of the overview picture, or None."""
    picture_bbox: tuple[float, float, float, float] | None
    """West, south, east, north of the picture, degrees."""
    tiles: str | None
    """Tile address with {z} {x} {y}, or None: no request leaves the machine."""
    credit: str
    """Whom the tiles are from."""
    dark: bool
    """Drawn for a dark page."""
    static: str = "/app/static"
    """Where the browser finds `static/`."""


class _Land(MacroElement):
    """Land and borders, fetched once from the static folder and drawn below everything else."""

    _template = Template(
        """
        {% macro script(this, kwargs) %}
        {{ this._parent.get_name() }}.createPane("land").style.zIndex = 150;
        fetch({{ this.address|tojson }}).then((answer) => answer.json()).then((land) => {
            for (const turn of {{ this.turns|tojson }}) {
                L.geoJSON(land, {
                    pane: "land", interactive: false, renderer: L.canvas({pane: "land"}),
                    coordsToLatLng: ([lon, lat]) => L.latLng(lat, lon + turn),
                    style: {{ this.look|tojson }},
                }).addTo({{ this._parent.get_name() }});
            }
        });
        {% endmacro %}
        """
    )

    def __init__(self, address: str, look: Mapping[str, Any], turns: Sequence[int]) -> None:
        """Draw the GeoJSON at `address` with a Leaflet path style, once for each of `turns` (degrees eastwards)."""
        super().__init__()  # type: ignore[no-untyped-call]
        self._name = "Land"
        self.address = address
        self.turns = list(turns)
        self.look = dict(look)


def new_base_map(base: BaseMap) -> folium.Map:
    """Land, overview picture, the area's outline, and tiles where asked for."""
    shown = folium.Map(
        tiles=None,
        zoom_control=True,
        prefer_canvas=False,
        attribution_control=bool(base.tiles),
        min_zoom=2,
        zoom_snap=0.25,
    )
    shown.default_js = [("leaflet", f"{base.static}/leaflet/leaflet.js")]
    shown.default_css = [("leaflet_css", f"{base.static}/leaflet/leaflet.css")]
    cast(Figure, shown.get_root()).header.add_child(Element(_style(base.dark)), name="look")
    land, border = ("#20272B", "#39444B") if base.dark else ("#EFEDE7", "#C9C5BA")
    look = {"color": border, "weight": 0.8, "fillColor": land, "fillOpacity": 1}
    west, south, east, north = unrolled_bounds(base.area)
    shown.add_child(_Land(f"{base.static}/world.json", look, (0, 360) if east > 180 else (0,)))
    if base.tiles:
        folium.TileLayer(base.tiles, attr=html.escape(base.credit), max_zoom=19).add_to(shown)
    if base.picture and base.picture_bbox:
        left, bottom, right, top = base.picture_bbox
        folium.raster_layers.ImageOverlay(
            base.picture, [[bottom, left], [top, right]], opacity=1, pane="tilePane", alt="True colour of the area"
        ).add_to(shown)
    line = {"color": "#8FA3AD" if base.dark else "#5B6B73", "weight": 1.2, "dashArray": "4 4", "fill": False}
    outline = mapping(unroll(base.area, west))
    folium.GeoJson(outline, style_function=lambda _: line, interactive=False, smooth_factor=0).add_to(shown)
    shown.fit_bounds([[south, west], [north, east]], padding=(12, 12))
    return shown


def _style(dark: bool) -> str:
    """The map's own few rules: the frame of the component does not see the page's."""
    water, ink, paper = ("#14181B", "#E8E6E1", "#1D2327") if dark else ("#DDE5E8", "#1D2226", "#FFFFFF")
    return f"""<style>
    body {{ margin: 0; }}
    .leaflet-container {{ background: {water}; font: 13px/1.45 "Source Sans", "Source Sans Pro", sans-serif; }}
    .leaflet-tooltip {{ background: {paper}; color: {ink}; border: 0; border-radius: 5px; padding: 7px 10px;
        box-shadow: 0 2px 10px rgba(0,0,0,.28); }}
    .leaflet-tooltip::before {{ display: none; }}
    .leaflet-tooltip table {{ margin: 0; }}
    .leaflet-tooltip td {{ font-size: 12.5px; padding: 0; }}
    .leaflet-bar {{ border: 0 !important; box-shadow: 0 1px 5px rgba(0,0,0,.3); }}
    .leaflet-bar a {{ background: {paper}; color: {ink}; border-color: rgba(128,128,128,.3); }}
    .leaflet-interactive:focus {{ outline: none; }}
    </style>"""


def unrolled_bounds(area: BaseGeometry) -> Bbox:
    """West, south, east, north of an area in one piece, degrees: `east` goes beyond 180 across the antimeridian.

    Args:
        area: Split at the antimeridian, as `stac.area` gives it.
    """
    boxes = bboxes(area)
    if len(boxes) < 2:
        return area.bounds
    (west, south, _, north), (_, low, east, high) = boxes
    return west, min(south, low), east + 360, max(north, high)


def unroll(geometry: BaseGeometry, west: float) -> BaseGeometry:
    """A geometry drawn where it belongs on a map that begins at a longitude: no part lies a turn of the globe away.

    Args:
        geometry: A polygon or several, degrees; each within one turn.
        west: Left edge of the map, degrees.
    """
    moved = []
    for part in shapely.get_parts(geometry):
        left, _, right, _ = part.bounds
        turns = np.floor(((left + right) / 2 - west) / 360)  # by the middle: an edge may lie on the map's own
        moved.append(shapely.affinity.translate(part, -360 * turns) if turns else part)
    return moved[0] if len(moved) == 1 else shapely.union_all(moved)


def chip_layer(
    area: BaseGeometry,
    *,
    events: gpd.GeoDataFrame,
    hits: gpd.GeoDataFrame | None,
    picked: gpd.GeoDataFrame | None,
    shown: str | None,
    starts: gpd.GeoDataFrame | None = None,
) -> folium.FeatureGroup:
    """The layer that changes: events, above them the hits, the places to start from, the picked one.

    Args:
        area: The store's, degrees; decides whether chips are squares or dots.
        events: Coloured by magnitude; a few hundred at most.
        hits: With `rank` and `score`, or None before a search.
        picked: The picked event in one row, or None.
        shown: `event_id` of the hit that is shown below the map.
        starts: Events to start from, marked with a ring, or None.
    """
    group = folium.FeatureGroup(name="changes")
    west, _, east, _ = unrolled_bounds(area)
    # Chips may stick out of the area; those of a turn further are meant for its other end.
    left = (west + east) / 2 - 180
    features = _features(events.iloc[::-1], EVENT_RAMP, "magnitude", left, faint=hits is not None)
    rings = _rings(starts, left) if starts is not None else []
    if hits is not None:
        features += _features(hits.iloc[::-1], HIT_RAMP, "score", left, faint=False, shown=shown)
    features += rings
    if picked is not None:
        look = {"color": PICKED_COLOUR, "weight": 3, "fillColor": PICKED_COLOUR, "fillOpacity": 0.12}
        tip = "<b>Picked</b><br>" + _tip(picked.iloc[0])
        features.append(_feature(picked.geometry.iloc[0], look, tip, left))
    if not features:
        return group
    dots = draws_dots(area, picked, hits, events, starts)
    if dots:
        for feature in features:
            centre = shapely.centroid(shapely.geometry.shape(feature["geometry"]))
            feature["geometry"] = {"type": "Point", "coordinates": [centre.x, centre.y]}
    folium.GeoJson(
        {"type": "FeatureCollection", "features": features},
        style_function=lambda feature: feature["properties"]["look"],
        highlight_function=lambda feature: feature["properties"].get("hover", {"weight": 3, "fillOpacity": 0.75}),
        marker=folium.CircleMarker(radius=6) if dots or rings else None,
        tooltip=folium.GeoJsonTooltip(["tip"], labels=False, sticky=False, direction="auto"),
        smooth_factor=0,
    ).add_to(group)
    return group


def draws_dots(area: BaseGeometry, *layers: gpd.GeoDataFrame | None) -> bool:
    """Whether chips are too small on the map of an area to be drawn as squares; by the first chip of the layers."""
    west, south, east, north = unrolled_bounds(area)
    chip = next((rows.geometry.iloc[0].bounds for rows in layers if rows is not None and len(rows)), None)
    return chip is not None and (chip[2] - chip[0]) / max(east - west, north - south, 1e-9) < SMALLEST_CHIP


def _features(
    rows: gpd.GeoDataFrame, ramp: tuple[str, ...], value: str, left: float, *, faint: bool, shown: str | None = None
) -> list[dict[str, Any]]:
    """One GeoJSON feature for each row, coloured by a column; `left` is the map's left edge, degrees."""
    colours = ramp_colours(rows[value].to_numpy(np.float64), ramp)
    features = []
    for (_, row), colour in zip(rows.iterrows(), colours, strict=True):
        look = {"color": colour, "weight": 1.2, "fillColor": colour, "fillOpacity": 0.38}
        if value == "score":
            look |= {"weight": 2, "fillOpacity": 0.5}
        if faint:
            look |= {"weight": 0.7, "fillOpacity": 0.04, "opacity": 0.3}
        if shown is not None and row["event_id"] == shown:
            look |= {"color": "#FFFFFF", "weight": 4, "fillOpacity": 0.65}
        features.append(_feature(row.geometry, look, _tip(row), left))
    return features


def _rings(starts: gpd.GeoDataFrame, left: float) -> list[dict[str, Any]]:
    """Two GeoJSON points for each row: a white ring and a dark one under it, so that it shows on any ground.

    Not filled, so that a click inside goes to what lies below.
    """
    features = []
    for _, row in starts.iterrows():
        tip = "<b>Place to start from</b><br>" + _tip(row)
        for colour, weight in (("#14181B", 4.5), ("#FFFFFF", 2)):
            look = {"radius": RING_PX, "color": colour, "weight": weight, "fill": False}
            feature = _feature(shapely.centroid(row.geometry), look, tip, left)
            feature["properties"]["hover"] = {"weight": 3.5} if weight == 2 else {}
            features.append(feature)
    return features


def _feature(geometry: BaseGeometry, look: dict[str, Any], tip: str, left: float) -> dict[str, Any]:
    return {"type": "Feature", "geometry": _plain(unroll(geometry, left)), "properties": {"look": look, "tip": tip}}


def _plain(geometry: BaseGeometry) -> dict[str, Any]:
    """GeoJSON with 6 decimals: a tenth of a metre, and half the bytes."""
    return dict(mapping(shapely.set_precision(geometry, 1e-6)))


def _tip(row: Any) -> str:
    """What hovering says, as HTML; every value from the data is escaped."""
    head = event_title(row)
    if "rank" in row.index:
        head = f"#{int(row['rank'])} · {head}" if head else f"#{int(row['rank'])}"
    lines = [f"<b>{html.escape(head)}</b>"] if head else []
    lines.append(html.escape(interval_text(row["time_before"], row["time_after"])))
    facts = [f"score {number_text(row['score'])}"] if "score" in row.index else []
    facts.append(f"change ratio {number_text(row['change_ratio'])}")
    lines.append(html.escape(" · ".join(facts)))
    return "<br>".join(lines)


def ramp_colours(values: NDArray[np.float64], ramp: tuple[str, ...]) -> list[str]:
    """A colour (`#RRGGBB`) for each value, from the smallest to the largest finite one; the ramp is piecewise linear.

    Args:
        values: (N,); what is not finite gets the first colour.
        ramp: `#RRGGBB`, from low to high.
    """
    stops = np.array([[int(colour[i : i + 2], 16) for i in (1, 3, 5)] for colour in ramp], dtype=np.float64)
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    share = np.where(np.isfinite(values), (values - low) / (high - low), 0.0) if high > low else np.ones(len(values))
    at = np.linspace(0, 1, len(ramp))
    rgb = np.stack([np.interp(share, at, stops[:, i]) for i in range(3)], axis=1)
    return ["#" + "".join(f"{round(v):02X}" for v in row) for row in rgb]
