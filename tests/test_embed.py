import threading

import numpy as np
import pytest
import torch

from encoder.embed import NetworkEncoder, Pipeline, fill_unseen
from encoder.networks import new_network, pooled_features, random_network
from encoder.normalization import Normalizer, default_steps
from encoder.weights import WeightsSpec, parameters_sha256
from stac.errors import WeightsError

BANDS = ("B04", "B03", "B02", "B08")


def _encoder(device="cpu", batch_size=8, arch="resnet18", **named):
    state = random_network(arch, len(BANDS), 0).state_dict()
    dim = {"resnet18": 512, "resnet50": 2048}[arch]
    steps = default_steps(BANDS)
    spec = WeightsSpec("random", arch, BANDS, steps, None, dim, "random", "MIT", parameters_sha256(state))
    return NetworkEncoder(spec, state, device, batch_size=batch_size, **named)


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
