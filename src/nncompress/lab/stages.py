"""The stages that recipes are made of: initial weights, masks, fits, interpolations. Torch is imported only to compute them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from nncompress.lab.stage import Artifact, Stage, ancestors
from nncompress.prune import density, keep_largest, overlap, overlap_by_chance, shuffle_masks
from nncompress.types import Dataset, Distillation, Model, SoftSharing, Split, Training


def pack(prefix: str, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Arrays under the names `prefix/name`."""
    return {f"{prefix}/{name}": array for name, array in arrays.items()}


@dataclass(frozen=True, eq=False)
class InitialWeights(Stage):
    """The weights theta_0 that a model has before training, a pure function of (model, seed)."""

    stored: ClassVar[bool] = False
    model: Model
    seed: int

    def compute(self, given: Mapping[Stage, Artifact], lab: Any) -> Artifact:
        from nncompress.models import initial_weights

        return Artifact(pack("weights", initial_weights(self.model, self.seed)))


@dataclass(frozen=True, eq=False)
class Fit(Stage):
    """Train `model` from the weights of `start` under `mask`. The lab stacks fits that share all but start, mask, codebook, teacher,
    specialty and seed.

    `codebook`: a stage whose `codes/*` say which weights share a value; these then train as one (Han, Mao & Dally 2016).
    `adjust_dropout`: lower the dropout after each hidden layer to the share of its weights that the mask keeps (Han et al. 2015, eq. 2).

    `sharing`: a mixture of Gaussians as prior of its weights, learnt beside them (Ullrich et al. 2017); its course is `mixture/*`, as
    `MixturePrior.course` describes it.

    It minimises the cross-entropy with the labels, or `distillation` from the array `logits` of `teacher`, one row for each training example.
    A teacher that is a `TransferSet` brings its own examples, which take the place of the training split; what the teacher finds more probable
    are their labels, by which the training metrics count.
    With a `specialty`, which yields `special`, (classes,) bool, the fit is of a specialist: half of each batch is of special classes, and where
    the model has an output more than there are classes, all other classes count as that one. Its losses and accuracies, those of the
    validation and the test split too, are of what it is asked for, special and other examples weighing half each. With a `distillation` it
    learns the special half from the labels, the other half from the teacher.

    The batch order is a function of (seed, epoch). Training runs from step `begin_step` of the schedule and of the batch order to
    `stop_step` (None: to training.steps). With `begin_step` = k and the weights of step k this is weight rewinding (Frankle et al. 2020);
    the optimiser's moments start from zero.

    Yields `weights/*` after the last step, the `mask/*` it trained under (if any), and `curve/step`, `curve/validation_loss`,
    `curve/validation_accuracy` (one entry per evaluation). Metrics: `train_loss, train_accuracy` and the same of the validation and the
    test split after the last step; at the minimum of the validation loss `early_stop_step`, `early_stop_train_accuracy`,
    `early_stop_validation_loss`, `early_stop_validation_accuracy` and, on the test split, `early_stop_accuracy` and `early_stop_loss`;
    `density` and `density_<layer>` of the mask; `steps`; `train_flops`.
    """

    model: Model
    dataset: Dataset
    training: Training
    start: Stage
    seed: int
    mask: Stage | None = None
    begin_step: int = 0
    stop_step: int | None = None
    distillation: Distillation | None = None
    teacher: Stage | None = None
    adjust_dropout: bool = False
    codebook: Stage | None = None
    specialty: Stage | None = None
    sharing: SoftSharing | None = None

    @property
    def shared(self) -> tuple[str, ...]:
        """What fits must have in common to be trained as one stack."""
        own = (self.model, self.dataset, self.training, self.begin_step, self.last_step, self.distillation, self.adjust_dropout)
        transfer_set = self.teacher.key if isinstance(self.teacher, TransferSet) else ""
        return (*map(repr, own), repr(self.specialty is not None), transfer_set, repr(self.sharing))

    @property
    def last_step(self) -> int:
        return self.training.steps if self.stop_step is None else self.stop_step

    @property
    def steps(self) -> int:
        """Optimiser steps that this fit takes."""
        return max(0, self.last_step - self.begin_step)


