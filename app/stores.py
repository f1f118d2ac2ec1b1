"""Which stores there are, and which one a name or the command line means.

A store is named by its folder under `$AFTERIMAGE_DATA/stores`; one store more may come by path, from
`AFTERIMAGE_STORE` or from `streamlit run streamlit_app.py -- --store PATH`. A path never comes from an address.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from stac.errors import StoreError

MANIFEST = "manifest.json"
"""The file that makes a folder a store (design, §5)."""


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
    """Name → path of every store, the one given by path first, then by name.

    Args:
        data: As `stac.cli.data_folder` gives it.
        given: As `given_store` gives it. Listed even when it is no store: opening it then says what is wrong.
    """
    stores: dict[str, Path] = {}
    if given is not None:
        stores[given.resolve().name] = given
    folder = data / "stores"
    if folder.is_dir():
        for path in sorted(folder.iterdir()):
            if not path.name.startswith(".") and (path / MANIFEST).is_file():
                stores.setdefault(path.name, path)
    return stores


def resolve_store(name: str | None, stores: Mapping[str, Path]) -> tuple[str, Path]:
    """The store that a name means; without a name, the one given by path, else `demo`, else the first.

    Args:
        name: From the address bar or the select box.
        stores: As `list_stores` gives them, at least one.

    Raises:
        StoreError: There is no store of that name.
    """
    if name is None:
        first = next(iter(stores))
        return first, stores[first]
    if name not in stores:
        raise StoreError(
            f"there is no store '{name}'", "one of " + ", ".join(stores), "choose another store, or build this one"
        )
    return name, stores[name]
