import threading

import numpy as np
import pytest
import torch

from encoder.embed import NetworkEncoder, Pipeline, fill_unseen
from encoder.networks import new_network, pooled_features, random_network
from encoder.normalization import Normalizer, default_steps
from encoder.spectral import SpectralEncoder
from encoder.statistics import join_parts
from encoder.weights import WeightsSpec, parameters_sha256
from stac.errors import WeightsError

BANDS = ("B04", "B03", "B02", "B08")


def _weights(arch="resnet18"):
    state = random_network(arch, len(BANDS), 0).state_dict()
    dim = {"resnet18": 512, "resnet50": 2048}[arch]
    steps = default_steps(BANDS)
    return WeightsSpec("random", arch, BANDS, steps, None, dim, "random", "MIT", parameters_sha256(state)), state


def _encoder(device="cpu", batch_size=8, arch="resnet18", **named):
    return NetworkEncoder(*_weights(arch), device, batch_size=batch_size, **named)


def _tensors(projected=16):
    generator = torch.Generator().manual_seed(0)
    mean, scale = torch.randn(512, generator=generator), torch.rand(512, generator=generator) + 0.5
    return {"mean": mean, "scale": scale, "projection": torch.randn(512, projected, generator=generator)}


def _joined(device="cpu", tensors=None, network=1.0, statistics=1.0, **named):
    parts = _tensors() if tensors is None else tensors
    weights = join_parts(*_weights(), parts, network_factor=network, statistics_factor=statistics)
    return NetworkEncoder(*weights, device, batch_size=8, **named)


def _chips(count, side=32, seed=0):
    return np.random.default_rng(seed).integers(1, 60000, (count, len(BANDS), side, side), dtype=np.uint16)


def test_embeddings_are_those_of_the_plain_network():
    chips = _chips(3)
    network = random_network("resnet18", len(BANDS), 0)
    with torch.inference_mode():
        x = Normalizer(default_steps(BANDS), BANDS)(torch.from_numpy(chips.astype(np.float32)))
        expected = pooled_features(network, x).numpy()
    found = _encoder().embed(chips)
    assert found.dtype == np.float32
    assert found == pytest.approx(expected, abs=1e-4)


def test_a_chip_gives_the_same_numbers_in_any_batch_and_order():
    encoder, chips = _encoder(), _chips(21)
    whole = encoder.embed(chips)
    order = np.random.default_rng(1).permutation(len(chips))
    assert encoder.embed(chips[order]) == pytest.approx(whole[order], abs=1e-5)
    assert encoder.embed(chips[20:]) == pytest.approx(whole[20:], abs=1e-5)
    assert np.array_equal(encoder.embed(chips[:3]), whole[:3])
    assert _encoder(batch_size=5).embed(chips) == pytest.approx(whole, abs=1e-4)


def test_unseen_pixels_have_no_influence():
    encoder, chips = _encoder(), _chips(2)
    valid = np.ones((2, 32, 32), bool)
    valid[:, 4:20, 5:9] = False
    hidden = chips.copy()
    hidden.transpose(0, 2, 3, 1)[~valid] = 0
    wild = chips.copy()
    wild.transpose(0, 2, 3, 1)[~valid] = 65535
    expected = encoder.embed(hidden)
    assert np.array_equal(encoder.embed(hidden, valid), expected)
    assert np.array_equal(encoder.embed(wild, valid), expected)
    assert not np.array_equal(encoder.embed(wild), expected)


def test_filling_takes_the_chips_own_mean_of_each_band():
    x = torch.tensor([[[[100.0, 0.0], [300.0, 0.0]], [[7.0, 9.0], [0.0, 0.0]]]])
    valid = torch.tensor([[[True, True], [True, False]]])
    filled = fill_unseen(x, valid)
    assert filled[0, 0].flatten().tolist() == [100.0, 200.0, 300.0, 200.0]
    assert filled[0, 1].flatten().tolist() == [7.0, 9.0, 8.0, 8.0]


def test_a_chip_without_valid_pixels_is_finite():
    assert np.isfinite(_encoder().embed(np.zeros((1, 4, 32, 32), np.uint16))).all()


def test_no_chips_give_no_rows():
    assert _encoder().embed(_chips(0)).shape == (0, 512)


def test_chips_of_another_kind_are_refused():
    with pytest.raises(WeightsError, match="read the encoder's own bands"):
        _encoder().embed(_chips(2)[:, :3])


