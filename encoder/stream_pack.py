"""Ready grounds in one file, from which a stream draws where nothing but torch and NumPy is installed.

    python -m encoder.stream_pack --out data/grounds.safetensors --grounds-per-biome 4

A ground of 512 px and its changes take about 1 MB. All of it is invented (`stac.simulation`); looks by day are not in
the file: they are tabled anew from the fields' crops as it is opened. `open_country` needs torch, NumPy and safetensors
only; making the grounds needs the rest of what this project depends on.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from stac.cli import check_output, number, parse_args
from stac.errors import DataError, exit_code
from stac.files import write_whole
from stac.simulation.biomes import BIOMES
from stac.simulation.ground import Fields

from .stream_country import KINDS, Country, CountryConfig, Piece, build_country
from .stream_layers import pack_layers, unpack_layers

FORMAT = "afterimage stream grounds 1"
"""What the file's metadata says it is; the number is raised when older files cannot be read as before."""

_ENTRY = "afterimage"
_MAKE_ANEW = "copy it again, or make it anew with python -m encoder.stream_pack"
_DTYPES = {"crop": "uint8", "late": "float64", "bright": "float64", "kind": "uint8", "start": "int32", "span": "int32"}


def save_country(path: Path, pieces: Sequence[Piece], config: CountryConfig) -> None:
    """Write grounds to a file, whole or not at all.

    Args:
        path: File to write, `….safetensors`.
        pieces: A ground for each of `config.biomes`, from `stream_grounds.new_piece`.
        config: What they were made by.

    Raises:
        DataError: A layer does not fit its coding.
        OSError: The file cannot be written.
    """
    tensors: dict[str, NDArray[np.generic]] = {}
    for place, piece in enumerate(pieces):
        own: dict[str, NDArray[np.generic]] = {
            name: np.frombuffer(part, dtype=np.uint8) for name, part in pack_layers(piece.layers).items()
        }
        own |= {name: getattr(piece.fields, name) for name in ("crop", "late", "bright")}
        own |= {name: getattr(piece, name) for name in ("kind", "start", "span")}
        tensors |= {f"{place:04d}.{name}": part.astype(_DTYPES.get(name, "uint8")) for name, part in own.items()}
    known = {"country": asdict(config), "kinds": KINDS, "simulated": True}
    with write_whole(path) as temporary:
        # not `save_file`, whose files none but their owner may read
        # and one entry, for several come in any order
        temporary.write_bytes(save(tensors, {_ENTRY: json.dumps({"format": FORMAT} | known, default=str)}))


def open_country(path: Path, device: str | torch.device = "cpu") -> Country:
    """Read a file of `save_country`: about a second for each ground, most of it for the looks by day.

    Args:
        path: The file.
        device: Where the tensors go.

    Returns:
        The country; `StreamConfig(country=country.config)` draws from it.

    Raises:
        DataError: The file is cut, damaged, or none of these.
        OSError: It cannot be read.
    """
    try:
        with safe_open(path, "np") as file:
            config = _read_config(file.metadata() or {}, path)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no dictionary
        shape = (config.ground_px, config.ground_px)
        with ThreadPoolExecutor() as pool:  # unpacking lets other threads run
            pieces = list(pool.map(lambda place: _read_piece(tensors, place, shape), range(len(config.biomes))))
    except (SafetensorError, KeyError, ValueError, TypeError) as err:
        raise DataError(f"{path} is damaged ({err})", "a file of ready grounds", _MAKE_ANEW) from err
    except DataError as err:
        raise DataError(f"{path}: {err.found}", err.expected, err.do) from err
    return build_country(config, pieces, torch.device(device))


def _read_config(found: dict[str, str], path: Path) -> CountryConfig:
    """What a file's grounds were made by.

    Raises:
        DataError: It is no such file.
        KeyError: Its description lacks something.
        ValueError: Its description is none.
    """
    made: dict[str, Any] = json.loads(found.get(_ENTRY, "{}"))
    if made.get("format") != FORMAT:
        raise DataError(f"{made.get('format', 'another kind of file')}", FORMAT, _MAKE_ANEW)
    if tuple(made["kinds"]) != KINDS:
        raise DataError(f"changes of the classes {', '.join(made['kinds'])}", ", ".join(KINDS), _MAKE_ANEW)
    values = made["country"]
    return CountryConfig(**{**values, "biomes": tuple(values["biomes"]), "first": date.fromisoformat(values["first"])})


