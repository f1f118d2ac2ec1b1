"""Shapes of planted events: each class keeps to the facts that make it what it is."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
from scipy import ndimage
from skimage.graph import MCP_Geometric

from stac.simulation.covers import ASPHALT, COVERS, FORESTS, GARDEN, GRASS, RIVER, TRACK, WATER
from stac.simulation.events import MAKERS
from stac.simulation.ground import Ground
from stac.simulation.looks import ZONES
from stac.simulation.shapes import CLEARANCE, SIZES, Shape, Survey, crowding, limits
from stac.simulation.shapes_burn import is_compact, new_fire, spread
from stac.simulation.shapes_earth import descent
from stac.simulation.shapes_flood import _flood_layers
from stac.simulation.shapes_mine import FORMS, new_mine
from stac.simulation.shapes_water import _level_to_reach, dammed
from tests.country import new_country, new_survey

EIGHT = np.ones((3, 3), dtype=bool)
SPOIL, POND, DARK = (ZONES["mine"].index(name) for name in ("spoil", "pond", "dark rock"))


@pytest.fixture(scope="module")
def ground() -> Ground:
    return new_country()


@pytest.fixture(scope="module")
def survey(ground: Ground) -> Survey:
    return new_survey(ground)


@pytest.fixture(scope="module")
def shapes(survey: Survey) -> dict[str, list[Shape]]:
    """Up to three shapes of each class, all on the same free ground."""
    made: dict[str, list[Shape]] = {}
    for kind, maker in MAKERS.items():
        rng = np.random.default_rng(11)
        found = (maker(survey, rng) for _ in range(150))
        made[kind] = []
        for shape in found:
            if shape is not None:
                made[kind].append(shape)
            if len(made[kind]) == 3:
                break
    return made


def cut(field: np.ndarray, shape: Shape) -> np.ndarray:
    rows, cols = shape.strength.shape
    return field[shape.top : shape.top + rows, shape.left : shape.left + cols]


@pytest.mark.parametrize("kind", MAKERS)
def test_a_shape_is_whole(kind: str, shapes: dict[str, list[Shape]], survey: Survey) -> None:
    assert shapes[kind], "the ground has a place for every class"
    for shape in shapes[kind]:
        on = shape.strength > 0
        assert shape.strength.dtype == shape.onset.dtype == np.float32
        assert shape.zone.dtype == np.uint8
        assert shape.strength.max() <= 1
        assert shape.onset[~on].max(initial=0) == 0
        assert shape.zone[~on].max(initial=0) == 0
        assert shape.onset[on].min() == 0
        assert shape.onset.max() == (1 if np.unique(shape.onset[on]).size > 1 else 0)
        assert not (on & ~shape.site).any()
        assert not (shape.site & cut(survey.taken, shape)).any()


@pytest.mark.parametrize(
    ("kind", "zones"),
    [
        ("wildfire", 2),
        ("road", 2),
        ("clear_cut", 2),
        ("logging", 2),
        ("urban", 5),
        ("solar_farm", 2),
        ("reservoir_fill", 2),
        ("reservoir_drain", 1),
        ("flood", 5),
        ("landslide", 2),
    ],
)
def test_zones_are_all_there_and_no_other(kind: str, zones: int, shapes: dict[str, list[Shape]]) -> None:
    seen = np.unique(np.concatenate([shape.zone[shape.strength > 0] for shape in shapes[kind]]))
    assert seen.tolist() == list(range(zones))


@pytest.mark.parametrize("kind", [kind for kind in MAKERS if kind not in {"road", "logging", "reservoir_drain"}])
def test_sizes_are_within_the_limits_of_the_ground(kind: str, shapes: dict[str, list[Shape]], ground: Ground) -> None:
    low, most = limits(kind, ground.shape)
    for shape in shapes[kind]:
        assert 0.5 * low <= np.count_nonzero(shape.strength > 0.3) <= 1.3 * most


def test_limits_shrink_with_the_ground_and_where_many_events_are_wanted() -> None:
    for kind, (low, high, _) in SIZES.items():
        assert limits(kind, (5_000, 5_000)) == (100 * low, 100 * high)
        assert limits(kind, (200, 300))[1] <= limits(kind, (640, 1024))[1]
    assert crowding({"wildfire": 1}, (640, 1024)) == 1
    assert crowding({"wildfire": 40}, (640, 1024)) < 0.5


def test_fire_runs_with_the_wind_and_uphill() -> None:
    fuel, level = np.ones((121, 121)), np.zeros((121, 121), dtype=np.float32)
    time = spread(level, fuel, (60, 60), 2_500, (0.0, 2.0))
    burnt = np.isfinite(time)
    assert burnt.sum() == 2_500
    assert burnt[60, 60:].sum() > 2 * burnt[60, :61].sum()
    slope = np.repeat(np.arange(121, dtype=np.float32)[::-1, None] * 2.5, 121, axis=1)
    burnt = np.isfinite(spread(slope, fuel, (60, 60), 2_500, (0.0, 2.0)))
    assert burnt[:60].sum() > 1.5 * burnt[61:].sum()


def test_fire_stops_where_nothing_burns(shapes: dict[str, list[Shape]], ground: Ground) -> None:
    fuel, level = np.ones((41, 41)), np.zeros((41, 41), dtype=np.float32)
    fuel[:, 25] = 0
    assert np.isinf(spread(level, fuel, (20, 20), 5_000, (0.0, 2.0))[:, 25:]).all()
    for shape in shapes["wildfire"]:
        cover = cut(ground.cover, shape)
        assert not np.isin(cover[shape.strength > 0], (WATER, RIVER, ASPHALT, TRACK)).any()
        assert np.ptp(shape.strength[shape.strength > 0]) > 0.3


def test_a_stronger_wind_draws_a_fire_out() -> None:
    fuel, level = np.ones((151, 151)), np.zeros((151, 151), dtype=np.float32)

    def elongation(length: float, wind: float) -> float:
        places = np.argwhere(np.isfinite(spread(level, fuel, (75, 75), 800, (wind, length))))
        minor, major = np.linalg.eigvalsh(np.cov(places.T))
        return float(np.sqrt(major / minor))

    for wind in (0.0, 0.3, np.pi / 4, 2.0):
        assert elongation(1.0, wind) == pytest.approx(1, abs=0.1)
        assert elongation(1.5, wind) < elongation(2.5, wind) < elongation(4.0, wind)
        assert elongation(2.5, wind) == pytest.approx(2.5, rel=0.3)


def test_no_fire_burns_field_margins_or_gardens(ground: Ground) -> None:
    y, x = np.mgrid[: ground.shape[0], : ground.shape[1]]
    margin = (y % 22 < 4) | (x % 26 < 4)
    for cover in (np.where(margin, GRASS, len(COVERS)), np.full(ground.shape, GARDEN)):
        rng, crop = np.random.default_rng(3), np.zeros_like(ground.fields.crop)
        farmed = replace(ground, cover=cover.astype(np.int16), fields=replace(ground.fields, crop=crop))
        survey = new_survey(farmed)
        assert [new_fire(survey, rng) for _ in range(40)] == [None] * 40


def test_scars_are_compact(shapes: dict[str, list[Shape]]) -> None:
    assert all(is_compact(shape.strength > 0) for shape in shapes["wildfire"])
    y, x = np.mgrid[:90, :90]
    disc = np.hypot(y - 45, x - 45) < 30
    assert is_compact(disc)
    assert is_compact(disc & (x != 45))  # a road
    assert not is_compact((y % 20 < 4) | (x % 20 < 4))  # a net
    assert not is_compact((y // 30 + x // 30) % 2 == 0)  # patches
    assert not is_compact(disc & (np.hypot(y - 45, x - 45) > 18))  # a ring
    assert not is_compact((np.abs(y - 45) < 5) | (np.abs(x - 45) < 5))  # a cross


def test_a_road_leads_from_a_road_to_another_place(shapes: dict[str, list[Shape]], survey: Survey) -> None:
    for shape in shapes["road"]:
        bed = (shape.strength > 0) & (shape.zone == 0)
        count = ndimage.label(bed, structure=EIGHT)[1]
        assert count == 1
        away = cut(survey.road_distance, shape)
        first = bed & (shape.onset == shape.onset[bed].min())
        last = bed & (shape.onset == shape.onset[bed].max())
        assert away[first].min() <= 1.5
        assert np.hypot(*(np.argwhere(first).mean(0) - np.argwhere(last).mean(0))) > 20
        reached = (away <= 1.5) | cut(ndimage.binary_dilation(survey.field, iterations=2), shape)
        assert reached[last].any()


def test_a_road_of_two_lanes_takes_one_to_three_pixels_across(shapes: dict[str, list[Shape]]) -> None:
    for shape in shapes["road"]:
        bed = (shape.strength > 0) & (shape.zone == 0)
        begin = tuple(np.argwhere(bed & (shape.onset == 0))[0])
        far, _ = MCP_Geometric(np.where(bed, 1.0, -1.0)).find_costs([begin])
        length = far[np.isfinite(far)].max()
        assert np.count_nonzero(bed) < 1.6 * length  # 16 m: a pixel counts whole
        assert 1.3 * length < shape.strength.sum() < 3 * length  # verges included


def test_a_road_grows_from_its_junction(shapes: dict[str, list[Shape]]) -> None:
    for shape in shapes["road"]:
        bed = (shape.strength > 0) & (shape.zone == 0)
        begin = np.argwhere(bed & (shape.onset == 0))[0]
        steps = np.full(bed.shape, -1)
        front = np.zeros_like(bed)
        front[tuple(begin)] = True
        for step in range(bed.size):
            steps[front] = step
            front = ndimage.binary_dilation(front, EIGHT) & bed & (steps < 0)
            if not front.any():
                break
        order = shape.onset[bed][np.argsort(steps[bed], kind="stable")]
        assert np.corrcoef(np.arange(order.size), order)[0, 1] > 0.97


def test_trees_are_felled_in_forest(shapes: dict[str, list[Shape]], ground: Ground) -> None:
    for shape in shapes["clear_cut"]:
        assert np.isin(cut(ground.cover, shape)[shape.strength > 0], FORESTS).all()
    for shape in shapes["logging"]:
        gap = (shape.strength > 0) & (shape.zone == 0)
        assert np.isin(cut(ground.cover, shape)[gap], FORESTS).all()
        assert shape.strength[gap].min() >= 0.25
        assert shape.strength[gap].max() <= 0.95


def test_logging_disturbs_a_part_of_its_site(shapes: dict[str, list[Shape]]) -> None:
    for shape in shapes["logging"]:
        share = np.count_nonzero(shape.strength > 0) / np.count_nonzero(shape.site)
        assert 0.14 <= share <= 0.38
        trail = (shape.strength > 0) & (shape.zone == 1)
        assert ndimage.label(trail, structure=EIGHT)[1] == 1
        landing = trail & (shape.strength == 1)
        assert 0.002 < np.count_nonzero(landing) / np.count_nonzero(shape.site) < 0.03


def test_a_quarter_stands_by_the_town(shapes: dict[str, list[Shape]], survey: Survey) -> None:
    for shape in shapes["urban"]:
        on = shape.strength > 0
        away = cut(ndimage.distance_transform_edt(~survey.built), shape)
        assert away[on].min() < 15
        assert not cut(survey.built | survey.road, shape)[on].any()
        near, far = on & (away < np.median(away[on])), on & (away >= np.median(away[on]))
        assert shape.onset[near].mean() < shape.onset[far].mean()


def test_solar_farms_lie_on_flat_open_ground(shapes: dict[str, list[Shape]], survey: Survey) -> None:
    for shape in shapes["solar_farm"]:
        on = shape.strength > 0
        assert cut(survey.slope, shape)[on].max() < 0.08
        assert not cut(survey.forest | survey.water | survey.built, shape)[on].any()


def test_a_reservoir_fills_from_its_dam_lowest_ground_first(shapes: dict[str, list[Shape]], ground: Ground) -> None:
    for shape in shapes["reservoir_fill"]:
        dam = (shape.strength > 0) & (shape.zone == 1)
        lake, height = (shape.strength > 0) & ~dam, cut(ground.relief.height, shape)
        assert ndimage.label(dam, structure=EIGHT)[1] == 1
        assert (shape.onset[dam] == 0).all()  # it stands before the water
        for turn in (0.1, 0.3, 0.6, 1.0):
            filled = lake & (shape.onset <= turn)
            assert ndimage.label(filled)[1] == 1  # no water beyond a ridge
            assert height[filled].max() <= height[lake & ~filled].min(initial=np.inf)
        rim = ndimage.binary_dilation(lake) & ~lake & ~dam
        assert (height[rim] >= height[lake].max() - 0.01).all()


def test_side_valleys_fill_when_the_water_reaches_them() -> None:
    height = np.array([[9.0, 9, 9, 9, 9], [9, 1, 5, 2, 9], [9, 9, 9, 9, 9]])
    np.testing.assert_array_equal(_level_to_reach(height, height < 6)[1, 1:4], [1, 5, 5])


def test_old_water_never_shows_mud(ground: Ground) -> None:
    valleys = Ground(**{**vars(ground), "cover": np.where(ground.relief.drainage > 2.4, RIVER, ground.cover)})
    survey, rng = new_survey(valleys), np.random.default_rng(11)
    survey.pick("valley", (ground.relief.drainage > 2) & ~survey.water, rng)
    for kind, zone in (("reservoir_fill", 2), ("flood", 4)):
        found = next(shape for shape in (MAKERS[kind](survey, rng) for _ in range(300)) if shape is not None)
        old = np.isin(cut(valleys.cover, found), (WATER, RIVER)) & (found.strength > 0)
        old &= (found.zone != 1) | (kind == "flood")  # a dam crosses its river
        assert old.any()
        assert (found.zone[old] == zone).all()
        assert (found.zone[(found.strength > 0) & ~old] != zone).all()


def test_a_dam_holds_what_lies_upstream() -> None:
    y, x = np.mgrid[:81, :121].astype(np.float64)
    valley = 100 + 0.3 * x + 1.2 * np.abs(y - 40)
    lake = dammed(valley, (40, 30), (0.0, -1.0), 118.0)
    assert lake is not None
    assert not lake[:, :29].any()
    assert valley[lake].max() < 118
    assert dammed(valley, (40, 30), (0.0, -1.0), 190.0) is None


def test_only_a_lake_is_drained_from_its_shores(shapes: dict[str, list[Shape]], ground: Ground) -> None:
    for shape in shapes["reservoir_drain"]:
        on = shape.strength > 0
        lake = cut(ground.cover, shape) == WATER
        assert (lake == on)[shape.zone == 0][on[shape.zone == 0]].all()
        assert 0.3 < on.sum() / lake.sum() < 0.95
        inside = ndimage.distance_transform_edt(lake)
        assert shape.onset[on & (inside <= 2)].mean() < shape.onset[on & (inside > 4)].mean()


def test_a_drained_bed_fades_where_the_lake_is_not_free(ground: Ground) -> None:
    survey, rng = new_survey(ground), np.random.default_rng(3)
    survey.taken[:, 415:] = True
    shape = next(shape for shape in (MAKERS["reservoir_drain"](survey, rng) for _ in range(50)) if shape is not None)
    strength = np.zeros(ground.shape, dtype=np.float32)
    cut(strength, shape)[...] = shape.strength
    assert (ground.cover[:, 415] == WATER).any()
    assert 0 < strength[:, 414].max() < 0.2
    assert strength[:, :405].max() == 1


def test_a_flood_lies_along_its_river(shapes: dict[str, list[Shape]], survey: Survey) -> None:
    for shape in shapes["flood"]:
        on, above = shape.strength > 0, cut(survey.above_river, shape)
        assert (on & cut(survey.river, shape)).any()
        assert ndimage.label(on)[1] == 1
        assert above[on].mean() < cut(survey.above_river, shape)[~on].mean()
        turns = [shape.onset[on & (shape.zone == zone)].mean() for zone in range(4)]
        assert turns == sorted(turns)  # what is drowned last is dry first


def test_a_flood_shows_less_water_between_crowns(survey: Survey, ground: Ground) -> None:
    cover = np.full((40, 40), FORESTS[0], dtype=np.int16)
    cover[:, 20:] = len(COVERS)
    need, wet = np.tile(np.linspace(0, 1, 40), (40, 1)), np.ones((40, 40), dtype=bool)
    strength, _, _ = _flood_layers(cover, need, wet, need, np.random.default_rng(0))
    assert strength[:, :20].max() < strength[:, 20:].min()


def test_slides_go_down_steep_slopes(shapes: dict[str, list[Shape]], survey: Survey) -> None:
    for shape in shapes["landslide"]:
        height, slope = cut(survey.ground.relief.height, shape), cut(survey.slope, shape)
        scar, fan = (shape.strength > 0) & (shape.zone == 0), (shape.strength > 0) & (shape.zone == 1)
        assert slope[scar].mean() > 0.2
        assert slope[scar & (shape.onset < 0.3)].mean() > 0.25
        assert height[fan].mean() < height[scar].mean()
        assert np.corrcoef(height[scar], shape.onset[scar])[0, 1] < 0


def test_slides_are_long_tongues_down_the_fall_line(survey: Survey) -> None:
    rng, seen = np.random.default_rng(4), 0
    while seen < 6:
        shape = MAKERS["landslide"](survey, rng)
        if shape is None or ndimage.label(shape.strength > 0, structure=EIGHT)[1] > 1:
            continue
        seen += 1
        places, height = np.argwhere(shape.strength > 0), cut(survey.ground.relief.height, shape)
        spread, along = np.linalg.eigh(np.cov(places.T))
        down = (places - places.mean(0)) @ along[:, 1]
        assert spread[1] > 3 * spread[0]
        assert abs(np.corrcoef(down, height[shape.strength > 0])[0, 1]) > 0.75
        top, low = shape.onset < 0.2, shape.onset > 0.4
        assert shape.strength[top].sum() / 0.2 < 0.8 * shape.strength[low].sum() / 0.6  # narrow below the ridge


def test_the_way_down_ends_where_it_is_level() -> None:
    y, _ = np.mgrid[:80, :60].astype(np.float64)
    line = descent(np.maximum(300 - 5 * y, 100), (5, 30), 70)
    assert (np.diff(line[:, 0]) > 0.9).all()
    assert 36 <= line[-1, 0] <= 43


def test_a_mine_lies_beside_a_track(shapes: dict[str, list[Shape]], survey: Survey) -> None:
    for shape in shapes["mine"]:
        on = shape.strength > 0
        assert not cut(survey.water | survey.built, shape)[on].any()
        assert cut(survey.road_distance, shape)[on].min() < 45


def mines(form: str, ground: Ground, patch: pytest.MonkeyPatch) -> list[tuple[Shape, np.ndarray]]:
    """Two mines of one form, and where each of them digs (its road left out)."""
    patch.setitem(FORMS, ground.biome, {form: 1.0})
    survey, rng = new_survey(ground), np.random.default_rng(8)
    tries = (new_mine(survey, rng) for _ in range(120))
    found = list(islice((shape for shape in tries if shape is not None), 2))
    assert len(found) == 2
    return [(shape, shape.strength > 0.7) for shape in found]


def test_quarries_climb_their_hillside(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    for shape, on in mines("quarry", ground, monkeypatch):
        rock, height = on & (shape.zone != SPOIL), cut(ground.relief.height, shape)
        assert np.corrcoef(height[rock], shape.onset[rock])[0, 1] > 0.5
        assert np.unique(shape.zone[rock & (shape.zone != POND)]).size == 2  # benches and their faces


def test_open_pits_grow_outwards_in_terraces(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    for shape, on in mines("pit", ground, monkeypatch):
        first = np.argwhere(on & (shape.onset == shape.onset[on].min()))[0]
        ray = shape.zone[first[0], first[1] :][on[first[0], first[1] :]]
        assert np.count_nonzero(np.diff(ray.astype(int))) >= 3
        away = np.hypot(*(np.indices(on.shape) - first[:, None, None]))
        pit = on & ~np.isin(shape.zone, (SPOIL, POND)) & (away < 0.5 * away[on].max())
        assert np.corrcoef(away[pit], shape.onset[pit])[0, 1] > 0.6


def test_strip_mines_advance_to_an_open_seam(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    for shape, on in mines("strip", ground, monkeypatch):
        places, onset = np.argwhere(on), shape.onset[on]
        fit = np.column_stack([places, np.ones(len(places))])
        left = onset - fit @ np.linalg.lstsq(fit, onset, rcond=None)[0]
        assert left.var() < 0.15 * onset.var()
        seam = on & (shape.zone == DARK)
        assert shape.onset[seam].min() > 0.75


def test_gravel_pits_fill_on_low_ground(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    survey = new_survey(ground)
    for shape, on in mines("gravel", ground, monkeypatch):
        assert (shape.zone == POND)[on].mean() > 0.25
        rim = on & ~ndimage.binary_erosion(on)
        assert (shape.zone == POND)[rim].mean() < 0.1  # a shore around
        assert cut(survey.slope, shape)[on].mean() < 0.08


def test_placers_are_chains_of_ponds_along_a_river(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    away = ndimage.distance_transform_edt(ground.cover != RIVER)
    for shape, on in mines("placer", ground, monkeypatch):
        assert cut(away, shape)[on].max() < 35
        assert np.ptp(np.argwhere(on), axis=0).max() > 3 * cut(away, shape)[on].mean()
        assert ndimage.label(on & (shape.zone == POND))[1] >= 5


def test_what_is_taken_is_left_alone(ground: Ground) -> None:
    survey = new_survey(ground)
    shape = Shape(
        60,
        5,
        np.ones((20, 20), np.float32),
        np.zeros((20, 20), np.float32),
        np.zeros((20, 20), np.uint8),
        np.ones((20, 20), bool),
    )
    survey.take(shape)
    assert survey.taken[60 - CLEARANCE, 15]
    assert not survey.taken[60 - CLEARANCE - 1, 15]
    assert survey.taken[79 + CLEARANCE, 15]
    survey.taken[:] = True
    assert [kind for kind, maker in MAKERS.items() if maker(survey, np.random.default_rng(0)) is not None] == []


def test_ground_without_lakes_rivers_towns_or_roads_has_fewer_classes(ground: Ground) -> None:
    cover = np.full(ground.shape, FORESTS[0], dtype=np.int16)
    flat = np.zeros(ground.shape, dtype=np.float32)
    bare = Ground(
        "boreal",
        type(ground.relief)(flat, flat, flat, flat),
        cover,
        flat,
        flat,
        flat,
        flat,
        ground.shore,
        ground.fields,
    )
    survey, rng = new_survey(bare), np.random.default_rng(0)
    assert len(COVERS) > cover.max()
    for kind in ("reservoir_drain", "reservoir_fill", "flood", "urban", "solar_farm", "landslide", "road"):
        assert all(MAKERS[kind](survey, rng) is None for _ in range(5)), kind
    assert any(MAKERS["clear_cut"](survey, rng) is not None for _ in range(20))
