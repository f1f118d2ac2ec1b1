"""Take a picture of the page in headless Chromium: `python bench/screenshot.py --out docs/screenshot.png`.

Starts the app on a free port over the stores in `$AFTERIMAGE_DATA` (build them first: `make demo`), waits until map,
pictures and time lines stand, and writes a PNG. Every request to another machine is refused: the picture is what a
machine without internet shows. `--url` takes an app that already runs.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path

from browser import ROOT, STILL, find_chromium, open_browser, serve  # beside this script
from playwright.sync_api import Error as PlaywrightError
from playwright.sync_api import Page, sync_playwright


def wait_until_drawn(page: Page, seconds: float) -> None:
    """Wait for the chips on the map, the pictures and the time lines."""
    page.wait_for_selector(".st-key-compare [data-testid=stVegaLiteChart]", timeout=seconds * 1000)
    page.frame_locator("iframe").first.locator("path.leaflet-interactive").first.wait_for(timeout=seconds * 1000)
    page.wait_for_function(STILL)
    page.wait_for_timeout(2500)  # the land and the overview fade in; nothing says when they have


def main(argv: Sequence[str] | None = None) -> int:
    """Take the picture; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--out", type=Path, default=ROOT / "docs" / "screenshot.png", help="default docs/screenshot.png"
    )
    parser.add_argument("--url", help="an app that runs already; default: start one")
    parser.add_argument("--width", type=int, default=1400)
    parser.add_argument("--height", type=int, default=900)
    parser.add_argument("--full", action="store_true", help="as tall as the page is")
    parser.add_argument("--scheme", choices=("light", "dark"), default="light")
    parser.add_argument(
        "--seconds", type=float, default=120, help="how long to wait for the page (default %(default)s)"
    )
    args = parser.parse_args(argv)
    chromium = find_chromium()
    if chromium is None:
        sys.stderr.write("error: no Chromium here (expected one of its names on the path): install chromium\n")
        return 2
    args.out.parent.mkdir(parents=True, exist_ok=True)
    try:
        _take(args, chromium)
    except (RuntimeError, PlaywrightError) as err:  # the app did not start, or drew no map and pictures in time
        sys.stderr.write(f"error: no picture ({str(err).splitlines()[0]}): see that the app has a store and opens\n")
        return 2
    sys.stdout.write(f"{args.out} ({args.out.stat().st_size // 1024} kB)\n")
    return 0


def _take(args: argparse.Namespace, chromium: str) -> None:
    """Open the page and write its picture."""
    with contextlib.ExitStack() as stack:
        url = args.url or stack.enter_context(serve())
        playwright = stack.enter_context(sync_playwright())
        size = {"width": args.width, "height": args.height}
        context = stack.enter_context(open_browser(playwright, chromium, viewport=size, color_scheme=args.scheme))
        page = context.pages[0]
        page.goto(url)
        wait_until_drawn(page, args.seconds)
        if args.full:
            height = page.evaluate("document.querySelector('.stMainBlockContainer').scrollHeight")
            page.set_viewport_size({"width": args.width, "height": int(height)})
            page.wait_for_timeout(1500)
        page.screenshot(path=args.out)


if __name__ == "__main__":
    sys.exit(main())
