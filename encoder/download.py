"""Fetching published weights once, into torch's own cache folder, with short time-outs and a checked hash."""

from __future__ import annotations

import hashlib
import http.client
import re
import urllib.request
from pathlib import Path

import torch

from stac.errors import WeightsError

TIMEOUT = 20.0
"""Seconds without an answer or a byte after which a download is given up."""

_CHUNK = 1 << 20


def cache_folder() -> Path:
    """Where torch.hub keeps weights (`TORCH_HOME` moves it)."""
    return Path(torch.hub.get_dir()) / "checkpoints"


def fetch_weights(url: str) -> Path:
    """The file behind an address, from the cache or else from the network.

    Args:
        url: Its last part is the file's name; eight or more hexadecimal digits before the suffix are the beginning of
            its SHA-256, as torch.hub has it (https://docs.pytorch.org/docs/stable/hub.html), and are checked.

    Raises:
        WeightsError: The address cannot be reached, or the file is not the one that was published.
    """
    path = cache_folder() / url.rsplit("/", 1)[-1]
    if path.is_file():
        return path
    part = path.with_name(path.name + ".part")
    expected = re.search(r"-([0-9a-f]{8,})\.", path.name)
    digest = hashlib.sha256()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with urllib.request.urlopen(url, timeout=TIMEOUT) as answer, part.open("wb") as file:
            while chunk := answer.read(_CHUNK):
                digest.update(chunk)
                file.write(chunk)
    except (OSError, http.client.HTTPException) as err:
        part.unlink(missing_ok=True)
        raise WeightsError(
            f"{path.name} could not be downloaded ({err})",
            f"a network that reaches {url}",
            f"fetch that file elsewhere and put it into {cache_folder()}, or use the encoder 'spectral' or 'random'",
        ) from err
    if expected and not digest.hexdigest().startswith(expected.group(1)):
        part.unlink(missing_ok=True)
        raise WeightsError(
            f"{path.name} arrived with SHA-256 {digest.hexdigest()[:12]}…",
            f"one that begins with {expected.group(1)}",
            "try again: the download was cut short or came from elsewhere",
        )
    part.replace(path)
    return path