@dataclass(frozen=True, eq=False)
class Netless(Stage):
    """Base of the stages for which no net is trained: each says itself what its record says of the data and the model."""

    model: ClassVar[str] = ""

    @property
    def dataset_name(self) -> str:
        raise NotImplementedError(type(self).__name__)

    def fingerprint(self, data_dir: Path) -> str:
        """Of the data, which are read and found fit for the stage. Raises: UserError."""
        raise NotImplementedError(type(self).__name__)

    def estimated_seconds(self, data_dir: Path) -> float:
        """About how long it computes here in one process, found by doing a part of it."""
        raise NotImplementedError(type(self).__name__)


@dataclass(frozen=True, eq=False)
class MaskStage(Stage):
    """Base of the stages that yield a mask, `mask/*`: cheap, so not stored. `option`: what a recipe calls its numbers by layer."""

    stored: ClassVar[bool] = False
    option: ClassVar[str] = ""

    @property
    def by_layer(self) -> Mapping[str, float]:
        """Parameter name -> the number that the recipe gives for it."""
        return {}

    def expected_shares(self) -> dict[str, float]:
        """Parameter name -> share of its weights that the mask keeps, as far as the recipe alone tells; 1 for those that are not named."""
        return {}


def expected_shares(mask: Stage | None) -> dict[str, float]:
    """Of any stage, or of none."""
    return mask.expected_shares() if isinstance(mask, MaskStage) else {}


@dataclass(frozen=True, eq=False)
class TransferSet(Stage):
    """Base of the stages that yield a transfer set, labelled by a teacher: `inputs` (cases, features) float32 as nets see them, and `logits`
    (cases, classes) float32."""


def fit_of(stage: Stage) -> Fit:
    """The fit that the stage is or that it holds as its `fit`, else the last of those that it stands on."""
    if isinstance(own := stage if isinstance(stage, Fit) else getattr(stage, "fit", None), Fit):
        return own
    return next(s for s in reversed(ancestors([stage])) if isinstance(s, Fit))


@dataclass(frozen=True, eq=False)
class Logits(Stage):
    """What trained nets answer to the training examples of `dataset`, without dropout or augmentation: computed once, for all students.

    Yields `logits`, the mean over `fits` of their logits, (examples, classes) float32 in the order of the training split. The mean of logits
    is the geometric mean of the nets' distributions at any temperature, one of the two ensembles that Hinton et al. 2015 name (sec. 1).
    """

    version: ClassVar[int] = 2
    fits: tuple[Fit, ...]
    dataset: Dataset

    def compute(self, given: Mapping[Stage, Artifact], lab: Any) -> Artifact:
        from nncompress.train.fit import logits

        found = [logits(f.model, f.dataset, f.training, given[f].weights, lab.runtime, images_of=self.dataset) for f in self.fits]
        return Artifact({"logits": np.stack(found).mean(0)})


@dataclass(frozen=True, eq=False)
class Ensemble(Stage):
    """How well trained nets answer together: the mean of their softmax probabilities, on the validation split (if there is one) and the test
    split of `dataset`.

    Metrics: `test_loss` (of the mean probabilities), `test_accuracy`, the same of the validation split, `members`.
    """

    version: ClassVar[int] = 2
    fits: tuple[Fit, ...]
    dataset: Dataset

    def compute(self, given: Mapping[Stage, Artifact], lab: Any) -> Artifact:
        return Artifact({}, answer_together(self.fits, self.dataset, given, lab)[1])


