"""Keys are the names under which months of training are stored: these tests guard them."""

import time
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import pytest

from nncompress.lab.compression import FirstCases, LabelledCases, Mimicry, SelectedEnsemble, Synthesis
from nncompress.lab.pruning import PruningAccount, QualityParameters, ThresholdMask, WeightHistogram
from nncompress.lab.quantizing import CompressedFile, SharedWeights
from nncompress.lab.sharing import MixtureMeans, SoftSharedFile
from nncompress.lab.stage import Artifact, Stage, ancestors, describe
from nncompress.lab.stages import (
    BiasShift,
    Consultation,
    Ensemble,
    Fit,
    GradientLimit,
    Imitation,
    InitialWeights,
    Interpolation,
    Logits,
    MaskOverlap,
    PrunedMask,
    ShuffledMask,
    SpecialClasses,
    SpecialistWeights,
    Specialty,
    Utterances,
)
from nncompress.types import Augmentation, Beta, Dataset, Distillation, Gamma, Model, SoftSharing, Training

MODEL = Model("lenet_300_100")
START = InitialWeights(MODEL, seed=0)
FIT = Fit(MODEL, Dataset("mnist"), Training(steps=50_000, batch_size=60, learning_rate=1.2e-3), START, seed=0)
MASK = PrunedMask(FIT, {"fc1.weight": 0.2, "fc3.weight": 0.1})
MASKED = replace(FIT, mask=MASK)
TAUGHT = replace(FIT, seed=1, distillation=Distillation(temperature=20.0), teacher=Logits((FIT,), FIT.dataset))
CLASSES = SpecialClasses(Logits((FIT,), FIT.dataset), 8, 4, 0, 20.0, 20)
SPECIALTY = Specialty(CLASSES, 3)
ENSEMBLE = SelectedEnsemble(Dataset("adult", 1000, 0, 4000), {"tree": {"leaf": (1, 5)}}, 100, 0)
LABELLED = LabelledCases(ENSEMBLE, Synthesis("munge", swap_probability=0.2), 400_000, 0)
MIMIC = replace(FIT, distillation=Distillation("probabilities"), teacher=FirstCases(LABELLED, 4000, FIT.dataset))
SPECIALIST = replace(FIT, start=SpecialistWeights(FIT, SPECIALTY), specialty=SPECIALTY)


@dataclass(frozen=True, eq=False)
class Node(Stage):
    first: Stage | None = None
    second: Stage | None = None
    number: int = 0


