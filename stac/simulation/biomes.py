"""The kinds of country that the generator draws: climate, covers, farms, towns and the events to expect.

Sources, by field:

- Places: an invented site within a real region of each biome (Olson et al. 2001, terrestrial ecoregions,
  https://doi.org/10.1641/0006-3568(2001)051[0933:TEOTWA]2.0.CO;2); only sun angles and a UTM zone come of them.
- `clear`, `cloudy`: assumed, of the order of the cloud frequency that MODIS sees in late morning and early afternoon
  (by month: Wilson & Jetz 2016, https://doi.org/10.1371/journal.pbio.1002415; over the globe: King et al. 2013,
  https://doi.org/10.1109/TGRS.2012.2227333): about 0.2 in mediterranean summers, 0.6 to 0.7 in temperate
  winters, 0.8 in the wet season of rainforests, below 0.2 in deserts; and the split between clear, partly cloudy and
  overcast.
- `snow`, `snow_line`: assumed, of the order of Dietz et al. (2012, https://doi.org/10.3390/rs4082432) for
  Europe's snow-covered days and of Hammond et al. (2018, https://doi.org/10.1002/joc.5674) for mountains.
- `dry`: assumed, of the order of the months in which most area burns in Giglio et al. (2013,
  https://doi.org/10.1002/jgrg.20042), 1 in the worst month.
- `field_ha`: classes of Lesiv et al. (2019, https://doi.org/10.1111/gcb.14492): very small below 0.64 ha, small to
  2.56 ha, medium to 16 ha, large above; their places also after Fritz et al. (2015,
  https://doi.org/10.1111/gcb.12838).
- `shares`, `crops`, `roofs`, `events`, `towns`: assumed, so that every cover, crop and class of event appears somewhere
  and the commonest ones are those of the region.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .covers import (
    BARE,
    BROADLEAF,
    CONIFER,
    GRASS,
    RAINFOREST,
    RIPARIAN,
    ROCK,
    ROOF_DARK,
    ROOF_LIGHT,
    ROOF_TILE,
    SAND,
    SHRUB,
    TIDAL_FLAT,
    WETLAND,
)

Year = tuple[float, float, float, float, float, float, float, float, float, float, float, float]
"""A figure for each month, January first."""


@dataclass(frozen=True)
class Biome:
    """A kind of country; months are calendar months, also in the south."""

    name: str
    """Key in `BIOMES`."""
    lat: float
    """Latitude of a typical place, degrees north."""
    lon: float
    """Longitude of a typical place, degrees east."""
    height: tuple[float, float]
    """Lowest and highest ground, metres above the sea."""
    shares: Mapping[int, float]
    """Wanted share of each cover in the wild land, by number in `covers.COVERS`; they sum to 1."""
    farmland: float
    """Share of the flat ground that is farmed."""
    crops: Mapping[str, float]
    """Probability of each of `covers.CROPS` in a field; they sum to 1."""
    field_ha: float
    """Median size of a field, hectares."""
    pivots: bool
    """Whether fields may be the discs of centre-pivot irrigation."""
    towns: int
    """Typical number of towns in an area of about 100 km²."""
    town_px: int
    """Typical radius of a town, pixels of 10 m."""
    roofs: Mapping[int, float]
    """Probability of each kind of roof, by number in `covers.COVERS`; they sum to 1."""
    lake: bool
    """Whether a lake lies in it."""
    river: bool
    """Whether a river runs through it."""
    sea: bool
    """Whether it lies on the sea."""
    clear: Year
    """Probability that a pass in that month is clear or nearly."""
    cloudy: Year
    """Probability that a pass in that month is overcast; what is left is partly cloudy."""
    snow: Year
    """Probability that snow lies somewhere on a pass of that month."""
    snow_line: tuple[float, float]
    """Lowest and highest line above which snow lies when it lies, metres."""
    haze: float
    """Typical aerosol left after atmospheric correction, reflectance in B02."""
    dry: Year
    """Fire weather by month, 0 to 1."""
    events: Mapping[str, float]
    """Relative frequency of each class of `looks.LOOKS` that happens here; they sum to 1."""
    south: bool = False
    """Whether it lies in the southern hemisphere: seasons half a year later."""


# fmt: off
BIOMES: dict[str, Biome] = {
    "mediterranean": Biome(
        name="mediterranean",
        lat=39.4, lon=-122.6, height=(80.0, 1_500.0),
        shares={CONIFER: 0.22, BROADLEAF: 0.22, SHRUB: 0.22, GRASS: 0.28, RIPARIAN: 0.03, ROCK: 0.02, BARE: 0.01},
        farmland=0.55,
        crops={
            "maize": 0.12, "winter cereal": 0.18, "rice": 0.16, "alfalfa": 0.12, "orchard": 0.28, "cotton": 0.05,
            "fallow": 0.09
        },
        field_ha=8.0, pivots=False, towns=2, town_px=50,
        roofs={ROOF_LIGHT: 0.35, ROOF_DARK: 0.35, ROOF_TILE: 0.3},
        lake=True, river=True, sea=False,
        clear=(0.35, 0.38, 0.42, 0.50, 0.62, 0.75, 0.85, 0.85, 0.80, 0.65, 0.48, 0.36),
        cloudy=(0.40, 0.36, 0.32, 0.22, 0.15, 0.07, 0.04, 0.04, 0.06, 0.14, 0.28, 0.38),
        snow=(0.35, 0.35, 0.25, 0.10, 0.02, 0.0, 0.0, 0.0, 0.0, 0.01, 0.08, 0.25),
        snow_line=(700.0, 1_400.0),
        haze=0.006,
        dry=(0.02, 0.02, 0.03, 0.06, 0.2, 0.5, 0.9, 1.0, 0.9, 0.55, 0.15, 0.03),
        events={
            "wildfire": 0.34, "road": 0.10, "clear_cut": 0.12, "logging": 0.06, "urban": 0.12, "solar_farm": 0.09,
            "reservoir_fill": 0.03, "reservoir_drain": 0.05, "flood": 0.03, "landslide": 0.03, "mine": 0.03
        },
    ),
    "temperate": Biome(
        name="temperate",
        lat=47.6, lon=10.4, height=(380.0, 1_300.0),
        shares={CONIFER: 0.38, BROADLEAF: 0.32, GRASS: 0.18, SHRUB: 0.05, RIPARIAN: 0.03, WETLAND: 0.02, ROCK: 0.02},
        farmland=0.5,
        crops={
            "maize": 0.2, "winter cereal": 0.3, "rapeseed": 0.12, "alfalfa": 0.05, "orchard": 0.02, "pasture": 0.28,
            "fallow": 0.03
        },
        field_ha=2.5, pivots=False, towns=4, town_px=35,
        roofs={ROOF_LIGHT: 0.2, ROOF_DARK: 0.3, ROOF_TILE: 0.5},
        lake=True, river=True, sea=False,
        clear=(0.18, 0.20, 0.24, 0.28, 0.27, 0.28, 0.33, 0.34, 0.32, 0.27, 0.18, 0.16),
        cloudy=(0.58, 0.54, 0.46, 0.38, 0.37, 0.34, 0.30, 0.30, 0.34, 0.44, 0.58, 0.62),
        snow=(0.55, 0.50, 0.30, 0.10, 0.0, 0.0, 0.0, 0.0, 0.0, 0.03, 0.20, 0.45),
        snow_line=(350.0, 1_200.0),
        haze=0.008,
        dry=(0.02, 0.05, 0.4, 0.6, 0.5, 0.5, 0.9, 1.0, 0.5, 0.2, 0.03, 0.02),
        events={
            "wildfire": 0.06, "road": 0.13, "clear_cut": 0.20, "logging": 0.10, "urban": 0.20, "solar_farm": 0.10,
            "reservoir_fill": 0.02, "reservoir_drain": 0.03, "flood": 0.09, "landslide": 0.03, "mine": 0.04
        },
    ),
    "boreal": Biome(
        name="boreal",
        lat=62.3, lon=15.6, height=(220.0, 720.0),
        shares={CONIFER: 0.62, BROADLEAF: 0.12, SHRUB: 0.07, GRASS: 0.04, WETLAND: 0.12, RIPARIAN: 0.01, ROCK: 0.02},
        farmland=0.06,
        crops={"winter cereal": 0.15, "alfalfa": 0.1, "pasture": 0.65, "fallow": 0.1},
        field_ha=3.0, pivots=False, towns=1, town_px=25,
        roofs={ROOF_LIGHT: 0.2, ROOF_DARK: 0.5, ROOF_TILE: 0.3},
        lake=True, river=True, sea=False,
        clear=(0.14, 0.20, 0.28, 0.30, 0.30, 0.28, 0.28, 0.26, 0.22, 0.16, 0.12, 0.10),
        cloudy=(0.64, 0.56, 0.46, 0.42, 0.40, 0.38, 0.38, 0.42, 0.48, 0.58, 0.66, 0.70),
        snow=(0.95, 0.97, 0.92, 0.65, 0.12, 0.0, 0.0, 0.0, 0.02, 0.20, 0.65, 0.90),
        snow_line=(0.0, 500.0),
        haze=0.004,
        dry=(0.0, 0.0, 0.02, 0.2, 0.6, 0.9, 1.0, 0.7, 0.25, 0.05, 0.0, 0.0),
        events={
            "wildfire": 0.20, "road": 0.13, "clear_cut": 0.40, "logging": 0.12, "urban": 0.02, "reservoir_fill": 0.02,
            "reservoir_drain": 0.03, "flood": 0.05, "mine": 0.03
        },
    ),
    "rainforest": Biome(
        name="rainforest",
        lat=-9.2, lon=-63.2, height=(70.0, 260.0),
        shares={RAINFOREST: 0.86, RIPARIAN: 0.05, WETLAND: 0.04, GRASS: 0.03, SHRUB: 0.02},
        farmland=0.28,
        crops={"pasture": 0.6, "soy": 0.2, "maize": 0.08, "rice": 0.04, "fallow": 0.08},
        field_ha=25.0, pivots=False, towns=1, town_px=30,
        roofs={ROOF_LIGHT: 0.45, ROOF_DARK: 0.2, ROOF_TILE: 0.35},
        lake=False, river=True, sea=False,
        clear=(0.06, 0.06, 0.07, 0.12, 0.26, 0.45, 0.55, 0.48, 0.32, 0.18, 0.10, 0.07),
        cloudy=(0.66, 0.66, 0.62, 0.50, 0.32, 0.16, 0.12, 0.16, 0.26, 0.40, 0.52, 0.62),
        snow=(0.0,) * 12,
        snow_line=(5_000.0, 6_000.0),
        haze=0.012,
        dry=(0.02, 0.02, 0.02, 0.03, 0.1, 0.3, 0.6, 1.0, 1.0, 0.5, 0.15, 0.04),
        events={
            "wildfire": 0.18, "road": 0.14, "clear_cut": 0.30, "logging": 0.18, "urban": 0.04, "reservoir_fill": 0.03,
            "flood": 0.06, "landslide": 0.01, "mine": 0.06
        },
        south=True,
    ),
    "savanna": Biome(
        name="savanna",
        lat=-15.4, lon=27.6, height=(950.0, 1_250.0),
        shares={BROADLEAF: 0.34, SHRUB: 0.22, GRASS: 0.36, RIPARIAN: 0.03, WETLAND: 0.02, BARE: 0.02, ROCK: 0.01},
        farmland=0.32,
        crops={"maize": 0.38, "soy": 0.14, "cotton": 0.12, "winter cereal": 0.06, "pasture": 0.12, "fallow": 0.18},
        field_ha=2.0, pivots=True, towns=2, town_px=28,
        roofs={ROOF_LIGHT: 0.65, ROOF_DARK: 0.15, ROOF_TILE: 0.2},
        lake=True, river=True, sea=False,
        clear=(0.10, 0.12, 0.24, 0.55, 0.80, 0.88, 0.90, 0.90, 0.80, 0.58, 0.28, 0.12),
        cloudy=(0.50, 0.48, 0.32, 0.12, 0.04, 0.03, 0.02, 0.02, 0.04, 0.12, 0.28, 0.46),
        snow=(0.0,) * 12,
        snow_line=(5_000.0, 6_000.0),
        haze=0.012,
        dry=(0.01, 0.01, 0.02, 0.08, 0.3, 0.6, 0.8, 1.0, 1.0, 0.6, 0.12, 0.02),
        events={
            "wildfire": 0.42, "road": 0.09, "clear_cut": 0.12, "logging": 0.08, "urban": 0.10, "solar_farm": 0.03,
            "reservoir_fill": 0.03, "reservoir_drain": 0.04, "flood": 0.04, "mine": 0.05
        },
        south=True,
    ),
    "desert": Biome(
        name="desert",
        lat=33.3, lon=-114.4, height=(60.0, 900.0),
        shares={BARE: 0.46, SAND: 0.16, ROCK: 0.22, SHRUB: 0.14, RIPARIAN: 0.02},
        farmland=0.22,
        crops={"alfalfa": 0.36, "cotton": 0.14, "winter cereal": 0.18, "maize": 0.1, "orchard": 0.08, "fallow": 0.14},
        field_ha=20.0, pivots=True, towns=1, town_px=40,
        roofs={ROOF_LIGHT: 0.6, ROOF_DARK: 0.15, ROOF_TILE: 0.25},
        lake=False, river=True, sea=False,
        clear=(0.66, 0.66, 0.70, 0.78, 0.84, 0.90, 0.74, 0.74, 0.84, 0.84, 0.78, 0.68),
        cloudy=(0.16, 0.16, 0.12, 0.08, 0.05, 0.02, 0.06, 0.06, 0.05, 0.06, 0.10, 0.15),
        snow=(0.0,) * 12,
        snow_line=(5_000.0, 6_000.0),
        haze=0.010,
        dry=(0.02, 0.03, 0.1, 0.3, 0.7, 1.0, 0.8, 0.6, 0.5, 0.3, 0.1, 0.03),
        events={
            "wildfire": 0.04, "road": 0.20, "urban": 0.22, "solar_farm": 0.28, "reservoir_fill": 0.03,
            "reservoir_drain": 0.05, "flood": 0.05, "mine": 0.13
        },
    ),
    "cropland": Biome(
        name="cropland",
        lat=41.4, lon=-93.4, height=(240.0, 340.0),
        shares={BROADLEAF: 0.42, GRASS: 0.38, RIPARIAN: 0.12, WETLAND: 0.05, SHRUB: 0.03},
        farmland=0.85,
        crops={"maize": 0.42, "soy": 0.34, "winter cereal": 0.06, "alfalfa": 0.06, "pasture": 0.09, "fallow": 0.03},
        field_ha=16.0, pivots=True, towns=3, town_px=35,
        roofs={ROOF_LIGHT: 0.4, ROOF_DARK: 0.5, ROOF_TILE: 0.1},
        lake=True, river=True, sea=False,
        clear=(0.28, 0.30, 0.30, 0.32, 0.34, 0.38, 0.44, 0.44, 0.46, 0.44, 0.34, 0.28),
        cloudy=(0.48, 0.46, 0.44, 0.38, 0.34, 0.26, 0.20, 0.22, 0.26, 0.30, 0.42, 0.50),
        snow=(0.60, 0.55, 0.28, 0.04, 0.0, 0.0, 0.0, 0.0, 0.0, 0.01, 0.12, 0.45),
        snow_line=(0.0, 100.0),
        haze=0.009,
        dry=(0.05, 0.1, 0.6, 1.0, 0.4, 0.2, 0.2, 0.2, 0.3, 0.5, 0.3, 0.05),
        events={
            "wildfire": 0.05, "road": 0.17, "clear_cut": 0.10, "logging": 0.03, "urban": 0.24, "solar_farm": 0.18,
            "reservoir_fill": 0.03, "reservoir_drain": 0.04, "flood": 0.12, "mine": 0.04
        },
    ),
    "coast": Biome(
        name="coast",
        lat=53.6, lon=7.8, height=(0.0, 60.0),
        shares={GRASS: 0.34, BROADLEAF: 0.16, CONIFER: 0.12, SHRUB: 0.08, WETLAND: 0.14, SAND: 0.06, TIDAL_FLAT: 0.10},
        farmland=0.6,
        crops={"maize": 0.18, "winter cereal": 0.27, "rapeseed": 0.1, "pasture": 0.4, "fallow": 0.05},
        field_ha=3.5, pivots=False, towns=3, town_px=35,
        roofs={ROOF_LIGHT: 0.2, ROOF_DARK: 0.3, ROOF_TILE: 0.5},
        lake=False, river=True, sea=True,
        clear=(0.14, 0.18, 0.24, 0.30, 0.32, 0.30, 0.28, 0.30, 0.26, 0.22, 0.14, 0.12),
        cloudy=(0.62, 0.58, 0.48, 0.40, 0.36, 0.36, 0.38, 0.36, 0.42, 0.50, 0.62, 0.66),
        snow=(0.15, 0.15, 0.06, 0.01, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.02, 0.08),
        snow_line=(0.0, 20.0),
        haze=0.010,
        dry=(0.02, 0.1, 0.6, 0.9, 0.7, 0.6, 0.9, 1.0, 0.4, 0.15, 0.05, 0.02),
        events={
            "wildfire": 0.05, "road": 0.14, "clear_cut": 0.12, "logging": 0.06, "urban": 0.24, "solar_farm": 0.12,
            "reservoir_fill": 0.03, "reservoir_drain": 0.04, "flood": 0.16, "mine": 0.04
        },
    ),
}
# fmt: on
"""Every biome, by name."""
