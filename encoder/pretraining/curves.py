"""What a run leaves to look at: curves.csv, ratios.csv, TensorBoard's events where wanted, and a line of progress.

Both tables hold numbers only, one header line, nothing where a number is not known. A row is in the file once it is
added. Write a step's rows before its checkpoint: a run resumed from there cuts off what lies beyond, so that its files
end as those of a run that was never stopped, times and memory aside. One process of a run writes them.

ratios.csv holds, for each split, a histogram of the smoothed change ratios of all seen rows and, where the truth is
known, of the rows that have changed and of those that have not.
"""

from __future__ import annotations

import importlib
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from stac.errors import DataError
from stac.files import write_whole

from .memory import FIGURES, ChangeMemory, Split

CURVES, RATIOS = "curves.csv", "ratios.csv"

EDGES: NDArray[np.float64] = np.arange(151) / 50
"""Lower edges of the histogram's bins, ratio 0 … 3 in steps of 0.02; the last bin is open upwards."""

_BINS = tuple(f"{edge:.2f}" for edge in EDGES)

RATIO_COLUMNS = ("step", "epoch", "truth", "rows", "flagged", *FIGURES, *_BINS)
"""Of ratios.csv. `truth`: nothing for all rows, 1 for those of changed locations, 0 for the others. `rows`: how many.
`flagged`: part of them that counts as changed. `Split.figures` stand in the line of all rows. Then a count a bin, by
its lower edge."""

EVERY_S, PLAIN_EVERY_S = 1.0, 30.0
"""assumed: seconds between progress lines, on a terminal and elsewhere (a log)."""

Row = Mapping[str, float | None]


class Table:
    """A CSV file of numbers, keyed by step, that grows at its end."""

    def __init__(self, path: Path, columns: Sequence[str], step: int | None) -> None:
        """Begin it anew, or go on with it.

        Args:
            path: Of the file; its folder is made.
            columns: Names, `step` first.
            step: The last step whose rows are kept; None begins anew.

        Raises:
            DataError: The file that goes on has other columns, or is damaged.
        """
        kept: list[list[str]] = []
        if step is not None and path.exists():
            found, rows = _read(path)
            if rows and found != list(columns):
                raise DataError(
                    f"{path} has other columns than this run writes: {_difference(found, columns)}",
                    "those that the run began with",
                    "move the file away, or resume with what the run began with",
                )
            kept = [row for row in rows if int(row[0]) <= step]
        with write_whole(path) as temporary:
            temporary.write_text("".join(f"{','.join(row)}\n" for row in [columns, *kept]), encoding="utf-8")
        self.columns = tuple(columns)
        self._path = path

    def add(self, row: Row) -> None:
        """Add a row; names that are left out stay empty.

        Raises:
            ValueError: The step is missing, or a name is not a column.
        """
        odd = sorted(set(row) - set(self.columns))
        if odd or row.get("step") is None:
            raise ValueError(f"a row without a step, or with unknown columns: {odd}")
        with self._path.open("a", encoding="utf-8") as file:  # closed, and so flushed, at once
            file.write(",".join(_text(row.get(name)) for name in self.columns) + "\n")


class Curves:
    """The tables of one run, and TensorBoard's events beside them."""

    def __init__(
        self, folder: Path, columns: Sequence[str], *, step: int | None = None, tensorboard: bool = False
    ) -> None:
        """Begin a run's tables, or go on with them.

        Args:
            folder: Of the run.
            columns: Of curves.csv, `step` first.
            step: Of the checkpoint that the run goes on from; None for a new run, whose tables begin anew.
            tensorboard: Whether to write events for TensorBoard too, in the folder `tensorboard`.

        Raises:
            DataError: TensorBoard is wanted and not installed, or a table cannot be gone on with.
        """
        self._events = _event_writer(folder / "tensorboard", step) if tensorboard else None
        self._curves = Table(folder / CURVES, columns, step)
        self._ratios = Table(folder / RATIOS, RATIO_COLUMNS, step)

    def add(self, row: Row) -> None:
        """Add a row to curves.csv: numbers by column, `step` among them.

        Raises:
            ValueError: The step is missing, or a name is not a column.
        """
        self._curves.add(row)
        if self._events is not None:
            for name, value in row.items():
                if name != "step" and value is not None:
                    self._events.add_scalar(name, value, row["step"])

    def add_split(
        self,
        row: Row,
        memory: ChangeMemory,
        split: Split,
        changed: Tensor | None = None,
        least: float = 0.0,
    ) -> None:
        """Add a split and its histograms to ratios.csv.

        Args:
            row: `step` and `epoch`.
            memory: Just after the split.
            split: What it found.
            changed: float (N,), part of each location's chip that differs between its halves; None where not known.
            least: A location has changed where its part is above this.
        """
        seen = memory.seen.cpu().numpy()
        ratios = memory.values[:, 2].cpu().numpy().astype(np.float64)[seen]
        flagged = memory.label.cpu().numpy()[seen] == 1
        groups: list[tuple[float | None, NDArray[np.bool_]]] = [(None, np.ones(ratios.size, bool))]
        if changed is not None:
            truth = np.repeat(changed.cpu().numpy() > least, 2)[seen]
            groups += [(0, ~truth), (1, truth)]
        for name, chosen in groups:
            counts = ratio_histogram(ratios[chosen])
            share = float(flagged[chosen].mean()) if chosen.any() else None
            own: dict[str, float | None] = {**row, "truth": name, "rows": int(chosen.sum()), "flagged": share}
            own |= split.figures() if name is None else {}
            self._ratios.add(own | {edge: int(count) for edge, count in zip(_BINS, counts, strict=True)})
        if self._events is not None and ratios.size:
            self._events.add_histogram("ratio", ratios, row["step"])

    def close(self) -> None:
        """Write out what TensorBoard's writer still holds; the tables need no closing."""
        if self._events is not None:
            self._events.close()


