import subprocess
import sys

import numpy as np
import pytest
import torch
import torchvision

from encoder import encoders
from encoder.device import norm_device
from encoder.encoders import list_encoders, open_encoder
from encoder.networks import new_network
from encoder.normalization import CACO
from encoder.weights import save_weights
from stac.bands import RGB
from stac.errors import WeightsError


def _chips(bands, count=2):
    return np.random.default_rng(0).integers(1, 6000, (count, bands, 32, 32), dtype=np.uint16)


@pytest.mark.parametrize(
    ("name", "bands", "dim"),
    [
        ("spectral", None, 72),
        ("pixels", None, 384),
        ("random", None, 512),
        ("random", ("B12", "B08"), 512),
        ("random-resnet50", None, 2048),
    ],
)
def test_encoders_by_name(name, bands, dim):
    encoder = open_encoder(name, bands=bands, device="cpu")
    assert (encoder.name, encoder.dim, encoder.spec.bands) == (name, dim, encoder.bands)
    assert bands is None or encoder.bands == bands
    assert len(encoder.sha256) == 64
    features = encoder.embed(_chips(len(encoder.bands)))
    assert features.shape == (2, dim)
    assert np.ptp(features) > 0


def test_random_encoders_depend_on_the_seed_alone():
    first, again, other = (open_encoder("random", device="cpu", seed=s) for s in (1, 1, 2))
    assert first.sha256 == again.sha256 != other.sha256
    assert np.array_equal(first.embed(_chips(3)), again.embed(_chips(3)))
    assert not np.allclose(first.embed(_chips(3)), other.embed(_chips(3)))


def test_bands_may_be_given_by_any_providers_names():
    assert open_encoder("spectral", bands=["red", "B8", "B12_20m"]).bands == ("B04", "B08", "B12")


@pytest.fixture
def imagenet(tmp_path, monkeypatch):
    torch.manual_seed(0)
    torch.save(torchvision.models.resnet18(weights=None).state_dict(), tmp_path / "resnet18-f37072fd.pth")
    monkeypatch.setattr(encoders, "fetch_weights", lambda url: tmp_path / "resnet18-f37072fd.pth")


def test_imagenet_networks_take_any_bands(imagenet):
    assert open_encoder("resnet18", device="cpu").bands == RGB
    encoder = open_encoder("resnet18", bands=("B02", "B03", "B04", "B08"), device="cpu")
    assert encoder.embed(_chips(4)).shape == (2, 512)
    assert encoder.spec.data == "ImageNet-1k"


def test_saved_weights_embed_as_before(tmp_path):
    before = open_encoder("random", device="cpu")
    state = encoders.random_network("resnet18", 3, 0).state_dict()
    path = save_weights(tmp_path / "own.safetensors", before.spec, state)
    after = open_encoder(str(path), device="cpu")
    assert after.sha256 == before.sha256
    assert np.array_equal(after.embed(_chips(3)), before.embed(_chips(3)))


def test_a_published_checkpoint_opens_by_its_path(tmp_path):
    sequential = torch.nn.Sequential(*list(torchvision.models.resnet18(weights=None).children())[:-1])
    torch.save(sequential.state_dict(), tmp_path / "resnet18_caco_geo_1m_200.pth")
    encoder = open_encoder(str(tmp_path / "resnet18_caco_geo_1m_200.pth"), device="cpu")
    assert (encoder.name, encoder.bands, encoder.spec.normalization) == ("resnet18_caco_geo_1m_200", RGB, CACO)
    with pytest.raises(WeightsError, match=r"B04 B03 B02, and B02 B03 B08 were asked for .* leave the bands out"):
        open_encoder(str(tmp_path / "resnet18_caco_geo_1m_200.pth"), bands=("B02", "B03", "B08"))


def test_weights_that_diverged_are_refused(tmp_path):
    state = new_network("resnet18", 3).state_dict()
    state["layer1.0.conv1.weight"][0, 0, 0, 0] = float("nan")
    torch.save(state, tmp_path / "diverged.pth")
    with pytest.raises(WeightsError, match=r"NaN or infinity \(first: layer1.0.conv1.weight\)"):
        open_encoder(str(tmp_path / "diverged.pth"), device="cpu")


@pytest.mark.parametrize(
    ("name", "bands", "do"),
    [
        ("spectrum", None, "correct the name"),
        ("torchgeo:ResNet18_Weights.X", None, "pass the file itself"),
        ("nowhere.pth", None, "check the path"),
        ("nowhere.safetensors", None, "put both in one folder"),
        ("spectral", ("B99",), "correct the band's name"),
        ("spectral", ("B04", "B04"), "correct the list of bands"),
    ],
)
def test_wrong_input_gets_a_sentence(name, bands, do):
    with pytest.raises(WeightsError, match=do):
        open_encoder(name, bands=bands)


def test_devices_are_checked(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert norm_device("auto") == norm_device("cpu") == "cpu"
    for device in ("cuda", "cuda:99", "tpu?", "meta", "mps", ""):
        with pytest.raises(WeightsError):
            norm_device(device)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert norm_device("auto") == "cuda"
    assert norm_device("cuda:1") == "cuda:1"
    with pytest.raises(WeightsError, match="2 CUDA devices here"):
        norm_device("cuda:2")


@pytest.mark.parametrize("seed", [-1, 2**63])
def test_seeds_are_checked(seed):
    with pytest.raises(WeightsError, match="--seed"):
        open_encoder("random", device="cpu", seed=seed)


def test_every_listed_name_is_known():
    assert {"spectral", "random", "resnet18", "resnet50"} <= set(list_encoders())
    assert len(list_encoders()) == len(set(list_encoders()))


def test_importing_encoders_does_not_pull_the_heavy_libraries():
    code = "import sys, encoder.encoders; print([m for m in ('timm', 'torchgeo', 'torchvision') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
