"""Arithmetic on arrays of pixels: harmonising reflectance, repeating coarse pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def harmonise(pixels: NDArray[np.uint16], offset: int) -> None:
    """Add the processing baseline's offset in place: DN > 0 → max(DN + offset, 1); 0 (no data) stays 0.

    Args:
        pixels: (H, W) uint16.
        offset: DN to add, such as −1000 for baselines from 04.00 on.

    Source: https://sentiwiki.copernicus.eu/web/s2-processing (BOA_ADD_OFFSET).
    """
    if offset == 0:
        return
    rows = max(1, (1 << 16) // max(1, pixels.shape[1]))  # pieces that stay in a core's cache between the steps
    # A row of numbers, because np.maximum of pixels and one number takes six times as long (measured, numpy 2.4).
    floor = np.full(pixels.shape[1], max(1, 1 - offset), np.uint16)
    for first in range(0, pixels.shape[0], rows):
        piece = pixels[first : first + rows]
        lowest = int(piece.min())
        if offset < 0 < lowest:  # nearly always, and then one or two steps are enough
            if lowest < 1 - offset:
                np.maximum(piece, floor, out=piece)
            np.subtract(piece, -offset, out=piece)
            continue
        least = np.minimum(piece, 1)
        if offset < 0:
            np.maximum(piece, -offset, out=piece)
            np.subtract(piece, -offset, out=piece)
            np.maximum(piece, least, out=piece)
        else:
            np.minimum(piece, 65535 - offset, out=piece)
            np.add(piece, offset * least, out=piece)


def repeat_pixels(own: NDArray[Any], step: int, crop: tuple[int, int], out: NDArray[Any]) -> None:
    """Write each pixel `step` × `step` times.

    Args:
        own: (h, w) coarse pixels.
        step: Fine pixels along a side of a coarse one.
        crop: Fine rows and columns to leave out at the top and left.
        out: (H, W) fine pixels to write, of the same dtype.
    """
    width = out.shape[1]
    if step == 2 and own.dtype == np.uint16:
        # One multiplication writes a pixel twice: several times faster than np.repeat.
        wide = np.multiply(own, np.uint32(0x10001), dtype=np.uint32).view(np.uint16)
    elif step == 2 and own.dtype == np.uint8:
        wide = np.multiply(own, np.uint16(0x101), dtype=np.uint16).view(np.uint8)
    else:
        wide = np.repeat(own, step, axis=1)
    wide = wide[:, crop[1] : crop[1] + width]
    for line in range(step):
        first = (line - crop[0]) % step  # the first fine row that shows this line of its coarse pixel
        rows = out[first::step]
        start = (first + crop[0]) // step
        rows[...] = wide[start : start + rows.shape[0]]
