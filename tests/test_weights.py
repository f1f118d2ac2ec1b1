import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from encoder.encoders import open_encoder
from encoder.narrow import narrow_weights
from encoder.networks import pooled_features, random_network
from encoder.normalization import CACO, default_steps
from encoder.weights import (
    WeightsSpec,
    check_weights,
    open_weights,
    parameters_sha256,
    save_weights,
    spec_from_json,
    spec_to_json,
)
from stac.bands import RGB
from stac.errors import WeightsError

SPEC = WeightsSpec("small", "resnet18", RGB, CACO, 224, 512, "test", "MIT", "", remarks="r", data="d", commit="c")


@pytest.fixture
def state():
    generator = torch.Generator().manual_seed(0)
    return {
        "conv1.weight": torch.randn(64, 3, 7, 7, generator=generator),
        "bn1.num_batches_tracked": torch.tensor(7),
        "half": torch.randn(3, generator=generator).to(torch.bfloat16),
    }


@pytest.fixture
def saved(tmp_path, state):
    return save_weights(tmp_path / "deep" / "small.safetensors", SPEC, state)


def test_saved_weights_open_as_they_were(saved, state):
    spec, found = open_weights(saved)
    assert spec == replace(SPEC, sha256=parameters_sha256(state))
    assert found.keys() == state.keys()
    assert all(torch.equal(found[k], state[k]) and found[k].dtype == state[k].dtype for k in state)
    assert open_weights(saved.with_suffix(".json"))[0] == spec
    assert check_weights(saved) == []
    assert sorted(p.name for p in saved.parent.iterdir()) == ["small.json", "small.safetensors"]


def test_record_follows_the_machine_learning_model_extension(saved):
    record = json.loads(saved.with_suffix(".json").read_text())
    assert record["mlm:name"] == "small"
    assert record["mlm:architecture"] == "resnet18"
    assert record["mlm:input"][0]["bands"] == list(RGB)
    assert record["mlm:input"][0]["input"]["shape"] == [-1, 3, 224, 224]
    assert record["mlm:output"][0]["result"]["shape"] == [-1, 512]
    assert record["mlm:input"][0]["value_scaling"][0]["expression"][0] == {"kind": "bytes", "full": [10000.0]}


@pytest.mark.parametrize("side", [None, 64])
def test_a_spec_survives_json(side):
    spec = replace(SPEC, chip_size=side)
    assert spec_from_json(json.loads(json.dumps(spec_to_json(spec)))) == spec


def test_hash_is_of_the_parameters_alone(state):
    assert parameters_sha256(state) == parameters_sha256(dict(reversed(state.items())))
    assert parameters_sha256({"a": torch.zeros(2, 3)}) != parameters_sha256({"a": torch.zeros(3, 2)})
    assert parameters_sha256({"a": torch.zeros(2)}) != parameters_sha256({"b": torch.zeros(2)})
    strided = torch.arange(6.0).view(2, 3).t()
    assert parameters_sha256({"a": strided}) == parameters_sha256({"a": strided.contiguous()})


def test_parameters_of_another_save_are_refused(saved, state):
    other = save_weights(saved.with_name("other.safetensors"), SPEC, state | {"half": torch.zeros(3)})
    other.replace(saved)
    with pytest.raises(WeightsError, match=r"SHA-256 .* fetch or save both files again"):
        open_weights(saved)


def test_every_fault_is_listed(saved, state):
    record = json.loads(saved.with_suffix(".json").read_text())
    record["mlm:input"][0]["bands"] = ["B04", "B99"]
    record["afterimage:parameters_sha256"] = "0" * 64
    saved.with_suffix(".json").write_text(json.dumps(record))
    faults = " | ".join(check_weights(saved))
    for part in ("B99", "SHA-256", "takes 3 bands", "numbers for 'low'"):
        assert part in faults


def test_damaged_and_missing_files_are_refused(saved):
    saved.write_bytes(saved.read_bytes()[:5000])
    with pytest.raises(WeightsError, match="fetch or save it again"):
        open_weights(saved)
    saved.with_suffix(".json").write_text("{")
    with pytest.raises(WeightsError, match="fetch or save it again"):
        open_weights(saved)
    saved.with_suffix(".json").write_text('{"mlm:name": "x"}')
    with pytest.raises(WeightsError, match="save the weights again"):
        open_weights(saved)
    saved.with_suffix(".json").unlink()
    with pytest.raises(WeightsError, match="put both in one folder"):
        open_weights(saved)


def test_nothing_is_written_when_the_spec_is_faulty(tmp_path, state):
    with pytest.raises(WeightsError, match="save again"):
        save_weights(tmp_path / "a.safetensors", replace(SPEC, bands=("B04", "B04", "B02")), state)
    with pytest.raises(WeightsError, match="save again"):
        save_weights(tmp_path / "a.pth", SPEC, state)
    assert list(tmp_path.iterdir()) == []


TEN = ("B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B11", "B12")


def test_leaving_bands_out_is_putting_them_at_their_mean(tmp_path):
    network = random_network("resnet18", len(TEN), seed=3)
    spec = WeightsSpec("ten", "resnet18", TEN, default_steps(TEN), 64, 512, "test", "MIT", "", subsets=True)
    path = save_weights(tmp_path / "ten.safetensors", spec, network.state_dict())
    bands = ("B12", "B08", "B04")
    narrow = open_encoder(str(path), bands=bands, device="cpu")
    assert narrow.bands == bands
    assert narrow.sha256 != open_encoder(str(path), device="cpu").sha256
    chips = np.random.default_rng(0).integers(100, 4000, (3, 3, 32, 32)).astype(np.uint16)
    mean, std = (torch.tensor(spec.normalization[0].values[name]).view(1, -1, 1, 1) for name in ("mean", "std"))
    whole = mean.expand(3, -1, 32, 32).clone()
    for n, band in enumerate(bands):
        whole[:, TEN.index(band)] = torch.from_numpy(chips[:, n].astype(np.float32))
    with torch.no_grad():
        expected = pooled_features(network, (whole - mean) / std)
    torch.testing.assert_close(torch.from_numpy(narrow.embed(chips)), expected, rtol=1e-4, atol=1e-4)


def test_bands_may_come_in_another_order_but_not_lack_unless_trained_so(state):
    spec, same = narrow_weights(SPEC, state, ("B02", "B03", "B04"))
    assert torch.equal(same["conv1.weight"], state["conv1.weight"].flip(1))
    assert spec.normalization[1].values["high"] == (88.0, 103.0, 129.0)
    assert spec.normalization[0].values["full"] == (10000.0,)
    with pytest.raises(WeightsError, match="exactly the weights' own bands"):
        narrow_weights(SPEC, state, ("B02", "B03"))
    with pytest.raises(WeightsError, match="some of the weights' own bands"):
        narrow_weights(replace(SPEC, subsets=True), state, ("B02", "B12"))
