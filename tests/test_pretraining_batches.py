"""Which rows and dates a step looks at."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from encoder.pretraining.batches import Plan
from encoder.pretraining.config import PretrainConfig
from stac.errors import DataError

CONFIG = PretrainConfig(batch=8, queue=32, epochs=2)
HALF = (torch.arange(10) >= 5).long().repeat(20, 1)


def plan(**changes: object) -> Plan:
    return Plan(replace(CONFIG, **changes), HALF)


@pytest.mark.parametrize("method", ["caco", "teco", "simclr"])
def test_pairs_stand_together_and_an_epoch_shows_each_once(method: str) -> None:
    epoch = [plan(method=method).batch(step) for step in range(5)]
    items = torch.cat([batch.item for batch in epoch])
    assert sorted(items.tolist()) == list(range(40))  # 20 locations × 2 halves
    for batch in epoch:
        assert (batch.location[0::2] == batch.location[1::2]).all()
        assert (batch.item == 2 * batch.location + torch.arange(8) % 2).all()
        assert (HALF[batch.location[:, None], batch.dates] == (torch.arange(8) % 2)[:, None]).all()


def test_caco_draws_without_replacement_teco_and_seco_with() -> None:
    def repeats(method: str) -> int:
        own = plan(method=method, epochs=40)
        dates = torch.cat([own.batch(step).dates for step in range(40)])
        return sum(len(set(row)) < 3 for row in dates.tolist())

    assert repeats("caco") == repeats("simclr") == 0
    assert repeats("teco") > 0
    assert repeats("seco") > 0


def test_all_dates_come_equally_often() -> None:
    own = plan(method="caco", epochs=200)
    count = torch.zeros(10)
    for step in range(400):
        count += torch.bincount(own.batch(step).dates.flatten(), minlength=10)
    assert count.min() / count.max() > 0.85


def test_seco_and_gssl_see_all_dates_of_a_location_as_one_row() -> None:
    for method, count in (("seco", 3), ("gssl", 2)):
        batches = [plan(method=method).batch(step) for step in range(2)]
        location = torch.cat([batch.location for batch in batches])
        assert len(set(location.tolist())) == 16
        assert batches[0].dates.shape == (8, count)
    assert set(torch.cat([plan(method="seco", epochs=20).batch(s).dates for s in range(40)]).flatten().tolist()) == set(
        range(10)
    )
    gssl = plan(method="gssl").batch(0).dates
    assert (gssl[:, 0] != gssl[:, 1]).all()


def test_moco_sees_every_image_once_an_epoch() -> None:
    own = plan(method="moco")
    assert own.steps == 25
    seen = {
        (int(n), int(t))
        for s in range(25)
        for n, t in zip(own.batch(s).location, own.batch(s).dates[:, 0], strict=True)
    }
    assert len(seen) == 200


def test_locations_without_enough_dates_are_left_out() -> None:
    half = HALF.clone()
    half[0, 5:] = -1  # no recent half
    half[1, 1:5] = -1  # one date in the older half
    own = Plan(CONFIG, half)
    assert own.left_out == 2
    seen = torch.cat([own.batch(step).location for step in range(own.steps)])
    assert not set(seen.tolist()) & {0, 1}
    half[2, 2:5] = -1  # two dates: drawn again where three are wanted
    rows = Plan(CONFIG, half).batch(0)
    assert (half[rows.location[:, None], rows.dates] >= 0).all()


def test_the_same_step_is_the_same_batch_in_any_order() -> None:
    first, second = plan(), plan()
    forward = [first.batch(step) for step in range(10)]
    backward = [second.batch(step) for step in reversed(range(10))][::-1]
    for a, b in zip(forward, backward, strict=True):
        assert torch.equal(a.item, b.item)
        assert torch.equal(a.dates, b.dates)
    assert not torch.equal(forward[0].item, forward[5].item)  # another epoch, another order
    assert not torch.equal(forward[0].item, plan(seed=1).batch(0).item)


def test_keys_are_ordered_anew_only_where_norm_groups_are_kept_apart() -> None:
    assert torch.equal(plan().batch(0).keys, torch.arange(8))
    keys = plan(norm_groups=2).batch(0).keys
    assert not torch.equal(keys, torch.arange(8))
    assert sorted(keys.tolist()) == list(range(8))


def test_every_view_and_step_has_its_own_chance() -> None:
    own = plan()
    draws = {
        (step, view): float(torch.rand((), generator=own.generator(step, view)))
        for step in range(3)
        for view in range(4)
    }
    assert len(set(draws.values())) == 12
    assert float(torch.rand((), generator=plan().generator(1, 2))) == draws[1, 2]


def test_too_few_rows_are_refused() -> None:
    with pytest.raises(DataError, match="6 rows to train on"):
        Plan(CONFIG, HALF[:3])
    with pytest.raises(DataError, match="locations have too few dates"):
        Plan(CONFIG, HALF[:, :6])


def test_steps_take_the_place_of_epochs() -> None:
    assert plan().total == 10
    assert plan(steps=7).total == 7
    assert plan(steps=7).epochs == 2
