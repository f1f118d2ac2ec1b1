import argparse
import collections
import datetime
import enum
import functools
import os
import pathlib
import pickle
import sys
import tarfile
import types
import zipfile
from collections import OrderedDict

import numpy as np
import pytest
import torch
import torchvision
from torch import nn

from encoder.checkpoints import open_checkpoint, read_pickle
from encoder.networks import load_parameters, new_network
from encoder.normalization import CACO, TRUE_COLOUR
from stac.bands import RGB
from stac.errors import WeightsError

X = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def source():
    """A random torchvision ResNet-18 with lively batch-norm statistics, and its last feature map of X."""
    torch.manual_seed(0)
    network = torchvision.models.resnet18(weights=None)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.1, 0.1)
            nn.init.uniform_(module.running_var, 0.5, 2.0)
            nn.init.uniform_(module.weight, 0.5, 1.5)
    network.eval()
    sequential = nn.Sequential(*list(network.children())[:-1], nn.Flatten())
    with torch.inference_mode():
        return network, sequential, sequential.eval()[:-2](X)


def _state(module, prefix=""):
    return OrderedDict((prefix + k, v) for k, v in module.state_dict().items())


def _layouts(network, sequential):
    """Checkpoints as each group published them."""
    heads = {"heads_q.0.0.weight": torch.rand(4, 4), "queue": torch.rand(3, 8, 16), "queue_ptr": torch.zeros(3)}
    lightning = _state(sequential, "encoder_q.") | _state(sequential, "encoder_k.") | heads
    moco = _state(network, "module.encoder_q.") | _state(network, "module.encoder_k.")
    moco["module.queue"] = torch.rand(8, 16)
    return {
        "resnet18_caco_geo_1m_200.pth": _state(sequential),
        "seco_resnet18_1m.ckpt": {"epoch": 199, "state_dict": lightning, "hyper_parameters": {"emb_dim": 128}},
        "moco_geo+tp.pth.tar": {"epoch": 200, "arch": "resnet18", "state_dict": moco, "geo_dict": {}, "optimizer": {}},
        "moco_v2_800ep_pretrain.pth.tar": {"epoch": 800, "arch": "resnet18", "state_dict": moco, "optimizer": {}},
        "resnet18-f37072fd.pth": _state(network),
    }


CASES = {
    "resnet18_caco_geo_1m_200.pth": (CACO, "CACo"),
    "seco_resnet18_1m.ckpt": (CACO, "SeCo or CACo"),
    "moco_geo+tp.pth.tar": (TRUE_COLOUR, "GSSL"),
    "moco_v2_800ep_pretrain.pth.tar": (TRUE_COLOUR, "MoCo or GSSL"),
    "resnet18-f37072fd.pth": (TRUE_COLOUR, "state dict"),
}


# GSSL's and MoCo's files are older than torch's zip format.
@pytest.mark.parametrize(("name", "zipped"), [(name, not name.endswith(".pth.tar")) for name in CASES])
def test_published_layouts_give_the_features_of_their_network(tmp_path, source, name, zipped):
    network, sequential, maps = source
    torch.save(_layouts(network, sequential)[name], tmp_path / name, _use_new_zipfile_serialization=zipped)
    spec, state = open_checkpoint(tmp_path / name)
    steps, who = CASES[name]
    assert (spec.arch, spec.bands, spec.dim, spec.normalization) == ("resnet18", RGB, 512, steps)
    assert spec.source.startswith(who)
    loaded = new_network("resnet18", 3)
    load_parameters(loaded, state)
    with torch.inference_mode():
        assert torch.equal(loaded.forward_features(X), maps)


def _foreign(name, bases=(object,)):
    """A class of a module that is there while saving and gone while loading."""
    module = sys.modules.setdefault("seco_datamodule_gone", types.ModuleType("seco_datamodule_gone"))
    made = type(name, bases, {"__module__": "seco_datamodule_gone"})
    setattr(module, name, made)
    return made


class _Slotted:
    __slots__ = ("rate",)
    __module__ = "seco_datamodule_gone"


class _Colour(enum.Enum):
    RED = 1


def _hyper_parameters():
    """What Lightning keeps beside the tensors: instances of classes that are not installed here, and of many kinds."""
    module = _foreign("DataModule")()
    module.batch, module.args = 256, argparse.Namespace(lr=0.03)
    _Slotted.__qualname__ = "Slotted"
    sys.modules["seco_datamodule_gone"].Slotted = _Slotted
    slotted = _Slotted()
    slotted.rate = 0.5
    kinds = {
        "partial": functools.partial(print, sep=","),
        "deque": collections.deque([1, 2], maxlen=3),
        "enum": _Colour.RED,
        "path": pathlib.PurePosixPath("a/b"),
        "when": datetime.datetime(2021, 1, 1, tzinfo=datetime.UTC),
        "set": {1, 2},
        "list": _foreign("Strings", (list,))(["a", "b"]),
        "slotted": slotted,
    }
    return _foreign("AttributeDict", (dict,))(emb_dim=128, data=module, **kinds)


