"""The stream of simulated series: truth, determinism, and the same statistics as the archive's face."""

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta

import numpy as np
import pytest
import torch

from encoder.stream import SeriesBatch, SimulatedStream, StreamConfig
from encoder.stream_country import KINDS, SLOT_DAYS, CountryConfig, new_grounds
from stac.errors import DataError
from stac.simulation.biomes import BIOMES
from stac.simulation.covers import BANDS, BANDS_20M
from stac.simulation.passes import new_weather
from stac.simulation.phenology import new_season
from stac.simulation.shot import Shot
from stac.simulation.sun import sun_angles
from stac.simulation.view import BANDS_10M, new_view

COUNTRY = CountryConfig(biomes=("temperate",), ground_px=256, changes=10, first=date(2021, 1, 1), years=2, seed=3)
CONFIG = StreamConfig(country=COUNTRY, chip_size=32, dates=6, batch=16, seed=3)


@pytest.fixture(scope="module")
def stream() -> SimulatedStream:
    return SimulatedStream(CONFIG)


@pytest.fixture(scope="module")
def batches(stream: SimulatedStream) -> list[SeriesBatch]:
    return [stream.draw() for _ in range(6)]


def test_batches_have_the_stated_shapes(batches: list[SeriesBatch]) -> None:
    batch = batches[0]
    assert batch.images.shape == (16, 6, len(BANDS), 32, 32)
    assert batch.images.dtype == torch.int16
    assert batch.scl.shape == (16, 6, 16, 16)
    assert int(batch.images.min()) >= 1
    assert bool((batch.days[:, 1:] > batch.days[:, :-1]).all())
    assert bool((batch.days % SLOT_DAYS == 0).all())
    assert set(batch.scl.unique().tolist()) <= set(range(2, 12))


def test_bands_of_20_m_are_repeated_and_those_of_10_m_are_not(batches: list[SeriesBatch]) -> None:
    images = batches[0].images
    for place, name in enumerate(BANDS):
        band = images[:, :, place]
        same = (band[..., ::2, :] == band[..., 1::2, :]).float().mean()
        assert (float(same) == 1.0) == (name in BANDS_20M)


def test_the_truth_says_when_a_place_changes(batches: list[SeriesBatch]) -> None:
    seen = 0
    for batch in batches:
        none = batch.kind < 0
        assert bool((batch.changed[none] == 0).all())
        assert bool((batch.start[none] == -1).all())
        assert bool((batch.end[none] == -1).all())
        before = batch.days < batch.start[:, None]
        assert bool((batch.changed[before] == 0).all())
        over = (batch.days > batch.end[:, None]) & ~none[:, None]
        seen += int((batch.changed[over] > 0.02).sum())
        assert set(batch.kind.tolist()) <= set(range(-1, len(KINDS)))
    assert seen > 10


def test_half_of_the_series_change(batches: list[SeriesBatch]) -> None:
    share = float(torch.cat([batch.kind >= 0 for batch in batches]).float().mean())
    assert 0.3 < share < 0.7


def test_a_seed_gives_the_same_series_and_another_seed_others(
    stream: SimulatedStream, batches: list[SeriesBatch]
) -> None:
    again = SimulatedStream(CONFIG).draw()
    assert torch.equal(again.images, batches[0].images)
    assert torch.equal(again.kind, batches[0].kind)
    other = SimulatedStream(replace(CONFIG, seed=4)).draw()
    assert not torch.equal(other.images, batches[0].images)


def test_wrong_sizes_are_refused() -> None:
    with pytest.raises(DataError, match="chips of 33 pixels"):
        SimulatedStream(replace(CONFIG, chip_size=33))
    with pytest.raises(DataError, match="1000 dates"):
        SimulatedStream(replace(CONFIG, dates=1000))


def test_clear_streams_hold_no_clouds() -> None:
    batch = SimulatedStream(replace(CONFIG, clear=True, changed=0.0)).draw()
    summer = ((batch.days % 365) > 130) & ((batch.days % 365) < 240)  # snow is no cloud
    assert float(batch.clear[summer].mean()) > 0.97


