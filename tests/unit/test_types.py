"""Every range of the shared nouns is refused at the border, in pydantic's words."""

from dataclasses import MISSING, fields
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from nncompress.lab.stages import Fit
from nncompress.types import Augmentation, Dataset, Distillation, Model, Training

TRAINING: dict[str, Any] = {"steps": 100, "batch_size": 60, "learning_rate": 1.2e-3}
VALID: dict[type, dict[str, Any]] = {Augmentation: {}, Dataset: {"name": "mnist"}, Model: {"name": "mlp"}, Training: TRAINING}

REFUSED = [
    (Augmentation, {"shift": -1}, "greater than or equal to 0"),
    (Augmentation, {"shift": 0.5}, "valid integer"),
    (Augmentation, {"crop_padding": -1}, "greater than or equal to 0"),
    (Augmentation, {"flip": "perhaps"}, "valid boolean"),
    (Dataset, {"name": 3}, "valid string"),
    (Dataset, {"validation": -1}, "greater than or equal to 0"),
    (Dataset, {"split_seed": -1}, "greater than or equal to 0"),
    (Dataset, {"train_examples": 0}, "greater than or equal to 1"),
    (Dataset, {"train_recordings": 0}, "greater than or equal to 1"),
    (Dataset, {"validation_speakers": "nicolas"}, "valid tuple"),
    (Dataset, {"scaling": "whitened"}, "'unit' or 'standard'"),
    (Dataset, {"augmentation": {"shift": -1}}, "greater than or equal to 0"),
    (Model, {"widths": [784, 0, 10]}, "greater than or equal to 1"),
    (Model, {"widths": 784}, "valid tuple"),
    (Model, {"input_shape": [1, -28, 28]}, "greater than or equal to 1"),
    (Model, {"classes": 0}, "greater than or equal to 1"),
    (Model, {"input_dropout": 1.0}, "less than 1"),
    (Model, {"hidden_dropout": -0.1}, "greater than or equal to 0"),
    (Training, {"steps": 0}, "greater than or equal to 1"),
    (Training, {"steps": -5}, "greater than or equal to 1"),
    (Training, {"steps": 10.5}, "valid integer"),
    (Training, {"steps": "many"}, "valid integer"),
    (Training, {"steps": None}, "valid integer"),
    (Training, {"batch_size": 0}, "greater than or equal to 1"),
    (Training, {"learning_rate": 0}, "greater than 0"),
    (Training, {"learning_rate": -0.1}, "greater than 0"),
    (Training, {"learning_rate": float("nan")}, "finite number"),
    (Training, {"learning_rate": "fast"}, "valid number"),
    (Training, {"optimizer": "adamw"}, "'adam' or 'sgd'"),
    (Training, {"momentum": 1.0}, "less than 1"),
    (Training, {"momentum": -0.1}, "greater than or equal to 0"),
    (Training, {"weight_decay": -1e-4}, "greater than or equal to 0"),
    (Training, {"schedule": "cyclic"}, "'constant', 'linear', 'cosine', 'step' or 'exponential'"),
    (Training, {"milestones": [0]}, "greater than or equal to 1"),
    (Training, {"decay": 0}, "greater than 0"),
    (Training, {"warmup": -1}, "greater than or equal to 0"),
    (Training, {"evaluate_every": 0}, "greater than or equal to 1"),
    (Training, {"max_norm": 0}, "greater than 0"),
    (Training, {"precision": "16-mixed"}, "'32-true' or 'bf16-mixed'"),
]


@pytest.mark.parametrize(("noun", "change", "complaint"), REFUSED, ids=lambda value: value.__name__ if isinstance(value, type) else str(value))
def test_a_value_out_of_range_is_refused_and_named(noun: type, change: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValidationError) as error:
        TypeAdapter(noun).validate_python(VALID[noun] | change)
    (problem,) = error.value.errors()
    assert problem["loc"][0] == next(iter(change)) and complaint in problem["msg"]


@pytest.mark.parametrize("noun", VALID, ids=lambda noun: noun.__name__)
def test_an_unknown_key_is_refused_and_named(noun: type) -> None:
    with pytest.raises(ValidationError) as error:
        TypeAdapter(noun).validate_python(VALID[noun] | {"temprature": 3})
    assert [problem["loc"] for problem in error.value.errors()] == [("temprature",)]


@pytest.mark.parametrize(("noun", "name"), [(noun, name) for noun, values in VALID.items() for name in values])
def test_a_missing_key_is_refused_and_named(noun: type, name: str) -> None:
    with pytest.raises(ValidationError) as error:
        TypeAdapter(noun).validate_python({key: value for key, value in VALID[noun].items() if key != name})
    (problem,) = error.value.errors()
    assert problem["loc"] == (name,) and problem["type"] in ("missing", "missing_argument")


def test_edges_of_the_ranges_are_accepted() -> None:
    TypeAdapter(Training).validate_python(TRAINING | {"momentum": 0, "weight_decay": 0, "warmup": 0, "steps": 1, "batch_size": 1})
    TypeAdapter(Model).validate_python({"name": "mlp", "input_dropout": 0, "hidden_dropout": 0.999})
    TypeAdapter(Dataset).validate_python({"name": "mnist", "validation": 0, "train_examples": 1})


def test_values_become_those_that_the_key_hashes() -> None:
    """A whole learning rate in YAML is an int, a list is not a tuple: both must give the key of the value itself."""
    training = TypeAdapter(Training).validate_python(TRAINING | {"learning_rate": 1, "milestones": [20, 40], "schedule": "step"})
    assert training == Training(100, 60, 1.0, milestones=(20, 40), schedule="step")
    assert type(training.learning_rate) is float and type(training.milestones) is tuple
    dataset = TypeAdapter(Dataset).validate_python({"name": "mnist", "augmentation": {"shift": 2}})
    assert dataset == Dataset("mnist", augmentation=Augmentation(shift=2))


def test_nouns_cannot_be_changed_once_made() -> None:
    with pytest.raises(AttributeError):
        Training(**TRAINING).steps = 5  # type: ignore[misc]


def test_defaults_never_change() -> None:
    """A field at its default does not enter a stage's key, so another default would give old results a new meaning: add a field instead."""
    nouns = (Augmentation, Dataset, Model, Training, Fit, Distillation)
    defaults = {noun: {f.name: f.default for f in fields(noun) if f.default is not MISSING} for noun in nouns}
    assert defaults == {
        Augmentation: {"shift": 0, "crop_padding": 0, "flip": False},
        Dataset: {
            "validation": 5000, "split_seed": 0, "train_examples": None, "scaling": "unit", "augmentation": Augmentation(), "train_classes": (),
            "validation_speakers": (), "train_recordings": None,
        },
        Model: {"widths": (), "input_shape": (), "classes": None, "input_dropout": 0.0, "hidden_dropout": 0.0, "initial_std": None},
        Training: {
            "optimizer": "adam", "momentum": 0.0, "weight_decay": 0.0, "schedule": "constant", "milestones": (), "decay": 0.1, "warmup": 0,
            "evaluate_every": 100, "max_norm": None, "precision": "32-true",
            "decay_steps": 1, "momentum_start": 0.0, "momentum_steps": 0, "dampened": False, "l1": 0.0,
        },
        Fit: {
            "mask": None, "begin_step": 0, "stop_step": None, "distillation": None, "teacher": None, "adjust_dropout": False,
            "codebook": None, "specialty": None, "sharing": None,
        },
        Distillation: {"match": "soft_targets", "temperature": 1.0, "hard_weight": 0.0},
    }  # fmt: skip
