"""The shared nouns: plain values that a YAML file can hold, with their ranges. Imports no torch, so that a wrong value is refused at once.

Every class here is a frozen dataclass checked by pydantic: a value out of range, an unknown key or a wrong type is refused when the
configuration is read. What is in them enters the content key of a stage, except where a field is left at its default.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias

import numpy as np
from pydantic import ConfigDict, Field

Weights = Mapping[str, np.ndarray]
"""Parameter name -> float32 array, as in `module.named_parameters()`."""
MaskArrays = Mapping[str, np.ndarray]
"""Parameter name -> bool array of the same shape, True = kept. Parameters that are not named are kept whole."""

STRICT = ConfigDict(extra="forbid")
"""For every class read from YAML: an unknown key is an error."""

Split: TypeAlias = Literal["train", "validation", "test"]
Seed = Annotated[int, Field(ge=0, lt=2**62)]
Fraction = Annotated[float, Field(ge=0, lt=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]
Folds = Annotated[int, Field(ge=2, le=20)]
"""Of a cross-validation: few enough for each to have cases of any registered table."""


@dataclass(frozen=True)
class Augmentation:
    """Random changes of each training image, drawn anew for every batch from (seed, step).

    `shift`: whole pixels, uniform in [-shift, shift] on each axis, zeros enter. `crop_padding`: pad with zeros, then crop to size.
    `flip`: mirror left-right with probability one half.
    """

    __pydantic_config__ = STRICT
    shift: Annotated[int, Field(ge=0)] = 0
    crop_padding: Annotated[int, Field(ge=0)] = 0
    flip: bool = False


@dataclass(frozen=True)
class Dataset:
    """A registered data set, how many of its training examples are held out for validation, and its augmentation.

    `train_classes` keeps only the training examples of these classes, empty keeps all; of what is left `train_examples` keeps only the first,
    None keeps all. Validation and test split stay whole.
    `scaling`: 'unit' maps bytes to [0, 1]; 'standard' also subtracts the mean and divides by the std of each channel of the training split.
    Frames of speech are held out and kept by the recording, since neighbours are nearly the same: all recordings of `validation_speakers`
    instead of `validation` examples; of what is left `train_recordings` keeps only the first, None keeps all.
    """

    __pydantic_config__ = STRICT
    name: str
    validation: Annotated[int, Field(ge=0)] = 5000
    split_seed: Seed = 0
    train_examples: Count | None = None
    scaling: Literal["unit", "standard"] = "unit"
    augmentation: Augmentation = Augmentation()
    train_classes: tuple[Annotated[int, Field(ge=0)], ...] = ()
    validation_speakers: tuple[str, ...] = ()
    train_recordings: Count | None = None


@dataclass(frozen=True)
class Model:
    """A registered model. `widths`: units of every layer from input to output, for `mlp` only; or, for `alexnet` and `vgg_16`, of every hidden
    layer, where other than the paper's are wanted. `input_shape` (C, H, W) and `classes`: those of the paper unless given, for convolutional
    models. Dropout: share of units dropped, of the input and of each hidden fully connected layer. `initial_std`: std of all initial weights,
    None = Glorot's."""

    __pydantic_config__ = STRICT
    name: str
    widths: tuple[Count, ...] = ()
    input_shape: tuple[Count, ...] = ()
    classes: Count | None = None
    input_dropout: Fraction = 0.0
    hidden_dropout: Fraction = 0.0
    initial_std: Positive | None = None


