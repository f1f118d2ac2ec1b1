import importlib
import warnings

import pytest
import torch

from encoder import torchgeo_weights
from encoder.networks import load_parameters, new_network, pooled_features
from encoder.normalization import CACO, Normalizer, step_faults
from encoder.torchgeo_weights import NORMALIZATIONS, open_torchgeo, torchgeo_bands
from stac.bands import BANDS, RGB
from stac.errors import WeightsError


@pytest.fixture(scope="module")
def resnet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return importlib.import_module("torchgeo.models.resnet")


@pytest.mark.parametrize("name", NORMALIZATIONS)
def test_every_registered_spec_is_sound(resnet, name):
    bands, kept = torchgeo_bands(name)
    assert set(bands) <= set(BANDS)
    assert len(bands) == len(kept) == len(set(bands))
    assert [fault for step in NORMALIZATIONS[name] for fault in step_faults(step, bands)] == []
    enum, member = name.split(".")
    meta = getattr(resnet, enum)[member].meta
    assert len(bands) == meta["in_chans"] - (meta["in_chans"] == 13)  # B10


def test_bands_are_put_into_our_spelling(resnet):
    bands, kept = torchgeo_bands("ResNet18_Weights.SENTINEL2_ALL_MOCO")
    assert bands == tuple(BANDS)
    assert kept == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12]
    assert torchgeo_bands("ResNet18_Weights.SENTINEL2_RGB_SECO")[0] == RGB


@pytest.mark.parametrize("name", ["ResNet18_Weights.SENTINEL2_ALL_MOCO", "ResNet50_Weights.SENTINEL2_ALL_SOFTCON"])
def test_plain_normalizations_agree_with_torchgeos(resnet, name):
    """Where torchgeo's transforms are right (save for resizing), ours give the same."""
    enum, member = name.split(".")
    bands, kept = torchgeo_bands(name)
    x = torch.rand(1, 13, 4, 4) * 5000
    theirs = x.clone()
    for step in getattr(resnet, enum)[member].transforms:
        theirs = step(theirs) if type(step).__name__ == "Normalize" else theirs
    assert torch.allclose(Normalizer(NORMALIZATIONS[name], bands)(x[:, kept]), theirs[:, kept], atol=1e-5)


def test_seco_does_not_follow_torchgeos_transform():
    assert NORMALIZATIONS["ResNet18_Weights.SENTINEL2_RGB_SECO"] == CACO


def test_leaving_out_b10_equals_a_channel_of_zeros(resnet, tmp_path, monkeypatch):
    torch.manual_seed(0)
    full = new_network("resnet18", 13)
    torch.save(full.state_dict(), tmp_path / "w.pth")
    monkeypatch.setattr(torchgeo_weights, "fetch_weights", lambda url: tmp_path / "w.pth")
    spec, state = open_torchgeo("ResNet18_Weights.SENTINEL2_ALL_MOCO")
    assert (spec.name, len(spec.bands), spec.dim) == ("torchgeo:ResNet18_Weights.SENTINEL2_ALL_MOCO", 12, 512)
    assert "B10" in spec.remarks
    network = new_network("resnet18", 12)
    load_parameters(network, state)
    x = torch.rand(2, 12, 32, 32)
    padded = torch.cat([x[:, :10], torch.zeros(2, 1, 32, 32), x[:, 10:]], dim=1)
    with torch.inference_mode():
        assert torch.allclose(pooled_features(network, x), pooled_features(full, padded), atol=1e-5)


def test_a_file_for_other_bands_is_refused(resnet, tmp_path, monkeypatch):
    torch.save(new_network("resnet18", 3).state_dict(), tmp_path / "w.pth")
    monkeypatch.setattr(torchgeo_weights, "fetch_weights", lambda url: tmp_path / "w.pth")
    with pytest.raises(WeightsError, match="and try again"):
        open_torchgeo("ResNet18_Weights.SENTINEL2_ALL_MOCO")


@pytest.mark.parametrize("name", ["ResNet18_Weights.LANDSAT_TM_TOA_MOCO", "ResNet18_Weights", "x"])
def test_names_that_are_not_offered_are_refused(name):
    with pytest.raises(WeightsError, match="pass the file itself"):
        open_torchgeo(name)
