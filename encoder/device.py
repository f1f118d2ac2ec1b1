"""Devices by name, and whether kernels can be built for them."""

from __future__ import annotations

import re
import shutil
import sysconfig
import warnings
from importlib.util import find_spec
from pathlib import Path

import torch

from stac.errors import WeightsError


def norm_device(device: str) -> str:
    """`auto` → `cuda` where there is one, else `cpu`; other names are checked.

    Raises:
        WeightsError: The device is unknown or not there.
    """
    if device == "auto":
        return "cuda" if _count_gpus() else "cpu"
    match = re.fullmatch(r"cpu|cuda(?::(\d{1,3}))?", device)
    if match is None:
        raise WeightsError(f"device '{device}'", "auto, cpu, cuda, or cuda:1 and so on", "correct --device")
    count = _count_gpus()
    if device != "cpu" and int(match[1] or 0) >= count:
        raise WeightsError(
            f"{count or 'no'} CUDA device{'' if count == 1 else 's'} here",
            f"one for the device '{device}'",
            "use --device auto or cpu",
        )
    return device


def _count_gpus() -> int:
    """CUDA devices that torch can use."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch tells of drivers that do not fit; the count says enough
        return torch.cuda.device_count() if torch.cuda.is_available() else 0


def has_compiler() -> bool:
    """Whether torch.compile can build kernels: Triton builds its launcher with a C compiler and Python's headers."""
    headers = Path(sysconfig.get_path("include"), "Python.h").is_file()
    return headers and find_spec("triton") is not None and any(map(shutil.which, ("cc", "gcc", "clang")))
