"""How dates, numbers and events are written on the page, on the map and in file names."""

from __future__ import annotations

import math
import re
from typing import Any

import pandas as pd
from shapely.geometry.base import BaseGeometry

_MARKS = re.compile(r"[\\`*\[\]<>$~|]|:(?=[a-z])")
"""What begins an image, a link, HTML, a formula, code, a table or a directive such as `:red[…]`."""


def utc(time: Any) -> pd.Timestamp:
    """A time as a UTC timestamp; a time without a zone is taken as UTC."""
    stamp = pd.Timestamp(time)
    return stamp.tz_localize("UTC") if stamp.tzinfo is None else stamp.tz_convert("UTC")


def day_text(time: Any) -> str:
    """`12 Aug 2023`, the day in UTC."""
    stamp = utc(time)
    return f"{stamp.day} {stamp:%b %Y}"


def interval_text(before: Any, after: Any) -> str:
    """`3 Jul → 12 Aug 2023`: the year once where both share it."""
    first, last = utc(before), utc(after)
    start = f"{first.day} {first:%b}" if first.year == last.year else day_text(first)
    return f"{start} → {day_text(last)}"


def number_text(value: Any) -> str:
    """Three significant digits, or a dash for what is not known."""
    number = float("nan") if value is None else float(value)
    if not math.isfinite(number):
        return "–"
    return f"{number:.0f}" if abs(number) >= 100 else f"{number:.3g}"


def score_text(value: Any) -> str:
    """A score with three decimals."""
    return f"{float(value):.3f}"


def event_title(row: Any) -> str:
    """An event's label with a capital, or nothing where it has none."""
    label = row.get("label") if hasattr(row, "get") else None
    if label is None or (isinstance(label, float) and math.isnan(label)) or not str(label).strip():
        return ""
    return kind_text(str(label))


def kind_text(label: str) -> str:
    """A label as words, with a capital: `clear_cut` becomes `Clear cut`."""
    text = label.strip().replace("_", " ")
    return text[:1].upper() + text[1:]


def place_text(geometry: BaseGeometry) -> str:
    """Longitude, latitude of a chip's centre, degrees; the longitude within ±180 even where the chip goes beyond."""
    centre = geometry.centroid
    return f"{(centre.x + 180) % 360 - 180:.4f}, {centre.y:.4f}"


def count_text(number: int, one: str, many: str | None = None) -> str:
    """`1 event`, `12,345 events`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def markdown_text(text: object) -> str:
    """A text made safe for Streamlit's messages and labels, which read Markdown: no image, link, formula or colour.

    An image in a message would be fetched from wherever the text says; the text may come from somebody else's link.
    """
    return _MARKS.sub(r"\\\g<0>", str(text))


def file_stem(text: str) -> str:
    """A text made safe for a file's name."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", text).strip("-")[:80] or "hits"
