"""Skies over the windows of a stream: cut out of ready noise, by the formulas of `stac.simulation.sky`.

A window of 64 pixels is far smaller than a cloud bank, so skies are not drawn window by window: canvases of periodic
noise are made once, and each image looks at its own place in one of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stac.simulation.noise import new_noise
from stac.simulation.render import Lookup
from stac.simulation.shot import SKIES
from stac.simulation.sky import (
    Sky,
    add_halo,
    behind_offset,
    cirrus_opacity,
    cloud_opacity,
    cloud_tops,
    merge_shadows,
    plume,
    shadow_offsets,
)
from stac.simulation.weather import (
    BANKS_WEIGHT,
    CIRRUS_OPACITY,
    CIRRUS_RIM,
    CIRRUS_SHARE,
    CLEAR_SKIES,
    CLOUD_BASE,
    CLOUD_THICKNESS,
    COVERAGE,
    HAZE_SPREAD,
    HAZY,
    LUMPS,
    MIXED_SKIES,
    NOISES,
    SMOKE_DEPTH,
    SMOKE_WIDTH,
    SOFTNESS,
    VEIL_OPACITY,
    VEIL_RIM,
    VEIL_SHARE,
)

SIDE = 512
"""Of a canvas, pixels of 20 m: 10 km, about the ground of a simulated area."""

COUNT = 6
"""Canvases of each kind."""

_CLOUDY = ("clouds", "deck")

_OUT_OF_REACH = 1_000.0
"""Of any noise: no cloud. Finite, so that differences stay numbers."""


@dataclass(frozen=True, eq=False)
class Weather:
    """What is decided about N images; each (N,), float32 unless said otherwise."""

    haze: Tensor
    """Reflectance in B02."""
    share: Tensor
    """Part of the country below clouds, 0 where the sky holds none."""
    softness: Tensor
    """Of the clouds' rims."""
    cirrus: Tensor
    """Greatest opacity of cirrus, 0 where there is none."""
    rim: Tensor
    """Value of the streaks at which cirrus begins."""
    base: Tensor
    """Height of the clouds above the ground, metres."""
    thick: Tensor
    """From base to top, metres."""
    azimuth: Tensor
    """Of the sun, degrees."""
    elevation: Tensor
    """Of the sun, degrees."""


