"""Layers of ready grounds as few bytes: rounded to what an image can show, predicted, compressed.

A layer is rounded to whole numbers of 16 bits. Of fields that vary smoothly the mixed difference of neighbours is kept
(a pixel less the one above and the one to the left, plus the one above that), whose sums along both axes give the field
back. Low and high bytes lie apart, and LZMA packs them. NumPy and the standard library only.

Rounding, all assumed, so that chips drawn from a packed ground differ from the others by less than the instrument's
noise (`tests/test_stream_pack.py` measures it): what drawing cuts off (`stac.simulation.render.draw_ground`) is not
kept; a slope is that of the rounded heights, and only where the ground's differs (at the shores of lakes, which were
levelled) the rest is kept.
"""

from __future__ import annotations

import lzma
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stac.errors import DataError
from stac.simulation.covers import WATERS

Layers = Mapping[str, NDArray[Any]]
"""Layers of one ground, (H, W) each, as `stream_country.Piece` has them."""


@dataclass(frozen=True)
class Coding:
    """How a layer is rounded."""

    dtype: str
    """Of the layer."""
    steps: int
    """Steps in one unit of the layer."""
    ends: tuple[float, float] | None = None
    """What lies beyond is cut off."""
    smooth: bool = False
    """Whether neighbours predict a pixel."""


CODINGS: dict[str, Coding] = {
    "cover": Coding("int32", 1),
    "moist": Coding("float32", 80, smooth=True),
    "texture": Coding("float32", 27, (-2.2, 2.5)),
    "tint": Coding("float32", 32, (-2.0, 2.0), smooth=True),
    "dryness": Coding("float32", 12, (-2.5, 2.5), smooth=True),
    "shore": Coding("float32", 100, (-300.0, 300.0)),
    "height": Coding("float32", 10, smooth=True),
    "east": Coding("float32", 100),
    "north": Coding("float32", 100),
    "strength": Coding("float32", 255),
    "onset": Coding("float32", 32_000),
    "zone": Coding("uint8", 1),
    "which": Coding("int32", 1),
}
"""Every layer of `stream_country.Country.layers`, in an order in which each can be read by those before it."""

_LZMA = [{"id": lzma.FILTER_LZMA2, "preset": 6, "lc": 0, "lp": 0, "pb": 0}]
"""Bytes of noise tell nothing of the next: without contexts they pack by a twentieth better."""


def pack_layers(layers: Layers) -> dict[str, bytes]:
    """Each layer's bytes.

    Raises:
        DataError: Values do not fit into 16 bits.
    """
    height = _rounded(layers["height"], "height")
    slopes = dict(zip(("east", "north"), _slopes(_restore(height, "height"), layers["cover"]), strict=True))
    packed = {}
    for name, coding in CODINGS.items():
        field = layers[name].astype(np.float64)
        whole = _rounded(field - slopes[name] if name in slopes else field, name)
        if name == "strength":  # a pixel that a change touches at all stays one
            whole = np.maximum(whole, (field > 0).astype(np.int16))
        packed[name] = lzma.compress(_planes(_differences(whole) if coding.smooth else whole), filters=_LZMA)
    return packed


def unpack_layers(packed: Mapping[str, bytes], shape: tuple[int, int]) -> dict[str, NDArray[Any]]:
    """The layers back.

    Args:
        packed: Bytes from `pack_layers`.
        shape: Height and width, pixels.

    Raises:
        DataError: The bytes are damaged, or those of another shape.
    """
    layers: dict[str, NDArray[Any]] = {}
    for name, coding in CODINGS.items():
        try:
            planes = np.frombuffer(lzma.decompress(packed[name]), dtype=np.uint8).reshape(2, *shape)
        except (lzma.LZMAError, EOFError, ValueError) as err:
            raise DataError(
                f"the layer {name} is damaged ({err})", f"{shape[0]} × {shape[1]} pixels", "copy or make the file anew"
            ) from err
        folded = planes[0].astype(np.uint16) | planes[1].astype(np.uint16) << 8
        whole = (folded >> 1 ^ -(folded & 1)).view(np.int16)
        if coding.smooth:
            whole = whole.cumsum(axis=0, dtype=np.int16).cumsum(axis=1, dtype=np.int16)
        layers[name] = _restore(whole, name)
    dry = _slopes(layers["height"], layers["cover"])
    layers["east"], layers["north"] = (layers[name] + part for name, part in zip(("east", "north"), dry, strict=True))
    return layers


def _rounded(field: NDArray[np.generic], name: str) -> NDArray[np.int16]:
    """A layer in whole steps."""
    coding = CODINGS[name]
    kept = np.clip(field.astype(np.float64), *coding.ends) if coding.ends else field.astype(np.float64)
    whole = np.rint(kept * coding.steps)
    if np.abs(whole).max(initial=0) > np.iinfo(np.int16).max:
        raise DataError(f"{name} reaches {np.abs(kept).max():g}", "a field of 16 bits", "pack smaller grounds")
    return whole.astype(np.int16)


def _restore(whole: NDArray[np.int16], name: str) -> NDArray[np.generic]:
    """A layer of whole steps."""
    coding = CODINGS[name]
    field = (whole / np.float32(coding.steps)).astype(coding.dtype)
    if name == "shore" and coding.ends:  # +inf is never drowned, -inf always
        field[field >= coding.ends[1]], field[field <= coding.ends[0]] = np.inf, -np.inf
    return field


def _differences(whole: NDArray[np.int16]) -> NDArray[np.int16]:
    """Mixed differences of neighbours, modulo 2^16."""
    return np.diff(np.diff(whole, axis=0, prepend=np.int16(0)), axis=1, prepend=np.int16(0))


def _planes(whole: NDArray[np.int16]) -> bytes:
    """Low bytes, then high bytes, of whole numbers folded so that small ones of either sign have a high byte of 0."""
    folded = (whole << 1 ^ whole >> 15).view(np.uint16)
    return (folded & 255).astype(np.uint8).tobytes() + (folded >> 8).astype(np.uint8).tobytes()


def _slopes(height: NDArray[np.generic], cover: NDArray[np.generic]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Slopes of heights, as `stac.simulation.relief.slopes` has them but without SciPy: 0 on water; (H, W) each."""
    wide = np.pad(height.astype(np.float64), 1, mode="edge")
    tall = wide[:-2] + wide[1:-1] + wide[2:]
    mean = (tall[:, :-2] + tall[:, 1:-1] + tall[:, 2:]) / 9
    south, east = np.gradient(mean, 10.0)
    dry = ~np.isin(cover, WATERS)
    return (east * dry).astype(np.float32), (-south * dry).astype(np.float32)
