"""The stages of trees: what they measure, and that the lab records rows that no net stands behind."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from experiments import born_again_trees
from nncompress.data.tables import read_cases, sides
from nncompress.errors import UserError
from nncompress.lab import experiment as experiment_module
from nncompress.lab.experiment import Experiment, Stopwatch, preflight
from nncompress.lab.lab import Lab
from nncompress.lab.loggers import NoLogger
from nncompress.lab.stage import Artifact, Stage
from nncompress.lab.trees import ArcedCart, BornAgainCart, PrunedCart, SmearingErrors, cross_validated_errors
from nncompress.trees import Tree, arc
from nncompress.types import Smearing, TableSplit
from tests.unit.lab import tiny

TABLE = TableSplit("breast_cancer_diagnostic", test_share=0.2)
SMEARING = Smearing(rates=(0.5, 0.0), per_node=20, folds=2)
ARCED = ArcedCart(TABLE, 1, trees=4)
CART = PrunedCart(TABLE, 1, 3, ARCED)
BORN_AGAIN = BornAgainCart(TABLE, 1, ARCED, SMEARING, readable=3)
CONFIG = born_again_trees.Config([TABLE], 1, 3, 2, Smearing(rates=(0.5,), per_node=10, folds=2), 3, TABLE.name, 0)
MADE = Experiment("trees", born_again_trees, CONFIG, "smoke", {}, [])


@pytest.fixture(scope="module")
def artifacts() -> dict[Stage, Artifact]:
    lab: Any = SimpleNamespace(settings=SimpleNamespace(data_dir=Path("nowhere")))
    found: dict[Stage, Artifact] = {}
    for stage in (ARCED, CART, BORN_AGAIN):
        found[stage] = stage.compute(found, lab)
    return found


def tree_of(artifact: Artifact, prefix: str) -> Tree:
    held = artifact.group(prefix)
    return Tree(**{f.name: held[f.name] for f in fields(Tree)})


@pytest.mark.parametrize(
    ("stage", "key"),
    [(ARCED, "3a631d435dafba2d9ed64b252ad63ae5"), (CART, "cf788f72b90d159cfdf9c7e0251d9080"), (BORN_AGAIN, "dd0d8f9509bf440b542cf66b0186e211")],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_keys_of_known_stages_never_change(stage: Stage, key: str) -> None:
    assert stage.key == key, "every stored result would be orphaned: give new fields a default, or raise `version` on purpose"


def test_every_field_changes_the_key() -> None:
    variants = [
        replace(BORN_AGAIN, table=replace(TABLE, name="sonar")), replace(BORN_AGAIN, table=replace(TABLE, test_share=0.3)),
        replace(BORN_AGAIN, seed=2), replace(BORN_AGAIN, teacher=replace(ARCED, trees=5)), replace(BORN_AGAIN, readable=4),
        replace(BORN_AGAIN, smearing=replace(SMEARING, rates=(0.5,))), replace(BORN_AGAIN, smearing=replace(SMEARING, per_node=21)),
        replace(BORN_AGAIN, smearing=replace(SMEARING, folds=3)),
    ]  # fmt: skip
    assert len({stage.key for stage in (BORN_AGAIN, *variants)}) == 1 + len(variants)


def test_metrics_are_those_of_the_trees_that_are_kept(artifacts: dict[Stage, Artifact]) -> None:
    data = sides(read_cases(TABLE.name, Path("nowhere")), TABLE.test_share, 1)
    ensemble = arc(data.train_x, data.train_y, 2, 4, seed=1)
    answers = ensemble.predict(data.test_x)
    assert artifacts[ARCED].metrics["test_accuracy"] == (answers == data.test_y).mean()
    np.testing.assert_array_equal(artifacts[ARCED].arrays["test_answers"], answers)
    for stage, prefix in ((CART, "tree"), (BORN_AGAIN, "tree"), (BORN_AGAIN, "small")):
        tree, metrics = tree_of(artifacts[stage], prefix), artifacts[stage].metrics
        before = "small_" if prefix == "small" else ""
        ours = tree.predict(data.test_x)
        assert metrics[f"{before}test_accuracy"] == (ours == data.test_y).mean()
        assert metrics[f"{before}train_accuracy"] == (tree.predict(data.train_x) == data.train_y).mean()
        assert metrics[f"{before}test_agreement"] == (ours == answers).mean()
        assert metrics[f"{before}leaves"] == tree.leaves
    assert artifacts[BORN_AGAIN].metrics["small_leaves"] <= 3
    assert json.loads(artifacts[CART].arrays["words"].tobytes())["features"] == list(data.names)


def test_the_rate_is_the_one_of_fewest_errors_in_cross_validation(artifacts: dict[Stage, Artifact]) -> None:
    metrics, curves = artifacts[BORN_AGAIN].metrics, artifacts[BORN_AGAIN].curves
    assert curves["p_alt"].tolist() == [0.0, 0.5]
    best = int(np.argmin(curves["validation_error"]))
    assert metrics["p_alt"] == curves["p_alt"][best]
    assert metrics["validation_accuracy"] == pytest.approx(1 - curves["validation_error"][best])
    assert metrics["test_accuracy"] == pytest.approx(1 - curves["test_error"][best])
    assert (metrics["leaves"], metrics["test_agreement"]) == (curves["size"][best], curves["agreement"][best])


def test_the_errors_of_a_search_are_those_that_choose_the_rate(artifacts: dict[Stage, Artifact]) -> None:
    lab: Any = SimpleNamespace(settings=SimpleNamespace(data_dir=Path("nowhere")))
    found, chosen = SmearingErrors(TABLE, 1, 4, SMEARING).compute({}, lab), artifacts[BORN_AGAIN]
    assert found.metrics == {name: chosen.metrics[name] for name in ("p_alt", "validation_accuracy")}
    assert found.curves["p_alt"].tolist() == [0.0, 0.5]
    np.testing.assert_array_equal(found.curves["validation_error"], chosen.curves["validation_error"])


def test_the_rate_is_chosen_without_the_test_side(monkeypatch: pytest.MonkeyPatch) -> None:
    data = sides(read_cases(TABLE.name, Path("nowhere")), TABLE.test_share, 1)
    blind = replace(data, test_x=np.full_like(data.test_x, np.nan), test_y=np.full_like(data.test_y, -1))
    np.testing.assert_array_equal(*(cross_validated_errors(each, BORN_AGAIN.teacher.trees, BORN_AGAIN.smearing, 1) for each in (blind, data)))


def test_rows_without_a_net_are_recorded_with_the_labs_columns(tmp_path: Path) -> None:
    settings = tiny.settings(tmp_path)
    found = experiment_module.run(MADE, settings, NoLogger()).set_index("arm")
    assert set(found.index) == {"arced_cart", "cart", "born_again_cart"}
    assert set(found["dataset"]) == {TABLE.name} and set(found["model"]) == {"cart"} and set(found["scale"]) == {"smoke"}
    assert found["device"].str.startswith("cpu").all() and found["scikit_learn"].notna().all() and found["data"].str.len().eq(12).all()
    assert (found["total_seconds"] > found["seconds"])[["cart", "born_again_cart"]].all()  # the ensemble's counted too
    assert not {"steps", "total_flops", "precision"} & set(found)
    lab = Lab(settings)
    assert lab.missing([row.stage for row in MADE.rows()]) == []
    assert len(list((tmp_path / "arrays" / "trees").glob("*.npz"))) == 2


def test_a_plan_times_each_kind_of_stage_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    timed: list[str] = []
    monkeypatch.setattr(ArcedCart, "try_once", lambda self, data: timed.append("arced"))
    monkeypatch.setattr(PrunedCart, "try_once", lambda self, data: timed.append("cart"))
    monkeypatch.setattr(BornAgainCart, "try_once", lambda self, data: timed.append("born again"))
    lab = Lab(tiny.settings(tmp_path))
    stages = [row.stage for row in replace(MADE, config=replace(CONFIG, splits=4)).rows()]
    assert Stopwatch(lab).seconds(stages) > 0
    assert sorted(timed) == ["arced", "born again", "cart"]
    assert BORN_AGAIN.repeats == 6  # two rates, for the whole training side and for each of two folds


def test_an_unknown_table_is_refused_before_anything_is_computed(tmp_path: Path) -> None:
    made = replace(MADE, config=replace(CONFIG, tables=[TableSplit("glas")], drawn="glas"))
    with pytest.raises(UserError, match="there is no table 'glas'; did you mean 'glass'"):
        preflight(made.rows(), Lab(tiny.settings(tmp_path)))
