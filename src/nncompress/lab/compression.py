"""The stages of Bucilă, Caruana & Niculescu-Mizil 2006: an ensemble selected from a library, cases for it to label, nets that learn these."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, TypeVar

import numpy as np
from pydantic import Field

from nncompress.lab.stage import Artifact, Stage
from nncompress.lab.stages import Fit, Netless, TransferSet, pack
from nncompress.types import STRICT, Count, Dataset, Positive, Split

if TYPE_CHECKING:
    from nncompress.data.cases import Cases
    from nncompress.data.problems import ProblemSplits

Result = TypeVar("Result")
TIMED = 10_000
"""Cases that a model's speed is given for."""
REPEATS = 25
CLIPPED = 1e-6
"""Probabilities are kept so far from 0 and 1, that they have finite logits."""


class ProblemStage(Netless):
    """Base: work of scikit-learn's models on a problem, which `dataset` says."""

    dataset: Dataset

    @property
    def dataset_name(self) -> str:
        return self.dataset.name

    def fingerprint(self, data_dir: Path) -> str:
        from nncompress.data.problems import problem_splits

        return problem_splits(self.dataset, data_dir).fingerprint


@dataclass(frozen=True, eq=False)
class SelectedEnsemble(ProblemStage):
    """Every model of a library trained on the training cases, and the ensemble that is selected from it on the validation cases (Caruana et al.
    2004). `dataset`: as they see it. `library`: see `nncompress.ensemble.library.Grid`; `rounds`: of the selection; `seed`: of the models that
    draw numbers.

    Yields `count`, how often each model of the library is in the ensemble, (models,). Metrics, each of the `ensemble`, of the `single` model
    with the lowest validation error, and of the `net` of the library with the lowest: `<name>_validation_rmse`, `<name>_test_rmse`,
    `<name>_megabytes` and `<name>_seconds`, processor time for 10,000 cases; also `members`, different models in the ensemble, and `models`.
    """

    dataset: Dataset
    library: Mapping[str, Mapping[str, tuple[int | float | str, ...]]]
    rounds: int
    seed: int

    def estimated_seconds(self, data_dir: Path) -> float:
        from nncompress.ensemble.library import members

        return len(list(members(self.library))) * sampled_seconds(self, data_dir)[0]

    def compute(self, given: Mapping[Stage, Artifact], lab: Any) -> Artifact:
        from threadpoolctl import threadpool_limits

        from nncompress.data.problems import problem_splits
        from nncompress.ensemble import greedy, rmse
        from nncompress.ensemble.library import answers, mean_answers, megabytes, members, trained

        data = problem_splits(self.dataset, lab.runtime.data_dir)
        train, validation, test = (data.inputs(cases) for cases in (data.train, data.validation, data.test))
        library = list(members(self.library))
        with threadpool_limits(lab.runtime.threads):
            models = [trained(member, train, data.train_y, self.seed) for member in library]
            predictions = np.stack([answers(model, validation) for model in models])
            count = greedy(predictions, data.validation_y, self.rounds)
            errors = np.array([rmse(predicted, data.validation_y) for predicted in predictions])
            nets = [place for place, member in enumerate(library) if member.kind == "neural_net"]
            arms = {
                "ensemble": np.flatnonzero(count),
                "single": np.array([errors.argmin()]),
                "net": np.array([nets[errors[nets].argmin()]]),
            }
            metrics: dict[str, float] = {"members": int((count > 0).sum()), "models": len(library)}
            for name, places in arms.items():
                weights = count[places] if name == "ensemble" else np.ones(1, int)
                chosen = [models[place] for place in places]
                predicted, seconds = timed(partial(mean_answers, chosen, weights), test)
                metrics |= {
                    f"{name}_validation_rmse": rmse(weights @ predictions[places] / weights.sum(), data.validation_y),
                    f"{name}_test_rmse": rmse(predicted, data.test_y),
                    f"{name}_seconds": seconds,
                    f"{name}_megabytes": sum(megabytes(model) for model in chosen),
                }
        return Artifact({"count": count}, metrics)


SAMPLED = 7
"""Of so many models one is tried: a number that no grid's options are a multiple of, so that all their values are."""


