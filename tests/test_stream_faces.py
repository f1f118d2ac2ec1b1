"""The two faces of the generator, archive and stream: the same statistics over several kinds of country.

First what is decided (skies, haze, snow, water, misregistration), over many passes; then what is drawn when both faces
are given the same passes and windows (covers, classes, reflectance, NDVI by season); then what changes do.
"""

from dataclasses import dataclass, fields, replace
from datetime import UTC, date, datetime, time, timedelta

import numpy as np
import pytest
import torch

from encoder.stream import SeriesBatch, SimulatedStream, StreamConfig
from encoder.stream_almanac import Shots
from encoder.stream_country import KINDS, SLOT_DAYS, CountryConfig, area_years
from encoder.stream_draw import Scene, draw_images
from encoder.stream_grounds import new_grounds
from encoder.stream_sky import new_weather_tensors
from stac.simulation.areas import SIZES
from stac.simulation.biomes import BIOMES
from stac.simulation.change import Change
from stac.simulation.covers import BANDS, BANDS_20M, COVERS
from stac.simulation.ground import Ground
from stac.simulation.passes import LOWEST_SUN, plan_overpasses
from stac.simulation.phenology import new_season
from stac.simulation.shot import SKIES, Shot
from stac.simulation.sun import sun_angles
from stac.simulation.view import BANDS_10M, new_view
from stac.simulation.years import Years

MIXED = CountryConfig(
    biomes=("temperate", "boreal", "coast"), ground_px=160, changes=6, first=date(2021, 1, 1), years=2, seed=4
)
"""Hills with short snow, the north with its winters, the sea with its tides."""

Land = tuple[list[Ground], list[list[Change]], list[Years]]


@pytest.fixture(scope="module")
def land() -> Land:
    return *new_grounds(MIXED), area_years(MIXED)


@dataclass(frozen=True)
class Decided:
    """What one face decides about its passes: one row each."""

    ground: np.ndarray
    month: np.ndarray
    sky: np.ndarray
    haze: np.ndarray
    snow_line: np.ndarray
    laden_line: np.ndarray
    ice: np.ndarray
    level: np.ndarray
    elevation: np.ndarray
    length: np.ndarray
    """Of the misregistration, pixels."""


@pytest.fixture(scope="module")
def mixed() -> SimulatedStream:
    return SimulatedStream(StreamConfig(country=MIXED, chip_size=48, dates=8, batch=32, changed=0.0, seed=5))


@pytest.fixture(scope="module")
def archive_decides() -> Decided:
    rows = []
    for ground, name in enumerate(MIXED.biomes):
        biome = BIOMES[name]
        here = next(area for area in SIZES["benchmark"].areas if area.biome == name)
        plan = replace(SIZES["benchmark"], first=MIXED.first, last=MIXED.last)
        for seed in range(25):
            for o in plan_overpasses(here, biome, plan, np.random.default_rng([seed, ground])):
                shot = o.shot
                lines = shot.snow_line, shot.laden_line
                sun = shot.sun_elevation
                known = ground, shot.time.month, SKIES.index(shot.sky), shot.haze, *lines, shot.ice, shot.level, sun
                rows.append((*known, np.hypot(*shot.shift)))
    return Decided(*np.array(rows).T)


@pytest.fixture(scope="module")
def stream_decides(mixed: SimulatedStream) -> Decided:
    rng = np.random.default_rng(0)
    country, almanac = mixed.country, mixed.almanac
    place = np.stack([rng.integers(0, high, 1_000) for high in (len(country.biomes), 128, 128, 8)], axis=1)
    light = [np.flatnonzero(almanac.light[ground]) for ground in place[:, 0]]
    slots = np.stack([rng.choice(known, 24, replace=False) for known in light])
    shots = almanac.draw(place, slots, rng)
    month = np.array([(MIXED.first + timedelta(days=int(slot) * SLOT_DAYS)).month for slot in slots.ravel()])
    lines = shots.snow_line, shots.laden_line, shots.ice
    length = np.hypot(*shots.shift.T)
    ground = np.repeat(place[:, 0], 24)
    return Decided(ground, month, shots.sky, shots.haze, *lines, shots.level, shots.elevation, length)


