"""The search over born_again_trees' recipe: it chooses by training cases, and shows nothing of the test side."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

import run
from experiments.born_again_trees_search import Config, rows, smaller
from experiments.born_again_trees_search_claims import AVERAGE, CLAIMS, FEW, FIGURES, MORE, TABLES, USUAL, over_sets, relative
from nncompress.errors import UserError
from nncompress.lab.configuration import request
from nncompress.lab.trees import SmearingErrors
from nncompress.report.claims import judge
from nncompress.report.declare import Lines
from nncompress.report.figures import draw
from nncompress.report.records import tidy
from nncompress.report.tables import lay

PAPER: Config = request(run.CONF, ["experiment=born_again_trees_search"]).config
MAIN = request(run.CONF, ["experiment=born_again_trees"]).config


def records(more: float = 0.02) -> pd.DataFrame:
    """Two data sets of which the second errs four times as often; with `MORE` cases errors are `more` lower, but for a little."""
    found = []
    for dataset, error in {"ionosphere": 0.1, "sonar": 0.4}.items():
        for seed in range(20):
            for per_node, less in {100: 0.0, FEW: 0.0, USUAL: 0.0, MORE: more + 1e-4 * (seed % 5)}.items():
                common = {"arm": "born_again_cart", "model": "cart", "scale": "paper", "variant": "", "test_accuracy": 0.1}
                found.append({**common, "dataset": dataset, "seed": seed, "per_node": per_node, "validation_accuracy": 1 - error + less})
    return pd.DataFrame(found)


def test_it_differs_from_the_main_run_in_the_number_of_cases_alone() -> None:
    assert PAPER.tables == MAIN.tables and PAPER.trees == MAIN.trees and PAPER.smearing == MAIN.smearing
    assert MAIN.smearing.per_node == USUAL and {FEW, USUAL, MORE} <= {*PAPER.per_node}
    found = list(rows(PAPER))
    assert len(found) == 10 * 5 * 4 and len({row.label for row in found}) == len(found)
    for row in found:
        assert isinstance(row.stage, SmearingErrors) and row.stage.smearing.per_node == row.columns["per_node"]


def test_no_table_or_figure_of_a_search_is_of_the_test_side() -> None:
    assert {table.metric for table in TABLES} == {"validation_error"}
    assert {panel.metric for figure in FIGURES if isinstance(figure, Lines) for panel in figure.panels} == {"relative_error"}
    shares = relative(records()).set_index(["dataset", "per_node", "seed"])["relative_error"]
    assert shares["sonar", MORE, 0] == pytest.approx(0.38 / 0.4) and shares["sonar", USUAL, 0] == 1


def test_the_mean_over_sets_is_geometric() -> None:
    errors, _ = (lay(table, tidy(records()), pd.DataFrame()) for table in TABLES)
    assert errors is not None
    of = errors.cells.set_index(["row", "column"])["mean"]
    assert of[USUAL, AVERAGE] == pytest.approx(0.2) and of[USUAL, "sonar"] == pytest.approx(0.4)
    assert all(draw(figure, tidy(records()), pd.DataFrame()) is not None for figure in FIGURES)
    assert all(draw(figure, tidy(records().iloc[:0]), pd.DataFrame()) is None for figure in FIGURES)


def test_a_single_set_has_no_mean_beside_it() -> None:
    one = tidy(records().query("dataset == 'sonar'"))
    laid = lay(TABLES[0], one, pd.DataFrame())
    assert laid is not None and set(laid.cells["column"]) == {"sonar"}


@pytest.mark.parametrize(("more", "verdict"), [(0.02, "reproduced"), (-0.02, "not reproduced")])
def test_the_claim_comes_out_each_way(more: float, verdict: str) -> None:
    assert [judge(claim, records(more))["verdict"] for claim in CLAIMS] == [verdict]
    assert [judge(claim, records(more).iloc[:0])["verdict"] for claim in CLAIMS] == ["inconclusive"]


def test_ever_smaller_searches_try_ever_less() -> None:
    sizes = [len(list(rows(cfg))) for cfg in smaller(PAPER)]
    assert sizes == sorted(sizes, reverse=True) and sizes[-1] == 5


def test_what_makes_no_search_is_refused() -> None:
    with pytest.raises(UserError, match="per_node is empty"):
        request(run.CONF, ["experiment=born_again_trees_search", "per_node=[]"])
    with pytest.raises(UserError, match=r"per_node"):
        request(run.CONF, ["experiment=born_again_trees_search", "per_node=[300,300]"])


def test_what_is_written_into_the_main_run_is_what_the_committed_search_says() -> None:
    """The smallest number that no larger one beats by more than the standard error of their paired difference."""
    found = pd.read_csv(Path(run.CONF).parent / "results" / "records" / "born_again_trees_search.csv")
    errors = over_sets(found[(found["scale"] == "paper") & found["variant"].isna()])
    assert list(errors.columns) == sorted(PAPER.per_node) and len(errors) == PAPER.splits and not errors.isna().any(axis=None)

    def beaten(number: int) -> bool:
        ahead = errors[[number]].to_numpy() - errors[[larger for larger in errors if larger > number]].to_numpy()
        return bool((ahead.mean(0) > ahead.std(0, ddof=1) / len(ahead) ** 0.5).any())

    assert next(number for number in errors if not beaten(number)) == MAIN.smearing.per_node
    laid = lay(TABLES[1], tidy(found[found["variant"].isna()]), pd.DataFrame())
    assert laid is not None and "3000 − 1000" in {row[0] for row in laid.rows}  # the comparison that decides


def test_the_errors_of_the_search_are_found_again_in_the_main_run() -> None:
    """Of the committed records: with the main run's number of cases the cross-validated errors are the same."""
    folder = Path(run.CONF).parent / "results" / "records"
    main, search = (pd.read_csv(folder / f"{name}.csv") for name in ("born_again_trees", "born_again_trees_search"))
    searched = search[search["per_node"] == MAIN.smearing.per_node].set_index(["dataset", "seed"])["validation_accuracy"]
    ours = main[main["arm"] == "born_again_cart"].set_index(["dataset", "seed"])["validation_accuracy"].reindex(searched.index)
    assert len(searched) and searched.to_numpy() == pytest.approx(ours.to_numpy())
