"""Shapes of planted events: each class keeps to the facts that make it what it is."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from stac.simulation.covers import ASPHALT, COVERS, FORESTS, RIVER, TRACK, WATER
from stac.simulation.events import MAKERS
from stac.simulation.ground import Ground
from stac.simulation.shapes import CLEARANCE, SIZES, Shape, Survey, crowding, limits
from stac.simulation.shapes_burn import spread
from stac.simulation.shapes_earth import descent
from stac.simulation.shapes_water import dammed
from tests.country import new_country, new_survey

EIGHT = np.ones((3, 3), dtype=bool)


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
        ("reservoir_fill", 1),
        ("reservoir_drain", 1),
        ("flood", 2),
        ("landslide", 2),
        ("mine", 3),
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
    time = spread(level, fuel, (60, 60), 2_500, 0.0)
    burnt = np.isfinite(time)
    assert burnt.sum() == 2_500
    assert burnt[60, 60:].sum() > 2 * burnt[60, :61].sum()
    slope = np.repeat(np.arange(121, dtype=np.float32)[::-1, None] * 2.5, 121, axis=1)
    burnt = np.isfinite(spread(slope, fuel, (60, 60), 2_500, 0.0))
    assert burnt[:60].sum() > 1.5 * burnt[61:].sum()


def test_fire_stops_where_nothing_burns(shapes: dict[str, list[Shape]], ground: Ground) -> None:
    fuel, level = np.ones((41, 41)), np.zeros((41, 41), dtype=np.float32)
    fuel[:, 25] = 0
    assert np.isinf(spread(level, fuel, (20, 20), 5_000, 0.0)[:, 25:]).all()
    for shape in shapes["wildfire"]:
        cover = cut(ground.cover, shape)
        assert not np.isin(cover[shape.strength > 0], (WATER, RIVER, ASPHALT, TRACK)).any()
        assert np.ptp(shape.strength[shape.strength > 0]) > 0.3


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
        assert np.count_nonzero(bed) < np.count_nonzero((shape.strength > 0.5) & (shape.zone == 1))


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
        assert shape.strength[gap].max() <= 0.9


def test_logging_disturbs_a_part_of_its_site(shapes: dict[str, list[Shape]]) -> None:
    for shape in shapes["logging"]:
        share = np.count_nonzero(shape.strength > 0) / np.count_nonzero(shape.site)
        assert 0.07 <= share <= 0.26
        trail = (shape.strength > 0) & (shape.zone == 1)
        assert ndimage.label(trail, structure=EIGHT)[1] == 1


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


def test_a_reservoir_fills_the_lowest_ground_first(shapes: dict[str, list[Shape]], ground: Ground) -> None:
    for shape in shapes["reservoir_fill"]:
        on, height = shape.strength > 0, cut(ground.relief.height, shape)
        assert ndimage.label(on)[1] == 1
        order = np.argsort(height[on])
        assert (np.diff(shape.onset[on][order]) >= 0).all()
        rim = ndimage.binary_dilation(on) & ~on
        dry = height[rim] >= height[on].max() - 0.01
        assert dry.mean() > 0.6  # the rest of the rim is the dam


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
        assert lake[on].all()
        assert 0.3 < on.sum() / lake.sum() < 0.95
        inside = ndimage.distance_transform_edt(lake)
        assert shape.onset[on & (inside <= 2)].mean() < shape.onset[on & (inside > 4)].mean()


def test_a_flood_lies_along_its_river(shapes: dict[str, list[Shape]], survey: Survey) -> None:
    for shape in shapes["flood"]:
        on, above = shape.strength > 0, cut(survey.above_river, shape)
        assert (on & cut(survey.river, shape)).any()
        assert ndimage.label(on)[1] == 1
        assert above[on].mean() < cut(survey.above_river, shape)[~on].mean()
        assert shape.onset[on & (shape.zone == 0)].mean() < shape.onset[on & (shape.zone == 1)].mean()


def test_slides_go_down_steep_slopes(shapes: dict[str, list[Shape]], survey: Survey) -> None:
    for shape in shapes["landslide"]:
        height, slope = cut(survey.ground.relief.height, shape), cut(survey.slope, shape)
        scar, fan = (shape.strength > 0) & (shape.zone == 0), (shape.strength > 0) & (shape.zone == 1)
        assert slope[scar].mean() > 0.2
        assert slope[scar & (shape.onset < 0.3)].mean() > 0.25
        assert height[fan].mean() < height[scar].mean()
        assert np.corrcoef(height[scar], shape.onset[scar])[0, 1] < 0


def test_the_way_down_ends_where_it_is_level() -> None:
    y, _ = np.mgrid[:80, :60].astype(np.float64)
    line = descent(np.maximum(300 - 5 * y, 100), (5, 30), 70)
    assert (np.diff(line[:, 0]) > 0.9).all()
    assert 36 <= line[-1, 0] <= 43


def test_a_mine_grows_outwards_beside_a_track(shapes: dict[str, list[Shape]], survey: Survey) -> None:
    for shape in shapes["mine"]:
        on = shape.strength > 0
        assert not cut(survey.water | survey.built, shape)[on].any()
        assert cut(survey.road_distance, shape)[on].min() < 45
        pit = on & (shape.zone == 0)
        depth = ndimage.distance_transform_edt(on & (shape.zone != 1))
        assert np.corrcoef(depth[pit], shape.onset[pit])[0, 1] < -0.5


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
    for kind in ("reservoir_drain", "reservoir_fill", "flood", "urban", "solar_farm", "landslide"):
        assert all(MAKERS[kind](survey, rng) is None for _ in range(5)), kind
    assert any(MAKERS["clear_cut"](survey, rng) is not None for _ in range(20))
    assert any(MAKERS["road"](survey, rng) is not None for _ in range(20))