def test_both_faces_meet_the_same_skies_and_haze(archive_decides: Decided, stream_decides: Decided) -> None:
    for ground in range(len(MIXED.biomes)):
        one, two = (of(d, "sky", d.ground == ground) for d in (archive_decides, stream_decides))
        shares = [np.bincount(sky.astype(int), minlength=len(SKIES)) / len(sky) for sky in (one, two)]
        # The stream draws from a stock of about 1,200 passes a ground: four standard errors of the difference.
        np.testing.assert_allclose(shares[0], shares[1], atol=4 * np.sqrt(0.2 * (1 / len(one) + 1 / 1_200)))
    for hazy in (True, False):
        quantiles = [
            np.quantile(of(d, "haze", (d.sky == SKIES.index("hazy")) == hazy), (0.1, 0.5, 0.9))
            for d in (archive_decides, stream_decides)
        ]
        np.testing.assert_allclose(quantiles[0], quantiles[1], atol=0.0015)


def test_both_faces_have_the_same_winters_and_the_same_polar_night(
    archive_decides: Decided, stream_decides: Decided
) -> None:
    for ground, name in enumerate(MIXED.biomes):
        low, high = BIOMES[name].height
        for months in ((1, 2), (3, 4), (5, 6, 7, 8, 9), (10, 11, 12)):
            lies = []
            for d in (archive_decides, stream_decides):
                here = (d.ground == ground) & np.isin(d.month, months)
                rising = (d.snow_line[here] < low, d.snow_line[here] < high - 100)
                lies.append([part.mean() for part in (*rising, d.laden_line[here] < low, d.ice[here] > 10)])
            np.testing.assert_allclose(lies[0], lies[1], atol=0.16, err_msg=f"{name} {months}")
    dark = MIXED.biomes.index("boreal")
    for d in (archive_decides, stream_decides):
        assert d.elevation.min() >= LOWEST_SUN
        assert not ((d.ground == dark) & (d.month == 12)).any()


def test_both_faces_are_placed_alike_and_have_wet_and_dry_years(
    archive_decides: Decided, stream_decides: Decided
) -> None:
    both = archive_decides, stream_decides
    np.testing.assert_allclose(*(np.quantile(d.length, (0.05, 0.3, 0.6)) for d in both), atol=0.03)
    np.testing.assert_allclose(*((d.length > 0.3).mean() for d in both), atol=0.05)
    assert min(d.length.max() for d in both) > 1.1
    for ground, name in enumerate(MIXED.biomes):
        months = [of(d, "level", (d.ground == ground) & ((d.month == 6) | (name == "coast"))) for d in both]
        np.testing.assert_allclose(*(np.quantile(level, (0.1, 0.5, 0.9)) for level in months), atol=0.25, err_msg=name)
        assert name == "coast" or min(np.ptp(level) for level in months) > 0.7


def test_a_location_has_one_winter_and_one_water(mixed: SimulatedStream) -> None:
    """The same place and day have the same snow, however often they are drawn; other places may have other snow."""
    ground = MIXED.biomes.index("temperate")
    slots = np.flatnonzero(mixed.almanac.light[ground])[None]
    place, other = np.array([[ground, 40, 60, 1]]), np.array([[ground, 42, 60, 1]])
    one, again, apart = (
        mixed.almanac.draw(at, slots, np.random.default_rng(seed)) for at, seed in ((place, 0), (place, 1), (other, 2))
    )
    for name in ("snow_line", "laden_line", "ice", "level"):
        np.testing.assert_array_equal(getattr(one, name), getattr(again, name))
    assert (one.snow_line != apart.snow_line).any()
    assert (one.sky != again.sky).any()


def of(decided: Decided, name: str, where: np.ndarray) -> np.ndarray:
    """One column where something holds."""
    return np.asarray(getattr(decided, name)[where])


@dataclass(frozen=True, eq=False)
class Face:
    """What one face drew of the same passes: bands at 20 m (n, C), classes (n,), ground and season of each pixel."""

    bands: np.ndarray
    scl: np.ndarray
    ground: np.ndarray
    summer: np.ndarray


@dataclass
class _Known:
    """An almanac that knows one pass for each ground and day: those that the archive's face draws."""

    light: np.ndarray
    table: dict[tuple[int, int], int]
    shots: Shots

    def draw(self, place: np.ndarray, slots: np.ndarray, rng: np.random.Generator) -> Shots:
        rows = [self.table[int(g), int(slot)] for g, days in zip(place[:, 0], slots, strict=True) for slot in days]
        return Shots(*(getattr(self.shots, item.name)[rows] for item in fields(Shots)))


