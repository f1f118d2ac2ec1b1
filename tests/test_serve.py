"""`make demo` and `make serve`: a port in use is told first, and a first start asks and sends nothing."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

FIRST_START = """
from streamlit import config
from streamlit.runtime.credentials import check_credentials
from streamlit.web.bootstrap import load_config_options
load_config_options({"server.headless": False})
check_credentials()
assert not config.get_option("browser.gatherUsageStats")
"""


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
@pytest.mark.parametrize("target", ["demo", "serve"])
def test_a_port_in_use_is_told_before_anything_is_done(target: str, root: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        command = ["make", target, f"PORT={port}", f"PYTHON={sys.executable}", f"VENV={tmp_path / 'venv'}"]
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False, env=os.environ)
    assert done.returncode == 2
    assert done.stderr.splitlines()[0].startswith(f"127.0.0.1:{port} is in use")
    assert f"make {target} PORT=" in done.stderr
    assert not (tmp_path / "venv").exists()


def test_a_first_start_asks_nothing_and_sends_nothing(root: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FIRST_START],
        cwd=root,
        env={**os.environ, "HOME": str(tmp_path)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert list(tmp_path.iterdir()) == []
