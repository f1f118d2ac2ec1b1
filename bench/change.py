"""Does pre-training learn what it should: caco, teco, seco and the paper's ablation on the simulated stream.

    python -m encoder.stream_pack --out data/grounds.safetensors --grounds-per-biome 4
    python bench/change.py --country data/grounds.safetensors --work data/change --steps 400 --json change.jsonl
    python bench/change.py … --minutes 50          # the same command again goes on where it stopped
    python bench/change_page.py --figures change.jsonl

Every run draws a pool of series, trains on it for the same number of rows, and is measured as it goes by
`encoder.pretraining.measure` on series that no run trains on: another seed of the stream and, unless `--held-country`
names others, grounds of another seed too. All of that is simulated. `--also eurosat fires` asks the finished backbones
real questions besides, as `bench/weights.py` does.

**Runs** (`--runs`), in the order of CACo's ablation (CVPR 2023, table 6: SeCo, + sampling, + long-term, + change-aware):

    seco-quiet   SeCo's loss, five dates of one year, country where one location in ten holds a change
    seco-year    the same where every second one does: + sampling
    teco         two halves of five dates, four years apart, contrasted: + long-term
    caco         the same, gated by the change estimate: + change-aware
    seco         for comparison, out of the order: SeCo's loss on teco's and caco's dates

Two of these are analogues of what the paper did. Its sampling draws around cities, for things change there; here the
chips are drawn over places that change more or less often. Its SeCo has dates of one year, here the recent half of the
same series. A run with seed s has the pool, the first parameters and the order of seed s, whatever its method; an
epoch of seco is half as many rows, so that runs are compared at equal rows.

A run stands in `--work`/NAME-SEED: its checkpoint, curves and weights, and `change.jsonl`, its figures.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from benchmark import machine
from torch import Tensor, nn
from torch.nn import functional

from encoder.device import norm_device
from encoder.networks import DIMS
from encoder.normalization import CACO, Step, default_steps
from encoder.pretraining.arguments import TEN_BANDS
from encoder.pretraining.config import PAIRED, PretrainConfig
from encoder.pretraining.curves import RATIOS, RATIO_COLUMNS, read_curves
from encoder.pretraining.loop import RunOptions, Trainer
from encoder.pretraining.measure import NORMS, measure_change
from encoder.pretraining.series import DrawnSeries
from encoder.pretraining.state import STATE, check_same, open_state
from encoder.pretraining.views import Views, new_config
from encoder.stream import SimulatedStream, StreamConfig
from encoder.stream_country import Country, CountryConfig
from encoder.stream_pack import open_country
from encoder.weights import WeightsSpec, save_weights
from index.figures import json_lines, read_commit
from stac.bands import RGB, norm_bands
from stac.cli import check_folder, check_output, number, parse_args
from stac.errors import DataError, ItemError, exit_code
from stac.files import write_whole
