"""Pictures of locations: stretch, caches, failures."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pytest
import shapely
from PIL import Image

from app import imagery
from app.imagery import SHORT_WAVE, TRUE_COLOUR, ChipPictures, ShotRequest, image_uri, margin_px, prune_cache, render
from stac.errors import ReadError
from stac.items import Asset, Scene
from stac.lattice import Lattice, Location
from stac.raster import UnreachableError

LOCATION = Location(Lattice(32610, 32, 10), 1650, 13700)


def new_scene(item_id: str = "one", bands: Sequence[str] = ("B02", "B03", "B04", "B08", "B12")) -> Scene:
    return Scene(
        item_id=item_id,
        collection="c",
        tile="10SEJ",
        time=datetime(2021, 7, 1, tzinfo=UTC),
        solar_day=date(2021, 7, 1),
        baseline="05.00",
        offset=0,
        epsg=32610,
        footprint=shapely.box(0, 0, 1, 1),
        assets={band: Asset(f"/x/{item_id}/{band}.tif", None, None, None) for band in bands},
    )


class Reader:
    """Gives constant pixels and counts how often it is asked."""

    def __init__(self, value: int = 1000, error: Exception | None = None) -> None:
        self.calls: list[tuple[str, ...]] = []
        self.value, self.error = value, error

    def __call__(self, location: Location, scenes: Sequence[Scene], bands: tuple[str, ...]) -> np.ndarray:
        self.calls.append(bands)
        if self.error:
            raise self.error
        return np.full((3, 8, 8), self.value, np.uint16)


def request(*ids: str, composite: imagery.Composite = TRUE_COLOUR) -> ShotRequest:
    return ShotRequest(LOCATION, ids, composite)


def test_the_stretch_is_fixed_and_rises_with_reflectance() -> None:
    white = round(TRUE_COLOUR.white["B04"] * 10_000)
    pixels = np.array([[[1, white // 4, white, 2 * white]]] * 3, np.uint16)
    colours = render(pixels, TRUE_COLOUR)
    assert colours.shape == (1, 4, 4)
    red = colours[0, :, 0].astype(int)
    assert red[0] < red[1] < red[2] == red[3] == 255
    alone = render(pixels[:, :, 1:2], TRUE_COLOUR)
    np.testing.assert_array_equal(alone[0, 0], colours[0, 1])  # no dependence on the rest of the picture


def test_no_data_in_any_band_is_transparent() -> None:
    pixels = np.full((3, 1, 2), 500, np.uint16)
    pixels[1, 0, 1] = 0
    assert render(pixels, TRUE_COLOUR)[0, :, 3].tolist() == [255, 0]


def test_a_picture_survives_its_address() -> None:
    colours = np.random.default_rng(0).integers(0, 255, (5, 7, 4), dtype=np.uint8)
    head, _, body = image_uri(colours).partition(",")
    assert head == "data:image/png;base64"
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(base64.b64decode(body)))), colours)


@pytest.mark.parametrize(
    ("available", "expected"),
    [
        (["B02", "B04", "B08", "B11", "B12"], ("B12", "B08", "B04")),
        (["B04", "B8A", "B12"], ("B12", "B8A", "B04")),
        (["B04", "B08", "B11"], ("B11", "B08", "B04")),
        (["B03", "B04", "B08"], ("B08", "B04", "B03")),
        (["B04"], None),
    ],
)
def test_short_wave_infrared_falls_back_by_band(available: list[str], expected: tuple[str, ...] | None) -> None:
    assert next(iter(SHORT_WAVE.offered(available)), None) == expected


def test_a_picture_without_a_short_wave_band_is_not_called_so() -> None:
    assert SHORT_WAVE.title_of(("B11", "B8A", "B04")) == "Short-wave infrared"
    assert SHORT_WAVE.title_of(("B08", "B04", "B03")) == "Near infrared"
    assert TRUE_COLOUR.title_of(("B04", "B03", "B02")) == "True colour"


def test_every_band_of_a_composite_has_its_white_point() -> None:
    for composite in (TRUE_COLOUR, SHORT_WAVE):
        assert set(composite.white) == {band for bands in composite.choices for band in bands}


def test_bands_that_cannot_be_read_give_way_to_the_plainest(tmp_path: Path) -> None:
    def reader(location: Location, scenes: Sequence[Scene], bands: tuple[str, ...]) -> np.ndarray:
        if "B12" in bands:
            raise UnreachableError("https://far.org/B12.tif: no answer (2 tries)")
        return np.full((3, 8, 8), 1000, np.uint16)

    shot = ChipPictures({"one": new_scene()}, tmp_path, reader).show(request("one", composite=SHORT_WAVE))
    assert shot.uri
    assert shot.bands == ("B08", "B04", "B03")
    assert shot.note == "The pixels could not be read: B12.tif: no answer (2 tries)."


def test_an_archive_that_fails_slowly_is_left_alone_for_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imagery, "SLOW_SECONDS", -1.0)  # every failure counts as slow
    reader = Reader(error=ReadError("no answer", "a", "b"))
    pictures = ChipPictures({"one": new_scene()}, tmp_path, reader)
    places = [ShotRequest(Location(LOCATION.lattice, col, 1), ("one",), TRUE_COLOUR) for col in range(6)]
    notes = [pictures.show(place).note for place in places]
    assert len(reader.calls) == imagery.SLOW_FAILURES
    assert "did not answer a moment ago" in (notes[-1] or "")
    monkeypatch.setattr(imagery, "FAILURE_SECONDS", -1.0)
    reader.error = None
    assert pictures.show(places[-1]).uri


def test_pixels_are_read_once_for_memory_and_disk(tmp_path: Path) -> None:
    reader = Reader()
    scenes = {"one": new_scene()}
    first = ChipPictures(scenes, tmp_path, reader)
    assert first.show(request("one")).uri == first.show(request("one")).uri is not None
    assert ChipPictures(scenes, tmp_path, reader).show(request("one")).uri == first.show(request("one")).uri
    assert reader.calls == [("B04", "B03", "B02")]


def test_what_the_pixels_depend_on_is_in_the_key(tmp_path: Path) -> None:
    reader = Reader()
    pictures = ChipPictures({"one": new_scene(), "two": new_scene("two")}, tmp_path, reader)
    for wanted in (request("one"), request("two"), request("one", "two"), request("one", composite=SHORT_WAVE)):
        pictures.show(wanted)
    elsewhere = ShotRequest(Location(LOCATION.lattice, 1, 2), ("one",), TRUE_COLOUR)
    pictures.show(elsewhere)
    assert len(reader.calls) == len(list(tmp_path.glob("*.npz"))) == 5


def test_a_damaged_cache_file_is_read_anew(tmp_path: Path) -> None:
    scenes, reader = {"one": new_scene()}, Reader()
    ChipPictures(scenes, tmp_path, reader).show(request("one"))
    (path,) = tmp_path.glob("*.npz")
    whole = path.read_bytes()
    for calls, damaged in enumerate((b"half a fi", whole[: len(whole) // 2], b""), start=2):
        path.write_bytes(damaged)
        assert ChipPictures(scenes, tmp_path, reader).show(request("one")).uri
        assert len(reader.calls) == calls


@pytest.mark.parametrize(
    ("wanted", "reader", "sentence"),
    [
        (request(), Reader(), "No scene is recorded"),
        (request("three"), Reader(), "Scene three is not among"),
        (request("bare"), Reader(), "no bands for true colour"),
        (request("one"), Reader(error=ReadError("/secret/B04.tif cannot be read: gone", "a", "b")), "B04.tif cannot"),
        (request("one"), Reader(error=OSError(5, "Input/output error")), "Input/output error"),
        (request("one"), Reader(value=0), "hold no pixels here"),
    ],
)
def test_what_cannot_be_shown_is_said(wanted: ShotRequest, reader: Reader, sentence: str, tmp_path: Path) -> None:
    pictures = ChipPictures({"one": new_scene(), "bare": new_scene("bare", ["B08"])}, tmp_path, reader)
    shot = pictures.show(wanted)
    assert shot.uri is None
    assert sentence in (shot.note or "")
    assert "/secret" not in (shot.note or "")


def test_a_failure_is_tried_again_later_and_not_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = Reader(error=ReadError("gone", "a", "b"))
    pictures = ChipPictures({"one": new_scene()}, tmp_path, reader)
    pictures.show(request("one"))
    reader.error = None
    assert pictures.show(request("one")).uri is None
    monkeypatch.setattr(imagery, "FAILURE_SECONDS", -1.0)
    assert pictures.show(request("one")).uri


def test_a_cache_that_cannot_be_written_does_not_matter(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    assert ChipPictures({"one": new_scene()}, blocked / "cache", Reader()).show(request("one")).uri


def test_the_cache_forgets_what_was_used_longest_ago(tmp_path: Path) -> None:
    import os

    for age in range(4):
        path = tmp_path / f"{age}.npz"
        path.write_bytes(b"x" * 100)
        os.utime(path, (1000 - age, 1000 - age))
    prune_cache(tmp_path, 250)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.npz", "1.npz"]


@pytest.mark.parametrize(("chip", "margin"), [(16, 48), (32, 48), (64, 64), (128, 128)])
def test_a_picture_is_at_least_three_chips_wide(chip: int, margin: int) -> None:
    assert margin_px(chip) == margin
