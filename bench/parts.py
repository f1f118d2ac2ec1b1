"""How an embedding is best put together: statistics plain or whitened, a network beside them or not.

    python -m encoder.stream_pack --out held.safetensors --grounds-per-biome 1 --seed 200
    python bench/parts.py --country country.safetensors --held held.safetensors --weights caco.safetensors

Whitening is learned on pairs of dates of simulated series, whose truth is known (`encoder.pretraining.calibrate`), and
judged twice: *simulated*, by retrieval of changes of the same class on grounds of another seed, query and gallery never
on one ground; and *real*, on the ten fires of `fires.py`. What ships is chosen by the first; the second is only told.
Bands are those of the fires, so that both are about the same embedding.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import fires
import numpy as np
import torch
from benchmark import machine
from inputs import check_real
from numpy.typing import NDArray
from torch import Tensor

from encoder.encoders import Encoder, open_encoder
from encoder.pretraining.calibrate import Pairs, draw_pairs, embedded_changes, projection, within_classes
from encoder.pretraining.series import DrawnSeries
from encoder.statistics import inverse_root
from encoder.stream import SimulatedStream, StreamConfig
from encoder.stream_pack import open_country
from index.figures import read_commit
from index.metrics import Interval, ap_at_k, bootstrap
from stac.cli import check_output, number, parse_args
from stac.errors import DataError, exit_code
from stac.files import write_whole

SIDE = 32
"""Of the chips, pixels of 10 m: as the fires' headline, 320 m."""
K = 10
RIDGES = (0.01, 0.1, 1.0)
SHARES = (0.25, 0.5, 1.0)
"""Length of the network's part of a change over that of the statistics."""


@dataclass(frozen=True, eq=False)
class Changes:
    """Changes of one encoder's embeddings."""

    train: Tensor
    """float32 (N, D), of simulated pairs that whitening is learned from."""
    held: Tensor
    """float32 (M, D), of simulated pairs on other grounds."""
    real: NDArray[np.float32]
    """(F, D), of the fires' chips."""


@dataclass(frozen=True, eq=False)
class Data:
    """What is embedded."""

    train: DrawnSeries
    train_pairs: Pairs
    held: DrawnSeries
    held_pairs: Pairs
    chips: fires.Chips


def draw_series(path: Path, count: int, seed: int) -> DrawnSeries:
    """Simulated series on the grounds of a file, three of four with a change."""
    country = open_country(path)
    config = StreamConfig(country.config, SIDE, 10, "halves", batch=min(48, count), changed=0.75, clear=True, seed=seed)
    return DrawnSeries(SimulatedStream(config, country=country), count, fires.BANDS)


def embed_changes(encoder: Encoder, data: Data) -> Changes:
    """Changes of an encoder whose bands are the fires'."""

    def run(images: Tensor) -> Tensor:
        return torch.from_numpy(encoder.embed(images.numpy().view(np.uint16)))

    before, after = (encoder.embed(part, data.chips.valid) for part in (data.chips.before, data.chips.after))
    train, held = (
        embedded_changes(run, series, pairs)
        for series, pairs in ((data.train, data.train_pairs), (data.held, data.held_pairs))
    )
    return Changes(train, held, after - before)


