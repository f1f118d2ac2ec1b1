"""A sheet of pictures: every class of planted event before and after, in true colour and in short-wave infrared.

    python bench/event_sheet.py --archive data/simulated --out docs/simulated-archive/events.jpg
    python bench/event_sheet.py --archive data/simulated --real ../shared/data --out /tmp/events.png

Without `--real` the sheet holds simulated pixels only. With it, real examples stand below, for people who have the
data: fires (California), towns that grew (OSCD, level 1C), clear-cuts (Romania). A sheet with real pixels is not to be
put into the repository, and is refused below its root. Infrared is B12 B8 B4; B11 B8 B4 where there is no B12. The
outline of an event is drawn over the earlier date only.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from event_examples import INFRARED, TRUE, Pair, real_pairs, simulated_pairs
from inputs import check_archive, check_real
from PIL import Image, ImageDraw, ImageFont

from stac.cli import check_output, number, parse_args
from stac.errors import DataError, exit_code

PANEL, GAP, TEXT = 200, 4, 18
BRIGHTEST = (0.12, 0.45)
"""Reflectance that is drawn white: the 98th percentile of both dates, within these."""
LINE = (255, 225, 40)
FORMATS = (".jpg", ".jpeg", ".png")
"""How the name of a sheet may end."""
REAL = ("calfire-style", "oscd", "romania-series")
"""Parts of the real data that are read."""


def draw_pair(pair: Pair) -> Image.Image:
    """Before and after in true colour, before and after in infrared, under a title."""
    sheet = Image.new("RGB", (4 * (PANEL + GAP) - GAP, PANEL + TEXT), "white")
    ImageDraw.Draw(sheet).text((0, 2), pair.title, "black", ImageFont.load_default(13))
    swir = "B12" if "B12" in pair.before else "B11"
    for n, bands in enumerate((TRUE, (swir, *INFRARED[1:]))):
        images = [np.stack([side[band] for band in bands], axis=-1) for side in (pair.before, pair.after)]
        bright = np.percentile(np.concatenate([image.reshape(-1, 3) for image in images]), 98, axis=0).max()
        top = min(max(float(bright), BRIGHTEST[0]), BRIGHTEST[1])
        for m, image in enumerate(images):
            shade = (np.clip(image / top, 0, 1) ** 0.8 * 255).astype(np.uint8)
            panel = _square(Image.fromarray(shade))
            if m == 0:
                _draw_outline(panel, pair)
            sheet.paste(panel, ((2 * n + m) * (PANEL + GAP), TEXT))
    return sheet


def _draw_outline(panel: Image.Image, pair: Pair) -> None:
    """The event's outer rings over a panel; windows of planted events are square."""
    pen = ImageDraw.Draw(panel)
    for ring in pair.rings:
        pen.line([(float(x) * PANEL, float(y) * PANEL) for x, y in ring], fill=LINE, width=1)


def _square(image: Image.Image) -> Image.Image:
    """The middle square, at the size of a panel."""
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    method = Image.Resampling.BICUBIC if side < PANEL else Image.Resampling.BOX
    return image.crop((left, top, left + side, top + side)).resize((PANEL, PANEL), method)


def draw_sheet(pairs: Sequence[Pair], columns: int) -> Image.Image:
    """All pairs, a row or more for each class."""
    rows: list[list[Pair]] = []
    for pair in pairs:
        if not rows or len(rows[-1]) == columns or rows[-1][-1].kind != pair.kind:
            rows.append([])
        rows[-1].append(pair)
    width, height = 4 * (PANEL + GAP) + 3 * GAP, PANEL + TEXT + GAP
    sheet = Image.new("RGB", (columns * width, len(rows) * height), "white")
    for y, row in enumerate(rows):
        for x, pair in enumerate(row):
            sheet.paste(draw_pair(pair), (x * width, y * height))
    return sheet


def _parser() -> argparse.ArgumentParser:
    """The command line."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="python bench/event_sheet.py", description=__doc__, formatter_class=raw)
    parser.add_argument("--archive", type=Path, required=True)
    parser.add_argument("--real", type=Path, help="folder of the real data; the sheet is then not for the repository")
    parser.add_argument("--out", type=Path, required=True, help="a .jpg (small) or .png")
    count = number("--examples", int, "a whole number from 1 to 20", range(1, 21).__contains__)
    parser.add_argument("--examples", type=count, default=1, help="of each class (default: 1)")
    return parser


def _check(args: argparse.Namespace) -> None:
    """Refuse, before any work, what cannot be read or written."""
    root = Path(__file__).resolve().parent.parent
    if args.real and args.out.resolve().is_relative_to(root):
        raise DataError(f"--real with --out {args.out}", "a place outside the repository", "real pixels stay out of it")
    if args.out.suffix.lower() not in FORMATS:
        raise DataError(f"--out {args.out}", f"a name that ends in {', '.join(FORMATS)}", "correct --out")
    check_output(args.out)
    check_archive(args.archive)
    if args.real:
        check_real(args.real, REAL)


def _run(argv: Sequence[str] | None) -> int:
    """Check the arguments, draw the sheet."""
    args = parse_args(_parser(), argv)
    _check(args)
    pairs = list(simulated_pairs(args.archive, args.examples)) + (list(real_pairs(args.real)) if args.real else [])
    pairs.sort(key=lambda pair: pair.kind)  # the real ones beside the simulated ones of their class
    for pair in pairs:
        print(f"{pair.title}: {pair.contrast:.1f}" if pair.contrast else pair.title)
    if not pairs:
        raise DataError("no event with two clear dates", "at least one in the archive", "choose another --archive")
    args.out.parent.mkdir(parents=True, exist_ok=True)
    options = {"quality": 78, "optimize": True} if args.out.suffix.lower() in (".jpg", ".jpeg") else {"optimize": True}
    draw_sheet(pairs, args.examples + (1 if args.real else 0)).save(args.out, **options)
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    return exit_code(lambda: _run(argv))


if __name__ == "__main__":
    sys.exit(main())
