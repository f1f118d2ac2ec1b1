"""Packed grounds: what comes back, how near the chips are, what is refused; the command."""

import json
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from encoder.stream import SeriesBatch, SimulatedStream, StreamConfig
from encoder.stream_country import Country, CountryConfig, Piece, build_country
from encoder.stream_layers import CODINGS, pack_layers, unpack_layers
from encoder.stream_pack import main, make_pieces, open_country, save_country
from stac.errors import DataError
from stac.simulation.covers import BANDS
from stac.simulation.ground import Fields
from stac.simulation.optics import reference

COUNTRY = CountryConfig(biomes=("coast", "boreal"), ground_px=128, changes=4, years=2, seed=4)
"""Tides and lakes whose shores were levelled, snow, changes."""


@pytest.fixture(scope="module")
def pieces() -> list[Piece]:
    return list(make_pieces(COUNTRY, 1))


@pytest.fixture(scope="module")
def made(pieces: list[Piece]) -> Country:
    return build_country(COUNTRY, pieces, torch.device("cpu"))


@pytest.fixture(scope="module")
def path(pieces: list[Piece], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pack") / "grounds.safetensors"
    save_country(path, pieces, COUNTRY)
    return path


@pytest.fixture(scope="module")
def opened(path: Path) -> Country:
    return open_country(path)


def test_what_decides_comes_back_as_it_was(made: Country, opened: Country) -> None:
    assert opened.config == COUNTRY
    for name in ("cover", "which", "zone"):
        assert torch.equal(opened.layers[name], made.layers[name]), name
    assert torch.equal(opened.layers["strength"] > 0, made.layers["strength"] > 0)
    assert torch.equal(opened.layers["shore"].isinf(), made.layers["shore"].isinf())
    assert {name: layer.dtype for name, layer in opened.layers.items()} == {
        name: layer.dtype for name, layer in made.layers.items()
    }
    for name in ("kind", "start", "span", "ground"):
        np.testing.assert_array_equal(getattr(opened, name), getattr(made, name))
    assert len(made.kind) > 4
    for one, two in zip(opened.pixels, made.pixels, strict=True):
        np.testing.assert_array_equal(one, two)
    assert torch.equal(opened.looks, made.looks)
    for item in fields(made.tables):
        assert torch.equal(getattr(opened.tables, item.name), getattr(made.tables, item.name))


def test_the_pixels_of_a_change_are_those_that_it_takes(made: Country) -> None:
    for number, pixels in enumerate(made.pixels):
        which = made.layers["which"][made.ground[number]].ravel()
        assert len(pixels) > 0
        assert (which[pixels] == number).all()
        assert int((which == number).sum()) == len(pixels)


def test_layers_are_as_near_as_their_steps(made: Country, opened: Country) -> None:
    for name, coding in CODINGS.items():
        ends = coding.ends or (-1e4, 1e4)
        one, two = (country.layers[name].double().clamp(*ends) for country in (made, opened))
        far = float((one - two).abs().max())
        assert far <= (1.0 if name == "strength" else 0.5) / coding.steps + 1e-4, name


def test_chips_differ_by_less_than_the_instruments_noise(made: Country, opened: Country) -> None:
    config = StreamConfig(country=COUNTRY, chip_size=48, dates=6, batch=24, changed=1.0, seed=2)
    one, two = (SimulatedStream(config, country=country).draw() for country in (made, opened))
    assert torch.equal(one.days, two.days)
    assert torch.equal(one.place, two.place)
    for place, name in enumerate(BANDS):
        noise = 0.66 * 10_000 * reference(name, 45)[1]  # what resampling leaves of it: see `add_noise`
        far = (one.images[:, :, place].float() - two.images[:, :, place].float()).square().mean().sqrt()
        assert 0 < float(far) < noise / 2, name
    assert float((one.scl == two.scl).float().mean()) > 0.995
    assert float((one.changed - two.changed).abs().max()) < 0.002


def test_a_ground_without_fields_and_changes_comes_back(pieces: list[Piece], tmp_path: Path) -> None:
    none = np.zeros(0, dtype=np.int64)
    layers = dict(pieces[0].layers)
    layers["cover"] = np.minimum(layers["cover"], 3).astype(np.int32)
    layers["which"] = np.full_like(layers["which"], -1)
    crop = pieces[0].fields.crop[:, :0]
    bare = Piece(layers, Fields(crop, np.zeros(0), np.zeros(0)), none, none, none)
    config = replace(COUNTRY, biomes=("desert",), changes=0)
    save_country(tmp_path / "bare", [bare], config)
    country = open_country(tmp_path / "bare")
    assert country.kind.size == 0
    assert country.pixels == ()
    batch = SimulatedStream(StreamConfig(country=config, chip_size=16, dates=2, batch=2), country=country).draw()
    assert (batch.kind == -1).all()


def test_a_layer_that_16_bits_cannot_hold_is_refused(pieces: list[Piece]) -> None:
    layers = {**pieces[0].layers, "height": np.full((128, 128), 4_000.0, dtype=np.float32)}
    with pytest.raises(DataError, match="height reaches 4000"):
        pack_layers(layers)


def test_bytes_of_another_shape_are_refused(pieces: list[Piece]) -> None:
    packed = pack_layers(pieces[0].layers)
    with pytest.raises(DataError, match="the layer cover is damaged"):
        unpack_layers(packed, (128, 126))


def test_a_cut_file_is_refused(path: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match=r"cut\.safetensors is damaged.*make it anew"):
        open_country(cut)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("flip", "the layer tint is damaged"),
        ("drop", "is damaged"),
        ("format", "stream grounds 0"),
        ("none", "another"),
    ],
)
def test_damage_within_a_file_is_told(path: Path, tmp_path: Path, change: str, told: str) -> None:
    from safetensors import safe_open

    tensors = load_file(path)
    with safe_open(path, "np") as file:
        known = dict(file.metadata())
    if change == "flip":
        tensors["0001.tint"][500] ^= 1
    elif change == "drop":
        del tensors["0000.span"]
    elif change == "format":
        known = {name: value.replace("stream grounds 1", "stream grounds 0") for name, value in known.items()}
    else:
        known = {"other": "file"}
    bad = tmp_path / "bad.safetensors"
    save_file(tensors, bad, known)
    with pytest.raises(DataError, match=told):
        open_country(bad)


