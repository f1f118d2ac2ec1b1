"""What is decided about each day of a stream: sun, skies, winters, water levels, misregistration.

By the rules of `stac.simulation`, as the archive's passes have them, looked up once for each ground.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

import numpy as np
from numpy.typing import NDArray

from stac.simulation.passes import LOWEST_SUN, REFINED, UNREFINED, local_hour, refined_share
from stac.simulation.shot import SKIES
from stac.simulation.sun import sun_angles
from stac.simulation.weather import CLEAR_SKIES, new_weather, water_level
from stac.simulation.winter import new_winters

from .stream_country import SLOT_DAYS, Country


@dataclass(frozen=True, eq=False)
class Shots:
    """Decisions about N images, each (N,) but `shift` (N, 2)."""

    sky: NDArray[np.int64]
    haze: NDArray[np.float64]
    snow_line: NDArray[np.float32]
    laden_line: NDArray[np.float32]
    ice: NDArray[np.float32]
    level: NDArray[np.float64]
    azimuth: NDArray[np.float64]
    elevation: NDArray[np.float64]
    shift: NDArray[np.float64]


_DRAWS = 64
"""Skies that are drawn for each ground and month, and histories of snow and wet years for each ground: each image takes
one of those skies, each location one of those histories."""


class Almanac:
    """Sun, and a choice of skies, winters and water levels for each ground, by the rules of `stac.simulation`."""

    def __init__(self, country: Country, rng: np.random.Generator, clear: bool) -> None:
        """Look everything up once.

        Args:
            country: The grounds and the days.
            rng: Where chance comes from.
            clear: Leave all skies out but clear and hazy ones.
        """
        shape = (len(country.biomes), country.slots)
        days = [country.first + timedelta(days=slot * SLOT_DAYS) for slot in range(country.slots)]
        self._sun = np.empty((*shape, 2))
        self._level = np.empty((len(country.biomes), _DRAWS, country.slots))
        self._snow = np.empty((len(country.biomes), _DRAWS, country.slots, 3), dtype=np.float32)
        self._weather = np.empty((len(country.biomes), 12, _DRAWS, 2))
        for n, biome in enumerate(country.biomes):
            for month in range(12):
                for draw in range(_DRAWS):
                    sky, haze = new_weather(biome, month, rng)
                    while clear and sky not in CLEAR_SKIES:
                        sky, haze = new_weather(biome, month, rng)
                    self._weather[n, month, draw] = SKIES.index(sky), haze
            winters = new_winters(biome, country.first, (country.slots - 1) * SLOT_DAYS + 1, _DRAWS, rng)
            for place, part in enumerate((winters.snow_line, winters.laden_line, winters.ice)):
                self._snow[n, ..., place] = part[:, ::SLOT_DAYS]
            years = rng.uniform(-1, 1, (_DRAWS, days[-1].year - days[0].year + 2))
            hour = local_hour(biome.lat) - biome.lon / 15
            for slot in range(country.slots):
                when = datetime.combine(days[slot], time(), UTC) + timedelta(hours=hour)
                self._sun[n, slot] = sun_angles(when, biome.lon, biome.lat)
                year = days[slot].year - days[0].year
                self._level[n, :, slot] = [
                    water_level(biome, when, pair) for pair in years[:, year : year + 2].tolist()
                ]
        self._month = np.array([day.month - 1 for day in days])
        self._refined = np.array([refined_share(day) for day in days])
        self.light = self._sun[..., 1] >= LOWEST_SUN
        """(G, slots), whether a day is light enough to be delivered."""

    def draw(self, place: NDArray[np.int64], slots: NDArray[np.int64], rng: np.random.Generator) -> Shots:
        """Decide about B × T images.

        Args:
            place: (B, 4), as `SeriesBatch.place`: a location has one history of snow and water.
            slots: (B, T), days.
            rng: Where chance comes from.
        """
        where, slot = np.repeat(place[:, 0], slots.shape[1]), slots.ravel()
        history = np.repeat(place // [1, 2, 2, 1] @ np.array([7, 31, 17, 5]) % _DRAWS, slots.shape[1])
        weather = self._weather[where, self._month[slot], rng.integers(0, _DRAWS, slot.size)]
        sun, snow = self._sun[where, slot], self._snow[where, history, slot]
        refined = rng.random(slot.size) < self._refined[slot]
        length = np.where(refined, rng.uniform(*REFINED, slot.size), rng.uniform(*UNREFINED, slot.size))
        turn = rng.uniform(0, 2 * np.pi, slot.size)
        return Shots(
            sky=weather[:, 0].astype(np.int64),
            haze=weather[:, 1],
            snow_line=snow[:, 0],
            laden_line=snow[:, 1],
            ice=snow[:, 2],
            level=self._level[where, history, slot],
            azimuth=sun[:, 0],
            elevation=sun[:, 1],
            shift=np.stack([length * np.cos(turn), length * np.sin(turn)], axis=1),
        )
