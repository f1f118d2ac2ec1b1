"""Published pre-training archives (CACo, SeCo) into shards, once.

    python -m stac.repack clean_1m_geography_part* --out data/shards/caco-1m

reads a folder, a tar.gz, its numbered parts or a zip from beginning to end, unpacks nothing, and writes the chosen
bands of every usable location into shards, from which networks are trained. A repack that was stopped goes on where it
stopped when the same command is given again.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from .bands import RGB, norm_bands
from .cli import check_folder, number, parse_args
from .errors import exit_code
from .sampling.published_pack import Outcome, PackRequest, pack

_EXAMPLES = """examples:
  python -m stac.repack caco10k.tar.gz --out data/shards/caco-10k
  python -m stac.repack clean_1m_geography_part* --out data/shards/caco-1m
  python -m stac.repack seco_100k.zip --out data/shards/seco-100k --bands all
  python -m stac.repack clean_100k_geography --out data/shards/few --limit 500 --json"""


def main(argv: Sequence[str] | None = None) -> int:
    """Command line: `python -m stac.repack --help`."""
    parser = argparse.ArgumentParser(
        prog="python -m stac.repack",
        description="Repack a published pre-training archive (CACo, SeCo) into shards.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "sources", nargs="+", metavar="SOURCE", help="its folder, its tar.gz or zip, or all of its numbered parts"
    )
    parser.add_argument("--out", required=True, metavar="DIR", help="folder of the shards")
    rgb = ",".join(RGB)
    parser.add_argument("--bands", default=rgb, metavar="B,…|all", help=f"bands to keep (default: {rgb})")
    positive = "a whole number from 1"
    limit = number("--limit", int, positive, lambda count: count >= 1)
    parser.add_argument("--limit", type=limit, metavar="N", help="stop when so many locations are packed")
    threads = number("--threads", int, positive, lambda count: count >= 1)
    parser.add_argument(
        "--threads", type=threads, default=0, metavar="N", help="threads that decode (default: up to 8)"
    )
    parser.add_argument("--json", action="store_true", help="report as JSON, without a progress bar")

    def command() -> int:
        args = parse_args(parser, argv)
        bands = None if args.bands.strip() == "all" else norm_bands(args.bands)
        sources = tuple(Path(source) for source in args.sources)
        request = PackRequest(sources, check_folder(args.out, "--out"), bands, args.limit, args.threads)
        outcome = pack(request, progress=not args.json and sys.stderr.isatty())
        sys.stdout.write((_as_json(outcome) if args.json else _as_text(outcome)) + "\n")
        return 0

    return exit_code(command)


def _as_json(outcome: Outcome) -> str:
    """The outcome for machines."""
    spec = outcome.spec
    report = {
        "shards": str(outcome.folder),
        "source": spec.source,
        "bands": [*spec.bands10, *spec.bands20],
        "side": spec.side,
        "dates": spec.dates,
        "locations": outcome.locations,
        "packed": outcome.packed,
        "images": outcome.images,
        "complete": outcome.complete,
        "left_out": dict(outcome.left_out),
        "images_left_out": dict(outcome.images_left_out),
        "named": outcome.named,
        "seconds": round(outcome.seconds, 2),
    }
    return json.dumps(report, ensure_ascii=False)


def _as_text(outcome: Outcome) -> str:
    """The outcome for a person."""
    spec = outcome.spec
    bands = " ".join(spec.bands10 + spec.bands20)
    lines = [f"{outcome.folder}: {outcome.locations} locations of {spec.side} px, {bands} ({spec.source})"]
    if outcome.packed:
        rate = outcome.images / max(outcome.seconds, 1e-3)
        lines.append(f"packed now: {outcome.packed} locations, {outcome.images} images, {rate:.0f} images a second")
    else:
        lines.append("nothing was left to pack")
    if not outcome.complete:
        lines.append("the archive holds more: the same command without --limit goes on")
    lines += [f"left out: {count} locations: {why}" for why, count in outcome.left_out.most_common()]
    lines += [f"left out: {count} images: {why}" for why, count in outcome.images_left_out.most_common()]
    lines += [f"  {line}" for line in outcome.named]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
