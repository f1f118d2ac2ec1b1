"""What a step looks at: which dates, which of them augmented, in which bands; and what is known of the rows.

Views are made for the rows that this process encodes: as queries its own rows, as keys the rows that the batch's key
order gives it.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import torch
from torch import Tensor

from .band_drop import draw_kept, drop_bands
from .batches import Batch, Plan
from .clusters import new_clusters
from .config import PAIRED, PretrainConfig
from .series import Series
from .views import Views

CHANGED = 0.05
"""assumed: part of a chip that must differ between the halves for its location to count as changed, in the truth."""

VIEWS: dict[str, tuple[tuple[int, bool], ...]] = {
    # Which of a row's dates, and whether it is augmented beyond a crop: the query, then the keys.
    # CACo, https://github.com/utkarshmall13/CACo/blob/7c4fbc8/src/datasets/seco_dataset.py, as SeCo's.
    "caco": ((0, False), (1, True), (2, False), (0, True)),
    "teco": ((0, False), (1, True), (2, False), (0, True)),
    "seco": ((0, False), (1, True), (2, False), (0, True)),
    "simclr": ((0, False), (1, True), (2, False), (0, True)),
    # https://github.com/facebookresearch/moco/blob/7397dfe/main_moco.py, --aug-plus: two views of one image.
    "moco": ((0, True), (0, True)),
    # https://github.com/sustainlab-group/geography-aware-ssl/blob/4251731/moco_fmow/main_moco_tp.py: of two dates.
    "gssl": ((0, True), (1, True)),
}
"""Method → its views."""


@dataclass(frozen=True, eq=False)
class Looks:
    """Views of a step, float32 (b, C, H, W) each, on the device."""

    query: Tensor
    keys: tuple[Tensor, ...]
    """In the order of the batch's keys."""
    estimate: Tensor | None
    """The query's view of the rows encoded as keys, from which change is estimated; None where it is not."""
    back: Tensor
    """int64 (B,), where each row of the batch stands among the gathered keys."""
    rows: slice
    """Rows that this process answers for."""
    item: Tensor
    """int64 (B,), items of the whole batch."""
    cluster: Tensor
    """int64 (b,), geographic clusters of this process's rows."""
    kind: Tensor | None
    """int64 (B,), class of each row's change, -1 for none; None where it is not to be known."""


class Looker:
    """Makes the views of each step."""

    def __init__(self, config: PretrainConfig, series: Series, views: Views, plan: Plan, rows: slice) -> None:
        """Make it.

        Args:
            config: Of the run.
            series: What is looked at.
            views: Makes network input of raw images.
            plan: Gives chance.
            rows: That this process answers for.
        """
        self.config, self.series, self.views, self.plan, self.rows = config, series, views, plan, rows
        self.cluster, self.clusters = new_clusters(series.lonlat, config.clusters, config.seed)
        self._has_all = rows == slice(0, config.batch)
        self._reader = ThreadPoolExecutor(1, "read") if series.ahead else None
        self._ahead: tuple[int, Future[tuple[Tensor, Tensor]]] | None = None

    def look(self, step: int) -> Looks:
        """A step's views: read, cut, disturbed, normalized. Where reading takes time, the next step's begins meanwhile.

        Args:
            step: Its number, from which rows and chance derive.
        """
        batch = self.plan.batch(step)
        rows, order = torch.arange(self.config.batch)[self.rows], batch.keys[self.rows]
        seen = VIEWS[self.config.method]
        draws = [self.views.draw(self.config.batch, self.plan.generator(step, view)) for view in range(len(seen))]
        kept = None if self.config.keep_bands else self._draw_kept(step, len(seen))
        own, other = self._images(step, batch)

        def make(images: Tensor, view: int, which: Tensor) -> Tensor:
            """One of `seen`, of some rows."""
            date, augment = seen[view]
            made = self.views(images[:, date], draws[view][which], augment=augment)
            return made if kept is None else drop_bands(made, kept[which])

        query = make(own, 0, rows)
        keys = tuple(make(other, view, order) for view in range(1, len(seen)))
        estimate = None
        if self.config.method in {"caco", "teco"}:
            estimate = self._again(query, order) if self._has_all else make(other, 0, order)
        return Looks(
            query=query,
            keys=keys,
            estimate=estimate,
            back=torch.argsort(batch.keys).to(self.series.device),
            rows=self.rows,
            item=batch.item.to(self.series.device),
            cluster=self.cluster[batch.location[rows]].to(self.series.device),
            kind=self._kind(batch),
        )

    def close(self) -> None:
        """Stop reading ahead."""
        if self._reader is not None:
            self._reader.shutdown(cancel_futures=True)

    def _images(self, step: int, batch: Batch) -> tuple[Tensor, Tensor]:
        """Raw images (b, V, C, S, S) of the rows to query and of those to encode as keys, one tensor if the same."""
        if self._reader is None:
            return self._take(batch)
        ahead, self._ahead = self._ahead, None
        found = ahead[1].result() if ahead is not None and ahead[0] == step else self._take(batch)
        if step + 1 < self.plan.total:
            self._ahead = step + 1, self._reader.submit(self._take, self.plan.batch(step + 1))
        return found

    def _take(self, batch: Batch) -> tuple[Tensor, Tensor]:
        rows, order = torch.arange(self.config.batch)[self.rows], batch.keys[self.rows]
        own = self.series.take(batch.location[rows], batch.dates[rows])
        if self._has_all:
            return own, self._again(own, order)
        return own, self.series.take(batch.location[order], batch.dates[order])

    def _again(self, rows: Tensor, order: Tensor) -> Tensor:
        """All rows of the batch in another order; the same tensor where that is their own."""
        return rows if self.config.norm_groups == 1 else rows[order.to(rows.device)]

    def _kind(self, batch: Batch) -> Tensor | None:
        """Classes of the rows' changes where they may be known; -1 too where none lies between the halves."""
        kind, changed = self.series.kind, self.series.changed
        if not self.config.vector_labels or kind is None or changed is None:
            return None
        told = torch.where(changed > CHANGED, kind, -1)
        return told[batch.location].to(self.series.device, non_blocking=True)

    def _draw_kept(self, step: int, view: int) -> Tensor:
        """Bands that rows keep, bool (B, C): the same in all of a location's views, lest these measure what lacks."""
        together = 2 if self.config.method in PAIRED else 1
        generator = self.plan.generator(step, view)
        return draw_kept(self.config.bands, self.config.batch, generator, together=together)
