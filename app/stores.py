"""Which stores there are, and which one a name or the command line means.

A store is named by its folder under `$AFTERIMAGE_DATA/stores`; one store more may come by path, from
`AFTERIMAGE_STORE` or from `streamlit run streamlit_app.py -- --store PATH`. A path never comes from an address.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path

MANIFEST = "manifest.json"
"""The file that makes a folder a store (design, §5)."""

DEMO = "demo"
"""Name of the store that `index.build` makes without arguments."""


def is_plain_name(name: str) -> bool:
    """Whether a text can be the name of a store's folder: one step down a path, and nothing that steps elsewhere.

    Blanks, brackets and letters of any script are plain; separators, a leading dot, control characters and what is no
    UTF-8 are not.
    """
    if not name or len(name) > 255 or name.startswith(".") or any(mark in name for mark in "/\\"):
        return False
    return not any(unicodedata.category(char) in ("Cc", "Cs") for char in name)


def given_store(argv: Sequence[str], environ: Mapping[str, str] | None = None) -> Path | None:
    """The store named on the command line (`--store PATH`, `--store=PATH`), else by `AFTERIMAGE_STORE`, else None."""
    for i, argument in enumerate(argv):
        if argument == "--store" and i + 1 < len(argv):
            return Path(argv[i + 1])
        if argument.startswith("--store="):
            return Path(argument.removeprefix("--store="))
    text = (os.environ if environ is None else environ).get("AFTERIMAGE_STORE")
    return Path(text) if text else None


def list_stores(data: Path, given: Path | None = None) -> dict[str, Path]:
    """Name → path of every store: the one given by path first, then `demo`, then by name.

    Args:
        data: As `stac.cli.data_folder` gives it.
        given: As `given_store` gives it. Listed even when it is no store: opening it then says what is wrong.
    """
    stores: dict[str, Path] = {}
    if given is not None:
        stores[given.resolve().name] = given
    folder = data / "stores"
    if folder.is_dir():
        for path in sorted(folder.iterdir(), key=lambda path: (path.name != DEMO, path.name)):
            if is_plain_name(path.name) and (path / MANIFEST).is_file():
                stores.setdefault(path.name, path)
    return stores


def choose_store(name: str | None, gone: str | None, stores: Mapping[str, Path]) -> tuple[str | None, str | None]:
    """The store to open, and the one that was open and is gone: one of the two is None, or both.

    A store that vanishes under an open page is never replaced by another that nobody asked for.

    Args:
        name: The store that is open or was just chosen; None before the first choice, which is the first store.
        gone: The store that was gone when the page was last drawn.
        stores: As `list_stores` gives them.
    """
    if name is None and gone is None:
        return next(iter(stores), None), None
    wanted = gone if name is None else name
    return (wanted, None) if wanted in stores else (None, wanted)
