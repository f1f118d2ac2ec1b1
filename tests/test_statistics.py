from dataclasses import replace

import numpy as np
import pytest
import torch

from encoder.encoders import open_encoder
from encoder.narrow import narrow_weights
from encoder.networks import random_network
from encoder.normalization import default_steps
from encoder.spectral import SpectralEncoder
from encoder.statistics import Statistics, join_parts, part_faults, split_parameters
from encoder.weights import (
    WeightsSpec,
    check_weights,
    open_weights,
    parameters_sha256,
    save_weights,
    spec_from_json,
    spec_to_json,
    weights_sha256,
)
from stac.errors import WeightsError

TEN = ("B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B11", "B12")
SHAPES = [(64, 64), (1, 1), (1, 7), (7, 2), (3, 3), (5, 64), (67, 33)]


def _chips(bands, shape=(16, 16), count=4, high=6000, seed=0):
    return np.random.default_rng(seed).integers(1, high, (count, len(bands), *shape), dtype=np.uint16)


def _twin(bands, chips, valid):
    with torch.inference_mode():
        return Statistics(bands)(torch.from_numpy(chips.astype(np.float32)), torch.from_numpy(valid)).numpy()


def _compare(bands, chips, valid):
    expected = SpectralEncoder(bands, threads=1).embed(chips, valid)
    found = _twin(bands, chips, valid)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    return found


@pytest.mark.parametrize("bands", [TEN, ("B04",), ("B04", "B8A"), ("B12", "B11", "B02", "B08", "B04")])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("hidden", [0.0, 0.1, 0.8])
def test_statistics_are_those_of_the_spectral_encoder(bands, shape, hidden):
    chips = _chips(bands, shape)
    valid = np.random.default_rng(1).random((4, *shape)) >= hidden
    _compare(bands, chips, valid)


def test_bright_chips_and_pixels_that_lack_one_band_agree_too():
    chips, valid = _chips(TEN, (32, 32), high=65535), np.ones((4, 32, 32), bool)
    _compare(TEN, chips, valid)
    chips[1, 3, 5:20, 7:30], chips[2] = 0, 0
    valid[3] = False
    found = _compare(TEN, chips, valid)
    assert found[:2].any(axis=1).all()
    assert not found[2:].any()


def test_a_chip_of_one_column_is_a_turned_chip_of_one_row():
    chips, valid = _chips(TEN, (1, 7)), np.random.default_rng(1).random((4, 1, 7)) > 0.3
    turned = _twin(TEN, chips.transpose(0, 1, 3, 2), valid.transpose(0, 2, 1))
    np.testing.assert_allclose(turned, _twin(TEN, chips, valid), rtol=1e-5, atol=1e-5)
    assert turned[:, 5::6].any()  # edges


def test_what_lies_under_the_mask_has_no_influence():
    chips, valid = _chips(TEN), np.random.default_rng(1).random((4, 16, 16)) > 0.3
    wild = np.where(valid[:, None], chips, np.uint16(65535))
    assert np.array_equal(_twin(TEN, wild, valid), _twin(TEN, chips, valid))
    assert not np.array_equal(_twin(TEN, wild, np.ones_like(valid)), _twin(TEN, chips, valid))


@pytest.mark.parametrize("side", [7, 33, 64])
def test_a_chip_has_the_same_bits_at_any_place_of_a_batch(side):
    chips, valid = _chips(TEN, (side, side), 16), np.random.default_rng(1).random((16, side, side)) > 0.1
    order = np.random.default_rng(2).permutation(16)
    assert np.array_equal(_twin(TEN, chips[order], valid[order]), _twin(TEN, chips, valid)[order])


def test_nothing_waits_for_the_device():
    """A tensor without data refuses every read of a value, so what runs on it never asks for one."""
    statistics = Statistics(TEN).to("meta")
    x, valid = torch.empty(8, 10, 33, 20, device="meta"), torch.empty(8, 33, 20, dtype=torch.bool, device="meta")
    assert statistics(x, valid).shape == (8, statistics.dim) == (8, 96)


def test_statistics_are_one_graph():
    chips, valid = torch.from_numpy(_chips(TEN).astype(np.float32)), torch.ones(4, 16, 16, dtype=torch.bool)
    statistics = Statistics(TEN)
    with torch.inference_mode():
        found = torch.compile(statistics, backend="eager", fullgraph=True, dynamic=False)(chips, valid)
        assert torch.equal(found, statistics(chips, valid))


