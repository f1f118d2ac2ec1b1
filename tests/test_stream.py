"""The stream of simulated series: truth, determinism, sizes. `test_stream_faces` holds it to the archive."""

from dataclasses import replace
from datetime import date

import numpy as np
import pytest
import torch

from encoder.stream import SeriesBatch, SimulatedStream, StreamConfig
from encoder.stream_country import KINDS, SLOT_DAYS, CountryConfig
from stac.errors import DataError
from stac.simulation.covers import BANDS, BANDS_20M

COUNTRY = CountryConfig(biomes=("temperate",), ground_px=192, changes=8, first=date(2021, 1, 1), years=2, seed=3)
TINY = StreamConfig(
    country=replace(COUNTRY, ground_px=128, changes=1, years=1), chip_size=32, dates=6, batch=32, seed=3
)
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
    assert batch.mask.shape == (16, 6, 32, 32)
    assert batch.mask.dtype == torch.bool
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


def test_the_mask_lies_where_the_images_change() -> None:
    batch = SimulatedStream(replace(CONFIG, clear=True, changed=1.0, batch=48, dates=12)).draw()
    logs = batch.images.float().log()
    inside, outside = [], []
    assert float((batch.mask.float().mean(dim=(2, 3)) - batch.changed).abs().mean()) < 0.03
    for n in range(48):
        before, after = (batch.days[n] < batch.start[n]).nonzero(), (batch.days[n] > batch.end[n]).nonzero()
        if not (len(before) and len(after)):
            continue
        mask = batch.mask[n, after[0, 0]]
        if 0.03 < float(mask.float().mean()) < 0.9:
            gap = (logs[n, after[0, 0]] - logs[n, before[-1, 0]]).abs().mean(dim=0)
            inside.append(float(gap[mask].median()))
            outside.append(float(gap[~mask].median()))
    assert len(inside) > 8, len(inside)
    assert np.median(np.array(inside) / np.array(outside)) > 1.5


def test_half_of_the_series_change(batches: list[SeriesBatch]) -> None:
    share = float(torch.cat([batch.kind >= 0 for batch in batches]).float().mean())
    assert 0.3 < share < 0.7


def test_a_seed_gives_the_same_series_and_another_seed_others() -> None:
    one, again, other = (SimulatedStream(replace(TINY, seed=seed)).draw() for seed in (3, 3, 4))
    assert torch.equal(one.images, again.images)
    assert torch.equal(one.kind, again.kind)
    assert not torch.equal(one.images, other.images)


def test_wrong_sizes_are_refused() -> None:
    with pytest.raises(DataError, match="chips of 33 pixels"):
        SimulatedStream(replace(CONFIG, chip_size=33))
    with pytest.raises(DataError, match="1000 dates"):
        SimulatedStream(replace(TINY, dates=1000))
    with pytest.raises(DataError, match="batches of 0 series"):
        StreamConfig(batch=0)
    with pytest.raises(DataError, match="5 changes on 127 px"):
        CountryConfig(ground_px=127, changes=5)


@pytest.mark.parametrize(
    "wrong",
    [{"batch": 1.5}, {"batch": "3"}, {"dates": 2.5}, {"chip_size": 32.0}, {"changed": 2.0}, {"changed": float("nan")},
     {"changed": -1}, {"seed": -1}, {"seed": True}],
)  # fmt: skip
def test_sizes_that_are_none_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(DataError, match=str(next(iter(wrong.values())))):
        StreamConfig(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(("biomes", "told"), [(("temperate", "moon"), "biomes moon"), ((), "no biomes")])
def test_unknown_biomes_are_refused(biomes: tuple[str, ...], told: str) -> None:
    with pytest.raises(DataError, match=told):
        CountryConfig(biomes=biomes)


def test_clear_streams_hold_no_clouds() -> None:
    batch = SimulatedStream(replace(TINY, clear=True, changed=0.0)).draw()
    summer = ((batch.days % 365) > 130) & ((batch.days % 365) < 240)  # snow is no cloud
    assert float(batch.clear[summer].mean()) > 0.93  # specks, roofs, and veils that are found
    assert float(torch.isin(batch.scl, torch.tensor([3, 8, 9]))[summer].float().mean()) < 0.02


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
