"""How commands end: one sentence for what a person can mend, one line when stopped, a traceback for a bug."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from stac.errors import STOPPED, DataError, exit_code


def fail(error: BaseException) -> int:
    def command() -> int:
        raise error

    return exit_code(command)


def run(code: str, root: Path, **options) -> subprocess.CompletedProcess[str]:
    """Run a command in a process of its own; `code` defines it."""
    code = f"import os, signal, sys, time\nfrom stac import errors\n{code}\nsys.exit(errors.exit_code(command))"
    options = {"stdout": subprocess.PIPE, **options}
    return subprocess.run(
        [sys.executable, "-c", code], cwd=root, stderr=subprocess.PIPE, text=True, timeout=60, check=False, **options
    )


OS_ERRORS = {
    "permission denied": (PermissionError(errno.EACCES, "Permission denied", "/a/b"), "/a/b: Permission denied"),
    "read-only": (OSError(errno.EROFS, "Read-only file system", "/a/b"), "choose a path on another one"),
    "renamed": (NotADirectoryError(errno.ENOTDIR, "Not a directory", "/a/.part-1", None, "/a/b"), "/a/b: Not"),
    "full disk": (OSError(errno.ENOSPC, "No space left on device", "/a/b"), "the disk is full at /a/b (No space"),
    "no number, two lines": (OSError("the archive\n cannot be read"), "the archive cannot be read (expected"),
}


@pytest.mark.parametrize("case", OS_ERRORS)
def test_an_error_of_the_system_becomes_one_sentence(case: str, capsys: pytest.CaptureFixture) -> None:
    error, told = OS_ERRORS[case]
    assert fail(error) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert told in err


def test_an_error_of_data_has_its_three_parts(capsys: pytest.CaptureFixture) -> None:
    assert fail(DataError("two", "one", "take one away")) == 2
    assert capsys.readouterr().err == "error: two (expected one): take one away\n"


def test_a_bug_keeps_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError):
        exit_code(lambda: 1 // 0)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_a_command_with_one_line(number: signal.Signals, capsys: pytest.CaptureFixture) -> None:
    before = signal.getsignal(number)

    def command() -> int:
        try:
            os.kill(os.getpid(), number)
        except KeyboardInterrupt as err:
            raise ImportError("what libraries make of it") from err
        return 0

    assert exit_code(command) == 128 + number
    assert capsys.readouterr().err == f"{STOPPED}\n"
    assert signal.getsignal(number) == before


def test_a_signal_that_the_caller_has_ignored_stays_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert exit_code(lambda: os.kill(os.getpid(), signal.SIGHUP) or 7) == 7
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


STUBBORN = """
errors.GRACE_S = 0.1
def command():
    while True:
        try:
            os.kill(os.getpid(), signal.SIGTERM) if not hasattr(errors, "once") else time.sleep(1)
        except KeyboardInterrupt:
            errors.once = True
"""
STUCK = """
import ctypes, threading
errors.GRACE_S = 0.1
def command():
    threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGTERM)).start()
    libc, mutex = ctypes.CDLL(None), ctypes.create_string_buffer(64)
    libc.pthread_mutex_lock(mutex)
    libc.pthread_mutex_lock(mutex)  # never returns, and no signal wakes it
"""
IMPORTING = """
def command():
    sys.path.insert(0, os.environ["MODULES"])
    import interrupted
"""


@pytest.mark.parametrize("code", [STUBBORN, STUCK], ids=["goes on", "waits within a library"])
def test_a_command_that_does_not_heed_a_signal_is_ended(code: str, root: Path) -> None:
    done = run(code, root)
    assert (done.returncode, done.stderr) == (128 + signal.SIGTERM, f"{STOPPED}\n")


def test_a_signal_during_an_import_raises_nothing_inside_it(root: Path, tmp_path: Path) -> None:
    body = (
        "import os, signal\ntry:\n    os.kill(os.getpid(), signal.SIGINT)\nexcept KeyboardInterrupt:\n    os.abort()\n"
    )
    (tmp_path / "interrupted.py").write_text(body)
    done = run(IMPORTING, root, env={**os.environ, "MODULES": str(tmp_path)})
    assert (done.returncode, done.stderr) == (130, f"{STOPPED}\n")


PRINTING = "def command():\n    sys.stdout.write('row\\n' * 1000)\n    return 0"


def test_a_reader_that_has_gone_ends_a_command_quietly(root: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = run(PRINTING, root, stdout=writer)
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (128 + signal.SIGPIPE, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_output_to_a_full_disk_gets_one_sentence(root: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = run(PRINTING, root, stdout=full)
    assert done.returncode == 2
    assert done.stderr.startswith("error: the disk is full")
    assert done.stderr.count("\n") == 1


def test_a_closed_output_is_no_error(root: Path) -> None:
    done = run(
        "def command():\n    sys.stdout.write('x')\n    return 0", root, stdout=None, preexec_fn=lambda: os.close(1)
    )
    assert (done.returncode, done.stderr) == (0, "")
