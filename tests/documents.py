"""STAC documents for several test files."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any


def new_item(name: str, lon: float = 10.0, day: int = 1, **more: Any) -> dict[str, Any]:
    """An item of one square degree, on a day of July 2023; `more` are top-level fields."""
    ring = [[lon, 50], [lon + 1, 50], [lon + 1, 51], [lon, 51], [lon, 50]]
    when = datetime(2023, 7, 1, 10, tzinfo=UTC) + timedelta(days=day - 1)
    return {
        "type": "Feature",
        "stac_version": "1.1.0",
        "id": name,
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "bbox": [lon, 50, lon + 1, 51],
        "properties": {"datetime": f"{when:%Y-%m-%dT%H:%M:%SZ}"},
        "links": [],
        "assets": {"red": {"href": "B04.tif"}},
        **more,
    }