@pytest.mark.parametrize("zipped", [True, False])
def test_lightning_files_with_unknown_classes_are_read(tmp_path, source, zipped):
    network, sequential, maps = source
    content = _layouts(network, sequential)["seco_resnet18_1m.ckpt"]
    best = {"best_model_score": np.float64(1.5), "limits": np.arange(3)}
    content |= {"hyper_parameters": _hyper_parameters(), "callbacks": {_foreign("ModelCheckpoint"): best}}
    torch.save(content, tmp_path / "resnet18_caco.ckpt", _use_new_zipfile_serialization=zipped)
    del sys.modules["seco_datamodule_gone"]
    spec, state = open_checkpoint(tmp_path / "resnet18_caco.ckpt")
    loaded = new_network(spec.arch, 3)
    load_parameters(loaded, state)
    with torch.inference_mode():
        assert torch.equal(loaded.forward_features(X), maps)


def test_programs_and_tar_archives_are_refused(tmp_path):
    torch.save({"a": torch.zeros(1)}, tmp_path / "program.pt")
    with zipfile.ZipFile(tmp_path / "program.pt", "a") as archive:
        archive.writestr("program/constants.pkl", b"")  # what tells a program from tensors
    (tmp_path / "a").write_text("x")
    with tarfile.open(tmp_path / "old.tar", "w") as archive:
        archive.add(tmp_path / "a", "pickle")
    for name, kind in (("program.pt", "TorchScript"), ("old.tar", "tar archive")):
        with pytest.raises(WeightsError, match=kind):
            open_checkpoint(tmp_path / name)


class _Malice:
    def __init__(self, func, *args):
        self.call = (func, args)

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("how", ["os", "eval", "import"])
def test_a_malicious_pickle_does_not_run(tmp_path, zipped, how):
    mark = tmp_path / "ran"
    evil = {
        "os": _Malice(os.mkdir, str(mark)),
        "eval": _Malice(eval, f"__import__('os').mkdir({str(mark)!r})"),
        "import": _Malice(exec, f"import os; os.mkdir({str(mark)!r})"),
    }[how]
    path = tmp_path / "evil.ckpt"
    torch.save({"state_dict": {"a": torch.zeros(1)}, "x": evil}, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(WeightsError, match="pass the original file"):
        open_checkpoint(path)
    assert not mark.exists()
    pickle.loads(pickle.dumps(evil))  # the same object does run where pickles are trusted
    assert mark.exists()


@pytest.mark.parametrize("content", [b"", b"<html>not found</html>", b"PK\x03\x04 cut short", b"\x80\x02}q\x00."])
def test_files_that_are_no_weights_are_refused(tmp_path, content):
    path = tmp_path / "x.pth"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match="pass the original file"):
        open_checkpoint(path)


def test_a_cut_off_checkpoint_is_refused(tmp_path, source):
    path = tmp_path / "caco.pth"
    torch.save(source[1].state_dict(), path)
    path.write_bytes(path.read_bytes()[:1_000_000])
    with pytest.raises(WeightsError, match="pass the original file"):
        read_pickle(path)


def test_other_networks_and_missing_files_are_refused(tmp_path):
    torch.save(torchvision.models.resnet34(weights=None).state_dict(), tmp_path / "r34.pth")
    with pytest.raises(WeightsError, match=r"holds no ResNet-18 or ResNet-50"):
        open_checkpoint(tmp_path / "r34.pth")
    with pytest.raises(WeightsError, match="check the path"):
        open_checkpoint(tmp_path / "none.pth")


def test_more_bands_than_three_must_be_named(tmp_path):
    torch.save(new_network("resnet18", 4).state_dict(), tmp_path / "four.pth")
    with pytest.raises(WeightsError, match="does not say which"):
        open_checkpoint(tmp_path / "four.pth")
    with pytest.raises(WeightsError, match="name as many"):
        open_checkpoint(tmp_path / "four.pth", ("B04", "B08"))
    spec, _ = open_checkpoint(tmp_path / "four.pth", ("B04", "B03", "B02", "B08"))
    assert spec.normalization[0].kind == "standardize"
    assert "assumed" in spec.remarks