def _read_piece(tensors: dict[str, NDArray[Any]], place: int, shape: tuple[int, int]) -> Piece:
    """One ground out of a file's tensors.

    Raises:
        DataError: A layer is damaged.
        KeyError: Something of it is not there.
    """
    start = f"{place:04d}."
    own = {name.removeprefix(start): part for name, part in tensors.items() if name.startswith(start)}
    layers = unpack_layers({name: part.tobytes() for name, part in own.items() if name not in _DTYPES}, shape)
    kind, begin, span = (own[name].astype(np.int64) for name in ("kind", "start", "span"))
    return Piece(layers, Fields(own["crop"].astype(np.int64), own["late"], own["bright"]), kind, begin, span)


def make_pieces(config: CountryConfig, workers: int) -> Iterator[Piece]:
    """Make the grounds of a country, in order, several at a time.

    Args:
        config: What to make.
        workers: Processes; 1 works in this one.

    Raises:
        DataError: A process was ended from outside, mostly for want of memory.
    """
    from .stream_grounds import new_piece  # what reading does without

    count = len(config.biomes)
    if workers == 1:
        yield from (new_piece(config, place) for place in range(count))
        return
    context = multiprocessing.get_context("spawn")  # torch's threads do not survive a fork
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        jobs: list[Future[Piece]] = [pool.submit(new_piece, config, place) for place in range(count)]
        try:
            for job in jobs:
                yield job.result()
        except BrokenProcessPool as err:
            raise DataError(
                "a process that made grounds was ended", "room for about 1 GB each", "try again with --workers 1"
            ) from err
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for child in multiprocessing.active_children():
                child.terminate()
            raise


def _parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m encoder.stream_pack",
        description="Make grounds for the stream of simulated series and pack them into one file.",
        epilog="example:\n  python -m encoder.stream_pack --out grounds.safetensors --grounds-per-biome 4 --seed 7",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--out", required=True, metavar="FILE", help="file to write; one that stands there is replaced")
    add("--biomes", nargs="+", default=list(BIOMES), metavar="NAME", help=f"some of {' '.join(BIOMES)} (default: all)")
    each = number("--grounds-per-biome", int, "a whole number from 1 to 100", range(1, 101).__contains__)
    add("--grounds-per-biome", type=each, default=2, metavar="N", help="default: 2")
    side = number("--ground-px", int, "an even whole number from 96 to 4096", range(96, 4097, 2).__contains__)
    add("--ground-px", type=side, default=512, metavar="N", help="side of a ground, pixels of 10 m (default: 512)")
    changes = number("--changes", int, "a whole number from 0 to 255", range(256).__contains__)
    add("--changes", type=changes, default=40, metavar="N", help="events wanted on each ground (default: 40)")
    years = number("--years", int, "a whole number from 1 to 30", range(1, 31).__contains__)
    add("--years", type=years, default=6, metavar="N", help="from 2019 on; two halves need 6 (default: 6)")
    seed = number("--seed", int, "a whole number from 0 to 2^63 - 1", lambda seed: 0 <= seed < 2**63)
    add("--seed", type=seed, default=0, metavar="N", help="names the country (default: 0)")
    workers = number("--workers", int, "a whole number from 1 to 256", range(1, 257).__contains__)
    add("--workers", type=workers, default=2, metavar="N", help="processes (default: 2)")
    add("--json", action="store_true", help="report as JSON, without progress")
    return parser


def _run(argv: Sequence[str] | None) -> int:
    """Check the arguments, make the grounds, write the file, report."""
    args = parse_args(_parser(), argv)
    out = check_output(args.out)
    config = CountryConfig(
        biomes=tuple(args.biomes) * args.grounds_per_biome,
        ground_px=args.ground_px,
        changes=args.changes,
        years=args.years,
        seed=args.seed,
    )
    start, pieces = time.perf_counter(), []
    for piece in make_pieces(config, args.workers):
        pieces.append(piece)
        if not args.json:
            each = (time.perf_counter() - start) / len(pieces)
            sys.stderr.write(f"ground {len(pieces)} of {len(config.biomes)}, {each:.1f} s each\n")
    save_country(out, pieces, config)
    size, changes = out.stat().st_size, sum(len(piece.kind) for piece in pieces)
    report = {"file": str(out), "bytes": size, "grounds": len(pieces), "changes": changes, "seed": args.seed}
    told = f"{out} ({size / 1e6:.1f} MB, {len(pieces)} simulated grounds, {changes} changes)"
    sys.stdout.write((json.dumps(report) if args.json else told) + "\n")
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Command line: `python -m encoder.stream_pack --help`."""
    return exit_code(lambda: _run(argv))


if __name__ == "__main__":
    sys.exit(main())
