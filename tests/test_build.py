"""The whole build: from a catalog to a store, killed and resumed, and refused in words."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pandas as pd
import pytest

from encoder.encoders import open_encoder
from encoder.networks import new_network
from encoder.weights import save_weights
from index.build import main
from index.demo import archive_bounds
from index.manifest import open_manifest
from index.store import open_store
from stac.errors import STOPPED

STOPPER = """
import concurrent.futures, os, pathlib, signal, sys
from index.build import main
moment, limit, number = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
count = 0
def hit(here):
    global count
    count += here == moment
    if here == moment and count == limit:
        os.kill(os.getpid(), number)
def counted(before, call, after):
    def counting(*args, **options):
        hit(before)
        done = call(*args, **options)
        hit(after)
        return done
    return counting
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "faiss":
            hit("import")
sys.meta_path.insert(0, Finder())
pathlib.Path.replace = counted("before", pathlib.Path.replace, "after")
pool = concurrent.futures.ThreadPoolExecutor
pool.submit = counted("read", pool.submit, "reading")
sys.exit(main(sys.argv[4:]))
"""
"""Builds, and sends itself a signal at a moment: before or after the n-th file, at the n-th read, at an import."""

STOPS = [
    ("before", 1, signal.SIGKILL),
    ("after", 1, signal.SIGKILL),
    ("import", 1, signal.SIGINT),
    ("before", 1, signal.SIGKILL),
    ("read", 5, signal.SIGINT),
    ("after", 3, signal.SIGKILL),
    ("reading", 9, signal.SIGTERM),
    ("before", 4, signal.SIGKILL),
    ("before", 2, signal.SIGINT),
    ("after", 5, signal.SIGKILL),
    ("before", 2, signal.SIGKILL),
]


def arguments(catalog: Path, store: Path, *more: str) -> list[str]:
    return [
        *("--catalog", str(catalog), "--store", str(store), "--period", "2021-01-01/2021-12-31"),
        *("--area", ",".join(map(str, archive_bounds(catalog))), "--chip-size", "32", "--json", *more),
    ]


@pytest.fixture(scope="module")
def whole_store(small_archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    store = tmp_path_factory.mktemp("whole") / "store"
    assert main(arguments(small_archive, store)) == 0
    return store


def files(store: Path) -> dict[str, bytes]:
    """Everything but what names the folder itself."""
    kept = [path for path in sorted(store.rglob("*")) if path.is_file() and path.name != ".lock"]
    content = {path.relative_to(store).as_posix(): path.read_bytes() for path in kept}
    return {name: b"" if name in {"plan.json", "manifest.json"} else value for name, value in content.items()}


def test_a_build_makes_a_store_that_opens_and_agrees_with_itself(whole_store: Path) -> None:
    store = open_store(whole_store, verify=True)
    assert store.manifest.simulated
    assert len(store.events) == store.manifest.counts["events"] > 0
    assert store.manifest.counts["embedded"] < store.manifest.counts["observations"]
    for block, _ in store.shard_rows:
        assert store.shard(block).count == block.events.rows


def test_a_finished_build_changes_nothing(whole_store: Path, small_archive: Path) -> None:
    times = {path: path.stat().st_mtime_ns for path in whole_store.rglob("*") if path.suffix != ".lock"}
    assert main(arguments(small_archive, whole_store)) == 0
    assert all(
        path.stat().st_mtime_ns == when for path, when in times.items() if path.is_file() and path.name != ".lock"
    )


@pytest.mark.slow
def test_a_build_stopped_at_many_points_ends_with_the_same_bytes(
    small_archive: Path, whole_store: Path, tmp_path: Path, root: Path
) -> None:
    # One store, stopped again and again: before and after the items, the plan, parts, vectors, events, the manifest.
    store = tmp_path / "store"
    for moment, limit, number in STOPS:
        command = [
            sys.executable,
            "-c",
            STOPPER,
            moment,
            str(limit),
            str(int(number)),
            *arguments(small_archive, store),
        ]
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False, timeout=120)
        told, code = ("", -number) if number == signal.SIGKILL else (f"{STOPPED}\n", 128 + number)
        assert (done.returncode, done.stderr) == (code, told), f"stopped {moment} {limit}: {done.stderr}"
        assert not (store / "manifest.json").exists()
    command = [sys.executable, "-m", "index.build", *arguments(small_archive, store)]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["counts"] == open_manifest(whole_store).counts
    assert files(store) == files(whole_store)


def test_two_builds_at_once_are_one_too_many(
    small_archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    from stac.files import lock

    with lock(tmp_path / "store"):
        assert main(arguments(small_archive, tmp_path / "store")) == 2
    assert "another build is writing" in capsys.readouterr().err


BAD = {
    "unknown catalog": (["--catalog", "earth-serach"], "earth-serach"),
    "reversed dates": (["--period", "2021-12-31/2021-01-01"], "2021-12-31"),
    "no scenes in the period": (["--period", "1999-01-01/1999-12-31"], "1999"),
    "area in the ocean": (["--area", "-140,30,-139.9,30.1"], "-140"),
    "unknown place": (["--area", "Atlantis-on-Sea"], "Atlantis-on-Sea"),
    "missing band": (["--bands", "B02,B09"], "B09"),
    "no such band": (["--bands", "B02,B77"], "B77"),
    "unknown encoder": (["--encoder", "resnet-eighteen"], "resnet-eighteen"),
    "weights that are not there": (["--encoder", "missing.safetensors"], "missing.safetensors"),
    "clear fraction out of range": (["--min-clear", "1.5"], "--min-clear 1.5"),
    "clear fraction that is no number": (["--min-clear", "nan"], "--min-clear nan"),
    "no pixels": (["--chip-size", "0"], "--chip-size 0"),
    "no threads": (["--threads", "0"], "--threads 0"),
    "too many threads": (["--threads", "1000000000"], "--threads 1000000000"),
    "half a pixel": (["--gsd", "nan"], "--gsd nan"),
    "negative seed": (["--seed", "-1"], "--seed -1"),
    "huge seed": (["--seed", "1" + 30 * "0"], "--seed 1000"),
    "a store without a name": (["--store", ""], "--store names no folder"),
    "a store below a file": (["--store", f"{__file__}/store"], "which is a file"),
    "labels that are not there": (["--labels", "nowhere.geojson"], "nowhere.geojson"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_gets_one_sentence_and_leaves_nothing(
    case: str, small_archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    more, named = BAD[case]
    assert main(arguments(small_archive, tmp_path / "store", *more)) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert named in err
    assert not (tmp_path / "store").exists()


def test_weights_whose_bands_the_catalog_lacks(
    small_archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    network = open_encoder("random", bands=["B01", "B02"])
    state = new_network("resnet18", 2).state_dict()
    weights = save_weights(tmp_path / "coastal.safetensors", network.spec, state)
    assert main(arguments(small_archive, tmp_path / "store", "--encoder", str(weights))) == 2
    err = capsys.readouterr().err
    assert (err.count("\n"), "B01" in err) == (1, True)
    assert not (tmp_path / "store").exists()


def test_a_catalog_that_answers_html(tmp_path: Path, small_archive: Path, capsys: pytest.CaptureFixture) -> None:
    (tmp_path / "index.html").write_text("<html><body>Please sign in</body></html>")
    folder = partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), folder) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        more = ["--catalog", f"http://127.0.0.1:{server.server_port}/"]
        assert main(arguments(small_archive, tmp_path / "store", *more)) == 2
        server.shutdown()
    err = capsys.readouterr().err.splitlines()[-1]
    assert err.startswith("error: ")
    assert "HTML" in err


def test_other_arguments_are_refused_and_nothing_is_lost(
    small_archive: Path, whole_store: Path, capsys: pytest.CaptureFixture
) -> None:
    before = files(whole_store)
    assert main(arguments(small_archive, whole_store, "--pairs", "yearly")) == 2
    assert "pairs consecutive (now yearly)" in capsys.readouterr().err
    assert files(whole_store) == before


def test_a_folder_with_other_files_is_left_alone(
    small_archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    (tmp_path / "thesis.docx").write_text("chapter 1")
    assert main(arguments(small_archive, tmp_path)) == 2
    assert "already holds other files (thesis.docx)" in capsys.readouterr().err
    assert (tmp_path / "thesis.docx").read_text() == "chapter 1"
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.docx"]


def test_a_store_that_is_a_file_is_refused_before_anything_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    (tmp_path / "store").write_text("chapter 1")
    assert (
        main(
            [
                *("--catalog", "nowhere.json", "--area", "Atlantis", "--period", "2021"),
                "--store",
                str(tmp_path / "store"),
            ]
        )
        == 2
    )
    assert "store is a file" in capsys.readouterr().err
    assert (tmp_path / "store").read_text() == "chapter 1"


def test_the_command_loads_nothing_big_before_it_heeds_signals(root: Path) -> None:
    code = "import index.build, sys; sys.exit(bool({'torch', 'faiss', 'numpy', 'rasterio'} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0


def last_read(store: Path) -> str:
    """Folder of the last item of which some pixels were embedded: a day of cloud is not read beyond its classes."""
    parts = [pd.read_parquet(path) for path in sorted((store / "observations").iterdir())]
    rows = pd.concat(parts)
    seen = rows[rows["embedding"].notna()].sort_values("time")
    name = str(seen["item_ids"].iloc[-1][0])
    items = json.loads((store / "items.json").read_text())["features"]
    return f"{next(item['collection'] for item in items if item['id'] == name)}/{name}"


def test_a_truncated_cog_stops_the_build_and_keeps_what_is_done(
    small_archive: Path, whole_store: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    archive = tmp_path / "archive"
    shutil.copytree(small_archive.parent, archive)
    victim = archive / last_read(whole_store) / "B08.tif"
    content = victim.read_bytes()
    victim.write_bytes(content[: len(content) // 2])
    command = arguments(archive / "catalog.json", tmp_path / "store")
    assert main(command) == 2
    assert str(victim) in capsys.readouterr().err
    done = sorted(path.name for path in (tmp_path / "store" / "observations").iterdir())
    assert done
    victim.write_bytes(content)
    assert main(command) == 0
    assert set(done) <= {path.name for path in (tmp_path / "store" / "observations").iterdir()}


def test_a_full_disk_is_told_in_a_sentence_and_the_build_goes_on_later(
    small_archive: Path, whole_store: Path, tmp_path: Path, root: Path
) -> None:
    # A limit on the size of files stands in for the full disk: the same write fails, with EFBIG for ENOSPC.
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    command = [sys.executable, "-m", "index.build", *arguments(small_archive, tmp_path / "store")]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False, preexec_fn=limit)
    assert done.returncode == 2, done.stderr
    assert "the disk is full" in done.stderr
    assert "Traceback" not in done.stderr
    subprocess.run(command, cwd=root, capture_output=True, check=True, env={**os.environ})
    assert files(tmp_path / "store") == files(whole_store)


def test_some_of_the_four_needed_arguments_are_not_enough(capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["--catalog", "earth-search", "--period", "2021"])
    assert stop.value.code == 2
    assert "--area, --store missing" in capsys.readouterr().err
