"""Whitening within classes, and the parts of an embedding that it puts together."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from encoder.encoders import open_encoder
from encoder.networks import pooled_features, random_network
from encoder.normalization import Normalizer, default_steps
from encoder.pretraining.calibrate import calibrate, draw_pairs, embedded_changes, projection, within_classes
from encoder.spectral import SpectralEncoder
from encoder.statistics import inverse_root
from encoder.weights import WeightsSpec, check_weights, save_weights
from tests.pretraining_runs import MadeSeries

BANDS = ("B02", "B03", "B04", "B08", "B12")


@pytest.fixture(scope="module")
def series() -> MadeSeries:
    made = MadeSeries(count=24, bands=BANDS)
    made.kind = torch.where(made.changed > 0, torch.arange(24) % 2, -1)
    return made


def test_pairs_go_from_the_older_half_to_the_recent_one(series: MadeSeries) -> None:
    pairs = draw_pairs(series, 3, seed=0)
    assert len(pairs.location) == 72
    assert (series.half[pairs.location, pairs.dates[:, 0]] == 0).all()
    assert (series.half[pairs.location, pairs.dates[:, 1]] == 1).all()
    assert torch.equal(pairs.kind, series.kind[pairs.location])
    assert not torch.equal(pairs.dates[0::3], pairs.dates[1::3])
    assert torch.equal(pairs.dates, draw_pairs(series, 3, seed=0).dates)


def test_small_changes_are_neither_change_nor_none(series: MadeSeries) -> None:
    some = MadeSeries(count=24)
    some.kind, some.changed = series.kind, series.changed * 0.05
    assert set(draw_pairs(some, 1, seed=0).location.tolist()) == set(torch.nonzero(some.changed == 0)[:, 0].tolist())


def test_covariance_is_about_class_means_and_about_nothing() -> None:
    generator = torch.Generator().manual_seed(0)
    kind = torch.arange(3000) % 3 - 1
    noise = torch.randn(3000, 2, generator=generator, dtype=torch.float64) * torch.tensor([1.0, 3.0])
    mean = torch.tensor([[2.0, 0.0], [50.0, 0.0], [0.0, -50.0]], dtype=torch.float64)
    told = within_classes(noise + mean[kind + 1], kind, ridge=0.0)
    # a third of the rows are "no change" with a mean of 2, which counts as wandering
    torch.testing.assert_close(told, torch.tensor([[1.0 + 4 / 3, 0.0], [0.0, 9.0]]).double(), rtol=0.1, atol=0.3)
    ridged = within_classes(noise + mean[kind + 1], kind, ridge=0.5)
    torch.testing.assert_close(ridged - told, torch.eye(2).double() * 0.5 * told.diagonal().mean())


def test_the_inverse_root_whitens() -> None:
    generator = torch.Generator().manual_seed(1)
    a = torch.randn(6, 6, generator=generator, dtype=torch.float64)
    covariance = a @ a.T + torch.eye(6)
    root = inverse_root(covariance).double()
    torch.testing.assert_close(root @ covariance @ root, torch.eye(6).double(), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(root, root.T)


def test_projection_finds_what_tells_classes_apart_under_louder_noise() -> None:
    generator = torch.Generator().manual_seed(2)
    kind = torch.arange(600) % 3 - 1
    loud = torch.randn(600, 4, generator=generator) * torch.tensor([30.0, 30.0, 1.0, 1.0])
    signal = torch.zeros(600, 4)
    signal[kind == 0, 2], signal[kind == 1, 3] = 5.0, 5.0
    told = projection(loud + signal, kind, 2, ridge=1e-6)
    assert told.shape == (4, 2)
    assert told[:2].abs().max() < 0.1 * told[2:].abs().max()


def test_the_parts_are_what_they_are_said_to_be(series: MadeSeries, tmp_path: Path) -> None:
    network, steps = random_network("resnet18", len(BANDS), seed=0), default_steps(BANDS)
    spec = WeightsSpec("own", "resnet18", BANDS, steps, 16, 512, "test", "MIT", "", subsets=True)
    normalizer = Normalizer(steps, BANDS)

    def embed(images: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            return pooled_features(network, normalizer(images.float()))

    pairs = draw_pairs(series, 4, seed=0)
    spec, state = calibrate(spec, network.state_dict(), embed, series, pairs=pairs, size=8, share=0.5)
    path = save_weights(tmp_path / "own.safetensors", spec, state)
    assert check_weights(path) == []
    encoder = open_encoder(str(path), device="cpu")
    count = SpectralEncoder(BANDS).dim
    assert encoder.dim == 8 + count

    def through(images: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(encoder.embed(images.numpy().astype(np.uint16)))

    changes = embedded_changes(through, series, pairs)
    lengths = [part.square().sum(1).mean().sqrt() for part in (changes[:, :8], changes[:, 8:])]
    assert float(lengths[0] / lengths[1]) == pytest.approx(0.5, rel=0.02)
    statistics = changes[:, 8:]
    white = within_classes(statistics, pairs.kind, ridge=0.0)
    assert float(white.diagonal().max()) < 1.01  # the ridge leaves less than 1
    narrow = open_encoder(str(path), device="cpu", bands=("B12", "B08", "B04"))
    assert narrow.dim == 8 + SpectralEncoder(("B12", "B08", "B04")).dim
    plain = open_encoder("spectral", bands=("B12", "B08", "B04"))
    chips = np.random.default_rng(0).integers(1, 4000, (5, 3, 16, 16)).astype(np.uint16)
    own, other = narrow.embed(chips)[:, 8:], plain.embed(chips)
    assert np.linalg.matrix_rank(np.corrcoef(own, rowvar=False)) == np.linalg.matrix_rank(
        np.corrcoef(other, rowvar=False)
    )