def test_many_threads_get_what_one_gets():
    encoder, chips = _encoder(), _chips(6)
    expected, found = encoder.embed(chips), {}

    def work(i):
        found[i] = encoder.embed(chips[i : i + 1])

    threads = [threading.Thread(target=work, args=(i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert np.array_equal(np.concatenate([found[i] for i in range(6)]), expected)


def test_bfloat16_convolutions_stay_close_to_float32():
    encoder, chips = _encoder(), _chips(4, side=64)
    network = new_network("resnet18", len(BANDS))
    network.load_state_dict(random_network("resnet18", len(BANDS), 0).state_dict())
    low = Pipeline(network, encoder.spec, torch.bfloat16).eval()
    with torch.inference_mode():
        found = low(torch.from_numpy(chips.view(np.int16)), torch.ones(4, 64, 64, dtype=torch.bool)).numpy()
    expected = encoder.embed(chips)
    cosine = (found * expected).sum(1) / np.linalg.norm(found, axis=1) / np.linalg.norm(expected, axis=1)
    assert cosine.min() > 0.999
    assert found.dtype == np.float32


def test_statistics_stand_behind_the_networks_features_each_by_its_factor():
    chips, valid = _chips(5), np.random.default_rng(1).random((5, 32, 32)) > 0.2
    plain, spectral = _encoder().embed(chips, valid), SpectralEncoder(BANDS).embed(chips, valid)
    encoder = _joined(tensors={}, network=0.5, statistics=2.0)
    found = encoder.embed(chips, valid)
    assert found.shape == (5, encoder.dim) == (5, 512 + spectral.shape[1])
    assert np.array_equal(found[:, :512], plain * np.float32(0.5))
    np.testing.assert_allclose(found[:, 512:], 2 * spectral, rtol=1e-4, atol=2e-5)


def test_features_are_centred_scaled_and_projected():
    chips, tensors = _chips(5), {name: tensor.numpy() for name, tensor in _tensors().items()}
    scaled = (_encoder().embed(chips).astype(np.float64) - tensors["mean"]) / tensors["scale"]
    encoder = _joined(statistics=0.0)
    assert encoder.dim == 16
    np.testing.assert_allclose(encoder.embed(chips), scaled @ tensors["projection"], rtol=1e-4, atol=1e-3)
    scale_alone = _joined(tensors={"scale": torch.from_numpy(tensors["scale"])}, statistics=0.0).embed(chips)
    np.testing.assert_allclose(scale_alone, scaled + tensors["mean"] / tensors["scale"], rtol=1e-4, atol=1e-4)


def test_parts_that_do_nothing_change_no_bit():
    chips, idle = _chips(5), {"mean": torch.zeros(512), "scale": torch.ones(512)}
    assert np.array_equal(_joined(tensors=idle, statistics=0.0).embed(chips), _encoder().embed(chips))


def test_a_chip_with_statistics_gives_the_same_numbers_in_any_batch_and_order():
    encoder, chips = _joined(), _chips(21)
    whole = encoder.embed(chips)
    order = np.random.default_rng(1).permutation(len(chips))
    moved = encoder.embed(chips[order])
    assert np.array_equal(moved[:, 16:], whole[order, 16:])
    assert moved == pytest.approx(whole[order], abs=1e-4)
    assert np.array_equal(encoder.embed(chips[:3]), whole[:3])
    others = np.concatenate([chips[:1], _chips(20, seed=9)])
    assert np.array_equal(encoder.embed(others)[0], whole[0])


def test_parts_of_another_network_are_refused():
    spec, state = join_parts(*_weights(), {"scale": torch.ones(2048)})
    with pytest.raises(WeightsError, match=r"scale has the shape \(2048,\) for 512 features"):
        NetworkEncoder(spec, state)


@pytest.mark.gpu
@pytest.mark.parametrize("compiled", [False, True])
def test_statistics_on_the_gpu_agree_with_the_cpu(cuda, compiled):
    chips = _chips(20, side=64)
    found, expected = _joined(cuda, compiled=compiled).embed(chips), _joined().embed(chips)
    np.testing.assert_allclose(found[:, 16:], expected[:, 16:], rtol=1e-4, atol=1e-4)


@pytest.mark.gpu
@pytest.mark.parametrize("compiled", [False, True])
def test_gpu_agrees_with_the_cpu_and_does_not_depend_on_the_batch(cuda, compiled):
    chips = _chips(300, side=64)
    encoder = _encoder(cuda, batch_size=128, compiled=compiled)
    found, expected = encoder.embed(chips), _encoder().embed(chips)
    cosine = (found * expected).sum(1) / np.linalg.norm(found, axis=1) / np.linalg.norm(expected, axis=1)
    assert cosine.min() > 0.999
    order = np.random.default_rng(1).permutation(300)
    assert encoder.embed(chips[order]) == pytest.approx(found[order], abs=1e-5)


@pytest.fixture
def cuda():
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device on this machine")
    return "cuda"