@dataclass(frozen=True)
class Training:
    """How a net is trained: optimiser, schedule, budget in steps (one step = one update on one batch).

    `schedule`: learning rate over steps, constant | linear (to 0) | cosine (to 0) | step (times `decay` at each of `milestones`) | exponential
    (times `decay` every `decay_steps`); `warmup` steps rise linearly from 0 first. SGD's `momentum` rises linearly from `momentum_start` over
    the first `momentum_steps`, if these are given; `dampened` multiplies the learning rate by 1 - momentum. `evaluate_every`: steps between
    evaluations on the validation split. `max_norm`: bound on the L2 norm of the incoming weights of each hidden unit as Hinton et al. 2012 mean
    it, of the weights that act in training, where the inputs that dropout keeps are not made larger for those that it drops. Here they are
    divided by the share 1 - p that is kept, so that the weights of a layer with dropout p on its inputs are bounded by (1 - p) max_norm.
    `precision`:
    'bf16-mixed' computes hidden layers in bfloat16 with float32 master weights, output layer, logits and loss in float32. `l1` times the sum of
    the absolute weights (biases not counted) is added to the loss; `weight_decay`, half the factor of the squared sum, is the optimiser's.
    """

    __pydantic_config__ = STRICT
    steps: Count
    batch_size: Count
    learning_rate: Positive
    optimizer: Literal["adam", "sgd"] = "adam"
    momentum: Fraction = 0.0
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    schedule: Literal["constant", "linear", "cosine", "step", "exponential"] = "constant"
    milestones: tuple[Count, ...] = ()
    decay: Positive = 0.1
    warmup: Annotated[int, Field(ge=0)] = 0
    evaluate_every: Count = 100
    max_norm: Positive | None = None
    precision: Literal["32-true", "bf16-mixed"] = "32-true"
    decay_steps: Count = 1
    momentum_start: Fraction = 0.0
    momentum_steps: Annotated[int, Field(ge=0)] = 0
    dampened: bool = False
    l1: Annotated[float, Field(ge=0)] = 0.0


@dataclass(frozen=True)
class Distillation:
    """How a student learns from a teacher's logits.

    `match`: 'soft_targets', the teacher's probabilities at `temperature` (Hinton et al. 2015); 'logits' by squared error, or 'probabilities' by
    squared error (Ba & Caruana 2014). `hard_weight`: share of the cross-entropy with the hard labels in the loss; the rest is the match.
    """

    __pydantic_config__ = STRICT
    match: Literal["soft_targets", "logits", "probabilities"] = "soft_targets"
    temperature: Positive = 1.0
    hard_weight: Annotated[float, Field(ge=0, le=1)] = 0.0


@dataclass(frozen=True)
class TableSplit:
    """A registered table of which a random `test_share` is held out to test on. Which cases these are is the stage's seed to say."""

    __pydantic_config__ = STRICT
    name: str
    test_share: Annotated[float, Field(gt=0, lt=1)] = 0.1


@dataclass(frozen=True)
class Smearing:
    """How born-again trees are grown: `per_node` manufactured cases for each node, by one of the `rates` p_alt (the probability that a
    coordinate is replaced), the one that errs least in `folds`-fold cross-validation on the training cases."""

    __pydantic_config__ = STRICT
    rates: tuple[Annotated[float, Field(ge=0, le=1)], ...]
    per_node: Count
    folds: Folds


@dataclass(frozen=True)
class Gamma:
    """A Gamma prior on a precision, with shape `alpha` and rate `beta`: its mode is (alpha - 1) / beta."""

    __pydantic_config__ = STRICT
    alpha: Positive
    beta: Positive


@dataclass(frozen=True)
class Beta:
    """A Beta prior on a share: its mode is (alpha - 1) / (alpha + beta - 2)."""

    __pydantic_config__ = STRICT
    alpha: Annotated[float, Field(ge=1, allow_inf_nan=False)]
    beta: Annotated[float, Field(ge=1, allow_inf_nan=False)]


@dataclass(frozen=True)
class SoftSharing:
    """A mixture of Gaussians as prior of all weights and biases of a net, learnt beside them (Ullrich, Meeds & Welling 2017).

    Component 0 has the mean zero, fixed, and the share `zero_share` (pi_0), fixed too unless `zero_share_prior` is given, under which it is
    learnt from there at `share_rate`; `components` (J) others have the rest. What is minimised is the
    mean cross-entropy minus `tau` / N times the log of the prior, summed over all weights, and of the Gamma priors on the precisions:
    `zero_precision` of component 0, `precisions` of the others, None = none. N is the number of training examples, so that `tau` weighs the
    whole prior against the whole likelihood. Means start evenly over [-`reach`, `reach`], None = over the range of the weights at the start;
    standard deviations at `initial_std`, None = the distance between two means; shares alike. Adam moves means, log-precisions and mixing
    logits at learning rates of their own.
    """

    __pydantic_config__ = STRICT
    tau: Positive
    zero_share: Annotated[float, Field(gt=0, lt=1)]
    components: Annotated[int, Field(ge=2, le=255)] = 16
    zero_precision: Gamma | None = None
    precisions: Gamma | None = None
    reach: Positive | None = None
    initial_std: Positive | None = None
    mean_rate: Positive = 5e-4
    precision_rate: Positive = 5e-4
    share_rate: Positive = 5e-4
    zero_share_prior: Beta | None = None
