"""Which locations changed, as CACo estimates it: change ratios, smoothed over epochs, split once an epoch.

A row is one half of one location, its number 2 · location + half. For every row that a step sees, the ratio of a
distance over years to a distance within a year is kept; after each epoch a mixture of two normal distributions says
which rows count as changed in the next one. Before the first split nothing does.

Sources: CACo, Mall et al., CVPR 2023, section 3.4, and its code https://github.com/utkarshmall13/CACo/blob/7c4fbc8/src
(models/moco2_module.py: ratio and memory; utils/histogram_callback.py: split).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from stac.errors import DataError

from .auroc import auroc, average_precision
from .mixture import Mixture, fit_mixture

BETA = 0.8
"""Share of the old value in a smoothed one; the code's (4 · old + new) / 5. The paper prints no value."""

EPSILON = 1e-4
"""Added to the short distance before it divides: moco2_module.py. assumed: the same for squared distances."""

MIXTURES = ("ratio", "log")
"""What the mixture is fitted to: the smoothed ratio, as published, or its natural logarithm. A ratio of two lengths is
skewed to the right, so that a normal distribution over it is wide where ratios are high, and wins again below the
lowest ones: its smallest ratios count as changed. Logarithms are near symmetric, and one huge ratio (a short distance
near 0) cannot take a component for itself."""

_LEAST = 1e-4
"""assumed: the smallest ratio whose logarithm is taken; a long distance of 0 has none."""

FIGURES = (
    *("fitted", "seen", "share", "low", "mean_0", "mean_1", "std_0", "std_1", "weight_0", "weight_1"),
    *("crossing", "separation", "rounds"),
)
"""Names of `Split.figures`."""


@torch.no_grad()
def change_distances(a: Tensor, b: Tensor, squared: bool = False) -> tuple[Tensor, Tensor, Tensor]:
    """Distances of each row's embeddings over years and within a year, and their ratio.

    With a~ the a of the same location's other half: long = |a - a~|, short = |a - b|, ratio = long / (short + 1e-4).
    CACo's code takes plain distances, which made the published weights; its eq. 3 prints squared ones. The order of
    ratios is the same, up to `EPSILON`; what smoothing and mixture make of them is not.

    Args:
        a: (B, E) of unit length, rows 2e and 2e + 1 being the halves of one location: a date of the row's half.
        b: (B, E) of unit length: another date of the same half.
        squared: Whether distances are squared.

    Returns:
        Long, short and ratio, each float32 (B,).
    """
    a, b = a.float(), b.float()
    other = a.reshape(-1, 2, a.shape[1]).flip(1).reshape(a.shape)
    long, short = (a - other).square().sum(dim=1), (a - b).square().sum(dim=1)
    if not squared:
        long, short = long.sqrt(), short.sqrt()
    return long, short, long / (short + EPSILON)


@dataclass(frozen=True)
class Split:
    """What one split found."""

    on: str
    """One of `MIXTURES`: what the mixture's numbers are of."""
    seen: int
    """Rows that any step has seen."""
    share: float
    """Part of the seen rows that count as changed from now on, 0 … 1."""
    low: float
    """Part of the seen rows that count as changed though below the unchanged mean: the wide component wins on both
    sides of a narrow one, in the published split too."""
    mixture: Mixture | None
    """The two groups, unchanged first; None where they could not be told apart."""
    crossing: float | None
    """Ratio at which rows turn from unchanged to changed; None where one group outweighs all between the means."""
    reason: str
    """Why there is no mixture, and what to do; empty where there is one."""

    @property
    def fitted(self) -> bool:
        """Whether two groups were told apart; if not, every row counts as unchanged until the next split."""
        return self.mixture is not None

    def figures(self) -> dict[str, float | None]:
        """All its numbers, by the names in `FIGURES`; None where there is no mixture."""
        values: list[float | None] = [float(self.fitted), float(self.seen), self.share, self.low]
        found = self.mixture
        if found is None:
            values += [None] * 9
        else:
            values += [*found.means, *found.stds, *found.weights]
            values += [self.crossing, found.separation, float(found.rounds)]
        return dict(zip(FIGURES, values, strict=True))

    def __str__(self) -> str:
        if self.mixture is None:
            return f"no rows count as changed: {self.reason}"
        groups = [
            f"{name} {mean:.3g} ± {std:.2g} ({weight:.0%})"
            for name, mean, std, weight in zip(
                ("unchanged", "changed"), self.mixture.means, self.mixture.stds, self.mixture.weights, strict=True
            )
        ]
        at = "" if self.crossing is None else f", crossing at ratio {self.crossing:.3g}"
        return f"{self.share:.1%} of {self.seen:,} rows count as changed ({self.on}: {', '.join(groups)}{at})"


