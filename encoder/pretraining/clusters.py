"""Geographic clusters: k-means over places on the globe, the labels of GSSL's second task.

Source: GSSL, Ayush et al., ICCV 2021, section 4.2: latitudes and longitudes are clustered into K = 100. Ours measures
on the unit sphere, so that neighbours across ±180° are neighbours.
"""

from __future__ import annotations

import torch
from torch import Tensor

_ROUNDS = 50
"""assumed: rounds after which clusters are taken as they are; they settle in fewer."""


def new_clusters(lonlat: Tensor, count: int, seed: int) -> tuple[Tensor, int]:
    """Cluster places.

    Args:
        lonlat: float64 (N, 2), degrees; places that are not known (NaN) all share a cluster of their own.
        count: How many clusters are wanted; no more than there are different places.
        seed: Of the first centres.

    Returns:
        int64 (N,), a cluster for each place, and how many clusters there are.
    """
    known = lonlat.isfinite().all(dim=1)
    label = torch.zeros(len(lonlat), dtype=torch.int64)
    points = _on_sphere(lonlat[known])
    different = torch.unique(points, dim=0)
    count = min(count, len(different))
    if count:
        label[known] = _lloyd(points, _spread(different, count, seed))
    label[~known] = count
    return label, count + int(not bool(known.all()))


def _on_sphere(lonlat: Tensor) -> Tensor:
    """Unit vectors (N, 3)."""
    lon, lat = torch.deg2rad(lonlat).unbind(dim=1)
    return torch.stack([lat.cos() * lon.cos(), lat.cos() * lon.sin(), lat.sin()], dim=1)


def _spread(points: Tensor, count: int, seed: int) -> Tensor:
    """First centres (count, 3) by k-means++ (Arthur & Vassilvitskii, SODA 2007)."""
    generator = torch.Generator().manual_seed(seed)
    centres = points[torch.randint(len(points), (1,), generator=generator)]
    nearest = (points - centres[0]).square().sum(dim=1)
    for _ in range(count - 1):
        chosen = torch.multinomial(nearest.clamp_min(1e-18), 1, generator=generator)
        centres = torch.cat([centres, points[chosen]])
        nearest = torch.minimum(nearest, (points - points[chosen]).square().sum(dim=1))
    return centres


def _lloyd(points: Tensor, centres: Tensor) -> Tensor:
    """Nearest centres (N,) once means and memberships agree."""
    label = torch.cdist(points, centres).argmin(dim=1)
    for _ in range(_ROUNDS):
        total = torch.zeros_like(centres).index_add_(0, label, points)
        size = torch.bincount(label, minlength=len(centres))[:, None]
        centres = torch.where(size > 0, total / size.clamp_min(1), centres)
        before, label = label, torch.cdist(points, centres).argmin(dim=1)
        if bool((before == label).all()):
            break
    return label
