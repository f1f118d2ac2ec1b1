"""Encoders by name: `open_encoder` is the one door through which the other packages get embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from stac.bands import RGB, norm_bands
from stac.errors import ItemError, WeightsError

from .checkpoints import SUFFIXES, open_checkpoint
from .device import norm_device
from .download import fetch_weights
from .embed import NetworkEncoder
from .narrow import narrow_weights
from .networks import DIMS, IMAGENET_URLS, new_network, random_network
from .normalization import default_steps
from .per_pixel import PixelsEncoder
from .spectral import SpectralEncoder
from .torchgeo_weights import NORMALIZATIONS, PREFIX, open_torchgeo
from .weights import WeightsSpec, open_weights, parameters_sha256

_RANDOM = {"random": "resnet18", "random-resnet50": "resnet50"}
_FILES = (".safetensors", ".json", *SUFFIXES)


class Encoder(Protocol):
    """Turns chips into vectors."""

    name: str
    """As given to `open_encoder`, or the name that the weights carry."""
    bands: tuple[str, ...]
    """Canonical bands, in the order of the chips' axis C."""
    dim: int
    """Length D of an embedding."""
    spec: WeightsSpec
    """All that travels with the parameters."""
    sha256: str
    """Of the parameters."""

    def embed(self, chips: NDArray[np.uint16], valid: NDArray[np.bool_] | None = None) -> NDArray[np.float32]:
        """Embeddings float32 (B, D) of uint16 chips (B, C, H, W), harmonised reflectance × 10,000, 0 = no data."""
        ...


def list_encoders() -> list[str]:
    """Names that `open_encoder` takes, besides files."""
    return ["spectral", "pixels", *_RANDOM, *DIMS, *(PREFIX + name for name in NORMALIZATIONS)]


def open_encoder(name: str, *, bands: Sequence[str] | None = None, device: str = "auto", seed: int = 0) -> Encoder:
    """Open an encoder.

    Args:
        name: A name of `list_encoders`; or a file: `.safetensors` (or its `.json`), `.pth`, `.ckpt`, `.pth.tar`.
        bands: Bands in the order of the chips' axis C; None for the encoder's own. `spectral`, `pixels`, `random`
            and the ImageNet networks take any; weights trained with bands left out take some of theirs in any order,
            other weights all of theirs.
        device: `auto`, `cpu`, `cuda`, `cuda:1` …; `spectral` and `pixels` run on the CPU always.
        seed: For parameters drawn at random; 0 … 2⁶³ - 1.

    Raises:
        WeightsError: Name, device or seed are not valid, or the weights are missing, of another kind or of other bands.
    """
    where = norm_device(device)
    if not 0 <= seed < 2**63:
        raise WeightsError(f"the seed {seed}", "a number from 0 to 2^63 - 1", "correct --seed")
    try:
        wanted = None if bands is None else norm_bands(bands)
    except ItemError as err:
        raise WeightsError(err.found, err.expected, err.do) from err
    if name == "spectral":
        return SpectralEncoder(wanted)
    if name == "pixels":
        return PixelsEncoder(wanted)
    spec, state = _open_parameters(name, wanted, seed)
    if wanted is not None:
        spec, state = narrow_weights(spec, state, wanted)
    return NetworkEncoder(spec, state, where)


def _open_parameters(name: str, bands: tuple[str, ...] | None, seed: int) -> tuple[WeightsSpec, dict[str, Tensor]]:
    """Spec and parameters of a network by name or file."""
    if name in _RANDOM or name in DIMS:
        return _new_parameters(name, bands or RGB, seed)
    if name.startswith(PREFIX):
        return open_torchgeo(name.removeprefix(PREFIX))
    path = Path(name).expanduser()
    if path.suffix in {".safetensors", ".json"}:
        return open_weights(path)
    if path.suffix in SUFFIXES:
        return open_checkpoint(path, bands)
    raise WeightsError(
        f"encoder '{name}' is unknown",
        f"one of {', '.join(['spectral', 'pixels', *_RANDOM, *DIMS])}, {PREFIX}…, or a file ({', '.join(_FILES)})",
        "correct the name (encoder.encoders.list_encoders gives all of them)",
    )


def _new_parameters(name: str, bands: tuple[str, ...], seed: int) -> tuple[WeightsSpec, dict[str, Tensor]]:
    """Random or ImageNet parameters for any bands."""
    arch = _RANDOM.get(name, name)
    if name in _RANDOM:
        network = random_network(arch, len(bands), seed)
        source, licence = f"random, seed {seed}", "Apache-2.0"
    else:
        network = new_network(arch, len(bands), imagenet=fetch_weights(IMAGENET_URLS[arch]))
        source, licence = IMAGENET_URLS[arch], "BSD-3-Clause"
    state = network.state_dict()
    spec = WeightsSpec(
        name=name,
        arch=arch,
        bands=bands,
        normalization=default_steps(bands),
        chip_size=None,
        dim=DIMS[arch],
        source=source,
        licence=licence,
        sha256=parameters_sha256(state),
    )
    if name in DIMS:
        spec = replace(spec, data="ImageNet-1k", remarks="assumed: chips stand in for photographs")
    return spec, state