def unit(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Vectors of unit length, zeros as they are."""
    scaled: NDArray[np.float32] = x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)
    return scaled


def score_held(vectors: NDArray[np.float32], kind: NDArray[np.int64], ground: NDArray[np.int64]) -> Interval:
    """AP@10 of changes (N, D) by class (N,), galleries on other grounds; mean over classes, bootstrap over queries."""
    others = ground[:, None] != ground[None]
    asking = np.flatnonzero((kind >= 0) & ((kind[:, None] == kind[None]) & others).any(axis=1))
    if not len(asking):
        raise DataError("no class of change on two grounds", "more series, or grounds", "raise --series")
    near = np.where(others[asking], vectors[asking] @ vectors.T, -np.inf)
    order = np.argsort(-near, axis=1, kind="stable")[:, :K]
    relevant = (kind[order] == kind[asking][:, None]) & np.take_along_axis(others[asking], order, axis=1)
    found = ((kind[asking][:, None] == kind[None]) & others[asking]).sum(axis=1)
    values = ap_at_k(relevant, found, K)
    return bootstrap(values, kind[asking])


def variants(statistics: Changes, network: Changes | None, kind: Tensor) -> Iterator[tuple[str, Changes]]:
    """Ways to put an embedding together, by name."""

    def turn(changes: Changes, matrix: Tensor) -> Changes:
        return Changes(changes.train @ matrix, changes.held @ matrix, changes.real @ matrix.numpy())

    if network is None:
        yield "statistics", statistics
        for ridge in RIDGES:
            yield (
                f"statistics, whitened {ridge}",
                turn(statistics, inverse_root(within_classes(statistics.train, kind, ridge))),
            )
        return
    yield "network", network
    yield "network, projected", turn(network, projection(network.train, kind, 128))
    base = turn(statistics, inverse_root(within_classes(statistics.train, kind)))
    own = turn(network, projection(network.train, kind, 128))
    length = float(base.train.square().sum(1).mean().sqrt() / own.train.square().sum(1).mean().sqrt())
    for share in SHARES:
        f = share * length
        yield (
            f"statistics whitened + {share} network",
            Changes(
                torch.cat([base.train, f * own.train], 1),
                torch.cat([base.held, f * own.held], 1),
                np.concatenate([base.real, f * own.real], 1),
            ),
        )


def measure(name: str, changes: Changes, data: Data, row: Callable[..., None]) -> None:
    """Figures of one way."""
    pairs = data.held_pairs
    ground = data.held.ground[pairs.location].numpy()
    held = score_held(unit(changes.held.numpy()), pairs.kind.numpy(), ground)
    clear = ~fires.is_smoky(data.chips)
    vectors = unit(changes.real)
    real = fires.score(vectors, data.chips, (320, False))[0].score
    strict = fires.score(vectors[clear], data.chips.pick(clear), (320, True))[0].score
    row(name, held, real, strict)


def main(argv: Sequence[str] | None = None) -> int:
    """Command line: `python bench/parts.py --help`."""
    parser = argparse.ArgumentParser(description="Statistics and networks in one embedding, simulated and real.")
    parser.add_argument("--country", required=True, metavar="FILE", help="packed grounds that whitening is learned on")
    parser.add_argument("--held", required=True, metavar="FILE", help="packed grounds of another seed")
    parser.add_argument("--weights", nargs="*", default=[], metavar="FILE|NAME", help="encoders to set beside")
    parser.add_argument("--real", default="../shared/data", metavar="DIR", help="the real data's folder")
    count = number("--series", int, "a whole number from 48", lambda x: x >= 48)
    parser.add_argument("--series", type=count, default=960, metavar="N", help="of each set (default: 960)")
    parser.add_argument("--json", metavar="FILE", help="where figures go as JSON lines")

    def command() -> int:
        args = parse_args(parser, argv)
        out = check_output(args.json, "--json") if args.json else None
        real = Path(args.real)
        check_real(real, [fires.FOLDER])
        train, held = draw_series(Path(args.country), args.series, 5), draw_series(Path(args.held), args.series, 11)
        chips = fires.read_chips(real, fires.SIDES[0])
        data = Data(train, draw_pairs(train, 2, 0), held, draw_pairs(held, 1, 0), chips)
        context = machine() | {"commit": read_commit(), "series": args.series}
        lines = [json.dumps(context)]

        def row(name: str, simulated: Interval, fire: Interval, strict: Interval) -> None:
            sys.stdout.write(f"{name:44} {simulated!s:24} {fire!s:24} {strict!s}\n")
            sys.stdout.flush()
            told = {"simulated_ap10": simulated, "fires_ap10": fire, "fires_no_smoke_ap10": strict}
            lines.append(json.dumps({"name": name} | {k: [v.value, v.low, v.high] for k, v in told.items()}))

        sys.stdout.write(f"{'':44} {'simulated AP@10':24} {'real fires AP@10':24} without smoke\n")
        statistics = embed_changes(open_encoder("spectral", bands=fires.BANDS), data)
        for name, changes in variants(statistics, None, data.train_pairs.kind):
            measure(name, changes, data, row)
        for path in args.weights:
            network = embed_changes(open_encoder(path, bands=fires.BANDS), data)
            for name, changes in variants(statistics, network, data.train_pairs.kind):
                measure(f"{Path(path).parent.name or path}: {name}", changes, data, row)
        if out is not None:
            with write_whole(out) as temporary:
                temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return 0

    return exit_code(command)


if __name__ == "__main__":
    sys.exit(main())
