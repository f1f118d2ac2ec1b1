"""The house keeps its shape: imports one way, each big dependency behind one door, the map of modules is true."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

PACKAGES = ("stac", "encoder", "index", "app")  # each may import those before it
DOORS = {
    "torch": "encoder",
    "timm": "encoder",
    "torchgeo": "encoder",
    "faiss": "index",
    "streamlit": "app",
    "folium": "app",
}
FORBIDDEN_NAMES = {"utils", "common", "helpers", "manager", "base", "types", "io", "queue", "logging", *PACKAGES}


PARTS = ("stac/sampling", "stac/simulation", "encoder/pretraining")  # sub-packages


def _modules(root: Path) -> list[Path]:
    return [path for folder in (*PACKAGES, *PARTS) for path in sorted((root / folder).glob("*.py"))]


def _owner(path: Path, root: Path) -> str:
    """The package that a module belongs to."""
    return path.relative_to(root).parts[0]


def _imports(path: Path) -> list[str]:
    """Names imported anywhere in a module, relative ones left out."""
    names = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.append(node.module)
    return names


def test_imports_go_one_way(root: Path) -> None:
    wrong = [
        f"{path.relative_to(root)} imports {name}"
        for path in _modules(root)
        for name in _imports(path)
        if name.split(".")[0] in PACKAGES and PACKAGES.index(name.split(".")[0]) >= PACKAGES.index(_owner(path, root))
    ]
    assert wrong == []


def test_a_package_is_never_imported_bare(root: Path) -> None:
    assert [f"{path}: {name}" for path in _modules(root) for name in _imports(path) if name in PACKAGES] == []


def test_each_big_dependency_has_one_door(root: Path) -> None:
    wrong = [
        f"{path.relative_to(root)} imports {name}"
        for path in _modules(root)
        for name in _imports(path)
        if DOORS.get(name.split(".")[0], _owner(path, root)) != _owner(path, root)
    ]
    assert wrong == []


def test_only_one_module_imports_faiss(root: Path) -> None:
    assert [path.name for path in _modules(root) if "faiss" in _imports(path)] == ["vectors.py"]


def test_modules_are_small_and_say_what_they_own(root: Path) -> None:
    for path in _modules(root):
        text = path.read_text(encoding="utf-8")
        assert ast.get_docstring(ast.parse(text)), f"{path} has no docstring"
        assert text.count("\n") <= 330, f"{path} has {text.count(chr(10))} lines"
        assert path.stem not in FORBIDDEN_NAMES, path


def test_architecture_names_every_module_and_no_other(root: Path) -> None:
    text = (root / "ARCHITECTURE.md").read_text(encoding="utf-8")
    named = {word.strip("`") for word in text.split() if word.strip("`").endswith(".py") and "/" in word}
    actual = {path.relative_to(root).as_posix() for path in _modules(root) if path.name != "__init__.py"}
    assert named - {"bench/read.py"} - {name for name in named if name.startswith("bench/")} == actual


def test_importing_does_nothing(root: Path) -> None:
    files = [path.relative_to(root).with_suffix("") for path in _modules(root) if path.name != "__init__.py"]
    names = [".".join(path.parts) for path in files]
    code = (
        "import socket, sys\n"
        "def refuse(*args, **kwargs): raise RuntimeError('a socket at import')\n"
        "socket.socket.connect = refuse\n"
        f"for name in {names!r}: __import__(name)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


@pytest.mark.parametrize("package", PACKAGES)
def test_each_package_has_one_owner(package: str, root: Path) -> None:
    owners = set(packages_distributions().get(package, []))
    assert owners <= {"afterimage"}, f"another distribution also provides {package}: {owners}"
    assert Path(__import__(package).__file__ or "").parent == root / package


def test_wheel_lists_every_package(root: Path) -> None:
    import tomllib

    config = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    assert sorted(config["tool"]["setuptools"]["packages"]) == sorted(
        [*PACKAGES, *(part.replace("/", ".") for part in PARTS)]
    )


def test_constraints_hold_names_and_versions_only(root: Path) -> None:
    import re

    lines = (root / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert pins
    pattern = r"[A-Za-z0-9_.\-]+==[A-Za-z0-9_.+!\-]+( ?;.*)?"
    assert [line for line in pins if not re.fullmatch(pattern, line)] == []


def test_no_file_that_the_packages_need_is_ignored_by_git(root: Path) -> None:
    if not (root / ".git").exists():
        pytest.skip("no git folder here: a copy of the tree, not a clone")
    # Files of a tree under work may not be added yet, so those that git would add count too.
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout.split("\0")
    found = {
        path.relative_to(root).as_posix()
        for folder in (*PACKAGES, "static")
        for path in (root / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {"stac/data/places.parquet", "app/data/style.css", "static/world.json"} <= found
    assert sorted(found - set(listed)) == []