@lru_cache(maxsize=8)
def sampled_seconds(ensemble: SelectedEnsemble, data_dir: Path) -> tuple[float, float]:
    """Seconds that a model of the library takes here to be trained, and to answer 1,000 cases: the means of some that are tried."""
    from nncompress.data.problems import problem_splits
    from nncompress.ensemble.library import answers, members, trained

    data = problem_splits(ensemble.dataset, data_dir)
    inputs, few = data.inputs(data.train), list(members(ensemble.library))[::SAMPLED]
    began = time.perf_counter()
    models = [trained(member, inputs, data.train_y, ensemble.seed) for member in few]
    between = time.perf_counter()
    for model in models:
        answers(model, inputs[:1000])
    answering = (time.perf_counter() - between) * 1000 / len(inputs[:1000])
    return (between - began) / len(few), answering / len(few)


def timed(answer: Callable[[np.ndarray], Result], inputs: np.ndarray) -> tuple[Result, float]:
    """What `answer` says to the inputs, and the processor seconds that it takes for `TIMED` cases."""
    began = time.process_time()
    result = answer(inputs)
    return result, (time.process_time() - began) * TIMED / len(inputs)


@dataclass(frozen=True)
class Synthesis:
    """How cases are made from the training cases. `method`: see `nncompress.synthesis`. For munge `swap_probability`, p, and `local_variance`,
    s; for nbe the numbers of `components` that are tried, EM `iterations` and the `smallest_deviation` of an attribute in a component."""

    __pydantic_config__ = STRICT
    method: Literal["random", "nbe", "munge"]
    swap_probability: Annotated[float, Field(ge=0, le=1)] = 0.5
    local_variance: Positive = 1.0
    components: tuple[Count, ...] = (1,)
    iterations: Count = 1
    smallest_deviation: Positive = 0.01


@dataclass(frozen=True, eq=False)
class LabelledCases(ProblemStage):
    """The training cases and synthetic ones after them, `cases` together, with the answers of an ensemble, whose models are trained again.

    Yields `continuous` float32 (cases, C), `nominal` uint8 (cases, M), `probability` float32 (cases,), of the positive class. Metrics:
    `synthesis_seconds` and `labelling_seconds`, of the processor.
    """

    ensemble: SelectedEnsemble
    synthesis: Synthesis
    cases: int
    seed: int

    @property
    def dataset(self) -> Dataset:  # type: ignore[override]
        return self.ensemble.dataset

    def estimated_seconds(self, data_dir: Path) -> float:
        """As if one model of each kind were in the ensemble."""
        training, answering = sampled_seconds(self.ensemble, data_dir)
        return len(self.ensemble.library) * (training + answering * self.cases / 1000)

    def compute(self, given: Mapping[Stage, Artifact], lab: Any) -> Artifact:
        from threadpoolctl import threadpool_limits

        from nncompress.data.cases import joined
        from nncompress.data.problems import problem_splits
        from nncompress.ensemble.library import mean_answers, members, trained

        data, count = problem_splits(self.dataset, lab.runtime.data_dir), given[self.ensemble].arrays["count"]
        with threadpool_limits(lab.runtime.threads):
            began = time.process_time()
            made = self.synthetic(data, max(0, self.cases - len(data.train)))
            cases = joined([data.train, made]).take(slice(self.cases))
            between = time.process_time()
            library, places = list(members(self.ensemble.library)), np.flatnonzero(count)
            inputs = data.inputs(data.train)
            models = [trained(library[place], inputs, data.train_y, self.ensemble.seed) for place in places]
            labels = mean_answers(models, count[places], data.inputs(cases)).astype(np.float32)
        seconds = {"synthesis_seconds": between - began, "labelling_seconds": time.process_time() - between}
        return Artifact({"continuous": cases.continuous, "nominal": cases.nominal, "probability": labels}, seconds)

    def synthetic(self, data: ProblemSplits, count: int) -> Cases:
        """So many cases made from the training cases; the validation cases say only how many components nbe has."""
        from nncompress.synthesis import fit_naive_bayes, munge, random_cases

        how = self.synthesis
        if how.method == "random":
            return random_cases(data.train, count, self.seed)
        if how.method == "munge":
            return munge(data.train, count, how.swap_probability, how.local_variance, self.seed)
        settings = how.components, how.iterations, how.smallest_deviation, self.seed
        return fit_naive_bayes(data.train, data.values, data.validation, *settings).sample(count, self.seed)


