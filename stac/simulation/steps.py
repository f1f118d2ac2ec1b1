"""Soft steps, in space and in time, for NumPy arrays and torch tensors alike; mixtures of spectra.

The passage is the cubic Hermite 3t² − 2t³, which begins and ends level (`smoothstep` of the OpenGL Shading Language
4.60, section 8.3).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .arrays import array_namespace


def smooth_step(field: Any, low: Any, high: Any) -> Any:
    """0 below `low`, 1 above `high`, 3t² − 2t³ between.

    Args:
        field: Array or tensor of any shape, floating.
        low: A number, or what fits the field.
        high: Likewise.

    Returns:
        The field's shape and dtype.
    """
    xp = array_namespace(field)
    t = xp.clip((field - low) / (high - low), 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


def soften(day: NDArray[np.float64] | float, start: NDArray[np.float64] | float, length: float) -> NDArray[np.float64]:
    """0 before `start`, 1 after `start + length`, a soft passage between, days; (n,) or (), float64."""
    soft: NDArray[np.float64] = smooth_step(np.asarray(day, dtype=np.float64), start, start + length)
    return soft


def mix(low: NDArray[np.float64], high: NDArray[np.float64], part: NDArray[np.float64] | float) -> NDArray[np.float64]:
    """Between two spectra, (n or 1, bands) each: `part` (n,) or a number, 0 for the first and 1 for the second."""
    weight = np.asarray(part, dtype=np.float64).reshape(-1, 1)
    mixed: NDArray[np.float64] = low + weight * (high - low)
    return mixed
