"""A lottery ticket in a second: an MLP on scikit-learn's digits, 12 steps in float32."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from experiments import lottery_ticket
from nncompress.lab import experiment as experiment_module
from nncompress.lab.experiment import Experiment
from nncompress.lab.lab import Settings
from nncompress.lab.loggers import NoLogger
from nncompress.types import Dataset, Model, Training

ROOT = Path(__file__).resolve().parents[3]
CHANCE = ("seconds", "total_seconds", "date", "commit")
"""Columns that differ between two runs of the same experiment: how long it took, and when."""

TRAINING = Training(steps=12, batch_size=30, learning_rate=1.2e-3, evaluate_every=6)
CONFIG = lottery_ticket.Config(
    dataset=Dataset("digits", validation=300),
    model=Model("mlp", widths=(64, 20, 10, 10)),
    training=TRAINING,
    prune_fraction={"fc1": 0.2, "fc2": 0.2, "fc3": 0.1},
    rounds=1,
    seeds=[0, 1],
    control_seeds=[0],
    arms=["winning_ticket", "random_reinit"],
    rewind_steps=[5],
    reinit_offset=1000,
    order_offset=1000,
    fine_tuning_rate=1.2e-4,
    instability_rounds=[0],
    last_round={},
)


def experiment(training: dict[str, Any] | None = None, **changes: Any) -> Experiment:
    """The experiment `tiny`: `CONFIG`, in which `training` changes values of `TRAINING` and `changes` the recipe's other keys."""
    config = replace(CONFIG, training=replace(TRAINING, **(training or {})), **changes)
    return Experiment("tiny", lottery_ticket, config, "smoke", {}, [])


def settings(results: Path, **changes: Any) -> Settings:
    """On the CPU, in this process, unless `changes` say otherwise."""
    quiet = Settings(store=results / "store", results=results, data_dir=results / "data", device="cpu", workers=1, progress=False)
    return replace(quiet, **changes)


def run(made: Experiment, given: Settings) -> pd.DataFrame:
    """The records of a whole run. It has no tables and figures, for no file under conf/ describes the experiment."""
    return experiment_module.run(made, given, NoLogger()).reset_index(drop=True)


def without_chance(frame: pd.DataFrame) -> pd.DataFrame:
    """The records without the columns that time alone decides."""
    return frame.drop(columns=[name for name in CHANCE if name in frame])