@pytest.mark.parametrize(
    ("stage", "key"),
    [
        (START, "8caccd2d8661e4f38cc91753b784c8c3"),
        (FIT, "e87144a33c0d1d91687a63875c88a530"),
        (MASK, "80f49fd740e9fffa2f8a4ec51bbf7862"),
        (ShuffledMask(MASK, seed=5), "c14b4f7d84443b938a33882b95c0646d"),
        (MASKED, "a36dcf6cba0f4a00904e15b9134eb544"),
        (Interpolation(FIT, replace(FIT, seed=1)), "6ebffbc32ca7ac7aed56842e27706b7f"),
        (MaskOverlap(MASK, ShuffledMask(MASK, seed=5)), "348057fb29a2a98a710fc86fe6ce4455"),
        (ThresholdMask(FIT, {"fc1.weight": 1.5}, FIT), "9461b1fd9dad97ab88bc00d370c81293"),
        (SharedWeights(FIT, {"fc1.weight": 6}), "0f00eeb7aa9ba8bd7bd0dbe3cd51a5d6"),
        (CompressedFile(FIT, None, {}, {"fc1.weight": 5}), "69da26e2179ceb1418c5e0c5305f0a2c"),
        (SoftSharedFile(MixtureMeans(FIT, 1e-10), MixtureMeans(FIT, 1e-10), {}, None), "88aed0daf66fdf67520d36314d704113"),
        (PruningAccount(FIT), "66109a35a0bce9a9b79b8a1c983b8957"),
        (QualityParameters(FIT, {"fc1.weight": 0.08}), "ba5a16716cde1f215df3cd93b7222234"),
        (WeightHistogram(FIT, "fc1", FIT, 8.1), "df17e6badce6a0eba582500c14239a1a"),
        (Logits((FIT,), FIT.dataset), "2a43a0c07294f1de02639e508d12c113"),
        (BiasShift(FIT, (3,), FIT.dataset), "d411819c2264095e8aab000e2bbcaff1"),
        (Ensemble((FIT, replace(FIT, seed=1)), FIT.dataset), "899d8a6449d8e1269b82378b8d928509"),
        (GradientLimit(FIT, Logits((FIT,), FIT.dataset), (1.0, 20.0)), "a2455c4c8f9fd3126fe1d5bf44e2e50e"),
        (Utterances((FIT, replace(FIT, seed=1)), FIT.dataset), "56761f29a4a6111a996cb9deff91acec"),
        (Imitation(TAUGHT), "c3e1f2cb3711fd144a3e9b7c259ec219"),
        (CLASSES, "8ebccdda8caec34dcc78d6a2aaab0e29"),
        (SPECIALTY, "92be2645ffb78e6b82cd07d5c7f668a8"),
        (SPECIALIST.start, "45bc4af1594358f74c3b7b145e21d9b6"),
        (SPECIALIST, "019900182e6f67ca3adbc58dd85ec4a2"),
        (Consultation(FIT, (SPECIALIST,), CLASSES, 1), "a45469b8142977e39179cf291cfbbe00"),
        (ENSEMBLE, "3109d9f97df1cc5272453b6a6de61acf"),
        (LABELLED, "571ab0e58d9c37c00dda38178efbd38a"),
        (MIMIC.teacher, "27d4f81a95c31d70ce912d32bc62518d"),
        (MIMIC, "67410e7f7dab3fc3b44e2cc56eecc9e2"),
        (Mimicry(MIMIC), "555fb17c616ce315594eacd95ed022c9"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_keys_of_known_stages_never_change(stage: Stage, key: str) -> None:
    assert stage.key == key, "every stored result would be orphaned: give new fields a default, or raise `version` on purpose"


def test_a_description_is_plain_json_with_upstream_stages_as_keys() -> None:
    assert describe(replace(MASKED, begin_step=500)) == {
        "stage": "Fit",
        "version": FIT.version,
        "model": {"name": "lenet_300_100"},
        "dataset": {"name": "mnist"},
        "training": {"steps": 50_000, "batch_size": 60, "learning_rate": 1.2e-3},
        "start": {"key": START.key},
        "seed": 0,
        "mask": {"key": MASK.key},
        "begin_step": 500,
    }


def test_a_default_that_is_written_out_does_not_enter_the_key() -> None:
    dataset = Dataset("mnist", validation=5000, scaling="unit", augmentation=Augmentation(shift=0))
    training = replace(FIT.training, optimizer="adam", momentum=0.0, schedule="constant", precision="32-true")
    assert replace(FIT, dataset=dataset, training=training, begin_step=0, stop_step=None, mask=None).key == FIT.key


CHANGES: dict[str, Any] = {
    "model": Model("lenet_5"),
    "dataset": Dataset("fashion_mnist"),
    "training": replace(FIT.training, learning_rate=1e-3),
    "start": InitialWeights(MODEL, seed=1),
    "seed": 1,
    "mask": ShuffledMask(MASK, seed=0),
    "begin_step": 1,
    "stop_step": 500,
    "distillation": Distillation(temperature=20.0),
    "teacher": Logits((FIT,), FIT.dataset),
    "adjust_dropout": True,
    "codebook": SharedWeights(FIT, {"fc1.weight": 6}),
    "specialty": SPECIALTY,
    "sharing": SoftSharing(0.005, 0.99),
}
SHARING_CHANGES: dict[str, Any] = {
    "tau": 0.05, "zero_share": 0.999, "components": 15, "zero_precision": Gamma(5000.0, 2.0), "precisions": Gamma(250.0, 0.1), "reach": 0.6,
    "initial_std": 0.25, "mean_rate": 1e-4, "precision_rate": 3e-3, "share_rate": 3e-3, "zero_share_prior": Beta(500.0, 2.0),
}  # fmt: skip
DISTILLATION_CHANGES: dict[str, Any] = {"match": "logits", "temperature": 2.0, "hard_weight": 0.5}
TRAINING_CHANGES: dict[str, Any] = {
    "steps": 1, "batch_size": 61, "learning_rate": 0.1, "optimizer": "sgd", "momentum": 0.9, "weight_decay": 1e-4, "schedule": "cosine",
    "milestones": (10,), "decay": 0.2, "warmup": 5, "evaluate_every": 50, "max_norm": 4.0, "precision": "bf16-mixed",
    "decay_steps": 600, "momentum_start": 0.5, "momentum_steps": 100, "dampened": True, "l1": 1e-5,
}  # fmt: skip
DATASET_CHANGES: dict[str, Any] = {
    "name": "digits", "validation": 1, "split_seed": 1, "train_examples": 9, "scaling": "standard", "augmentation": Augmentation(flip=True),
    "train_classes": (7, 8), "validation_speakers": ("nicolas",), "train_recordings": 45,
}  # fmt: skip
MODEL_CHANGES: dict[str, Any] = {
    "name": "mlp",
    "widths": (2, 3),
    "input_shape": (1, 8, 8),
    "classes": 7,
    "input_dropout": 0.2,
    "hidden_dropout": 0.5,
    "initial_std": 0.01,
}


def test_every_field_changes_the_key() -> None:
    distilled = replace(FIT, distillation=Distillation())
    tried = (FIT, CHANGES), (FIT.training, TRAINING_CHANGES), (FIT.dataset, DATASET_CHANGES), (MODEL, MODEL_CHANGES)
    sharing = SoftSharing(0.005, 0.99)
    for value, changes in (*tried, (distilled.distillation, DISTILLATION_CHANGES), (sharing, SHARING_CHANGES)):
        assert set(changes) == {f.name for f in fields(value)}, f"a field of {type(value).__name__} is not tried here"
    variants = [replace(FIT, **{name: value}) for name, value in CHANGES.items()]
    variants += [replace(FIT, training=replace(FIT.training, **{name: value})) for name, value in TRAINING_CHANGES.items()]
    variants += [replace(FIT, dataset=replace(FIT.dataset, **{name: value})) for name, value in DATASET_CHANGES.items()]
    variants += [replace(FIT, model=replace(MODEL, **{name: value})) for name, value in MODEL_CHANGES.items()]
    variants += [replace(FIT, sharing=replace(sharing, **{name: value})) for name, value in SHARING_CHANGES.items()]
    variants += [
        distilled,
        *(replace(FIT, distillation=replace(Distillation(), **{name: value})) for name, value in DISTILLATION_CHANGES.items()),
    ]
    assert len({stage.key for stage in [FIT, *variants]}) == 1 + len(variants)


def test_the_version_and_the_class_change_the_key() -> None:
    @dataclass(frozen=True, eq=False)
    class Other(Node):
        pass

    before = Node().key
    Node.version = 2
    try:
        assert Node().key != before
    finally:
        Node.version = 1
    assert Other().key != before


def test_the_order_of_names_in_a_mapping_does_not_matter() -> None:
    assert PrunedMask(FIT, {"fc3.weight": 0.1, "fc1.weight": 0.2}).key == MASK.key


def test_stages_described_alike_are_equal_and_hash_alike() -> None:
    twin = replace(FIT)
    assert twin is not FIT and twin == FIT and hash(twin) == hash(FIT) and {FIT: 1}[twin] == 1
    assert FIT != MASKED and FIT != "FIT"


def test_a_stage_that_holds_anything_but_plain_values_is_refused() -> None:
    with pytest.raises(TypeError, match="plain values and stages only, not set"):
        _ = Node(number={1}).key  # type: ignore[arg-type]


def test_deep_chains_with_two_references_each_take_linear_time() -> None:
    """25 rounds that each name the one before twice are 2^25 paths but 26 stages."""
    began, node = time.perf_counter(), Node()
    for _ in range(25):
        node = Node(node, node)
    found = ancestors([node, node])
    assert len(found) == 26 and len({stage.key for stage in found}) == 26
    for _ in range(3000):  # deeper than Python's recursion limit: keys are asked for from the start onwards
        node = Node(node, node)
        _ = node.key
    assert len(ancestors([node])) == 3026
    assert time.perf_counter() - began < 5


def test_ancestors_come_upstream_first_and_once() -> None:
    ticket = replace(MASKED, seed=3)
    found = ancestors([ticket, MASKED, ticket])
    places = {stage: place for place, stage in enumerate(found)}
    assert len(places) == len(found)
    assert set(found) == {START, FIT, MASK, MASKED, ticket}
    assert all(places[above] < places[stage] for stage in found for above in stage.upstream)


def test_upstream_holds_the_stages_that_are_fields() -> None:
    assert FIT.upstream == (START,)
    assert set(MASKED.upstream) == {START, MASK}
    assert START.upstream == ()


def test_an_artifact_gives_its_arrays_by_group() -> None:
    arrays = {"weights/fc1.weight": np.ones(2), "mask/fc1.weight": np.ones(2, bool), "curve/step": np.arange(3)}
    artifact = Artifact(arrays)
    assert list(artifact.weights) == ["fc1.weight"] and artifact.weights["fc1.weight"] is arrays["weights/fc1.weight"]
    assert list(artifact.masks) == ["fc1.weight"] and list(artifact.curves) == ["step"]
    assert artifact.group("nothing") == {}