@dataclass(frozen=True, eq=False)
class FirstCases(TransferSet):
    """The first `size` of labelled cases as a transfer set for nets that see `dataset`: the logits of a case are 0 and log(p / (1 - p)), whose
    softmax is 1 - p and p."""

    stored: ClassVar[bool] = False
    labelled: LabelledCases
    size: int
    dataset: Dataset

    def compute(self, given: Mapping[Stage, Artifact], lab: Any) -> Artifact:
        from nncompress.data.cases import Cases
        from nncompress.data.problems import problem_splits

        arrays, first = given[self.labelled].arrays, slice(self.size)
        cases = Cases(arrays["continuous"][first], arrays["nominal"][first])
        probability = np.clip(arrays["probability"][first].astype(np.float64), CLIPPED, 1 - CLIPPED)
        positive = np.log(probability / (1 - probability))
        logits = np.stack([np.zeros_like(positive), positive], axis=1).astype(np.float32)
        return Artifact({"inputs": problem_splits(self.dataset, lab.runtime.data_dir).inputs(cases), "logits": logits})


@dataclass(frozen=True, eq=False)
class Mimicry(Stage):
    """How well a net mimics an ensemble, with what it is compared with: `fit`, whose teacher is `FirstCases`.

    Metrics: `mimic_validation_rmse`, `mimic_test_rmse`, `mimic_seconds` and `mimic_megabytes` (of float32 weights), as those of the ensemble;
    `mimic_validation_gain`, how much lower its validation error is than that of the best net of the library; all those of the ensemble, of
    the labelled cases (all that were made, of which the fit may see the first) and of the fit. Also the curves of the fit.
    """

    version: ClassVar[int] = 3
    fit: Fit

    @cached_property
    def upstream(self) -> tuple[Stage, ...]:
        return self.fit, self.labelled, self.ensemble

    @property
    def labelled(self) -> LabelledCases:
        assert isinstance(self.fit.teacher, FirstCases), "a mimic net learns from labelled cases"
        return self.fit.teacher.labelled

    @property
    def ensemble(self) -> SelectedEnsemble:
        return self.labelled.ensemble

    def compute(self, given: Mapping[Stage, Artifact], lab: Any) -> Artifact:
        from nncompress.data.problems import problem_splits
        from nncompress.distill.ensemble import probabilities
        from nncompress.ensemble import rmse
        from nncompress.train.fit import logits

        fit, trained = self.fit, given[self.fit]
        data = problem_splits(fit.dataset, lab.runtime.data_dir)

        def error(split: Split) -> float:
            found = logits(fit.model, fit.dataset, fit.training, trained.weights, lab.runtime, split)
            return rmse(probabilities(found)[:, 1], getattr(data, f"{split}_y"))

        metrics = {f"mimic_{split}_rmse": error(split) for split in ("validation", "test")}
        metrics |= {
            "mimic_validation_gain": given[self.ensemble].metrics["net_validation_rmse"] - metrics["mimic_validation_rmse"],
            "mimic_seconds": answering_seconds(fit, trained, data.inputs(data.test), lab),
            "mimic_megabytes": sum(array.nbytes for array in trained.weights.values()) / 1e6,
        }
        return Artifact(
            pack("curve", trained.curves), {**given[self.ensemble].metrics, **given[self.labelled].metrics, **trained.metrics, **metrics}
        )


def answering_seconds(fit: Fit, trained: Artifact, inputs: np.ndarray, lab: Any) -> float:
    """Processor seconds that the net takes to answer 10,000 of these inputs, on the CPU: a median, since they are milliseconds."""
    from statistics import median

    import torch

    from nncompress.models import build
    from nncompress.train.fit import computing

    with computing(lab.runtime), torch.inference_mode():
        net = build(fit.model)
        net.load_state_dict({name: torch.from_numpy(array) for name, array in trained.weights.items()})
        x = torch.from_numpy(inputs)
        net(x[:100])  # what is loaded late
        return median(timed(lambda _: net(x).softmax(-1), inputs)[1] for _ in range(REPEATS))
