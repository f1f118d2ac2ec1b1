"""Networks, key network, queues, clusters."""

from __future__ import annotations

import pytest
import torch

from encoder.pretraining.clusters import new_clusters
from encoder.pretraining.config import PretrainConfig
from encoder.pretraining.model import GroupedBatchNorm, Queue, level_targets, new_model

CPU = torch.device("cpu")


def config(**changes: object) -> PretrainConfig:
    return PretrainConfig(**{"batch": 8, "queue": 32, "projection": 16, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(("method", "subspaces"), [("caco", 3), ("seco", 3), ("moco", 1), ("gssl", 1), ("simclr", 3)])
def test_shapes(method: str, subspaces: int) -> None:
    model = new_model(config(method=method, bands=("B02", "B03", "B04", "B08")), 7, CPU)
    features, projections = model.query(torch.randn(4, 4, 32, 32))
    assert features.shape == (4, 512)
    assert projections.shape == (subspaces, 4, 16)
    assert model.queue.keys.shape == (subspaces, 16, 0 if method == "simclr" else 32)
    assert ("geography" in model.named()) == (method == "gssl")


def test_resnet50_and_its_heads() -> None:
    model = new_model(config(arch="resnet50"), 0, CPU)
    features, projections = model.query(torch.randn(2, 3, 32, 32))
    assert features.shape == (2, 2048)
    assert projections.shape == (3, 2, 16)
    assert model.query.heads[0][0].weight.shape == (2048, 2048)


def test_the_seed_alone_decides_the_parameters() -> None:
    a, b, c = (new_model(config(seed=seed), 0, CPU) for seed in (1, 1, 2))
    assert torch.equal(a.query.network.conv1.weight, b.query.network.conv1.weight)
    assert not torch.equal(a.query.network.conv1.weight, c.query.network.conv1.weight)
    before = torch.rand(1, generator=torch.Generator().manual_seed(5))
    torch.manual_seed(5)
    new_model(config(), 0, CPU)
    assert torch.equal(torch.rand(1), before)  # the global state was left alone


def test_the_key_network_follows_in_parameters_and_not_in_statistics() -> None:
    model = new_model(config(), 0, CPU)
    assert torch.equal(model.key.network.conv1.weight, model.query.network.conv1.weight)
    assert not any(p.requires_grad for p in model.key.parameters())
    with torch.no_grad():
        for p in model.query.parameters():
            p.add_(1.0)
        model.query.network.bn1.running_mean.fill_(9.0)
    before = [p.clone() for p in model.key.parameters()]
    model.follow(0.999)
    for old, new, aim in zip(before, model.key.parameters(), model.query.parameters(), strict=True):
        torch.testing.assert_close(new, 0.999 * old + 0.001 * aim)
    assert model.key.network.bn1.running_mean.abs().max() < 9.0


def test_the_queue_forgets_the_oldest_and_keeps_halves_apart() -> None:
    queue = Queue(2, 4, 8, torch.Generator().manual_seed(0))
    torch.testing.assert_close(queue.keys.norm(dim=1), torch.ones(2, 8))
    rows = [torch.full((2, 4, 4), float(n)) + torch.tensor([0.0, 0.5, 0.0, 0.5])[None, :, None] for n in (1, 2, 3)]
    for part in rows:
        queue.push(part)
    assert queue.keys[0, 0].tolist() == [3.0, 3.5, 3.0, 3.5, 2.0, 2.5, 2.0, 2.5]  # even places: older halves
    assert int(queue.place) == 4


def test_grouped_batch_norm_is_batch_norm_of_each_group() -> None:
    x = torch.randn(8, 3, 5, 5, generator=torch.Generator().manual_seed(0)) * torch.arange(1, 9).view(-1, 1, 1, 1)
    norm, plain = GroupedBatchNorm(3), torch.nn.BatchNorm2d(3)
    norm.groups = 2
    torch.testing.assert_close(norm(x), torch.cat([plain(x[:4]), plain(x[4:])]))
    torch.testing.assert_close(norm.running_mean, plain.running_mean)
    assert not torch.allclose(norm(x), plain(x))
    plain.load_state_dict(norm.state_dict())
    norm.eval(), plain.eval()
    torch.testing.assert_close(norm(x), plain(x))


def test_groups_reach_every_batch_norm() -> None:
    model = new_model(config(norm_groups=4), 0, CPU, processes=2)
    norms = [m for m in model.query.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert {getattr(m, "groups", None) for m in norms} == {2}
    assert len(norms) == 20


def test_levels_are_means_and_deviations() -> None:
    x = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    told = level_targets(x)
    assert told.shape == (2, 6)
    torch.testing.assert_close(told[:, 0], x[:, 0].reshape(2, -1).mean(1))
    torch.testing.assert_close(told[:, 5], x[:, 2].reshape(2, -1).std(1))


def test_clusters_are_places_that_lie_together() -> None:
    generator = torch.Generator().manual_seed(0)
    centres = torch.tensor([[0.0, 0.0], [90.0, 10.0], [179.5, -40.0]], dtype=torch.float64)
    truth = torch.arange(60) % 3
    lonlat = centres[truth] + torch.randn(60, 2, generator=generator, dtype=torch.float64)
    lonlat[:, 0] = (lonlat[:, 0] + 180) % 360 - 180  # some of the third lie beyond ±180°
    label, count = new_clusters(lonlat, 3, seed=0)
    assert count == 3
    assert all(len(set(label[truth == n].tolist())) == 1 for n in range(3))
    assert len(set(label.tolist())) == 3


def test_unknown_places_share_a_cluster_and_few_places_make_few_clusters() -> None:
    lonlat = torch.tensor([[0.0, 0.0], [0.0, 0.0], [50.0, 0.0], [torch.nan, torch.nan]], dtype=torch.float64)
    label, count = new_clusters(lonlat, 100, seed=0)
    assert count == 3
    assert label[0] == label[1]
    assert label[3] == 2
    assert new_clusters(lonlat[3:], 5, seed=0)[1] == 1
