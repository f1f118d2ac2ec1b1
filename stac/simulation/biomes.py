"""The kinds of country that the generator draws: climate, covers, farms, towns and the events to expect.

Sources, by field:

- Places: an invented site within a real region of each biome (Olson et al. 2001, terrestrial ecoregions,
  https://doi.org/10.1641/0006-3568(2001)051[0933:TEOTWA]2.0.CO;2); only sun angles and a UTM zone come of them.
- `clear`, `cloudy`: assumed, after the cloud frequency that MODIS sees in late morning and early afternoon (by month:
  Wilson & Jetz 2016, https://doi.org/10.1371/journal.pbio.1002415; over the globe: King et al. 2013,
  https://doi.org/10.1109/TGRS.2012.2227333): about 0.2 in mediterranean summers, 0.6 to 0.7 in temperate winters, 0.8
  in the wet season of rainforests, below 0.2 in deserts. That counts kilometres with any cloud; the ground that clouds
  cover is about a sixth less, and the scene classification misses thin ones. In one square kilometre of Romanian forest
  (140 dates) it calls 0.36 cloudy, snowy or shaded, but the cloudiest dates may lack there. So temperate country stands
  between: a mean of about 0.5, a third of the passes clear.
- `warmth`, `swing`, `rain`: assumed, of the order of the normals of 1991 to 2020 of towns in each region (what normals
  are: World Meteorological Organization, WMO-No. 1203); `winter` makes snow and ice of them. The days with snow that
  come of it are of the order of those in Dietz et al. (2012, https://doi.org/10.3390/rs4082432).
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
    warmth: Year
    """Mean temperature of the lowest ground, °C."""
    swing: float
    """Spread of a winter day's mean temperature around the month's, K."""
    rain: Year
    """Precipitation, mm a month."""
    haze: float
    """Typical aerosol left after atmospheric correction, reflectance in B02."""
    dry: Year
    """Fire weather by month, 0 to 1."""
    events: Mapping[str, float]
    """Relative frequency of each class of `looks.LOOKS` that happens here; they sum to 1."""
    south: bool = False
    """Whether it lies in the southern hemisphere: seasons half a year later."""

    @property
    def snow(self) -> tuple[float, ...]:
        """Share of each month's days, about, with snow at middle height: what the season of works follows.

        assumed: none where the month's mean there is above 3 °C, all below −3 °C.
        """
        colder = 0.006 * (self.height[1] - self.height[0]) / 2
        return tuple(min(max((3.0 - (mean - colder)) / 6.0, 0.0), 1.0) for mean in self.warmth)


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
        clear=(0.40, 0.42, 0.45, 0.52, 0.63, 0.75, 0.84, 0.84, 0.80, 0.67, 0.50, 0.40),
        cloudy=(0.38, 0.34, 0.30, 0.22, 0.14, 0.07, 0.04, 0.04, 0.06, 0.14, 0.27, 0.37),
        warmth=(8.3, 10.6, 13.1, 15.8, 20.3, 24.6, 27.3, 26.3, 23.8, 18.4, 12.0, 8.2),
        swing=3.0,
        rain=(95, 85, 60, 25, 20, 8, 1, 1, 4, 25, 50, 90),
        haze=0.006,
        dry=(0.02, 0.02, 0.03, 0.06, 0.2, 0.5, 0.9, 1.0, 0.9, 0.55, 0.15, 0.03),
        events={
            "wildfire": 0.26, "road": 0.10, "clear_cut": 0.12, "logging": 0.06, "urban": 0.11, "solar_farm": 0.08,
            "reservoir_fill": 0.04, "reservoir_drain": 0.05, "flood": 0.04, "landslide": 0.09, "mine": 0.05
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
        clear=(0.24, 0.28, 0.33, 0.36, 0.34, 0.35, 0.41, 0.43, 0.40, 0.34, 0.24, 0.22),
        cloudy=(0.50, 0.45, 0.37, 0.31, 0.30, 0.27, 0.23, 0.22, 0.26, 0.36, 0.50, 0.53),
        warmth=(0.0, 0.9, 4.9, 9.2, 13.6, 17.1, 18.9, 18.5, 13.9, 9.1, 4.0, 0.9),
        swing=4.5,
        rain=(45, 40, 52, 50, 90, 90, 100, 95, 65, 58, 52, 55),
        haze=0.008,
        dry=(0.02, 0.05, 0.4, 0.6, 0.5, 0.5, 0.9, 1.0, 0.5, 0.2, 0.03, 0.02),
        events={
            "wildfire": 0.06, "road": 0.12, "clear_cut": 0.19, "logging": 0.09, "urban": 0.16, "solar_farm": 0.09,
            "reservoir_fill": 0.04, "reservoir_drain": 0.03, "flood": 0.09, "landslide": 0.08, "mine": 0.05
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
        clear=(0.22, 0.29, 0.36, 0.38, 0.37, 0.33, 0.32, 0.30, 0.28, 0.22, 0.17, 0.16),
        cloudy=(0.55, 0.46, 0.37, 0.34, 0.32, 0.32, 0.31, 0.34, 0.39, 0.49, 0.57, 0.60),
        warmth=(-9.0, -8.4, -4.0, 1.6, 7.6, 12.3, 14.8, 13.0, 8.2, 2.2, -3.8, -8.0),
        swing=5.0,
        rain=(38, 30, 28, 28, 42, 70, 80, 75, 50, 50, 42, 42),
        haze=0.004,
        dry=(0.0, 0.0, 0.02, 0.2, 0.6, 0.9, 1.0, 0.7, 0.25, 0.05, 0.0, 0.0),
        events={
            "wildfire": 0.17, "road": 0.12, "clear_cut": 0.26, "logging": 0.11, "urban": 0.02, "reservoir_fill": 0.05,
            "reservoir_drain": 0.12, "flood": 0.05, "landslide": 0.05, "mine": 0.05
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
        clear=(0.06, 0.06, 0.07, 0.13, 0.28, 0.47, 0.56, 0.50, 0.34, 0.19, 0.11, 0.07),
        cloudy=(0.64, 0.64, 0.60, 0.47, 0.30, 0.15, 0.11, 0.15, 0.25, 0.38, 0.50, 0.60),
        warmth=(26.0, 26.0, 26.0, 26.2, 26.2, 25.8, 25.8, 27.0, 27.0, 27.0, 26.6, 26.2),
        swing=1.5,
        rain=(320, 300, 300, 220, 120, 40, 25, 45, 100, 180, 230, 290),
        haze=0.012,
        dry=(0.02, 0.02, 0.02, 0.03, 0.1, 0.3, 0.6, 1.0, 1.0, 0.5, 0.15, 0.04),
        events={
            "wildfire": 0.15, "road": 0.13, "clear_cut": 0.26, "logging": 0.16, "urban": 0.04, "reservoir_fill": 0.04,
            "flood": 0.07, "landslide": 0.06, "mine": 0.09
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
        warmth=(22.5, 22.3, 22.0, 20.8, 18.5, 16.2, 16.0, 18.4, 22.2, 24.5, 23.8, 22.7),
        swing=2.0,
        rain=(220, 180, 100, 25, 4, 0, 0, 0, 3, 20, 90, 200),
        haze=0.012,
        dry=(0.01, 0.01, 0.02, 0.08, 0.3, 0.6, 0.8, 1.0, 1.0, 0.6, 0.12, 0.02),
        events={
            "wildfire": 0.33, "road": 0.09, "clear_cut": 0.11, "logging": 0.08, "urban": 0.09, "solar_farm": 0.04,
            "reservoir_fill": 0.04, "reservoir_drain": 0.04, "flood": 0.05, "landslide": 0.07, "mine": 0.06
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
        warmth=(14.0, 16.2, 19.8, 23.8, 28.5, 33.2, 35.5, 35.0, 31.6, 25.0, 18.2, 13.4),
        swing=3.0,
        rain=(15, 14, 10, 4, 1, 0, 8, 14, 12, 8, 7, 13),
        haze=0.010,
        dry=(0.02, 0.03, 0.1, 0.3, 0.7, 1.0, 0.8, 0.6, 0.5, 0.3, 0.1, 0.03),
        events={
            "wildfire": 0.02, "road": 0.22, "urban": 0.20, "solar_farm": 0.28, "reservoir_fill": 0.08, "flood": 0.06,
            "mine": 0.14
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
        clear=(0.34, 0.35, 0.35, 0.36, 0.37, 0.40, 0.46, 0.47, 0.50, 0.48, 0.38, 0.33),
        cloudy=(0.43, 0.41, 0.39, 0.34, 0.30, 0.23, 0.18, 0.19, 0.22, 0.26, 0.38, 0.45),
        warmth=(-5.5, -3.0, 3.5, 10.0, 16.3, 21.9, 24.1, 22.9, 18.6, 11.8, 4.0, -2.4),
        swing=6.5,
        rain=(26, 33, 54, 98, 127, 126, 97, 106, 81, 71, 56, 39),
        haze=0.009,
        dry=(0.05, 0.1, 0.6, 1.0, 0.4, 0.2, 0.2, 0.2, 0.3, 0.5, 0.3, 0.05),
        events={
            "wildfire": 0.03, "road": 0.16, "clear_cut": 0.08, "logging": 0.03, "urban": 0.23, "solar_farm": 0.20,
            "reservoir_fill": 0.05, "reservoir_drain": 0.04, "flood": 0.12, "mine": 0.06
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
        clear=(0.20, 0.25, 0.32, 0.37, 0.37, 0.35, 0.34, 0.36, 0.33, 0.28, 0.20, 0.18),
        cloudy=(0.54, 0.49, 0.39, 0.32, 0.30, 0.29, 0.30, 0.28, 0.33, 0.42, 0.54, 0.58),
        warmth=(3.2, 3.4, 5.4, 8.8, 12.6, 15.7, 18.0, 18.2, 15.5, 11.4, 7.2, 4.3),
        swing=3.5,
        rain=(62, 48, 45, 38, 48, 65, 75, 78, 75, 75, 75, 75),
        haze=0.010,
        dry=(0.02, 0.1, 0.6, 0.9, 0.7, 0.6, 0.9, 1.0, 0.4, 0.15, 0.05, 0.02),
        events={
            "wildfire": 0.04, "road": 0.17, "clear_cut": 0.10, "logging": 0.06, "urban": 0.25, "solar_farm": 0.17,
            "reservoir_fill": 0.05, "flood": 0.08, "mine": 0.08
        },
    ),
}
# fmt: on
"""Every biome, by name."""
