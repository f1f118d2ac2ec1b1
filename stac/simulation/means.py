"""Small tools on fields: box means, bilinear samples.

NumPy and SciPy only. Arithmetic is float64 inside and cast to float32 at the end, as in `noise`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from .ground import Field


def blur(field: NDArray[Any], radius: int, rounds: int = 2) -> Field:
    """Mean over a square of 2·radius + 1 pixels, repeated `rounds` times; edges are continued; float32."""
    out = field.astype(np.float64)
    if radius > 0:
        for _ in range(rounds):
            out = ndimage.uniform_filter(out, 2 * radius + 1, mode="nearest")
    return out.astype(np.float32)


def sample(field: NDArray[Any], row: NDArray[Any], col: NDArray[Any]) -> Field:
    """Bilinear values of a field at fractional rows and columns (same shape as these), edges continued; float32."""
    row = np.clip(row.astype(np.float64), 0, field.shape[0] - 1.001)
    col = np.clip(col.astype(np.float64), 0, field.shape[1] - 1.001)
    i, j = row.astype(np.intp), col.astype(np.intp)
    v, u = row - i, col - j
    flat, base = field.ravel(), i * field.shape[1] + j
    top = flat[base] * (1 - u) + flat[base + 1] * u
    base += field.shape[1]
    return np.asarray(top * (1 - v) + (flat[base] * (1 - u) + flat[base + 1] * u) * v, dtype=np.float32)