class ProgressLine:
    """One line on standard error, now and then: rewritten in place on a terminal, line below line elsewhere.

    Ask `due` before anything is fetched from the device for the line. (A bar of tqdm would need that library, which the
    bare machines that train lack.)
    """

    def __init__(
        self,
        total: int,
        *,
        start: int = 0,
        every: float | None = None,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """A line that has not been shown.

        Args:
            total: Steps of the run.
            start: Steps that were done before this process began.
            every: Seconds between lines; `EVERY_S` on a terminal and `PLAIN_EVERY_S` elsewhere by default.
            stream: Where to; standard error by default.
            clock: Gives seconds.
        """
        self._stream = sys.stderr if stream is None else stream
        self._terminal = self._stream.isatty()
        self._every = every if every is not None else EVERY_S if self._terminal else PLAIN_EVERY_S
        self._total, self._clock = total, clock
        self._shown: tuple[float, int] = clock(), start
        self._width = 0

    def due(self, step: int) -> bool:
        """Whether it is time for a line: enough of it has passed, or `step` is the last one."""
        return step >= self._total or self._clock() - self._shown[0] >= self._every

    def show(self, step: int, views: int, figures: Mapping[str, str]) -> None:
        """Show where the run is.

        Args:
            step: Steps done, from 1.
            views: That one step reads over all processes.
            figures: Words and numbers to show, by name: `{"loss": "18.91", "change": "12 %"}`.
        """
        now, (then, before) = self._clock(), self._shown
        parts = [f"step {step:,}/{self._total:,}"]
        if step > before and now > then:
            pace = (step - before) / (now - then)
            left = int((self._total - step) / pace)
            parts.append(f"{pace * views:,.0f} views/s")
            parts.append(f"{left // 3600}:{left // 60 % 60:02d}:{left % 60:02d} left")
        line = "  ".join(parts + [f"{name} {value}" for name, value in figures.items()])
        last = step >= self._total
        if self._terminal:
            self._stream.write(f"\r{line.ljust(self._width)}" + "\n" * last)
        else:
            self._stream.write(f"{line}\n")
        self._stream.flush()
        self._width = 0 if last else len(line)
        self._shown = now, step


def curve_columns(subspaces: int) -> tuple[str, ...]:
    """Columns of curves.csv for a method of so many subspaces: one loss each beside their sum."""
    losses = tuple(f"loss_{i}" for i in range(subspaces)) if subspaces > 1 else ()
    figures = ("level", "vector", "change", "ratio_auroc", "ratio_ap", "long_auroc", "precision", "recall")
    return ("step", "epoch", "loss", *losses, "lr", *figures, *TIMED)


TIMED = ("seconds", "views_per_s", "gpu_gib")
"""Columns that differ from run to run even where all else is the same."""


def ratio_histogram(ratios: NDArray[np.float64]) -> NDArray[np.int64]:
    """Counts (151,) of ratios (n,) ≥ 0 in the bins that begin at `EDGES`."""
    return np.bincount(np.searchsorted(EDGES, ratios, side="right") - 1, minlength=EDGES.size).astype(np.int64)


def read_curves(path: Path) -> dict[str, NDArray[np.float64]]:
    """Read curves.csv or ratios.csv, while it is being written too.

    Returns:
        Column → numbers of all rows, NaN where there is none.

    Raises:
        DataError: The file is damaged.
        OSError: It cannot be read.
    """
    columns, rows = _read(path)
    return {
        name: np.array([float(row[at]) if row[at] else np.nan for row in rows], np.float64)
        for at, name in enumerate(columns)
    }


def _read(path: Path) -> tuple[list[str], list[list[str]]]:
    """Header and rows of a table, less a last line that was not finished.

    Raises:
        DataError: A line is not of the table.
    """
    lines = path.read_text(encoding="utf-8", errors="replace").split("\n")[:-1]
    if not lines:
        return [], []
    columns, *rows = (line.split(",") for line in lines)
    for number, row in enumerate(rows, start=2):
        if len(row) != len(columns) or not row[0].isdecimal() or not all(map(_is_number, row)):
            raise DataError(
                f"line {number} of {path} is not a row of its table",
                f"{len(columns)} numbers, the step first",
                "remove the line, or move the file away",
            )
    return columns, rows


def _is_number(text: str) -> bool:
    """Whether it is a number or nothing."""
    try:
        float(text or 0)
    except ValueError:
        return False
    return True


def _text(value: float | None) -> str:
    """A number as it is written: whole ones in full, others to nine digits, which tell any float32 from the next."""
    if value is None:
        return ""
    return str(int(value)) if isinstance(value, int | np.integer) else f"{float(value):.9g}"


def _difference(found: Sequence[str], wanted: Sequence[str]) -> str:
    """In which names two headers differ."""
    odd = sorted(set(found) ^ set(wanted))
    return ", ".join(odd) if odd else "their order"


def _event_writer(folder: Path, step: int | None) -> Any:
    """TensorBoard's writer, which hides events beyond the step that a run goes on from.

    Raises:
        DataError: TensorBoard is not installed.
    """
    try:
        module = importlib.import_module("torch.utils.tensorboard")
    except ImportError as err:
        raise DataError(
            f"TensorBoard is not installed here ({err})",
            "the package 'tensorboard'",
            f"install it, or run without it: {CURVES} holds the same numbers",
        ) from None
    return module.SummaryWriter(str(folder), purge_step=0 if step is None else step + 1)