def _archive_face(count: int, clear: bool) -> tuple[np.ndarray, np.ndarray]:
    """Bands (n, C, h, w) at 20 m and classification of whole grounds, drawn by the archive's face on random days."""
    rng = np.random.default_rng(0)
    (ground,), (changes,) = new_grounds(COUNTRY)
    biome = BIOMES["temperate"]
    images, scls = [], []
    slots = (COUNTRY.last - COUNTRY.first).days // SLOT_DAYS + 1
    for index in range(count):
        day = int(rng.integers(0, slots)) * SLOT_DAYS
        when = datetime.combine(COUNTRY.first, time(10, 30), UTC) + timedelta(days=day, hours=-biome.lon / 15)
        sky, haze, line = new_weather(biome, when.month - 1, rng)
        while clear and sky not in ("clear", "hazy"):
            sky, haze, line = new_weather(biome, when.month - 1, rng)
        azimuth, elevation = sun_angles(when, biome.lon, biome.lat)
        season = new_season(biome, when.timetuple().tm_yday, when.year - COUNTRY.first.year, ground.fields)
        shot = Shot(index, when, sky, haze, line, 0.0, 90.0, azimuth, elevation, (0.1, 0.1))
        view = new_view(ground, changes, season, biome, shot, rng)
        image = np.empty((len(BANDS), *view.scl.shape), dtype=np.float32)
        for place, name in enumerate(BANDS_10M):
            fine = view.bands10[place].astype(np.float32)
            image[BANDS.index(name)] = fine.reshape(128, 2, 128, 2).mean(axis=(1, 3))
        for place, name in enumerate(BANDS_20M):
            image[BANDS.index(name)] = view.bands20[place]
        images.append(image)
        scls.append(view.scl)
    return np.stack(images), np.stack(scls)


def _stream_face(count: int, clear: bool) -> tuple[np.ndarray, np.ndarray]:
    """The same from the stream."""
    config = replace(CONFIG, batch=48, dates=8, changed=0.0, chip_size=64, clear=clear)
    found = SimulatedStream(config)
    drawn = [found.draw() for _ in range(count)]
    images = torch.cat([batch.images.flatten(0, 1) for batch in drawn]).float()
    images = torch.nn.functional.avg_pool2d(images, 2)
    return images.numpy(), torch.cat([batch.scl.flatten(0, 1) for batch in drawn]).numpy()


@pytest.mark.slow
def test_both_faces_see_as_many_clouds() -> None:
    (_, ours), (_, theirs) = _archive_face(120, False), _stream_face(3, False)
    classes = ((4, 5), (8, 9), (6,), (10,))
    shares = [[float(np.isin(scl, part).mean()) for part in classes] for scl in (ours, theirs)]
    assert shares[0] == pytest.approx(shares[1], abs=0.12)  # 120 skies: a standard error of 0.04


@pytest.mark.slow
def test_both_faces_have_the_same_reflectances() -> None:
    """Under clear skies quantiles agree by class and band: windows of a ground stand for the whole of it."""
    (ours, our_scl), (theirs, their_scl) = _archive_face(60, True), _stream_face(2, True)
    for classes in ((4,), (5,)):
        for place, name in enumerate(BANDS):
            one, two = (
                np.quantile(np.moveaxis(images, 1, 0)[place][np.isin(scl, classes)], (0.25, 0.5, 0.75))
                for images, scl in ((ours, our_scl), (theirs, their_scl))
            )
            assert np.log(one / two) == pytest.approx(np.zeros(3), abs=0.15), (classes, name)


@pytest.mark.gpu
def test_a_gpu_draws_the_same_statistics() -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device here")
    host, device = (SimulatedStream(replace(CONFIG, batch=64), where).draw() for where in ("cpu", "cuda"))
    assert torch.equal(host.days, device.days.cpu())
    assert torch.equal(host.kind, device.kind.cpu())
    assert float(device.changed.cpu().sub(host.changed).abs().max()) < 1e-4
    clear = (host.clear > 0.95) & (device.clear.cpu() > 0.95)
    medians = [b.images.float().cpu().flatten(3).median(dim=3).values[clear] for b in (host, device)]
    assert float((medians[0].log() - medians[1].log()).abs().median()) < 0.05
