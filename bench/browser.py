"""The app in a real browser that can reach no other machine: for the picture of the page and for its tests."""

from __future__ import annotations

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
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from playwright.sync_api import BrowserContext, Playwright, Route

ROOT = Path(__file__).resolve().parent.parent

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")

FLAGS = (
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

LOOPBACK = ("http://127.0.0.1", "http://localhost", "ws://127.0.0.1", "data:", "blob:")
"""How the addresses begin that lead to no other machine."""

STILL = "document.querySelector('[data-testid=stApp]').getAttribute('data-test-script-state') === 'notRunning'"
"""JavaScript: Streamlit has no script running."""


def find_chromium() -> str | None:
    """Path of an installed Chromium, or None."""
    return next(filter(None, map(shutil.which, NAMES)), None)


@contextlib.contextmanager
def serve(environ: Mapping[str, str] | None = None, start_seconds: float = 90.0) -> Iterator[str]:
    """Run the app on a free port; yields its address.

    Args:
        environ: Of the app; None means this process's own.
        start_seconds: How long it may take until it answers.

    Raises:
        RuntimeError: It did not start; the end of its log is in the message.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", "streamlit_app.py", "--server.headless", "true"]
    command += ["--server.address", "127.0.0.1", "--server.port", str(port)]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            command, cwd=ROOT, env=dict(os.environ if environ is None else environ), stdout=log, stderr=log
        )
        address = f"http://127.0.0.1:{port}"
        try:
            end = time.monotonic() + start_seconds
            while time.monotonic() < end and process.poll() is None:
                with contextlib.suppress(urllib.error.URLError, ConnectionError):
                    urllib.request.urlopen(f"{address}/_stcore/health", timeout=2).close()
                    break
                time.sleep(0.2)
            else:
                log.seek(0)
                raise RuntimeError(f"the app did not start: {log.read().decode(errors='replace')[-800:]}")
            yield address
        finally:
            process.terminate()
            process.wait(timeout=30)


@contextlib.contextmanager
def open_browser(
    playwright: Playwright, chromium: str, refused: list[str] | None = None, **options: Any
) -> Iterator[BrowserContext]:
    """A headless Chromium with an empty profile that is removed afterwards.

    Args:
        playwright: Started.
        chromium: As `find_chromium` gives it.
        refused: Takes the addresses on other machines that a page asked for; they are refused in any case.
        options: Of Playwright's `launch_persistent_context`, such as `viewport` and `color_scheme`.
    """

    def guard(route: Route) -> None:
        if route.request.url.startswith(LOOPBACK):
            route.continue_()
            return
        if refused is not None:
            refused.append(route.request.url)
        route.abort()

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        context = playwright.chromium.launch_persistent_context(
            profile, executable_path=chromium, headless=True, chromium_sandbox=False, args=list(FLAGS), **options
        )
        context.route("**/*", guard)
        try:
            yield context
        finally:
            context.close()