@pytest.fixture(scope="module")
def passes(mixed: SimulatedStream) -> list[tuple[int, int, Shot]]:
    """Ground, slot and shot of 10 passes over each ground: spread over the year and over the kinds of sky."""
    found = []
    rng = np.random.default_rng(2)
    for ground, name in enumerate(MIXED.biomes):
        biome, light = BIOMES[name], np.flatnonzero(mixed.almanac.light[ground])
        for n, slot in enumerate(light[np.linspace(0, len(light) - 1, 10).astype(int)].tolist()):
            sky = ("clear", "cumulus", "hazy", "broken", "clear", "cirrus", "clear", "overcast")[(n + 3 * ground) % 8]
            when = datetime.combine(MIXED.first, time(10, 30), UTC) + timedelta(days=slot * SLOT_DAYS)
            drawn = mixed.almanac.draw(np.array([[ground, 20, 20, 0]]), np.array([[slot]]), rng)
            sun = sun_angles(when - timedelta(hours=biome.lon / 15), biome.lon, biome.lat)
            lines = float(drawn.snow_line[0]), float(drawn.level[0])
            shot = Shot(n, when, sky, 0.004, *lines, *sun, (0.5, -0.3))
            found.append((ground, slot, replace(shot, laden_line=float(drawn.laden_line[0]), ice=float(drawn.ice[0]))))
    return found


@pytest.fixture(scope="module")
def batches_of_passes(mixed: SimulatedStream, passes: list[tuple[int, int, Shot]]) -> list[SeriesBatch]:
    """Batches whose days and decisions are those of `passes`."""
    light = np.zeros_like(mixed.almanac.light)
    table = {}
    for row, (ground, slot, _) in enumerate(passes):
        light[ground, slot], table[ground, slot] = True, row
    shots = [shot for *_, shot in passes]
    names = ("haze", "snow_line", "laden_line", "ice", "level", "shift")
    known = Shots(
        sky=np.array([SKIES.index(shot.sky) for shot in shots]),
        azimuth=np.array([shot.sun_azimuth for shot in shots]),
        elevation=np.array([shot.sun_elevation for shot in shots]),
        **{name: np.array([getattr(shot, name) for shot in shots]) for name in names},
    )
    usual, mixed.almanac = mixed.almanac, _Known(light, table, known)  # type: ignore[assignment]
    try:
        return [mixed.draw() for _ in range(3)]
    finally:
        mixed.almanac = usual


@pytest.fixture(scope="module")
def stream_draws(batches_of_passes: list[SeriesBatch]) -> Face:
    chips = []
    for batch in batches_of_passes:
        image = torch.nn.functional.avg_pool2d(batch.images.flatten(0, 1).float(), 2).numpy()
        where = np.repeat(batch.place.numpy(), batch.days.shape[1], axis=0)
        chips += list(zip(image, batch.scl.flatten(0, 1).numpy(), where, batch.days.flatten().tolist(), strict=True))
    return _as_face(chips)


