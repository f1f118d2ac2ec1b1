"""Making the grounds of a stream: relief, cover and events by `stac.simulation`, seconds each, on the processor.

The only part of the stream that needs SciPy, scikit-image and shapely: drawing from ready grounds does without.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from stac.simulation.biomes import BIOMES
from stac.simulation.change import Change
from stac.simulation.events import new_counts, plant_changes
from stac.simulation.ground import Ground
from stac.simulation.landscape import new_ground

from .stream_country import KINDS, Country, CountryConfig, Piece, build_country

_FIELDS = ("moist", "texture", "tint", "dryness", "shore")
_RELIEF = ("height", "east", "north")


def new_country(config: CountryConfig, device: torch.device) -> Country:
    """Make the grounds (seconds each, on the processor) and bring them to a device.

    Args:
        config: What to make.
        device: Where the tensors go.
    """
    return build_country(config, [new_piece(config, number) for number in range(len(config.biomes))], device)


def new_grounds(config: CountryConfig) -> tuple[list[Ground], list[list[Change]]]:
    """The grounds, and what changes on each of them: seconds each, on the processor.

    Args:
        config: What to make; a ground depends on the seed, its own number and its biome.
    """
    made = [_new_ground(config, number) for number in range(len(config.biomes))]
    return [ground for ground, _ in made], [changes for _, changes in made]


def new_piece(config: CountryConfig, number: int) -> Piece:
    """One ground and its changes.

    Args:
        config: What to make.
        number: Place in `config.biomes`.
    """
    ground, changes = _new_ground(config, number)
    return Piece(
        layers=_layers(ground, changes),
        fields=ground.fields,
        kind=np.array([KINDS.index(change.kind) for change in changes], dtype=np.int64),
        start=np.array([(change.start - config.first).days for change in changes], dtype=np.int64),
        span=np.array([(change.end - change.start).days for change in changes], dtype=np.int64),
    )


def _new_ground(config: CountryConfig, number: int) -> tuple[Ground, list[Change]]:
    """A ground and what changes on it."""
    biome = BIOMES[config.biomes[number]]
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence(config.seed, spawn_key=(number,))))
    ground = new_ground(biome, (config.ground_px, config.ground_px), rng)
    return ground, plant_changes(ground, new_counts(biome, config.changes), (config.first, config.last), rng)


def _layers(ground: Ground, changes: Sequence[Change]) -> dict[str, NDArray[np.generic]]:
    """A ground's layers, (H, W) each."""
    strength, onset = np.zeros(ground.shape, dtype=np.float32), np.zeros(ground.shape, dtype=np.float32)
    zone, which = np.zeros(ground.shape, dtype=np.uint8), np.full(ground.shape, -1, dtype=np.int32)
    for number, change in enumerate(changes):
        cut, inside = change.window, change.strength > 0
        strength[cut][inside], onset[cut][inside] = change.strength[inside], change.onset[inside]
        zone[cut][inside], which[cut][inside] = change.zone[inside], number
    return {
        "cover": ground.cover.astype(np.int32),
        **{name: getattr(ground, name) for name in _FIELDS},
        **{name: getattr(ground.relief, name) for name in _RELIEF},
        "strength": strength,
        "onset": onset,
        "zone": zone,
        "which": which,
    }