class Canvases:
    """Periodic noise on a device, and windows of it."""

    def __init__(self, seed: int, device: torch.device) -> None:
        """Make the canvases.

        Args:
            seed: Names the noise.
            device: Where the tensors go.
        """
        rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(1_000_000,))))
        made = {name: _new_canvases(rng, *spectrum) for name, spectrum in NOISES.items()}
        made["clouds"] = np.stack([_new_clouds(rng) for _ in range(COUNT)])
        beta, _, shortest = LUMPS
        made["deck"] = _new_canvases(rng, beta, SIDE, shortest)
        # assumed: streaks without the slant that `stac.simulation.view` gives them, five times as long as wide.
        made["streaks"] = np.repeat(_new_canvases(rng, 2.4, SIDE, 4)[:, :, : SIDE // 4], 4, axis=2)
        self._fields = {name: torch.from_numpy(part).to(device) for name, part in made.items()}
        # Where a share of a canvas lies above: one row a canvas, one column a thousandth.
        steps = np.linspace(0, 1, 1001)
        edges = {name: np.quantile(made[name].reshape(COUNT, -1)[:, ::7], 1 - steps, axis=1).T for name in _CLOUDY}
        self._edges = {name: torch.from_numpy(part.astype(np.float32)).to(device) for name, part in edges.items()}

    def window(self, name: str, which: Tensor, top: Tensor, left: Tensor, side: int) -> Tensor:
        """Windows (N, side, side) of the canvases `which` (N,) from `top`, `left` (N,) int64, periodic."""
        steps = torch.arange(side, device=which.device)
        rows = torch.remainder(top[:, None] + steps, SIDE)
        cols = torch.remainder(left[:, None] + steps, SIDE)
        index = (which[:, None] * SIDE + rows)[:, :, None] * SIDE + cols[:, None, :]
        found: Tensor = Lookup(index, COUNT * SIDE * SIDE, batched=False)(self._fields[name])
        return found

    def edge(self, name: str, which: Tensor, share: Tensor) -> Tensor:
        """Value (N,) above which a share (N,) of a canvas lies."""
        place = (share * 1000).round().long().clamp(0, 1000)
        return self._edges[name][which, place]


def _new_clouds(rng: np.random.Generator) -> NDArray[np.float32]:
    """(SIDE, SIDE) noise of single clouds, gathered in banks."""
    beta, longest, shortest = LUMPS
    lumps = new_noise((SIDE, SIDE), rng, beta, rng.uniform(*longest), shortest)
    return lumps + np.float32(BANKS_WEIGHT) * new_noise((SIDE, SIDE), rng, 2.0, SIDE / 2, 40)


def _new_canvases(rng: np.random.Generator, beta: float, longest: float, shortest: float) -> NDArray[np.float32]:
    """(COUNT, SIDE, SIDE) noise."""
    return np.stack([new_noise((SIDE, SIDE), rng, beta, longest, shortest) for _ in range(COUNT)])


def new_sky(canvases: Canvases, weather: Weather, place: tuple[Tensor, Tensor, Tensor], side: int) -> Sky:
    """The sky over N windows, as `stac.simulation.view.new_sky` draws it over a whole ground.

    Args:
        canvases: Noise.
        weather: What is decided.
        place: Canvas, top and left of each window, int64 (N,).
        side: Of the windows, pixels of 20 m.
    """
    which, top, left = place
    deck = weather.share > COVERAGE["broken"][1]
    edge = torch.where(deck, canvases.edge("deck", which, weather.share), canvases.edge("clouds", which, weather.share))
    edge = torch.where(weather.share > 0, edge, _OUT_OF_REACH)

    def field(down: Tensor, right: Tensor) -> Tensor:
        """The clouds' noise, moved towards higher rows and columns."""
        at = which, top - down.round().long(), left - right.round().long(), side
        return torch.where(deck[:, None, None], canvases.window("deck", *at), canvases.window("clouds", *at))

    here = field(0.0 * weather.base, 0.0 * weather.base)
    offsets = shadow_offsets(weather.base, weather.thick, weather.azimuth, weather.elevation)
    spread = canvases.window("haze", *place, side)
    haze = weather.haze[:, None, None] * (1 + HAZE_SPREAD * spread).clamp(0.2, 2.0)
    return Sky(
        haze=add_halo(haze, here, edge),
        cloud=cloud_opacity(here, edge, weather.softness),
        tops=cloud_tops(here, field(*behind_offset(weather.azimuth, weather.elevation))),
        shadow=merge_shadows([cloud_opacity(field(*offset), edge, weather.softness) for offset in offsets]),
        cirrus=cirrus_opacity(canvases.window("streaks", *place, side), weather.rim, weather.cirrus),
    )


@dataclass(frozen=True, eq=False)
class Front:
    """Where the fires of N windows burn."""

    row: Tensor
    """float32 (N,), mean of the pixels that burn, pixels of 20 m."""
    col: Tensor
    """float32 (N,), likewise."""
    wind: Tensor
    """float32 (N,), degrees clockwise from north towards which smoke drifts."""
    burning: Tensor
    """bool (N,), whether anything burns."""


def new_smoke(
    canvases: Canvases, burning: Tensor, front: Front, place: tuple[Tensor, Tensor, Tensor], side: int
) -> Tensor:
    """Optical depth of smoke (N, side, side), one plume in each window that burns.

    assumed: it rises from the middle of what burns, the wider the denser; the archive draws up to four plumes at the
    head of the whole front, of which a window shows a part only.

    Args:
        canvases: Noise.
        burning: (N,) float32, from 0 to 1 how dense the smoke is; negative where nothing burns.
        front: Where it rises and which way it drifts.
        place: Canvas, top and left of each window.
        side: Pixels of 20 m.
    """
    low, high = SMOKE_DEPTH
    density = (low + (high - low) * burning) * (burning >= 0)
    width = SMOKE_WIDTH[0] + (SMOKE_WIDTH[1] - SMOKE_WIDTH[0]) * burning.clamp_min(0)
    found: Tensor = plume(canvases.window("torn", *place, side), front.row, front.col, front.wind, density, width)
    return found


def new_weather_tensors(
    sky: NDArray[np.int64],
    haze: NDArray[np.float64],
    azimuth: NDArray[np.float64],
    elevation: NDArray[np.float64],
    rng: np.random.Generator,
    device: torch.device,
) -> Weather:
    """Decide what each of N skies holds, by the ranges of `stac.simulation.weather`.

    Args:
        sky: (N,), place in `SKIES`.
        haze: (N,), reflectance in B02.
        azimuth: (N,), of the sun, degrees.
        elevation: (N,), of the sun, degrees.
        rng: Where chance comes from.
        device: Where the tensors go.
    """
    names, count = np.array(SKIES)[sky], len(sky)
    mixed = np.isin(names, MIXED_SKIES) & (rng.random(count) < CIRRUS_SHARE) | (names == "cirrus")
    veiled = np.isin(names, CLEAR_SKIES) & (rng.random(count) < VEIL_SHARE)
    drawn = {
        "haze": haze * np.where(names == "hazy", HAZY, 1.0),
        "share": rng.uniform(*_ends(COVERAGE, sky, (0.0, 0.0))),
        "softness": rng.uniform(*_ends(SOFTNESS, sky, (1.0, 1.0))),
        "cirrus": rng.uniform(*CIRRUS_OPACITY, count) * mixed + rng.uniform(*VEIL_OPACITY, count) * veiled,
        "rim": np.where(veiled, rng.uniform(*VEIL_RIM, count), rng.uniform(*CIRRUS_RIM, count)),
        "base": rng.uniform(*CLOUD_BASE, count),
        "thick": rng.uniform(*CLOUD_THICKNESS, count),
        "azimuth": azimuth,
        "elevation": elevation,
    }
    tensors = {name: torch.from_numpy(values.astype(np.float32)).to(device) for name, values in drawn.items()}
    return Weather(**tensors)


def _ends(
    ranges: Mapping[str, tuple[float, float]], sky: NDArray[np.int64], other: tuple[float, float]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Ends of each sky's range, (N,) each; `other` for kinds that have none."""
    table = np.array([ranges.get(name, other) for name in SKIES])
    return table[sky, 0], table[sky, 1]