def answer_together(
    fits: Sequence[Fit], dataset: Dataset, given: Mapping[Stage, Artifact], lab: Any
) -> tuple[dict[str, np.ndarray], dict[str, float]]:
    """The mean of the fits' softmax probabilities on the validation split (if there is one) and the test split of `dataset`.

    Returns: split -> distributions (examples, classes); and the metrics `members`, `<split>_loss` and `<split>_accuracy`.
    """
    from nncompress.data import splits
    from nncompress.distill.ensemble import cross_entropy, mean_probabilities
    from nncompress.train.fit import logits

    data = splits(dataset, lab.runtime.data_dir)
    found: dict[str, np.ndarray] = {}
    metrics: dict[str, float] = {"members": len(fits)}
    names: tuple[Split, ...] = ("validation", "test")
    for split in names:
        labels = getattr(data, f"{split}_y").numpy()
        if len(labels):
            each = [logits(f.model, f.dataset, f.training, given[f].weights, lab.runtime, split, dataset) for f in fits]
            found[split] = mean_probabilities(each)
            metrics[f"{split}_loss"] = cross_entropy(found[split], labels)
            metrics[f"{split}_accuracy"] = float((found[split].argmax(1) == labels).mean())
    return found, metrics


@dataclass(frozen=True, eq=False)
class Utterances(Stage):
    """How well trained nets, one or several together, recognise the words of whole recordings, on the validation split (if there is one) and
    the test split of `dataset`: see `recognise`. Several answer by the mean of their softmax probabilities on each frame, as in `Ensemble`.

    Metrics: those of `Ensemble`, on frames; `validation_utterance_error` and `test_utterance_error`, the share of recordings whose word is not
    recognised. Of a single net also the metrics and curves of its fit.
    """

    version: ClassVar[int] = 2
    fits: tuple[Fit, ...]
    dataset: Dataset

    def compute(self, given: Mapping[Stage, Artifact], lab: Any) -> Artifact:
        from nncompress.data import splits
        from nncompress.speech.words import utterance_error, word_prior

        data = splits(self.dataset, lab.runtime.data_dir)
        prior = word_prior(data.train_y.numpy(), data.classes)
        found, metrics = answer_together(self.fits, self.dataset, given, lab)
        for split, distributions in found.items():
            labels, recording = (getattr(data, f"{split}_{name}").numpy() for name in ("y", "recording"))
            metrics[f"{split}_utterance_error"] = utterance_error(distributions, labels, recording, prior)
        if len(self.fits) > 1:
            return Artifact({}, metrics)
        alone = given[self.fits[0]]
        return Artifact(pack("curve", alone.curves), metrics | alone.metrics)


@dataclass(frozen=True, eq=False)
class Imitation(Stage):
    """How well a student matches its teacher: `fit`, whose `teacher` is `Logits`, on the images of its data set as they are.

    Metrics, of the training and the test split and, if there is one, the validation split: `<split>_logit_distance`, the root mean square
    difference of centred logits; `<split>_divergence`, the mean KL(teacher || student) at the temperature of the distillation, in nats;
    `<split>_same_answers`, the share of examples with the same answer. Also the metrics and curves of the fit.
    """

    fit: Fit

    @cached_property
    def upstream(self) -> tuple[Stage, ...]:
        """Beside the student its teacher's nets, which answer to the images that no student is trained on."""
        return self.fit, self.teacher, *self.teacher.fits

    @property
    def teacher(self) -> Logits:
        assert isinstance(self.fit.teacher, Logits), "a student of stored logits has a match to measure"
        return self.fit.teacher

    def compute(self, given: Mapping[Stage, Artifact], lab: Any) -> Artifact:
        from nncompress.data import splits
        from nncompress.distill.agreement import divergence, logit_distance, same_answers
        from nncompress.train.fit import logits

        def answers(fit: Fit, split: Split) -> np.ndarray:
            return logits(fit.model, fit.dataset, fit.training, given[fit].weights, lab.runtime, split, self.fit.dataset)

        temperature = self.fit.distillation.temperature if self.fit.distillation is not None else 1.0
        data, measured = splits(self.fit.dataset, lab.runtime.data_dir), given[self.fit]
        metrics: dict[str, float] = {}
        names: tuple[Split, ...] = ("train", "validation", "test")
        for split in names:
            if len(getattr(data, f"{split}_y")):
                stored = given[self.teacher].arrays["logits"] if split == "train" else None
                theirs = stored if stored is not None else np.stack([answers(fit, split) for fit in self.teacher.fits]).mean(0)
                ours = answers(self.fit, split)
                metrics[f"{split}_logit_distance"] = logit_distance(ours, theirs)
                metrics[f"{split}_divergence"] = divergence(ours, theirs, temperature)
                metrics[f"{split}_same_answers"] = same_answers(ours, theirs)
        return Artifact(pack("curve", measured.curves), metrics | measured.metrics)


