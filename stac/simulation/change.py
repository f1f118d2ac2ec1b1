"""A planted change's contract: when each pixel's turn comes, and how it looks from then on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from .ground import Field

AGES: tuple[int, ...] = (*range(0, 60, 2), *range(60, 240, 10), *range(240, 1_500, 30))
"""Days since a pixel's turn at which looks are tabled; a pixel takes the last age that is not above its own."""


@dataclass(frozen=True, eq=False)
class Change:
    """One labelled event in a window of the ground."""

    event_id: str
    """Class and number, `wildfire-01`."""
    kind: str
    """Class: a key of `looks.LOOKS`."""
    start: date
    """First day on which the ground differs."""
    end: date
    """Day on which the work (the burning, the filling) is over, and what is built stands."""
    top: int
    """First row of the window, pixels."""
    left: int
    """First column of the window, pixels."""
    strength: Field
    """(h, w), 0 outside, up to 1: severity of a fire, part of a pixel that a site takes."""
    onset: Field
    """(h, w), from 0 (start) to 1 (end): when a pixel's turn comes. Where something is built the last turn comes before
    the end."""
    zone: NDArray[np.uint8]
    """(h, w), part of the site (0 to Z - 1) as `looks.ZONES` names them: bed and verge of a road, roof and yard."""

    @property
    def window(self) -> tuple[slice, slice]:
        """Rows and columns of the window."""
        rows, cols = self.strength.shape
        return slice(self.top, self.top + rows), slice(self.left, self.left + cols)
