"""What must hold across the stages of the lottery-ticket experiment: one small run of every arm, looked at from all sides.

The run computes in bfloat16 with float32 master weights, as the paper's scale does, and prunes 40 % a round, so that the nets of the last
round are sparse enough to be trained by their surviving weights alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from experiments import lottery_ticket
from nncompress.data import Splits, batch_indices
from nncompress.lab import records
from nncompress.lab.configuration import request
from nncompress.lab.experiment import Book, Experiment
from nncompress.lab.lab import Lab
from nncompress.lab.loggers import NoLogger
from nncompress.lab.row import Row
from nncompress.lab.stage import Artifact, ancestors
from nncompress.lab.stages import Fit, InitialWeights, Interpolation, PrunedMask, ShuffledMask
from nncompress.train import fit as fit_module
from nncompress.train import learner as learner_module
from nncompress.train.fit import Replicate, Task
from nncompress.train.schedule import learning_rate_at
from tests.unit.lab import tiny

STEPS, BATCH, EVERY, ROUNDS, K = 60, 30, 10, 3, 20
FRACTION = {"fc1": 0.4, "fc2": 0.4, "fc3": 0.2}
WEIGHTS = {"fc1": 64 * 20, "fc2": 20 * 10, "fc3": 10 * 10}
FLOPS_PER_STEP = 6 * sum(WEIGHTS.values()) * BATCH
SEEDS, CONTROLS = [0, 1, 2], [0, 1]
ARMS = request(tiny.ROOT / "conf", ["experiment=smoke/lottery_ticket"]).config.arms


@dataclass
class Seen:
    """What training did with one fit: the weights it started from, the steps it took and their learning rates, the batches it drew."""

    start: dict[str, np.ndarray]
    rates: dict[int, float] = field(default_factory=dict)
    seed: int = -1


@dataclass
class Finished:
    experiment: Experiment
    lab: Lab
    records: pd.DataFrame
    seen: dict[str, Seen]

    @property
    def rows(self) -> list[Row]:
        return self.experiment.rows()

    def fits(self, arm: str, seed: int = 0, **columns: int) -> dict[int, Fit]:
        """The fits of an arm by round."""
        wanted = {"arm": arm, "seed": seed, **columns}
        chosen = [row for row in self.rows if wanted.items() <= row.columns.items()]
        return {int(row.columns["round"]): row.stage for row in chosen if isinstance(row.stage, Fit)}

    def masks(self, fit: Fit) -> dict[str, np.ndarray]:
        return self.lab.get(fit.mask).masks if fit.mask is not None else {}

    def artifact(self, fit: Fit) -> Artifact:
        return self.lab.get(fit)

    def of(self, fit: Fit) -> Seen:
        labels = {row.stage.key: row.label for row in reversed(self.rows)}
        return self.seen[labels.get(fit.key, fit.key)]

    def record(self, **columns: Any) -> pd.Series:
        found = self.records
        for name, value in columns.items():
            found = found[found[name] == value]
        assert len(found) == 1
        return found.iloc[0]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Finished]:
    made = tiny.experiment(
        {"steps": STEPS, "batch_size": BATCH, "evaluate_every": EVERY, "schedule": "linear", "precision": "bf16-mixed"},
        rounds=ROUNDS, seeds=SEEDS, control_seeds=CONTROLS, arms=ARMS, prune_fraction=FRACTION, rewind_steps=[K],
        instability_rounds=[0, ROUNDS],
    )  # fmt: skip
    seen: dict[str, Seen] = {}
    build, block = fit_module.learner, learner_module.Learner.training_step

    def noting_starts(task: Task, replicates: Any, *rest: Any) -> Any:
        learner = build(task, replicates, *rest)
        if replicates[0].label != "interpolation":
            starts = learner.constraint.layout.unflatten(learner.constraint.dense(learner.constraint.latent))
            seen.update({label: Seen(start, seed=seed) for label, start, seed in zip(learner.labels, starts, learner.seeds, strict=True)})
        return learner

    def noting_steps(self: Any, given: tuple[int, int], index: int) -> None:
        block(self, given, index)
        for label in self.labels:
            seen[label].rates[given[1] - 1] = self.trainer.optimizers[0].param_groups[0]["lr"]

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(fit_module, "learner", noting_starts)
        patched.setattr(learner_module.Learner, "training_step", noting_steps)
        settings = tiny.settings(tmp_path_factory.mktemp("lottery_ticket"))
        yield Finished(made, Lab(settings, say=lambda _: None), tiny.run(made, settings), seen)


def assert_same(first: dict[str, np.ndarray], second: dict[str, np.ndarray]) -> None:
    assert first.keys() == second.keys()
    for name in first:
        np.testing.assert_array_equal(first[name], second[name])


def masked(weights: dict[str, np.ndarray], masks: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: array * masks[name] if name in masks else array for name, array in weights.items()}


def kept(masks: dict[str, np.ndarray]) -> dict[str, int]:
    return {name.removesuffix(".weight"): int(mask.sum()) for name, mask in masks.items()}


# -- what is run ---------------------------------------------------------------------------------------------------------------------------


def test_every_arm_of_the_yaml_is_measured_at_every_round_and_seed(finished: Finished) -> None:
    pruned = {"random_mask", "one_shot", "rewinding", "learning_rate_rewinding", "fine_tuning"}
    expected = {("winning_ticket", round_, seed) for round_ in range(ROUNDS + 1) for seed in SEEDS}
    expected |= {("random_reinit", round_, seed) for round_ in range(1, ROUNDS + 1) for seed in SEEDS}
    expected |= {(arm, round_, seed) for arm in pruned for round_ in range(1, ROUNDS + 1) for seed in CONTROLS}
    expected |= {("float32", round_, seed) for round_ in range(ROUNDS + 1) for seed in CONTROLS}
    expected |= {("instability", round_, seed) for round_ in (0, ROUNDS) for seed in CONTROLS}
    overlaps = {"overlap_of_seeds": 1, "overlap_with_one_shot": 2, "overlap_with_float32": 1}  # the first round; one round is one shot
    expected |= {(arm, round_, seed) for arm, first in overlaps.items() for round_ in range(first, ROUNDS + 1) for seed in CONTROLS}
    found = finished.records
    assert Counter(zip(found["arm"], found["round"], found["seed"], strict=True)) == Counter(expected)
    assert set(ARMS) == set(lottery_ticket.ARMS)
    assert len({row.label for row in finished.rows}) == len(finished.rows)


def test_the_record_of_a_row_is_what_its_stage_measured(finished: Finished) -> None:
    for row in finished.rows:
        record = finished.records[finished.records["key"] == row.stage.key].iloc[0]
        for name, value in finished.lab.get(row.stage).metrics.items():
            assert record[name] == pytest.approx(value, rel=1e-7), (row.label, name)


# -- masks ---------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arm", ["winning_ticket", "rewinding", "learning_rate_rewinding", "fine_tuning", "float32"])
def test_the_density_after_n_rounds_is_one_minus_p_to_the_n_in_every_layer(finished: Finished, arm: str) -> None:
    for round_, fit in finished.fits(arm).items():
        if round_ == 0:
            assert fit.mask is None
            assert finished.record(arm=arm, round=0, seed=0)["density"] == 1
            continue
        survivors = kept(finished.masks(fit))
        for layer, fraction in FRACTION.items():  # each round rounds to a whole weight
            assert abs(survivors[layer] - WEIGHTS[layer] * (1 - fraction) ** round_) <= 0.5 * round_
        record = finished.record(arm=arm, round=round_, seed=0)
        assert record["density"] == pytest.approx(sum(survivors.values()) / sum(WEIGHTS.values()))
        for layer in FRACTION:
            assert record[f"density_{layer}"] == pytest.approx(survivors[layer] / WEIGHTS[layer])


@pytest.mark.parametrize("arm", ["winning_ticket", "rewinding", "learning_rate_rewinding", "fine_tuning", "float32"])
def test_masks_nest_and_each_round_removes_the_smallest_weights(finished: Finished, arm: str) -> None:
    fits = finished.fits(arm)
    before = fits.get(0, finished.fits("winning_ticket")[0])
    for round_ in range(1, ROUNDS + 1):
        masks, weights = finished.masks(fits[round_]), finished.artifact(before).weights
        earlier = finished.masks(before) or {name: np.ones(mask.shape, bool) for name, mask in masks.items()}
        for name, mask in masks.items():
            assert not (mask & ~earlier[name]).any()
            gone = earlier[name] & ~mask
            assert np.abs(weights[name][gone]).max() <= np.abs(weights[name][mask]).min()
        before = fits[round_]


def test_pruned_weights_are_exactly_zero_in_everything_that_is_stored(finished: Finished) -> None:
    fits = [stage for stage in ancestors([row.stage for row in finished.rows]) if isinstance(stage, Fit) and stage.mask is not None]
    densities = [finished.artifact(fit).metrics["density"] for fit in fits]
    assert min(densities) < 0.3 < 0.5 < max(densities)  # both forms of a mask
    for fit in fits:
        trained, masks = finished.artifact(fit), finished.masks(fit)
        assert_same(trained.masks, masks)
        for name, mask in masks.items():
            assert not trained.weights[name][~mask].any()
            assert (trained.weights[name][mask] != 0).mean() > 0.9


def test_a_random_mask_is_as_sparse_in_every_layer_and_elsewhere(finished: Finished) -> None:
    tickets = finished.fits("winning_ticket")
    for round_, fit in finished.fits("random_mask").items():
        assert isinstance(fit.mask, ShuffledMask)
        masks, ticket = finished.masks(fit), finished.masks(tickets[round_])
        assert kept(masks) == kept(ticket)
        assert all((masks[name] != ticket[name]).any() for name in masks)
        assert replace(fit, mask=None) == tickets[0]


def test_one_shot_is_as_sparse_as_the_iterative_ticket_and_prunes_the_dense_net(finished: Finished) -> None:
    tickets = finished.fits("winning_ticket")
    for round_, fit in finished.fits("one_shot").items():
        assert isinstance(fit.mask, PrunedMask) and fit.mask.fit == tickets[0]
        ticket = kept(finished.masks(tickets[round_]))
        assert all(abs(count - ticket[layer]) <= round_ for layer, count in kept(finished.masks(fit)).items())
        assert replace(fit, mask=None) == tickets[0]


# -- start weights, batch order, learning rates --------------------------------------------------------------------------------------------


def test_a_ticket_starts_from_its_own_initial_weights_times_its_mask(finished: Finished) -> None:
    for seed in SEEDS:
        theta_0 = finished.lab.get(InitialWeights(finished.experiment.config.model, seed)).weights
        for fit in finished.fits("winning_ticket", seed).values():
            assert_same(finished.of(fit).start, masked(theta_0, finished.masks(fit)))
            assert finished.of(fit).seed == seed


def test_random_reinit_has_the_ticket_s_mask_and_batches_and_other_weights(finished: Finished) -> None:
    tickets = finished.fits("winning_ticket")
    for round_, fit in finished.fits("random_reinit").items():
        assert replace(fit, start=tickets[round_].start) == tickets[round_]
        start, ticket = finished.of(fit).start, finished.of(tickets[round_]).start
        for name, mask in finished.masks(fit).items():
            assert not start[name][~mask].any()
            assert (start[name] != ticket[name])[mask].mean() > 0.99


def test_rewinding_goes_on_from_step_k_with_its_weights_batches_and_learning_rate(finished: Finished) -> None:
    dense = finished.fits("winning_ticket")[0]
    early = replace(dense, stop_step=K)
    at_k = finished.artifact(early)
    assert sorted(finished.of(early).rates) == [9, 19]
    assert list(at_k.curves["step"]) == [10, 20]
    for fit in finished.fits("rewinding").values():
        seen = finished.of(fit)
        assert_same(seen.start, masked(at_k.weights, finished.masks(fit)))
        assert seen.rates == {step: learning_rate_at(fit.training, step) for step in (29, 39, 49, 59)}
        assert finished.artifact(fit).metrics["steps"] == STEPS - K
        assert (fit.seed, fit.begin_step, fit.last_step) == (dense.seed, K, STEPS)


def test_the_batches_after_step_k_are_those_of_the_whole_training(finished: Finished) -> None:
    whole = batch_indices(0, 0, STEPS, 997, BATCH)
    np.testing.assert_array_equal(whole[K:], batch_indices(0, K, STEPS, 997, BATCH))


@pytest.mark.parametrize(("arm", "rate"), [("learning_rate_rewinding", 1.2e-3), ("fine_tuning", 1.2e-4)])
def test_retraining_keeps_the_trained_weights_and_differs_in_learning_rate(finished: Finished, arm: str, rate: float) -> None:
    before = finished.fits("winning_ticket")[0]
    for round_, fit in sorted(finished.fits(arm).items()):
        assert fit.start == before, round_
        seen = finished.of(fit)
        assert_same(seen.start, masked(finished.artifact(before).weights, finished.masks(fit)))
        decay = 0 if arm == "fine_tuning" else 1 / STEPS  # fine-tuning keeps the last rate; rewinding repeats the schedule
        assert seen.rates == pytest.approx({step: rate * (1 - decay * step) for step in (9, 19, 29, 39, 49, 59)})
        before = fit


def test_the_float32_arm_differs_from_the_winning_ticket_in_precision_only(finished: Finished) -> None:
    tickets, full = finished.fits("winning_ticket"), finished.fits("float32")
    assert set(full) == set(tickets)
    before = None
    for round_ in range(ROUNDS + 1):
        assert full[round_].training == replace(tickets[round_].training, precision="32-true")
        assert replace(full[round_], training=tickets[round_].training, mask=tickets[round_].mask) == tickets[round_]
        if before is not None:
            mask = full[round_].mask
            assert isinstance(mask, PrunedMask) and mask.fit == before
        before = full[round_]
    trained = finished.records[~finished.records["arm"].str.startswith("overlap_")]  # of two masks, each found in its own precision
    found = trained.groupby("arm")["precision"].unique()
    assert list(found.pop("float32")) == ["32-true"]
    assert list(found.pop("instability")) == ["bf16-mixed"]
    assert {precision for arm in found for precision in arm} == {"bf16-mixed"}


# -- instability ---------------------------------------------------------------------------------------------------------------------------


def test_the_two_ends_of_the_line_have_the_errors_of_the_two_fits(finished: Finished) -> None:
    rows = [row for row in finished.rows if isinstance(row.stage, Interpolation)]
    assert len(rows) == 2 * len(CONTROLS)
    for row in rows:
        line = row.stage
        assert isinstance(line, Interpolation)
        assert replace(line.second, seed=line.first.seed) == line.first and line.second.seed != line.first.seed
        found = finished.lab.get(line)
        for split, name in (("test", "instability"), ("train", "train_instability")):
            errors = found.curves[f"{split}_error"]
            ends = [1 - finished.artifact(fit).metrics[f"{split}_accuracy"] for fit in (line.second, line.first)]  # alpha = 0, alpha = 1
            assert [errors[0], errors[-1]] == pytest.approx(ends, abs=1e-6)
            assert found.metrics[name] == pytest.approx(max(errors) - np.mean(ends), abs=1e-6)
        assert len(found.curves["alpha"]) == 30 and found.curves["alpha"][[0, -1]].tolist() == [0, 1]
        assert found.metrics["density"] == finished.artifact(line.first).metrics["density"]


def test_there_is_no_instability_between_equal_nets(finished: Finished) -> None:
    fit = finished.fits("float32")[ROUNDS]
    line = Interpolation(fit, fit, points=11).compute({fit: finished.artifact(fit)}, finished.lab)
    assert line.metrics["instability"] == line.metrics["train_instability"] == 0


# -- the test split ------------------------------------------------------------------------------------------------------------------------


def test_the_test_split_changes_nothing_but_what_is_measured_on_it(finished: Finished, monkeypatch: pytest.MonkeyPatch) -> None:
    read = fit_module.splits

    def poisoned(*given: Any) -> Splits:
        whole = read(*given)
        noise = torch.randint(0, 256, whole.test_x.shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
        return replace(whole, test_x=noise, test_y=whole.test_y.roll(1))

    fits = [finished.fits("winning_ticket", seed)[ROUNDS] for seed in SEEDS]
    task = Task(fits[0].model, fits[0].dataset, fits[0].training, 0, STEPS)
    stack = [Replicate(str(fit.seed), fit.seed, finished.lab.get(fit.start).weights, finished.masks(fit)) for fit in fits]
    clean = fit_module.fit(task, stack, finished.lab.runtime)
    monkeypatch.setattr(fit_module, "splits", poisoned)
    for before, after in zip(clean, fit_module.fit(task, stack, finished.lab.runtime), strict=True):
        assert_same(before.weights, after.weights)
        assert_same(before.curves, after.curves)
        changed = {name for name, value in before.metrics.items() if value != after.metrics[name]}
        assert changed == {"test_loss", "test_accuracy", "early_stop_loss", "early_stop_accuracy"}


def test_the_test_split_is_read_by_measuring_alone(finished: Finished, monkeypatch: pytest.MonkeyPatch) -> None:
    class Guarded:
        """Splits whose test part may be looked at only when `open`."""

        open = False

        def __init__(self, whole: Splits) -> None:
            self.whole = whole

        def __getattr__(self, name: str) -> Any:
            assert Guarded.open or not name.startswith("test_"), f"{name} is read before the end"
            return getattr(self.whole, name)

    read, measure, interpolate = fit_module.splits, fit_module.measure, fit_module.interpolate

    def opened(function: Any) -> Any:
        def call(*given: Any) -> Any:
            Guarded.open = True
            try:
                return function(*given)
            finally:
                Guarded.open = False

        return call

    monkeypatch.setattr(fit_module, "splits", lambda *given: Guarded(read(*given)))
    monkeypatch.setattr(fit_module, "measure", opened(measure))
    monkeypatch.setattr(fit_module, "interpolate", opened(interpolate))
    dense = finished.fits("winning_ticket")[0]
    task = Task(dense.model, dense.dataset, dense.training, 0, STEPS)
    [trained] = fit_module.fit(task, [Replicate("guarded", 0, finished.lab.get(dense.start).weights)], finished.lab.runtime)
    assert 0 <= trained.metrics["test_accuracy"] <= 1
    Interpolation(dense, dense, points=10).compute({dense: finished.artifact(dense)}, finished.lab)


# -- the compute ledger --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "steps"),
    [
        ({"arm": "winning_ticket", "round": 0}, STEPS),
        ({"arm": "winning_ticket", "round": 2}, 3 * STEPS),  # rounds 0, 1, 2
        ({"arm": "random_reinit", "round": 2}, 3 * STEPS),  # two tickets for the mask, then its own
        ({"arm": "random_mask", "round": 2}, 3 * STEPS),
        ({"arm": "one_shot", "round": 3}, 2 * STEPS),  # the dense net, then its own
        ({"arm": "rewinding", "round": 2}, STEPS + K + 2 * (STEPS - K)),  # the dense net, step k, two retrainings
        ({"arm": "fine_tuning", "round": 3}, 4 * STEPS),
        ({"arm": "instability", "round": 3}, 5 * STEPS),  # four rounds and the second run of the last
    ],
    ids=str,
)
def test_the_ledger_counts_every_fit_that_a_row_stands_on_once(finished: Finished, row: dict[str, Any], steps: int) -> None:
    record = finished.record(**row, seed=0)
    assert record["total_flops"] == FLOPS_PER_STEP * steps


def test_seconds_add_up_over_the_fits_that_a_row_stands_on(finished: Finished) -> None:
    tickets = [finished.record(arm="winning_ticket", round=round_, seed=1) for round_ in range(ROUNDS + 1)]
    for round_, record in enumerate(tickets):
        assert record["seconds"] > 0
        assert record["total_seconds"] == pytest.approx(sum(ticket["seconds"] for ticket in tickets[: round_ + 1]), rel=1e-6)


def test_records_are_the_same_whatever_the_order_in_which_rows_are_entered(finished: Finished, tmp_path: Path) -> None:
    book = Book(finished.experiment, finished.lab, NoLogger())
    book.path, book.curves = tmp_path / "records.csv", tmp_path / "curves.csv"
    for row in reversed(finished.rows):
        book.enter([row])
    pd.testing.assert_frame_equal(records.read(book.path), finished.records)