@pytest.fixture(scope="module")
def archive_draws(batches_of_passes: list[SeriesBatch], passes: list[tuple[int, int, Shot]], land: Land) -> Face:
    """The same windows cut out of whole grounds, each of which saw each of its passes once."""
    views = {}
    for number, slot, shot in passes:
        ground, day = land[0][number], shot.time.timetuple().tm_yday
        season = new_season(
            BIOMES[ground.biome], day, shot.time.year - MIXED.first.year, ground.fields, land[2][number]
        )
        view = new_view(ground, (), season, BIOMES[ground.biome], shot, np.random.default_rng([7, number, shot.index]))
        fine = view.bands10.astype(np.float32).reshape(4, ground.shape[0] // 2, 2, -1, 2).mean(axis=(2, 4))
        names = (*BANDS_10M, *BANDS_20M)
        views[number, slot] = np.concatenate([fine, view.bands20])[[names.index(name) for name in BANDS]], view.scl
    chips = []
    for batch in batches_of_passes:
        for where, days in zip(batch.place.tolist(), batch.days.tolist(), strict=True):
            row, col = where[1] // 2, where[2] // 2
            for day in days:
                image, scl = views[where[0], day // SLOT_DAYS]
                cut = np.s_[..., row : row + 24, col : col + 24]
                chips.append((image[cut], scl[cut], where, day))
    return _as_face(chips)


def _as_face(chips: list[tuple[np.ndarray, np.ndarray, list[int], int]]) -> Face:
    """Pixels of all chips in one row."""
    pixels = chips[0][1].size
    days = [MIXED.first + timedelta(days=day) for *_, day in chips]
    return Face(
        bands=np.concatenate([image.reshape(len(BANDS), -1).T for image, *_ in chips]),
        scl=np.concatenate([scl.ravel() for _, scl, *_ in chips]),
        ground=np.repeat([where[0] for *_, where, _ in chips], pixels),
        summer=np.repeat([day.month in (5, 6, 7, 8, 9) for day in days], pixels),
    )


def test_windows_show_each_cover_as_often_as_the_grounds_hold_it(mixed: SimulatedStream, land: Land) -> None:
    drawn = [mixed._pick().place for _ in range(80)]
    place = np.concatenate(drawn)
    for number, ground in enumerate(land[0]):
        own = place[place[:, 0] == number, 1:3]
        seen = np.concatenate([ground.cover[row : row + 48, col : col + 48].ravel() for row, col in own])
        np.testing.assert_array_equal(mixed.country.layers["cover"][number].numpy(), ground.cover)
        reach = np.convolve(np.ones(MIXED.ground_px - 16 - 48 + 1), np.ones(48))  # how many windows a row lies in
        weight = np.outer(reach, reach).ravel()
        cover = np.minimum(ground.cover[8:-8, 8:-8], len(COVERS)).ravel()  # fields are one class here
        wanted = np.bincount(cover, weights=weight, minlength=len(COVERS) + 1) / weight.sum()
        found = np.bincount(np.minimum(seen, len(COVERS)), minlength=len(COVERS) + 1) / seen.size
        np.testing.assert_allclose(found, wanted, atol=0.04)


def test_both_faces_classify_the_same_passes_alike(archive_draws: Face, stream_draws: Face) -> None:
    for ground, name in enumerate(MIXED.biomes):
        for summer in (True, False):
            shares = []
            for face in (archive_draws, stream_draws):
                scl = face.scl[(face.ground == ground) & (face.summer == summer)]
                shares.append(np.bincount(scl, minlength=12) / len(scl))
            np.testing.assert_allclose(shares[0], shares[1], atol=0.1, err_msg=f"{name} {summer}")
    clouds = [np.isin(face.scl, (8, 9, 10)).mean() for face in (archive_draws, stream_draws)]
    assert clouds[0] == pytest.approx(clouds[1], abs=0.05)
    assert 0.15 < clouds[0] < 0.6
    every = [np.bincount(face.scl, minlength=12) / len(face.scl) for face in (archive_draws, stream_draws)]
    np.testing.assert_allclose(every[0], every[1], atol=0.04)


def test_both_faces_have_the_same_reflectances_and_seasons(archive_draws: Face, stream_draws: Face) -> None:
    for ground, name in enumerate(MIXED.biomes):
        for summer in (True, False):
            kept = [
                face.bands[(face.ground == ground) & (face.summer == summer) & np.isin(face.scl, (4, 5))]
                for face in (archive_draws, stream_draws)
            ]
            if min(map(len, kept)) < 20_000:
                continue
            parts = (0.25, 0.5, 0.75) if summer else (0.5,)  # in winter few pixels are neither snow nor cloud
            one, two = (np.log(np.quantile(part, parts, axis=0)) for part in kept)
            np.testing.assert_allclose(one, two, atol=0.17 if summer else 0.2, err_msg=f"{name} {summer}")
            red, near = BANDS.index("B04"), BANDS.index("B08")
            ndvi = [np.median((p[:, near] - p[:, red]) / (p[:, near] + p[:, red])) for p in kept]
            assert ndvi[0] == pytest.approx(ndvi[1], abs=0.04 if summer else 0.07), (name, summer)


Winter = tuple[float, float]
"""Snow line, metres, and ice, cm."""


def _stream_change(
    found: SimulatedStream, change: int, slot: int, corner: tuple[int, int], winter: Winter
) -> np.ndarray:
    """What a change did to a window (C, 48, 48), as the stream draws it: with it less without it."""

    def whole(value: int) -> torch.Tensor:
        return torch.tensor([value])

    def real(value: float) -> torch.Tensor:
        return torch.tensor([value], dtype=torch.float32)

    country = found.country
    scene = Scene(
        side=48,
        ground=whole(int(country.ground[change])),
        row=whole(corner[0]),
        col=whole(corner[1]),
        turn=whole(0),
        slot=whole(slot),
        change=whole(change),
        age=real(slot * SLOT_DAYS - country.start[change]),
        span=real(country.span[change]),
        weather=new_weather_tensors(*CLEAR_NOON, np.random.default_rng(5), torch.device("cpu")),
        snow_line=real(winter[0]),
        laden_line=real(np.inf),
        ice=real(winter[1]),
        level=real(0),
        veer=real(0),
        shift=torch.zeros(1, 2),
        burns=torch.tensor([False]),
    )
    drawn = [
        draw_images(country, found._canvases, part, noise)
        for part, noise in (
            (scene, torch.Generator().manual_seed(1)),
            (replace(scene, change=whole(-1)), torch.Generator().manual_seed(1)),
        )
    ]
    assert float(drawn[1].changed) == 0
    return (drawn[0].images[0].float() - drawn[1].images[0].float()).numpy()


CLEAR_NOON = (np.array([SKIES.index("clear")]), np.zeros(1), np.full(1, 150.0), np.full(1, 50.0))


def _archive_change(
    ground: Ground, years: Years, change: Change, day: int, corner: tuple[int, int], winter: Winter
) -> np.ndarray:
    """The same from the archive's face, bands of 20 m repeated."""
    when = datetime.combine(MIXED.first, time(12), UTC) + timedelta(days=day)
    shot = replace(Shot(0, when, "clear", 0.0, winter[0], 0.0, 150.0, 50.0, (0.0, 0.0)), ice=winter[1])
    biome = BIOMES[ground.biome]
    season = new_season(biome, when.timetuple().tm_yday, when.year - MIXED.first.year, ground.fields, years)
    views = [new_view(ground, part, season, biome, shot, np.random.default_rng(9)) for part in ([change], [])]
    fine = views[0].bands10.astype(float) - views[1].bands10
    coarse = np.repeat(np.repeat(views[0].bands20.astype(float) - views[1].bands20, 2, axis=1), 2, axis=2)
    names = (*BANDS_10M, *BANDS_20M)
    image = np.concatenate([fine, coarse])[[names.index(name) for name in BANDS]]
    return image[:, corner[0] : corner[0] + 48, corner[1] : corner[1] + 48]


@pytest.mark.parametrize("winter", [(np.inf, 0.0), (-1_000.0, 30.0)])
def test_both_faces_draw_the_same_changes(mixed: SimulatedStream, land: Land, winter: Winter) -> None:
    """Each change, two months after its end under a clear sky: its class, its size, what it did to each band.

    Floods are seen within ten days in winter, while there is water to freeze.
    """
    country, compared = mixed.country, 0
    flat = [(number, change) for number, part in enumerate(land[1]) for change in part]
    assert [change.kind for _, change in flat] == [KINDS[kind] for kind in country.kind]
    for k, (number, change) in enumerate(flat):
        ground = land[0][number]
        later = 10 if winter[1] > 0 and change.kind == "flood" else 60
        day = ((change.end - MIXED.first).days + later) // SLOT_DAYS * SLOT_DAYS
        if day >= country.slots * SLOT_DAYS:
            continue
        rows, cols = np.nonzero(change.strength > 0.5)
        middle = int(np.median(rows)) + change.top - 24, int(np.median(cols)) + change.left - 24
        row, col = (min(max(at // 2 * 2, 8), MIXED.ground_px - 56) for at in middle)
        ours = _archive_change(ground, land[2][number], change, day, (row, col), winter)
        theirs = _stream_change(mixed, k, day // SLOT_DAYS, (row, col), winter)
        size = [(np.abs(part).max(axis=0) > 100).mean() for part in (ours, theirs)]
        assert size[0] == pytest.approx(size[1], abs=0.04, rel=0.1), change.kind
        means = [part.mean(axis=(1, 2)) for part in (ours, theirs)]
        np.testing.assert_allclose(means[0], means[1], atol=25, rtol=0.2, err_msg=change.kind)
        compared += 1
    assert compared >= 6