@dataclass(frozen=True, eq=False)
class GradientLimit(Stage):
    """How near the gradient of soft targets comes to that of logit regression as the temperature rises (Hinton et al. 2015, eq. 4), for the
    logits that a net and its teacher have on the training split.

    Curves: `temperature`, `gradient_distance` (norm of the difference over that of the limit), `gradient_cosine`.
    """

    version: ClassVar[int] = 2
    fit: Fit
    teacher: Logits
    temperatures: tuple[float, ...]

    def compute(self, given: Mapping[Stage, Artifact], lab: Any) -> Artifact:
        from nncompress.distill.limit import distance_to_the_limit
        from nncompress.train.fit import logits

        fit = self.fit
        student = logits(fit.model, fit.dataset, fit.training, given[fit].weights, lab.runtime, images_of=self.teacher.dataset)
        found = [distance_to_the_limit(student, given[self.teacher].arrays["logits"], temperature) for temperature in self.temperatures]
        distances, cosines = (np.array(values) for values in zip(*found, strict=True))
        return Artifact(pack("curve", {"temperature": np.array(self.temperatures), "gradient_distance": distances, "gradient_cosine": cosines}))


@dataclass(frozen=True, eq=False)
class BiasShift(Stage):
    """What a shift of the biases of `classes` does to a net whose transfer set did not have them in proportion (Hinton et al. 2015, sec. 3).

    The shift is chosen twice: where the test errors are fewest, as the paper did, and where the mean predicted probability of `classes` on
    the training images of `whole` is their share there: of the labels of these images only that share is used, of the test split nothing.

    Metrics, each with the suffix `_before`, `_tuned` or `_matched`: `test_errors`, `class_errors` (among test examples of `classes`),
    `test_accuracy`, and but for `_before` the `shift`; `class_examples`, how many test examples `classes` have. Curves: `shift`,
    `test_error`, `class_error` (shares).
    """

    version: ClassVar[int] = 2
    fit: Fit
    classes: tuple[int, ...]
    whole: Dataset
    largest: float = 15.0
    points: int = 301

    def compute(self, given: Mapping[Stage, Artifact], lab: Any) -> Artifact:
        from nncompress.data import splits
        from nncompress.distill.bias import errors, matching_shift, shifted
        from nncompress.train.fit import logits

        trained, data = given[self.fit].weights, splits(self.whole, lab.runtime.data_dir)
        test, train = (
            logits(self.fit.model, self.fit.dataset, self.fit.training, trained, lab.runtime, split, self.whole).astype(np.float64)
            for split in ("test", "train")
        )
        labels, share = data.test_y.numpy(), float(np.isin(data.train_y.numpy(), self.classes).mean())
        shifts = np.linspace(-self.largest, self.largest, self.points)
        wrong = np.array([errors(shifted(test, self.classes, shift), labels) for shift in shifts])
        of_class = np.array([errors(shifted(test, self.classes, shift), labels, self.classes) for shift in shifts])
        best = np.flatnonzero(wrong == wrong.min())
        chosen = {
            "before": 0.0,
            "tuned": float(shifts[best[len(best) // 2]]),  # the middle of a flat valley
            "matched": matching_shift(train, self.classes, share),
        }
        metrics: dict[str, float] = {"class_examples": int(np.isin(labels, self.classes).sum())}
        for name, shift in chosen.items():
            moved = shifted(test, self.classes, shift)
            count = errors(moved, labels)
            metrics |= {f"test_errors_{name}": count, f"class_errors_{name}": errors(moved, labels, self.classes)}
            metrics |= {f"test_accuracy_{name}": 1 - count / len(labels)} | ({f"shift_{name}": shift} if name != "before" else {})
        curves = {"shift": shifts, "test_error": wrong / len(labels), "class_error": of_class / metrics["class_examples"]}
        return Artifact(pack("curve", curves), metrics)


@dataclass(frozen=True, eq=False)
class SpecialClasses(Stage):
    """Which classes specialists get: those that a generalist often predicts together, by its predictions of the training examples (Hinton et
    al. 2015, sec. 5). `temperature`: of these predictions; `size`: classes of each specialist; `passes`: of the on-line K-means over the
    classes.

    Yields `special`, (specialists, classes) bool. It is stored, though quickly computed, so that all specialists have the same.
    """

    logits: Logits
    specialists: int
    size: int
    seed: int
    temperature: float
    passes: int

    def compute(self, given: Mapping[Stage, Artifact], lab: Any) -> Artifact:
        from nncompress.distill.ensemble import probabilities
        from nncompress.distill.specialists import special_classes

        predicted = probabilities(given[self.logits].arrays["logits"] / self.temperature)
        return Artifact({"special": special_classes(predicted, self.specialists, self.size, self.seed, self.passes)})


@dataclass(frozen=True, eq=False)
class Specialty(Stage):
    """The special classes of one specialist of several. Yields `special`, (classes,) bool."""

    stored: ClassVar[bool] = False
    classes: SpecialClasses
    place: int

    def compute(self, given: Mapping[Stage, Artifact], lab: Any) -> Artifact:
        return Artifact({"special": given[self.classes].arrays["special"][self.place]})


@dataclass(frozen=True, eq=False)
class SpecialistWeights(Stage):
    """The weights that a specialist with a dustbin starts from: those of the generalist."""

    stored: ClassVar[bool] = False
    generalist: Fit
    specialty: Specialty

    def compute(self, given: Mapping[Stage, Artifact], lab: Any) -> Artifact:
        from nncompress.distill.specialists import specialist_weights
        from nncompress.models import build, output_layer

        output, special = output_layer(build(self.generalist.model)), given[self.specialty].arrays["special"]
        return Artifact(pack("weights", specialist_weights(given[self.generalist].weights, output, special)))


@dataclass(frozen=True, eq=False)
class Consultation(Stage):
    """How well a generalist answers that asks specialists (Hinton et al. 2015, sec. 5): of each example those for whom one of the generalist's
    `top` most probable classes is special; the answer is the q of eq. 5, after the correction of the specialists' biased training sets.

    Metrics, of the test split where no other is named: `test_accuracy`, `validation_accuracy` (if there is a validation split);
    `conditional_accuracy`, of examples whose class is special to any specialist, with answers limited to these classes; `set_accuracy`, the
    same with one specialist's classes, its mean over specialists; all these of the generalist alone, as `generalist_*`; of the examples whose
    class is special to k specialists `covered_<k>_examples`, `covered_<k>_right` and `covered_<k>_generalist_right`; `covered_classes`,
    special to any. Means over the specialists, each alone: `specialist_special_accuracy`, `specialist_others_accuracy`, and as their fits
    measure them `specialist_train_loss`, `specialist_test_loss`.
    """

    version: ClassVar[int] = 2
    generalist: Fit
    specialists: tuple[Fit, ...]
    classes: SpecialClasses
    top: int

    def compute(self, given: Mapping[Stage, Artifact], lab: Any) -> Artifact:
        from nncompress.data import splits
        from nncompress.distill.ensemble import probabilities
        from nncompress.distill.specialists import active_specialists, apart, combine, coverage, distribution
        from nncompress.train.fit import logits

        data, special = splits(self.generalist.dataset, lab.runtime.data_dir), given[self.classes].arrays["special"]
        metrics: dict[str, float] = {}
        for split in ("validation", "test"):
            labels = getattr(data, f"{split}_y").numpy()
            if not len(labels):
                continue
            generalist, *each = (
                logits(fit.model, fit.dataset, fit.training, given[fit].weights, lab.runtime, split)
                for fit in (self.generalist, *self.specialists)
            )
            alone = probabilities(generalist)
            own = np.stack([distribution(found, classes, data.train_y.numpy()) for found, classes in zip(each, special, strict=True)])
            # A specialist without a dustbin is compared with q class by class.
            members = special | np.array([[found.shape[1] == generalist.shape[1]] for found in each])
            together = combine(alone, own, members, active_specialists(alone, special, self.top))
            metrics[f"{split}_accuracy"] = float((together.argmax(1) == labels).mean())
            metrics[f"generalist_{split}_accuracy"] = float((alone.argmax(1) == labels).mean())
            if split == "test":
                metrics |= coverage(together, alone, special, labels)
                rights = np.mean([apart(answers, labels, classes) for answers, classes in zip(own, special, strict=True)], axis=0)
                metrics |= {"specialist_special_accuracy": float(rights[0]), "specialist_others_accuracy": float(rights[1])}
        for name in ("train_loss", "test_loss"):
            metrics[f"specialist_{name}"] = float(np.mean([given[fit].metrics[name] for fit in self.specialists]))
        return Artifact({}, metrics)


@dataclass(frozen=True, eq=False)
class PrunedMask(MaskStage):
    """The mask left after removing from each layer the smallest of the weights that `fit` ended with (layer-wise magnitude pruning).

    It starts from the mask that `fit` trained under.

    `fraction`: parameter name -> share of the layer's *surviving* weights removed. Layers that are not named keep their mask.
    """

    option: ClassVar[str] = "prune_fraction"
    fit: Fit
    fraction: Mapping[str, float]

    @property
    def by_layer(self) -> Mapping[str, float]:
        return self.fraction

    def expected_shares(self) -> dict[str, float]:
        before = expected_shares(self.fit.mask)
        return before | {name: before.get(name, 1.0) * (1 - fraction) for name, fraction in self.fraction.items()}

    def compute(self, given: Mapping[Stage, Artifact], lab: Any) -> Artifact:
        trained = given[self.fit]
        return Artifact(pack("mask", keep_largest(trained.weights, trained.masks, self.fraction)))


@dataclass(frozen=True, eq=False)
class ShuffledMask(MaskStage):
    """A mask with the layer densities of `mask`, its places drawn at random: the control that keeps only the count of weights."""

    mask: Stage
    seed: int

    def expected_shares(self) -> dict[str, float]:
        return expected_shares(self.mask)

    def compute(self, given: Mapping[Stage, Artifact], lab: Any) -> Artifact:
        return Artifact(pack("mask", shuffle_masks(given[self.mask].masks, self.seed)))


@dataclass(frozen=True, eq=False)
class MaskOverlap(Stage):
    """How much two masks have in common. Metrics: `overlap`, the Jaccard index of the weights that they keep; `overlap_by_chance`, that of
    random masks with their layer densities; `overlap_by_chance_per_input`, of random masks with their densities of each input of a layer;
    `density` of the first."""

    version: ClassVar[int] = 2

    first: Stage
    second: Stage

    def compute(self, given: Mapping[Stage, Artifact], lab: Any) -> Artifact:
        first, second = given[self.first].masks, given[self.second].masks
        chance = {"": False, "_per_input": True}
        metrics = {f"overlap_by_chance{name}": overlap_by_chance(first, second, per_input) for name, per_input in chance.items()}
        return Artifact({}, {"overlap": overlap(first, second), **metrics, "density": density(first)})


@dataclass(frozen=True, eq=False)
class Interpolation(Stage):
    """Error along the straight line between the weights of two fits (linear mode connectivity, Frankle et al. 2020).

    Yields `curve/alpha`, `curve/test_error`, `curve/train_error` and the metrics `instability` and `train_instability`: the maximum over
    alpha of error(alpha W1 + (1 - alpha) W2) minus the mean of the two ends' errors, on the test split (as in the paper) and the training
    split.
    """

    first: Fit
    second: Fit
    points: int = 30

    def compute(self, given: Mapping[Stage, Artifact], lab: Any) -> Artifact:
        from nncompress.train.fit import interpolate

        fit, ends = self.first, (given[self.first].weights, given[self.second].weights)
        curves, metrics = interpolate(fit.model, fit.dataset, fit.training, *ends, self.points, lab.runtime)
        return Artifact(
            pack("curve", curves), metrics | {name: value for name, value in given[fit].metrics.items() if name.startswith("density")}
        )
