"""An experiment's plan, its part that fits into some minutes, what it refuses before training, and its books."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from experiments import deep_compression, hinton_mnist, hinton_specialists, lottery_ticket
from nncompress.errors import UserError
from nncompress.lab import experiment as experiment_module
from nncompress.lab import records
from nncompress.lab.configuration import request
from nncompress.lab.experiment import Experiment, Stopwatch, plan, preflight, thinned, within
from nncompress.lab.lab import Lab, Settings
from nncompress.lab.quantizing import CompressedFile, IntegerWeights
from nncompress.lab.row import Row
from nncompress.lab.stage import Stage, ancestors
from nncompress.lab.stages import Consultation, Fit, InitialWeights, fit_of
from nncompress.train import fit as fit_module
from nncompress.types import Augmentation, Dataset, Model
from tests.unit.lab import tiny
from tests.unit.lab.tiny import ROOT

ALL = [arm for arm in lottery_ticket.ARMS if arm != "overlap"]  # which trains nothing of its own


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return tiny.settings(tmp_path)


@pytest.fixture
def no_training(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: Any) -> None:
        raise AssertionError("this trains")

    monkeypatch.setattr(fit_module, "fit", refused)


@pytest.fixture
def a_second_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Stopwatch, "_step", lambda self, fit: 1.0)


def fits(made: Experiment) -> set[Stage]:
    return {stage for stage in ancestors([row.stage for row in made.rows()]) if isinstance(stage, Fit)}


def steps(made: Experiment) -> int:
    return sum(fit.steps for fit in fits(made) if isinstance(fit, Fit))


def counts(text: str) -> dict[str, tuple[int, int, int]]:
    """Arm -> stages to train, stages reused, steps."""
    found = re.findall(r"^  (\w+) +([\d,]+) to train, +([\d,]+) reused, +([\d,]+) steps, about [\d.]+ (?:s|min|h)$", text, re.MULTILINE)
    return {arm: (int(train), int(reused), int(total.replace(",", ""))) for arm, train, reused, total in found}


# -- plans ---------------------------------------------------------------------------------------------------------------------------------


def test_a_plan_counts_every_stage_once_and_trains_nothing(settings: Settings, no_training: None) -> None:
    made = tiny.experiment(arms=ALL, seeds=[0, 1], control_seeds=[0], rounds=2, instability_rounds=[0, 2])
    text = plan(made, settings)
    assert text.startswith("tiny (scale: smoke) on cpu, 1 at a time")
    lines = counts(text)
    assert set(lines) == set(ALL)
    # By arm in alphabetical order; each brings what no arm before it needed.
    assert lines["fine_tuning"] == (3, 0, 3 * 12)  # the dense net and two rounds
    assert lines["float32"] == (2, 0, 2 * 12)  # this experiment is in float32: the tickets themselves, and the dense net is counted
    assert lines["instability"] == (4, 0, 2 * 12)  # two other batch orders, two interpolations
    assert lines["learning_rate_rewinding"] == (2, 0, 2 * 12)
    assert lines["one_shot"] == (1, 0, 12)  # after one round it is the winning ticket
    assert lines["random_mask"] == (2, 0, 2 * 12)
    assert lines["random_reinit"] == (6, 0, 6 * 12)  # two rounds of two seeds, and the tickets of seed 1 that its masks come from
    assert lines["rewinding"] == (3, 0, 5 + 2 * 7)
    assert lines["winning_ticket"] == (1, 0, 12)  # the last round of seed 1
    assert sum(train for train, _, _ in lines.values()) == len(fits(made)) + 2
    assert text.splitlines()[-1].startswith(f"{len(fits(made)) + 2} of {len(fits(made)) + 2} stages to train: about ")
    assert not settings.store.exists()


def test_a_plan_counts_what_is_stored_as_reused(settings: Settings) -> None:
    tiny.run(tiny.experiment(), settings)
    lines = counts(plan(tiny.experiment(seeds=[0, 1, 2]), settings))
    assert lines == {"random_reinit": (2, 4, 2 * 12), "winning_ticket": (1, 2, 12)}
    text = plan(tiny.experiment(), settings)
    assert counts(text) == {"random_reinit": (0, 4, 0), "winning_ticket": (0, 2, 0)}
    assert text.splitlines()[-1] == "0 of 6 stages to train: about 0 s here"


def test_a_plan_is_about_right_on_time(tmp_path: Path) -> None:
    made = tiny.experiment({"steps": 1500, "evaluate_every": 100}, rounds=0, seeds=[0, 1, 2, 3, 4])
    ratios = []
    for attempt in range(3):  # other work on the machine is not the plan's fault
        lab = Lab(tiny.settings(tmp_path / str(attempt)))
        expected = Stopwatch(lab).seconds(lab.missing([row.stage for row in made.rows()]))
        ratios.append(expected / float(tiny.run(made, lab.settings)["seconds"].sum()))
        if 0.5 < ratios[-1] < 2:
            return
    raise AssertionError(f"planned / taken: {ratios}")


def test_a_plan_of_pruned_nets_counts_them_by_their_density(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """A step takes 1 s dense and 0.1 s with a tenth of the weights: with 40 % of them 0.4 s."""
    monkeypatch.setattr(Stopwatch, "_measured", lambda self, fit, density: density)
    made = tiny.experiment(rounds=2, arms=["winning_ticket"], seeds=[0], prune_fraction={"fc1": 0.5, "fc2": 0.5, "fc3": 0.5})
    fits = {row.columns["round"]: row.stage for row in made.rows()}
    watch = Stopwatch(Lab(settings))
    assert [watch.seconds([fits[round_]]) for round_ in (0, 1, 2)] == pytest.approx([12 * 1.0, 12 * 0.5, 12 * 0.25])


@pytest.mark.parametrize("changes", [{"schedule": "linear", "learning_rate": 0.1}, {"learning_rate": 1e6}], ids=str)
def test_a_plan_times_more_steps_than_the_schedule_has_and_does_not_diverge(changes: dict[str, Any], settings: Settings) -> None:
    """Of a fit of 12 steps some hundred are timed; a learning rate that falls to zero with the 12 would turn negative."""
    text = plan(tiny.experiment(changes | {"optimizer": "sgd", "momentum": 0.9}, arms=["winning_ticket"], seeds=[0], rounds=0), settings)
    assert counts(text) == {"winning_ticket": (1, 0, 12)}


def test_lightnings_refusal_is_one_line(settings: Settings) -> None:
    with pytest.raises(UserError, match=r"Lightning refuses trainer\.strategy=fooo: .*fooo"):
        tiny.run(tiny.experiment(), replace(settings, trainer={"strategy": "fooo"}))


def test_a_recipe_that_cannot_be_made_smaller_says_so(settings: Settings, a_second_a_step: None) -> None:
    recipe = SimpleNamespace(rows=lottery_ticket.rows)
    with pytest.raises(UserError, match="minutes = 1: tiny cannot be made smaller"):
        within(replace(tiny.experiment(), recipe=recipe), settings, 1)  # type: ignore[arg-type]


# -- budgets -------------------------------------------------------------------------------------------------------------------------------


def test_fewer_minutes_give_ever_smaller_experiments_that_fit(settings: Settings, no_training: None, a_second_a_step: None) -> None:
    whole = tiny.experiment({"steps": 3000}, arms=ALL, seeds=[0, 1, 2, 3], control_seeds=[0, 1], rounds=10, instability_rounds=[0, 9])
    enough = steps(whole) / 60
    assert within(whole, settings, enough) is whole
    budgets = [enough / divisor for divisor in (1.01, 2, 5, 10, 20, 35)]
    sizes = [within(whole, settings, minutes) for minutes in budgets]
    for made, minutes in zip(sizes, budgets, strict=True):
        assert steps(made) <= 60 * minutes
        assert made.scale == f"{minutes:g}min"
        assert replace(made, config=whole.config, scale=whole.scale) == whole
    assert [steps(made) for made in sizes] == sorted((steps(made) for made in sizes), reverse=True)
    assert len({steps(made) for made in sizes}) == len(sizes)
    assert sizes[-1].config.training.steps < 3000 == sizes[0].config.training.steps


def test_more_workers_fit_more_into_the_same_minutes(settings: Settings, a_second_a_step: None) -> None:
    whole = tiny.experiment(arms=ALL, seeds=[0, 1], control_seeds=[0, 1])
    minutes = steps(whole) / 120
    assert within(whole, settings, minutes) != whole
    assert within(whole, replace(settings, workers=2), minutes) is whole


def test_too_few_minutes_are_refused_in_one_line(settings: Settings, a_second_a_step: None) -> None:
    with pytest.raises(UserError) as refusal:
        within(tiny.experiment(arms=ALL), settings, 0.5)
    # two seeds: the dense nets, their tickets and the reinitialised ones, 12 steps each
    assert str(refusal.value) == "minutes = 0.5: even the smallest part of tiny takes about 72 s here; allow more minutes"


def test_a_later_full_run_refines_the_records_of_a_budget_and_trains_only_the_rest(
    settings: Settings, a_second_a_step: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = tiny.experiment(arms=["winning_ticket", "random_reinit", "one_shot"], seeds=[0, 1, 2, 3])
    part = within(whole, settings, 9 * 12 / 60)
    assert (part.scale, part.config.arms, part.config.seeds) == ("1.8min", ["winning_ticket", "random_reinit"], [0, 1, 2])
    small = tiny.run(part, settings)
    assert set(small["scale"]) == {"1.8min"}
    assert within(whole, settings, (steps(whole) - 9 * 12) / 60) is whole  # what is stored costs nothing

    trained: list[str] = []
    fit = fit_module.fit

    def counting(task: Any, replicates: Any, *rest: Any) -> Any:
        trained.extend(replicate.label for replicate in replicates)
        return fit(task, replicates, *rest)

    monkeypatch.setattr(fit_module, "fit", counting)
    tiny.run(whole, settings)
    assert sorted(trained) == [f"{arm} seed=3" for arm in ("random_reinit round=1", "winning_ticket round=0", "winning_ticket round=1")]
    found = records.read(settings.results / "records" / "tiny.csv")
    assert set(found["scale"]) == {"smoke"}
    assert not found.duplicated(records.IDENTITY).any() and len(found) == len(whole.rows())
    assert set(small["key"]) < set(found["key"])


def test_a_longer_run_replaces_the_rows_of_a_budget_that_shortened_training(settings: Settings, a_second_a_step: None) -> None:
    whole = tiny.experiment({"steps": 600, "evaluate_every": 150}, rounds=0)
    part = within(whole, settings, 15)
    assert part.config.training.steps == 450
    tiny.run(part, settings)
    path = settings.results / "records" / "tiny.csv"
    assert records.read(path)[["scale", "steps"]].drop_duplicates().to_numpy().tolist() == [["15min", 450]]
    tiny.run(whole, settings)
    content = path.read_bytes()
    assert records.read(path)[["scale", "steps"]].drop_duplicates().to_numpy().tolist() == [["smoke", 600]]
    curves = records.read(settings.results / "curves" / "tiny.csv")
    assert sorted(curves["step"].unique()) == [150, 300, 450, 600]
    tiny.run(part, settings)  # and a shorter one later does not replace the longer
    assert path.read_bytes() == content


# -- refusals ------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"seeds": [0, 0]}, "tiny has two rows 'winning_ticket round=0 seed=0': give seeds, rounds and arms once each"),
        ({"arms": []}, "tiny has nothing to do: give at least one arm and one seed for it"),
        ({"arms": ["one_shot"], "control_seeds": []}, "tiny has nothing to do: give at least one arm and one seed for it"),
        ({"prune_fraction": {"fc1": 0.2, "fc9": 0.2}}, "prune_fraction.fc9: the model has no such layer; it has fc1, fc2, fc3"),
        ({"model": Model("mlp", widths=(65, 20, 10, 10))}, "model mlp takes inputs of (1, 1, 65), but digits has images of (1, 8, 8)"),
        ({"model": Model("lenet_300_100")}, "model lenet_300_100 takes inputs of (1, 28, 28), but digits has images of (1, 8, 8)"),
        ({"model": Model("conv_2", input_shape=(1, 4, 16))}, "model conv_2 takes inputs of (1, 4, 16), but digits has images of (1, 8, 8)"),
        (
            {"model": Model("mlp", widths=(64, 20, 10, 9))},
            "model mlp has 9 outputs, but digits has 10 classes: end model.widths with them",
        ),
        (
            {"model": Model("lenet_300_100", input_shape=(1, 8, 8), classes=5)},
            "model lenet_300_100 has 5 outputs, but digits has 10 classes: set model.classes=10",
        ),
        ({"model": Model("lenet")}, "there is no model 'lenet'; did you mean 'lenet_"),
        ({"dataset": Dataset("digit", validation=300)}, "digits"),
        ({"training": {"batch_size": 2000}}, "training.batch_size = 2000 is more than the 997 training examples"),
    ],
    ids=lambda value: ", ".join(value) if isinstance(value, dict) else "",
)
def test_what_cannot_be_trained_is_refused_before_training_in_one_line(
    changes: dict[str, Any], line: str, settings: Settings, no_training: None
) -> None:
    with pytest.raises(UserError) as refusal:
        tiny.run(tiny.experiment(**changes), settings)
    assert line in str(refusal.value)
    assert "\n" not in str(refusal.value)
    assert not settings.store.exists() and not (settings.results / "records").exists()


def test_a_model_that_fits_is_not_refused(settings: Settings) -> None:
    for model in (Model("mlp", widths=(64, 12)), Model("lenet_300_100", input_shape=(1, 8, 8)), Model("conv_2", input_shape=(1, 8, 8))):
        preflight(tiny.experiment(model=model, prune_fraction={"fc1": 0.2}).rows(), Lab(settings))


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        (
            {"arms": ["deep_compression"], "weight_bits": {"fc1": 4, "fc9": 4}, "index_bits": {"fc1": 4, "fc9": 4}},
            "weight_bits.fc9: the model has no such layer; it has fc1, fc2, fc3",
        ),
        (
            {"arms": ["deep_compression"], "index_bits": {"fc1": 4, "fc9": 4}},
            "index_bits.fc9: the model has no such layer; it has fc1, fc2, fc3",
        ),
        (
            {"arms": ["quantization_only"], "bits": [2, 8]},
            "fc3.weight: 256 codebook entries for 200 weights: take fewer bits, or leave the layer unshared",
        ),
    ],
)
def test_codes_and_gaps_that_no_layer_can_have_are_refused_before_training_in_one_line(
    changes: dict[str, Any], line: str, settings: Settings, no_training: None
) -> None:
    config = request(ROOT / "conf", ["experiment=smoke/deep_compression"]).config
    made = Experiment("tiny", deep_compression, replace(config, **changes), "smoke", {}, [])
    with pytest.raises(UserError) as refusal:
        tiny.run(made, settings)
    assert str(refusal.value) == line
    assert not settings.store.exists() and not (settings.results / "records").exists()


def test_a_file_of_codes_for_a_layer_that_the_model_does_not_have_is_refused_whatever_it_is_made_of(settings: Settings) -> None:
    fit = Fit(tiny.CONFIG.model, tiny.CONFIG.dataset, tiny.TRAINING, InitialWeights(tiny.CONFIG.model, 0), 0)
    for net in (fit, integers := IntegerWeights(fit)):
        file = CompressedFile(net, integers, {"fc1.weight": 8, "conv1.weight": 8}, None)
        with pytest.raises(UserError, match=r"^weight_bits\.conv1: the model has no such layer; it has fc1, fc2, fc3$"):
            preflight([Row(file, {"arm": "plain", "seed": 0})], Lab(settings))


# -- books ---------------------------------------------------------------------------------------------------------------------------------


def test_records_and_curves_are_written_as_stages_finish(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    path, seen = settings.results / "records" / "tiny.csv", []
    enter = experiment_module.Book.enter

    def watching(self: experiment_module.Book, rows: Any) -> None:
        enter(self, rows)
        seen.append(len(records.read(path)) if path.exists() else 0)

    monkeypatch.setattr(experiment_module.Book, "enter", watching)
    tiny.run(tiny.experiment(), settings)
    assert seen == [0, 2, 6]
    curves = records.read(settings.results / "curves" / "tiny.csv")
    assert len(curves) == 6 * 2 and set(curves["step"]) == {6, 12}


def test_a_variant_has_records_of_its_own_and_is_what_a_run_returns(settings: Settings) -> None:
    plain = tiny.run(tiny.experiment(rounds=0), settings)
    faster = replace(tiny.experiment({"learning_rate": 0.01}, rounds=0), variant="training.learning_rate=0.01")
    found = tiny.run(faster, settings)
    assert set(found["variant"]) == {"training.learning_rate=0.01"} and len(found) == len(plain) == 2
    both = records.read(settings.results / "records" / "tiny.csv")
    assert len(both) == 4
    pd.testing.assert_frame_equal(both[both["variant"] == ""].reset_index(drop=True), plain)


def test_a_long_curve_is_kept_whole_where_it_bends_and_then_thinned() -> None:
    curve = {"step": np.arange(1, 501) * 100, "validation_loss": np.linspace(1, 0, 500)}
    found = thinned(curve)
    assert found["step"].tolist() == [*range(100, 5001, 100), *range(6000, 50_001, 1000)]
    assert len(found["validation_loss"]) == len(found["step"])
    short = {"step": np.arange(50)}
    assert thinned(short)["step"].tolist() == list(range(50))


def test_rows_of_a_recipe_with_columns_of_its_own_do_not_overwrite_one_another(settings: Settings) -> None:
    """A sweep over learning rates within a recipe: the column `rate` tells its rows apart, in the records and in the curves."""

    def rows(cfg: lottery_ticket.Config) -> Iterator[Row]:
        for rate in (0.01, 0.02):
            fit = Fit(cfg.model, cfg.dataset, replace(cfg.training, learning_rate=rate), InitialWeights(cfg.model, 0), 0)
            yield Row(fit, {"arm": "plain", "seed": 0, "rate": rate}, keep_curves=True)

    undeclared = replace(tiny.experiment(), recipe=SimpleNamespace(rows=rows, __file__=lottery_ticket.__file__))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"column 'rate' of row 'plain seed=0 rate=0\.01' identifies no record"):
        undeclared.rows()
    made = replace(undeclared, recipe=SimpleNamespace(rows=rows, IDENTITY=("rate",), __file__=lottery_ticket.__file__))  # type: ignore[arg-type]
    found = tiny.run(made, settings)
    assert sorted(found["rate"]) == [0.01, 0.02] and found["validation_loss"].nunique() == 2
    curves = records.read(settings.results / "curves" / "tiny.csv")
    assert len(curves) == 2 * 2 and curves.groupby("rate")["step"].count().tolist() == [2, 2]


def distilling(**changes: Any) -> Experiment:
    """The recipe of Hinton et al. in a second, its Config changed by `changes`."""
    config = request(ROOT / "conf", ["experiment=smoke/hinton_mnist"]).config
    return Experiment("tiny", hinton_mnist, replace(config, **changes), "smoke", {}, [])


def test_a_row_that_measures_a_net_shows_the_seconds_of_its_training_beside_its_operations(settings: Settings) -> None:
    made = distilling(arms=["distilled"], seeds=[0])
    [shown], lab = tiny.run(made, settings).to_dict("records"), Lab(settings)
    [stage] = (row.stage for row in made.rows())
    (flops, training), (nothing, measuring) = lab.cost(fit_of(stage)), lab.cost(stage)
    assert training > 0 and measuring > 0 and nothing == 0
    assert (shown["train_flops"], shown["seconds"]) == (pytest.approx(flops), pytest.approx(training + measuring))


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"student": Model("mlp", (64, 20, 12))}, "a teacher with 10 classes cannot teach a student with 12"),
        (
            {"dataset": Dataset("digits", validation=200, augmentation=Augmentation(shift=1))},
            "dataset.augmentation: a student learns",
        ),
    ],
)
def test_a_teacher_that_cannot_teach_is_refused_before_training(
    settings: Settings, no_training: None, changes: dict[str, Any], line: str
) -> None:
    with pytest.raises(UserError, match=line):
        tiny.run(distilling(**changes), settings)


def test_students_of_teachers_that_finished_together_train_as_one_stack(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    train = Lab.train

    def counted(self: Lab, group: Sequence[Stage], *given: Any) -> None:
        sizes.append(len(group) if isinstance(group[0], Fit) else 0)
        train(self, group, *given)

    monkeypatch.setattr(Lab, "train", counted)
    found = tiny.run(distilling(arms=["teacher", "distilled"], seeds=[0, 1, 2]), settings)
    assert sizes == [3, 0, 0, 0, 3, 0, 0, 0]  # teachers, their logits, students, how well each matches its teacher
    students = found[found["arm"] == "distilled"]
    assert (students["total_flops"] > students["train_flops"]).all()  # the teacher is in the ledger


def specialised(**changes: Any) -> Experiment:
    """The recipe of the specialists in a second, its Config changed by `changes`."""
    config = request(ROOT / "conf", ["experiment=smoke/hinton_specialists"]).config
    return Experiment("tiny", hinton_specialists, replace(config, **changes), "smoke", {}, [])


@pytest.mark.parametrize(
    ("classes", "size", "line"),
    [
        # Of the digits 0 to 4 there are about a hundred each, of the others none.
        ((0, 1, 2, 3, 4), 5, "training.batch_size = 20 of a specialist: 5 special classes may have no more than 0 training examples"),
        ((3, 4), 9, "training.batch_size = 20 of a specialist: all other classes may have no more than 0 training examples"),
    ],
)
def test_batches_that_a_specialist_could_not_fill_are_refused_before_training(
    settings: Settings, no_training: None, classes: tuple[int, ...], size: int, line: str
) -> None:
    dataset = Dataset("digits", validation=200, train_classes=classes)
    with pytest.raises(UserError) as refusal:
        tiny.run(specialised(dataset=dataset, special_classes=size), settings)
    assert str(refusal.value).startswith(line)


def test_specialists_of_all_seeds_train_as_one_stack_though_their_classes_are_not_known_before(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    stacks: list[int] = []
    train = Lab.train

    def counted(self: Lab, group: Sequence[Stage], *given: Any) -> None:
        if isinstance(group[0], Fit) and group[0].specialty is not None:
            stacks.append(len(group))
        train(self, group, *given)

    monkeypatch.setattr(Lab, "train", counted)
    tiny.run(specialised(arms=["specialists"], seeds=[0, 1]), replace(settings, stack=6))
    assert stacks == [6]


def test_the_lab_tells_each_specialist_its_own_classes_and_measures_what_they_add(settings: Settings) -> None:
    made = specialised(arms=["generalist", "specialists", "full_softmax_soft"], seeds=[0])
    found = tiny.run(made, settings).set_index("arm")
    assert found.loc["specialists", "generalist_test_accuracy"] == pytest.approx(found.loc["generalist", "test_accuracy"])
    assert found.loc["specialists", "specialist_train_loss"] < 5  # asked for classes that are not its own it would be 10^9
    assert found.loc["specialists", "total_flops"] > found.loc["generalist", "total_flops"]
    assert sum(found.loc["specialists", f"covered_{k}_examples"] for k in range(4)) == 500
    right = sum(found.loc["specialists", f"covered_{k}_right"] for k in range(4))
    assert found.loc["specialists", "test_accuracy"] == pytest.approx(right / 500)

    lab = Lab(settings)
    consultation = next(row.stage for row in made.rows() if row.columns["arm"] == "specialists")
    assert isinstance(consultation, Consultation)
    special = lab.get(consultation.classes).arrays["special"]
    assert special.shape == (3, 10) and (special.sum(1) == 3).all()
    for fit, classes in zip(consultation.specialists, special, strict=True):
        bias = lab.get(fit).weights["fc2.bias"]
        assert bias.shape == (11,) and ((bias < -1e6)[:10] == ~classes).all()