@pytest.mark.gpu
@pytest.mark.parametrize("compiled", [False, True])
def test_the_gpu_gives_the_same_statistics(compiled):
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device on this machine")
    chips, valid = _chips(TEN, (64, 64), 64), np.random.default_rng(1).random((64, 64, 64)) > 0.1
    statistics = Statistics(TEN).cuda()
    run = torch.compile(statistics, dynamic=False) if compiled else statistics
    with torch.inference_mode():
        found = run(torch.from_numpy(chips.astype(np.float32)).cuda(), torch.from_numpy(valid).cuda()).cpu().numpy()
    np.testing.assert_allclose(found, SpectralEncoder(TEN).embed(chips, valid), rtol=1e-4, atol=1e-4)


@pytest.fixture(scope="module")
def network():
    state = random_network("resnet18", len(TEN), 0).state_dict()
    spec = WeightsSpec("ten", "resnet18", TEN, default_steps(TEN), None, 512, "test", "MIT", "", subsets=True)
    return replace(spec, sha256=parameters_sha256(state)), state


@pytest.fixture
def tensors():
    generator = torch.Generator().manual_seed(0)
    return {
        "mean": torch.randn(512, generator=generator),
        "scale": torch.rand(512, generator=generator) + 0.5,
        "projection": torch.randn(512, 24, generator=generator),
    }


def test_weights_with_parts_survive_their_files(network, tensors, tmp_path):
    spec, state = join_parts(*network, tensors, network_factor=0.5, statistics_factor=2.0)
    assert spec.dim == 24 + 96
    path = save_weights(tmp_path / "joined.safetensors", spec, state)
    assert check_weights(path) == []
    opened, found = open_weights(path)
    assert opened == spec
    own, parts = split_parameters(found)
    assert parameters_sha256(own) == network[0].sha256
    assert all(torch.equal(parts[name], tensors[name]) for name in tensors)
    encoder = open_encoder(str(path), device="cpu")
    assert (encoder.dim, encoder.sha256) == (120, spec.sha256)
    assert encoder.embed(_chips(TEN, (32, 32))).shape == (4, 120)


def test_weights_without_parts_are_as_they_were(network):
    spec, state = network
    assert weights_sha256(spec, state) == parameters_sha256(state)
    assert "afterimage:parts" not in spec_to_json(spec)
    again, same = join_parts(*join_parts(spec, state, {"scale": torch.ones(512)}, statistics_factor=1.0), {})
    assert again == spec
    assert same.keys() == state.keys()


def test_factors_are_in_the_hash(network):
    """A build that is resumed with another factor must be refused: its hash has to tell."""
    hashes = {
        join_parts(*network, {}, network_factor=n, statistics_factor=s)[0].sha256
        for n, s in ((1.0, 0.0), (1.0, 0.5), (1.0, 1.0), (0.5, 1.0))
    }
    assert len(hashes) == 4
    spec = join_parts(*network, {}, network_factor=0.5, statistics_factor=1.0)[0]
    assert spec_from_json(spec_to_json(spec)) == spec


def test_parts_that_do_not_fit_are_named(network, tensors, tmp_path):
    spec, state = join_parts(*network, tensors, statistics_factor=1.0)
    bad = {
        "afterimage.mean": torch.zeros(5),
        "afterimage.scale": -torch.ones(512),
        "afterimage.projection": torch.full((512, 24), torch.nan),
        "afterimage.colour": torch.zeros(1),
    }
    faults = " | ".join(part_faults(replace(spec, network_factor=0.0, dim=7), {**state, **bad}))
    for word in ("colour is unknown", "mean has the shape", "scale holds", "projection holds", "factors 0.0", "says 7"):
        assert word in faults
    with pytest.raises(WeightsError, match="save again"):
        save_weights(tmp_path / "bad.safetensors", spec, {**state, **bad})
    assert list(tmp_path.iterdir()) == []
    path = save_weights(tmp_path / "good.safetensors", spec, state)
    text = path.with_suffix(".json").read_text().replace('"statistics": 1.0', '"statistics": 0.5')
    path.with_suffix(".json").write_text(text)
    assert "SHA-256" in " ".join(check_weights(path))


def test_leaving_bands_out_leaves_their_statistics_out(network, tensors):
    spec, state = join_parts(*network, tensors, statistics_factor=1.0)
    narrow, kept = narrow_weights(spec, state, ("B08", "B04"))
    assert narrow.dim == 24 + 3 * 6  # two bands and NDVI
    assert narrow.sha256 == weights_sha256(narrow, kept) != spec.sha256
    assert part_faults(narrow, kept) == []
    plain, same = join_parts(*network, tensors)
    assert narrow_weights(plain, same, ("B08", "B04"))[0].dim == 24
