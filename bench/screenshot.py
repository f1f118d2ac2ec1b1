"""Take a picture of the page in headless Chromium: `python bench/screenshot.py --out docs/screenshot.png`.

Starts the app on a free port over the stores in `$AFTERIMAGE_DATA` (build them first: `make demo`), waits until map,
pictures and time lines stand, and writes a PNG. Every request to another machine is refused: the picture is what a
machine without internet shows. `--url` takes an app that already runs.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path

from playwright.sync_api import Page, Playwright, Route, sync_playwright

ROOT = Path(__file__).resolve().parent.parent

CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")

FLAGS = (
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@contextlib.contextmanager
def serve(start_seconds: float = 90.0) -> Iterator[str]:
    """Run the app on a free port; yields its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", "streamlit_app.py", "--server.headless", "true"]
    command += ["--server.address", "127.0.0.1", "--server.port", str(port)]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, cwd=ROOT, env=os.environ, stdout=log, stderr=log)
        address = f"http://127.0.0.1:{port}"
        try:
            end = time.monotonic() + start_seconds
            while time.monotonic() < end and process.poll() is None:
                with contextlib.suppress(urllib.error.URLError, ConnectionError):
                    urllib.request.urlopen(f"{address}/_stcore/health", timeout=2).close()
                    break
                time.sleep(0.3)
            else:
                log.seek(0)
                raise SystemExit(f"the app did not start: {log.read().decode(errors='replace')[-800:]}")
            yield address
        finally:
            process.terminate()
            process.wait(timeout=20)


def refuse_other_machines(route: Route) -> None:
    """Let loopback through and nothing else."""
    if route.request.url.startswith(("http://127.0.0.1", "http://localhost", "ws://127.0.0.1", "data:", "blob:")):
        route.continue_()
    else:
        route.abort()


def open_page(playwright: Playwright, chromium: str, width: int, height: int, scheme: str, profile: str) -> Page:
    """An empty page of a new Chromium profile."""
    context = playwright.chromium.launch_persistent_context(
        profile,
        executable_path=chromium,
        headless=True,
        chromium_sandbox=False,
        args=list(FLAGS),
        viewport={"width": width, "height": height},
        color_scheme="dark" if scheme == "dark" else "light",
    )
    context.route("**/*", refuse_other_machines)
    return context.pages[0]


def wait_until_drawn(page: Page, seconds: float) -> None:
    """Wait for the chips on the map, the pictures and the time lines."""
    page.wait_for_selector(".st-key-compare [data-testid=stVegaLiteChart]", timeout=seconds * 1000)
    page.frame_locator("iframe").first.locator("path.leaflet-interactive").first.wait_for(timeout=seconds * 1000)
    page.wait_for_function(
        "document.querySelector('[data-testid=stApp]').getAttribute('data-test-script-state') === 'notRunning'"
    )
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
    chromium = next(filter(None, map(shutil.which, CHROMIUM_NAMES)), None)
    if chromium is None:
        sys.stderr.write("error: no Chromium here (expected one of its names on the path): install chromium\n")
        return 2
    args.out.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        url = args.url or stack.enter_context(serve())
        profile = stack.enter_context(tempfile.TemporaryDirectory())
        playwright = stack.enter_context(sync_playwright())
        page = open_page(playwright, chromium, args.width, args.height, args.scheme, profile)
        page.goto(url)
        wait_until_drawn(page, args.seconds)
        if args.full:
            height = page.evaluate("document.querySelector('.stMainBlockContainer').scrollHeight")
            page.set_viewport_size({"width": args.width, "height": int(height)})
            page.wait_for_timeout(1500)
        page.screenshot(path=args.out)
        page.context.close()
    sys.stdout.write(f"{args.out} ({args.out.stat().st_size // 1024} kB)\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