def test_a_file_that_is_not_there_stays_an_error_of_the_system(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        open_country(tmp_path / "absent")


def test_a_stream_refuses_another_country(opened: Country) -> None:
    other = StreamConfig(country=replace(COUNTRY, seed=5), chip_size=32, dates=4, batch=2)
    with pytest.raises(DataError, match=r"a country by .*seed=4.*seed=5"):
        SimulatedStream(other, country=opened)
    with pytest.raises(DataError, match="a country on cpu"):
        SimulatedStream(StreamConfig(country=COUNTRY, chip_size=32, dates=4, batch=2), "meta", country=opened)


def same(one: SeriesBatch, two: SeriesBatch) -> bool:
    """Whether two batches are the same to the bit."""
    pairs = [(getattr(one, item.name), getattr(two, item.name)) for item in fields(SeriesBatch)]
    return all(a is b is None or torch.equal(a, b) for a, b in pairs)


def test_a_ready_country_draws_as_one_that_the_stream_makes(made: Country) -> None:
    config = StreamConfig(country=COUNTRY, chip_size=32, dates=3, batch=4)
    assert same(SimulatedStream(config, country=made).draw(), SimulatedStream(config).draw())


TINY = ["--ground-px", "96", "--changes", "1", "--years", "1", "--biomes", "temperate", "--grounds-per-biome", "2"]


def test_the_command_writes_a_file_that_opens(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "new" / "grounds.safetensors"
    assert main(["--out", str(out), *TINY, "--seed", "3", "--workers", "1", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["grounds"], told["seed"], told["bytes"]) == (2, 3, out.stat().st_size)
    country = open_country(out)
    assert country.config == CountryConfig(("temperate",) * 2, ground_px=96, changes=1, years=1, seed=3)
    assert not torch.equal(country.layers["cover"][0], country.layers["cover"][1])
    assert list(out.parent.iterdir()) == [out]


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (["--out", "F", "--biomes", "moon"], "biomes moon"),
        (["--out", "F", "--ground-px", "97"], "--ground-px 97"),
        (["--out", "F", "--workers", "0"], "--workers 0"),
        (["--out", "."], "--out names no file"),
    ],
)
def test_wrong_arguments_are_told_in_one_line(
    wrong: list[str], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([word.replace("F", str(tmp_path / "file")) if word == "F" else word for word in wrong]) == 2
    found = capsys.readouterr()
    assert told in found.err
    assert found.err.count("\n") == 1
    assert not found.out
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_two_processes_make_the_same_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    for workers, out in (("1", one), ("2", two)):
        assert main(["--out", str(out), *TINY, "--workers", workers]) == 0
    assert one.read_bytes() == two.read_bytes()
    assert "ground 2 of 2" in capsys.readouterr().err
