import pytest
import torch
import torchvision

from encoder.networks import (
    DIMS,
    infer_arch,
    load_parameters,
    new_network,
    pooled_features,
    random_network,
)
from encoder.weights import parameters_sha256
from stac.errors import WeightsError


@pytest.mark.parametrize(("arch", "chans"), [("resnet18", 1), ("resnet18", 12), ("resnet50", 3)])
def test_networks_take_any_bands_and_give_their_dim(arch, chans):
    network = new_network(arch, chans)
    with torch.inference_mode():
        assert pooled_features(network, torch.rand(2, chans, 32, 32)).shape == (2, DIMS[arch])
    assert infer_arch(network.state_dict()) == arch


def test_random_parameters_depend_on_the_seed_alone():
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    first = parameters_sha256(random_network("resnet18", 3, seed=1).state_dict())
    assert torch.equal(torch.rand(1), expected)  # the global stream was not moved
    assert parameters_sha256(random_network("resnet18", 3, seed=1).state_dict()) == first
    assert parameters_sha256(random_network("resnet18", 3, seed=2).state_dict()) != first


def test_random_networks_have_no_branch_switched_off():
    # timm sets the last batch norm of each block to zero for training, which would leave the short cuts alone.
    state = random_network("resnet18", 3, seed=0).state_dict()
    assert all(state[k].any() for k in state if k.endswith("bn2.weight"))


@pytest.fixture
def imagenet(tmp_path):
    """A file as torchvision publishes it, classifier included, and the network that it came from."""
    torch.manual_seed(0)
    network = torchvision.models.resnet18(weights=None).eval()
    torch.save(network.state_dict(), tmp_path / "resnet18-f37072fd.pth")
    return tmp_path / "resnet18-f37072fd.pth", network


def test_imagenet_weights_give_torchvisions_features(imagenet):
    path, source = imagenet
    source.fc = torch.nn.Identity()
    x = torch.rand(2, 3, 64, 64)
    with torch.inference_mode():
        assert pooled_features(new_network("resnet18", 3, imagenet=path), x) == pytest.approx(source(x), abs=1e-5)


def test_imagenet_filters_are_repeated_and_scaled_for_more_bands(imagenet):
    path, source = imagenet
    found = new_network("resnet18", 6, imagenet=path).state_dict()["conv1.weight"]
    assert torch.allclose(found, source.conv1.weight.detach().repeat(1, 2, 1, 1) / 2)


def test_parameters_that_do_not_fit_are_refused():
    network = new_network("resnet18", 3)
    state = network.state_dict()
    changed = {k: v for k, v in state.items() if k != "bn1.bias"}
    changed |= {"fc.weight": torch.zeros(1), "bn1.weight": torch.zeros(3)}
    with pytest.raises(WeightsError, match=r"1 missing, 1 left over, 1 of another shape"):
        load_parameters(network, changed)
    load_parameters(network, {k: v for k, v in state.items() if not k.endswith("num_batches_tracked")})


def test_unknown_architectures_are_refused():
    with pytest.raises(WeightsError, match="choose one of these"):
        new_network("resnet19", 3)
    assert infer_arch({}) is None
    assert infer_arch(torchvision.models.resnet34(weights=None).state_dict()) is None