class ChangeMemory:
    """Distances, ratio and label of every row.

    Processes that train together must each be given all rows of the global batch; then their memories stay equal.
    """

    def __init__(self, items: int, beta: float = BETA, device: torch.device | str = "cpu") -> None:
        """An empty memory.

        Args:
            items: How many rows there are: two a location.
            beta: Share of the old value in a smoothed one, 0 … 1.
            device: Where the tensors lie.
        """
        self.beta = beta
        self.values = torch.zeros((items, 3), dtype=torch.float32, device=device)
        """(2N, 3): smoothed long distance, short distance, ratio; 0 where not seen."""
        self.seen = torch.zeros(items, dtype=torch.bool, device=device)
        self.label = torch.zeros(items, dtype=torch.int8, device=device)
        """(2N,): 1 where the last split found a change."""

    @torch.no_grad()
    def update(self, item: Tensor, values: Tensor | tuple[Tensor, Tensor, Tensor]) -> None:
        """Take in what a step measured; does not wait for the device.

        The first visit of a row is stored as it is, later ones are smoothed. Rows with a number that is not finite are
        passed over: one of them would stay in the memory for good.

        Args:
            item: int64 (B,), all different.
            values: (B, 3), or what `change_distances` gave.
        """
        new = values if isinstance(values, Tensor) else torch.stack(values, dim=1)
        new = new.to(self.values)
        at = item.to(self.values.device, non_blocking=True)
        old, seen = self.values[at], self.seen[at]
        usable = new.isfinite().all(dim=1)
        smoothed = torch.where(seen[:, None], self.beta * old + (1.0 - self.beta) * new, new)
        self.values.index_copy_(0, at, torch.where(usable[:, None], smoothed, old))
        self.seen.index_copy_(0, at, seen | usable)

    def change(self, item: Tensor) -> Tensor:
        """Whether rows (B,) count as changed, bool (B,) on the memory's device: the gate of `caco_loss`."""
        return self.label[item.to(self.label.device, non_blocking=True)] == 1

    @torch.no_grad()
    def split(self, on: str = "ratio") -> Split:
        """Label all rows anew, at the end of an epoch: those that the component of the larger mean claims are changed.

        Rows never seen are unchanged. Where two groups cannot be told apart all rows are, and training goes on.

        Args:
            on: One of `MIXTURES`.
        """
        seen = self.seen.cpu().numpy()
        ratio = self.values[:, 2].cpu().numpy().astype(np.float64)[seen]
        numbers = np.log(np.maximum(ratio, _LEAST)) if on == "log" else ratio
        label = np.zeros(seen.size, np.int8)
        try:
            mixture = fit_mixture(numbers)
        except DataError as err:
            self.label.zero_()
            return Split(on, ratio.size, 0.0, 0.0, None, None, f"change ratios: {err}")
        changed = mixture.log_odds(numbers) > 0.0
        label[seen] = changed
        self.label.copy_(torch.from_numpy(label))
        crossing = mixture.crossing()
        if crossing is not None and on == "log":
            crossing = float(np.exp(crossing))
        low = float((changed & (numbers < mixture.means[0])).mean())
        return Split(on, ratio.size, float(changed.mean()), low, mixture, crossing, "")

    def against(self, changed: Tensor, least: float = 0.0) -> dict[str, float | None]:
        """How the seen rows agree with a known truth.

        Args:
            changed: float (N,), part of each location's chip that differs between its halves.
            least: A location has changed where its part is above this.

        Returns:
            `ratio_auroc` and `ratio_ap` of the smoothed ratio, `long_auroc` of the long distance alone (CACo's table 8
            compares the two), `precision` and `recall` of the labels; None where it is not defined.
        """
        seen = self.seen.cpu()
        truth = (changed.cpu() > least).repeat_interleave(2)[seen]
        values, label = self.values.cpu()[seen], self.label.cpu()[seen] == 1
        found = int((label & truth).sum())
        flagged, positives = int(label.sum()), int(truth.sum())
        return {
            "ratio_auroc": auroc(values[:, 2], truth),
            "ratio_ap": average_precision(values[:, 2], truth),
            "long_auroc": auroc(values[:, 0], truth),
            "precision": found / flagged if flagged else None,
            "recall": found / positives if positives else None,
        }

    def state_dict(self) -> dict[str, Tensor]:
        """Its tensors, not copies, by name; safetensors takes them as they are."""
        return {"values": self.values, "seen": self.seen, "label": self.label}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take over what `state_dict` gave, from any device.

        Raises:
            DataError: A tensor is missing, or is of another number of rows or another kind; nothing has been changed.
        """
        own = self.state_dict()
        for name, tensor in own.items():
            saved = state.get(name)
            if saved is None or saved.shape != tensor.shape or saved.dtype != tensor.dtype:
                found = "is missing" if saved is None else f"is {saved.dtype} {tuple(saved.shape)}"
                raise DataError(
                    f"the saved memory's '{name}' {found}",
                    f"{tensor.dtype} {tuple(tensor.shape)}: two rows a location",
                    "resume with the data that the run began with",
                )
        for name, tensor in own.items():
            tensor.copy_(state[name])
