"""Networks: timm's ResNets without a classifier, for any number of bands, and their features.

A network here is a timm module whose `forward_features` gives the last feature map; `pooled_features` is the one place
where that map becomes an embedding (its mean over the pixels, in float32).
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

from stac.errors import WeightsError

DIMS: dict[str, int] = {"resnet18": 512, "resnet50": 2048}
"""Architecture → length of its embedding."""

IMAGENET_URLS: dict[str, str] = {
    # torchvision's first weights (BSD-3-Clause): https://pytorch.org/vision/stable/models/generated/torchvision.models.resnet18.html
    "resnet18": "https://download.pytorch.org/models/resnet18-f37072fd.pth",
    "resnet50": "https://download.pytorch.org/models/resnet50-0676ba61.pth",
}
"""Architecture → address of its ImageNet weights."""


def new_network(arch: str, in_chans: int, *, imagenet: Path | None = None) -> nn.Module:
    """A network in evaluation mode.

    Args:
        arch: A key of `DIMS`.
        in_chans: Number of bands.
        imagenet: File of ImageNet weights with three input channels. With other bands timm repeats the three filters
            and scales them by 3 / bands. Parameters are random when None.

    Raises:
        WeightsError: The architecture is unknown.
    """
    if arch not in DIMS:
        raise WeightsError(f"architecture '{arch}'", "one of " + ", ".join(DIMS), "choose one of these")
    import timm  # takes a second, which the spectral encoder need not wait for

    overlay = None if imagenet is None else {"file": str(imagenet)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # timm's and torch's deprecations are not the user's
        network = timm.create_model(
            arch,
            pretrained=imagenet is not None,
            pretrained_cfg_overlay=overlay,
            in_chans=in_chans,
            num_classes=0,
            zero_init_last=False,
        )
    return network.eval()


def random_network(arch: str, in_chans: int, seed: int) -> nn.Module:
    """A network whose parameters depend on the seed alone; the global random state is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return new_network(arch, in_chans)


def load_parameters(network: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Put parameters into a network; all of them must fit, save batch counters, which old files lack.

    Raises:
        WeightsError: Some are missing, left over, of another shape, or hold NaN or infinity.
    """
    wanted = network.state_dict()
    missing = [k for k in wanted if k not in state and not k.endswith("num_batches_tracked")]
    extra = [k for k in state if k not in wanted]
    shapes = [k for k in wanted if k in state and wanted[k].shape != state[k].shape]
    if missing or extra or shapes:
        raise WeightsError(
            f"parameters of another network: {len(missing)} missing, {len(extra)} left over, {len(shapes)} of another "
            f"shape (first: {(missing + extra + shapes)[0]})",
            "those of timm's ResNet without its classifier",
            "check the architecture in the JSON, or pass the original file",
        )
    odd = [k for k, tensor in state.items() if tensor.is_floating_point() and not tensor.isfinite().all()]
    if odd:
        raise WeightsError(
            f"{len(odd)} parameters hold NaN or infinity (first: {odd[0]})",
            "finite numbers",
            "use weights of a training that did not diverge",
        )
    network.load_state_dict(dict(state), strict=False)


def infer_arch(state: Mapping[str, Tensor]) -> str | None:
    """`resnet18` or `resnet50` from the names of its parameters (timm's); None for anything else."""
    blocks = [len({k.split(".")[1] for k in state if k.startswith(f"layer{i}.")}) for i in (1, 2, 3, 4)]
    first = state.get("conv1.weight")
    if first is None or first.ndim != 4 or first.shape[0] != 64:
        return None
    wide = "layer1.0.conv3.weight" in state
    if blocks == [2, 2, 2, 2] and not wide:
        return "resnet18"
    return "resnet50" if blocks == [3, 4, 6, 3] and wide else None


def pooled_features(network: nn.Module, x: Tensor) -> Tensor:
    """Embeddings float32 (B, D) of normalized input (B, C, H, W): the mean of the last feature map, in float32."""
    maps = cast(Tensor, network.forward_features(x))  # type: ignore[operator]
    return maps.float().mean(dim=(2, 3))
