"""The search over hinton_mnist's recipe: it chooses by validation images, and shows nothing of the test split."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

import run
from experiments.hinton_mnist_search import Config, check, rows
from experiments.hinton_mnist_search_claims import CLAIMS, FIGURES, TABLES
from nncompress.errors import UserError
from nncompress.lab.configuration import request
from nncompress.lab.stages import fit_of
from nncompress.report.claims import judge
from nncompress.report.declare import Lines
from nncompress.report.records import tidy
from nncompress.report.tables import lay

ASKED = request(run.CONF, ["experiment=hinton_mnist_search"])
PAPER: Config = ASKED.config


def records(plain: float, distilled: float) -> pd.DataFrame:
    common = {"dataset": "mnist", "model": "mlp", "scale": "paper", "variant": "", "test_accuracy": 0.123, "test_loss": 0.456}
    found = [
        {**common, "arm": arm, "seed": seed, "validation_accuracy": 1 - error - seed / 1e4, "validation_loss": error}
        for arm, error in {"plain": plain, "distilled": distilled}.items()
        for seed in (0, 1)
    ]
    return pd.DataFrame(found)


def test_it_trains_what_hinton_mnist_does_but_for_the_images_held_out() -> None:
    main = request(run.CONF, ["experiment=hinton_mnist"])
    assert ASKED.config.dataset == replace(main.config.dataset, validation=10_000)
    whole = {fit_of(row.stage) for row in main.recipe.rows(replace(main.config, dataset=PAPER.dataset))}
    assert {fit_of(row.stage) for row in rows(PAPER)} <= whole


def test_no_table_figure_or_number_of_a_search_is_of_the_test_split() -> None:
    shown = [lay(table, tidy(records(0.02, 0.01)), pd.DataFrame()) for table in TABLES]
    cells = pd.concat([laid.cells for laid in shown if laid is not None])
    assert set(cells["metric"]) == {"validation_error", "validation_loss"} and not cells["mean"].isin([0.123, 0.877, 0.456]).any()
    assert all("test" not in panel.metric for figure in FIGURES if isinstance(figure, Lines) for panel in figure.panels)
    assert ASKED.optimized == {"arm": "teacher", "metric": "validation_accuracy"}


@pytest.mark.parametrize(("distilled", "verdict"), [(0.01, "reproduced"), (0.03, "not reproduced")])
def test_the_claim_comes_out_each_way(distilled: float, verdict: str) -> None:
    assert [judge(claim, records(0.02, distilled))["verdict"] for claim in CLAIMS] == [verdict]


def test_a_search_without_validation_images_is_refused() -> None:
    with pytest.raises(UserError, match=r"^dataset\.validation = 0: a search needs examples to choose by; hold some out"):
        check(replace(PAPER, dataset=replace(PAPER.dataset, validation=0)))
