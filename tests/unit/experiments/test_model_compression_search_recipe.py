"""The search over model_compression's recipe: it chooses by validation cases, and shows nothing of the test split."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import run
from experiments.model_compression_search import IDENTITY, Config, rows, smaller
from experiments.model_compression_search_claims import CLAIMS, FIGURES, LOSSES, RMSE, SYNTHESIS, TABLES, TRAINING, most_tried, of_synthesis
from nncompress.errors import UserError
from nncompress.lab.compression import FirstCases
from nncompress.lab.configuration import request
from nncompress.lab.stages import fit_of
from nncompress.report.claims import judge
from nncompress.report.declare import HeatMap, Lines
from nncompress.report.figures import draw
from nncompress.report.records import tidy
from nncompress.report.tables import lay

ASKED = request(run.CONF, ["experiment=model_compression_search"])
PAPER: Config = ASKED.config
MAIN = request(run.CONF, ["experiment=model_compression"]).config


def records(worst: float = 0.01) -> pd.DataFrame:
    """Mimic nets that err less than the best net by 0.02 and more, with one p and s by `worst`; the test errors are 0.9."""
    found = []
    for dataset, net in {"adult": 0.32, "letter_p2": 0.22}.items():
        for seed in (0, 1):
            common: dict[str, Any] = {
                "arm": "munge", "dataset": dataset, "model": "mlp", "scale": "paper", "variant": "", "seed": seed,
                "mimic_test_rmse": 0.9, "net_test_rmse": 0.9, "net_validation_rmse": net,
            }  # fmt: skip
            usual, written = {"learning_rate": 0.002, "loss": "probabilities"}, {"swap_probability": 0.5, "local_variance": 1.0}
            gains = {(0.5, 1.0): 0.03, (0.5, 5.0): 0.02, (0.25, 1.0): 0.02, (0.25, 5.0): worst + 1e-5 * seed}
            found += [
                {**common, "pass": 1, **usual, "swap_probability": p, "local_variance": s, "mimic_validation_rmse": net - gain}
                for (p, s), gain in gains.items()
            ]
            found.append({**common, "pass": 1, **written, "learning_rate": 0.005, "loss": "logits", "mimic_validation_rmse": net - 0.04})
            found += [
                {
                    **common,
                    "pass": 2,
                    "learning_rate": 0.01,
                    "loss": "logits",
                    "swap_probability": p,
                    "local_variance": 5.0,
                    "mimic_validation_rmse": net - p,
                }
                for p in (0.1, 0.2)
            ]
    return pd.DataFrame(found)


def test_it_trains_the_nets_of_figure_2_on_other_cases() -> None:
    assert PAPER.training == MAIN.training
    assert (PAPER.curve_units, PAPER.rounds, PAPER.mimic) == (MAIN.curve_units, MAIN.rounds, MAIN.mimic)
    assert {**PAPER.library, "neural_net": {}} == {**MAIN.library, "neural_net": {}}
    found = list(rows(PAPER))
    assert len(found) == 2 * 2 * 2 * (4 * 4 + 6 * 3 - 1)  # in each pass p and s as in its centre, at its rate and loss, are of both
    assert len({row.label for row in found}) == len(found)
    for row in found:
        fit = fit_of(row.stage)
        assert isinstance(fit.teacher, FirstCases) and fit.distillation is not None
        synthesis = fit.teacher.labelled.synthesis
        held = synthesis.swap_probability, synthesis.local_variance, fit.training.learning_rate, fit.distillation.match
        assert held == tuple(row.columns[name] for name in IDENTITY[1:])


def chosen(cfg: Any) -> tuple[float, float, float, str]:
    munge = cfg.synthesis["munge"]
    return munge.swap_probability, munge.local_variance, cfg.training.learning_rate, cfg.distillation.match


def test_the_committed_search_is_whole_and_the_main_run_has_what_it_chose() -> None:
    """The p, s and rate of the second pass, the best loss there, and at most a standard error more than the best of all."""
    found = pd.read_csv(Path(run.CONF).parent / "results" / "records" / "model_compression_search.csv")
    found = found[(found["scale"] == "paper") & found["variant"].isna()].drop_duplicates(["dataset", "seed", *IDENTITY[1:]])
    errors = found.pivot_table(index=["dataset", "seed"], columns=list(IDENTITY[1:]), values=RMSE)
    assert errors.shape == (4, 2 * (4 * 4 + 6 * 3 - 1) - 2) and not errors.isna().any(axis=None)
    *written, loss = chosen(MAIN)
    second = PAPER.around[1]
    assert tuple(written) == (second.swap_probability, second.local_variance, second.learning_rate)
    assert errors.mean()[tuple(written)].idxmin() == loss
    behind = errors[chosen(MAIN)] - errors[errors.mean().idxmin()]
    assert behind.mean() <= behind.std(ddof=1) / len(behind) ** 0.5


def test_the_second_pass_is_around_the_best_of_the_first() -> None:
    found = pd.read_csv(Path(run.CONF).parent / "results" / "records" / "model_compression_search.csv")
    first, second = PAPER.around
    synthesis = of_synthesis(found, 1).groupby(list(SYNTHESIS))[RMSE].mean()
    assert synthesis.idxmin() == (second.swap_probability, second.local_variance)
    rates = most_tried(found[found["pass"] == 1], TRAINING, SYNTHESIS).groupby(list(TRAINING))[RMSE].mean()
    assert rates.xs(first.loss, level="loss").idxmin() == second.learning_rate and second.loss == first.loss
    assert {*PAPER.losses} == {*LOSSES}


def test_no_table_figure_or_number_of_a_search_is_of_the_test_split() -> None:
    shown = [lay(table, tidy(records()), pd.DataFrame()) for table in TABLES]
    cells = pd.concat([laid.cells for laid in shown if laid is not None])
    assert set(cells["metric"]) == {"mimic_validation_rmse"} and cells["mean"].max() < 0.9
    metrics = [panel.metric for figure in FIGURES if isinstance(figure, Lines) for panel in figure.panels]
    metrics += [figure.metric for figure in FIGURES if isinstance(figure, HeatMap)]
    assert set(metrics) == {"mimic_validation_rmse"} and "validation" in ASKED.optimized["metric"]


def test_tables_show_what_differs_with_the_mean_over_problems() -> None:
    synthesis, training, second, none = (lay(table, tidy(records()), pd.DataFrame()) for table in TABLES)
    assert synthesis is not None and training is not None and second is not None and none is None
    assert set(second.cells["row"]) == {"p = 0.1, s = 5", "p = 0.2, s = 5"}
    of = synthesis.cells.set_index(["row", "column"])["mean"]
    assert of["p = 0.5, s = 1", "average"] == pytest.approx(0.24) and of["p = 0.25, s = 5", "adult"] == pytest.approx(0.31, abs=1e-4)
    assert set(training.cells["row"]) == {"squared error of probabilities, rate 0.002", "squared error of logits, rate 0.005"}
    assert [draw(figure, tidy(records()), pd.DataFrame()) is not None for figure in FIGURES] == [True, True, True, False]
    assert all(draw(figure, tidy(records().iloc[:0]), pd.DataFrame()) is None for figure in FIGURES)


@pytest.mark.parametrize(("worst", "verdict"), [(0.01, "reproduced"), (-0.01, "not reproduced")])
def test_the_claim_comes_out_each_way(worst: float, verdict: str) -> None:
    assert [judge(claim, records(worst))["verdict"] for claim in CLAIMS] == [verdict]


def test_without_records_the_claim_is_inconclusive() -> None:
    assert [judge(claim, records().iloc[:0])["verdict"] for claim in CLAIMS] == ["inconclusive"]


def test_ever_smaller_searches_train_ever_less() -> None:
    sizes = [len(list(rows(cfg))) for cfg in smaller(PAPER)]
    assert sizes == sorted(sizes, reverse=True) and sizes[-1] == 33


def test_nothing_to_try_is_refused() -> None:
    with pytest.raises(UserError, match="local_variances is empty"):
        request(run.CONF, ["experiment=model_compression_search", "local_variances=[]"])
    with pytest.raises(UserError, match=r"swap_probabilities\[0\] = 0"):
        request(run.CONF, ["experiment=model_compression_search", "swap_probabilities=[0.0]"])


def test_more_passes_than_are_shown_are_refused() -> None:
    centres = ",".join(f"{{swap_probability: {p}, local_variance: 1.0, learning_rate: 0.01, loss: logits}}" for p in (0.1, 0.2, 0.3))
    with pytest.raises(UserError, match="around has 3 settings"):
        request(run.CONF, ["experiment=model_compression_search", f"around=[{centres}]"])
