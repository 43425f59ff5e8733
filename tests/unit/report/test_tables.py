from __future__ import annotations

import pandas as pd
import pytest

from experiments.lottery_ticket_claims import TABLES
from nncompress.report.declare import Unit
from nncompress.report.records import tidy
from nncompress.report.tables import CSV_COLUMNS, Published, Table, lay, ledger, markdown, text
from nncompress.report.words import mean_and_spread, natural, number, percent, span, spoken, with_unit
from tests.unit.report.fake import fake_records

NO_PAPER = pd.DataFrame()
SMALL = pd.DataFrame(
    [
        {"model": "mlp", "scale": "quick", "arm": arm, "round": round_, "seed": seed, "density": 0.8**round_, "test_accuracy": accuracy}
        for arm, round_, seed, accuracy in [
            ("winning_ticket", 0, 0, 0.97), ("winning_ticket", 0, 1, 0.98), ("winning_ticket", 0, 2, 0.99),
            ("winning_ticket", 1, 0, 0.98), ("winning_ticket", 1, 1, 0.98), ("random_reinit", 1, 0, 0.9),
        ]
    ]
)  # fmt: skip
ACCURACY = Table("accuracy", "Accuracy, %", "test_accuracy", order=("winning_ticket", "random_reinit"))


def test_a_table_by_hand() -> None:
    """Mean and std (n - 1) of 97, 98, 99 %; one seed has no std; the paper's value beside ours; an empty cell where nothing is recorded."""
    paper = pd.DataFrame([{"model": "mlp", "arm": "random_reinit", "density": 0.8, "metric": "test_accuracy", "value": 0.912}])
    laid = lay(ACCURACY, tidy(SMALL), paper)
    assert laid is not None
    assert markdown(laid) == (
        "## Accuracy, %\n\n"
        "| arm | 100 % | 80 % |\n"
        "| --- | --: | --: |\n"
        "| winning ticket (n = 2–3) | 98.00 ± 1.00 | 98.00 ± 0.00 |\n"
        "| random reinit (n = 1) |  | 90.00 (paper 91.20) |\n\n"
        "Mean ± standard deviation over n seeds; scale: quick.\n"
    )
    assert text(laid).splitlines()[2] == "winning ticket (n = 2–3)  98.00 ± 1.00         98.00 ± 0.00"
    assert tuple(laid.cells.columns) == CSV_COLUMNS
    first = laid.cells.iloc[0]
    assert (first["row"], first["column"], first["n"]) == ("winning_ticket", 1.0, 3)
    assert (first["mean"], first["std"]) == pytest.approx((0.98, 0.01))
    assert laid.cells["paper"].tolist()[-1] == 0.912


def test_only_the_densities_asked_for_are_shown_and_only_those_recorded() -> None:
    for wanted, shown in [((0.99,), ["100 %"]), ((0.001,), ["80 %"]), ((1.0, 0.99, 0.001), ["100 %", "80 %"]), ((), ["100 %", "80 %"])]:
        laid = lay(Table("a", "A", "test_accuracy", at=wanted), tidy(SMALL), NO_PAPER)
        assert laid is not None and laid.head == ["arm", *shown]


def test_rows_of_a_sweep_are_not_in_the_table() -> None:
    swept = SMALL.assign(variant="training.learning_rate=0.01", test_accuracy=0.1)
    both = tidy(pd.concat([SMALL.assign(variant=""), swept]))
    assert lay(ACCURACY, both, NO_PAPER).rows == lay(ACCURACY, tidy(SMALL), NO_PAPER).rows  # type: ignore[union-attr]


def test_published_numbers_stand_beside_ours() -> None:
    paper = pd.read_csv("results/paper/lottery_ticket.csv")
    table = next(table for table in TABLES if isinstance(table, Published))
    laid = lay(table, tidy(fake_records()), paper)
    assert laid is not None
    ours = {(row[0], row[1]): (row[3], row[4], row[5]) for row in laid.rows}
    assert ours["steps to early stop over the dense net's; printed as 38 % earlier", "winning ticket"] == ("0.62×", "0.62 ± 0.00", "5")
    assert ours["test accuracy at early stop minus the dense net's", "winning ticket"] == ("0.30 pp", "0.30 ± 0.00", "5")
    assert ours["steps to early stop over the winning ticket's", "random reinit"] == ("2.51×", "2.50 ± 0.00", "5")
    assert ours["test accuracy at early stop below the winning ticket's", "random reinit"] == ("0.50 pp", "0.60 ± 0.00", "5")


def test_a_paper_that_prunes_nothing_has_no_column_for_the_weights_remaining() -> None:
    paper = pd.DataFrame(
        [{"source": "a", "model": "mlp", "arm": "plain", "density": float("nan"), "metric": "test_accuracy", "value": 0.5, "note": "b"}]
    )
    records = tidy(pd.DataFrame([{"arm": "plain", "seed": 0, "model": "mlp", "scale": "paper", "test_accuracy": 0.6}]))
    laid = lay(Published("paper", "", {"test_accuracy": "%"}), records, paper)
    assert laid is not None
    assert laid.head == ["what", "arm", "paper", "ours", "n", "source"]
    assert laid.rows == [["b", "plain", "50.00 %", "60.00", "1", "a"]]


def test_the_published_numbers_are_fractions_with_a_source() -> None:
    paper = pd.read_csv("results/paper/lottery_ticket.csv")
    assert list(paper.columns) == ["source", "model", "arm", "density", "metric", "value", "note"]
    assert paper[["source", "model", "arm", "metric", "value", "note"]].notna().all().all()
    assert paper["density"].dropna().between(0, 1).all()
    assert paper.loc[paper["metric"].str.contains("accuracy|density"), "value"].between(0, 1).all()


def test_the_ledger_counts_a_shared_fit_once() -> None:
    rows = [
        {
            "arm": "a",
            "seed": 0,
            "key": "x",
            "train_flops": 1e9,
            "seconds": 3600.0,
            "total_flops": 1e9,
            "total_seconds": 3600.0,
            "device": "cpu",
        },
        {
            "arm": "b",
            "seed": 0,
            "key": "x",
            "train_flops": 1e9,
            "seconds": 3600.0,
            "total_flops": 1e9,
            "total_seconds": 3600.0,
            "device": "cpu",
        },
        {
            "arm": "b",
            "seed": 0,
            "key": "y",
            "train_flops": 2e9,
            "seconds": 1800.0,
            "total_flops": 3e9,
            "total_seconds": 5400.0,
            "device": "cpu",
        },
    ]
    laid = ledger(tidy(pd.DataFrame(rows)))
    assert laid is not None
    assert laid.rows == [
        ["a", "1", "1.00e+09", "1.00", "1.00e+09", "1.00"],
        ["b", "2", "3.00e+09", "1.50", "3.00e+09", "1.50"],
        ["all fits that rows show, each once", "2", "3.00e+09", "1.50", "3.00e+09", "1.50"],
    ]
    assert "cpu" in laid.note


def test_the_ledger_has_a_row_for_an_arm_that_shows_only_what_was_made_of_fits() -> None:
    fit = {
        "arm": "a",
        "seed": 0,
        "key": "x",
        "train_flops": 1e9,
        "seconds": 3600.0,
        "total_flops": 1e9,
        "total_seconds": 3600.0,
        "device": "cpu",
    }
    of_two = fit | {"arm": "ensemble", "key": "y", "train_flops": None, "seconds": 36.0, "total_flops": 2e9, "total_seconds": 7236.0}
    laid = ledger(tidy(pd.DataFrame([fit, of_two])))
    assert laid is not None
    assert laid.rows == [
        ["a", "1", "1.00e+09", "1.00", "1.00e+09", "1.00"],
        ["ensemble", "0", "–", "0.01", "2.00e+09", "2.01"],
        ["all fits that rows show, each once", "1", "1.00e+09", "1.01", "2.00e+09", "2.01"],
    ]


def test_tables_of_nothing_are_no_tables() -> None:
    empty = tidy(pd.DataFrame())
    assert ledger(empty) is None
    assert all(lay(table, empty, NO_PAPER) is None for table in TABLES)
    assert ledger(tidy(SMALL)) is None


def test_numbers_are_shown_in_their_unit() -> None:
    assert [number(0.98765, "%"), number(-0.00301, "pp"), number(2.514, "×"), number(12345.6, "steps")] == [
        "98.77",
        "−0.30",
        "2.51",
        "12346",
    ]
    assert [number(None, "%"), number(float("nan"), "pp"), number(float("inf"), "")] == ["–", "–", "∞"]
    assert [with_unit(0.003, "pp"), with_unit(2.51, "×"), with_unit(None, "pp"), with_unit(3, "")] == ["0.30 pp", "2.51×", "–", "3"]
    assert [percent(0.2107), percent(0.03582), percent(1.0)] == ["21.1 %", "3.58 %", "100 %"]
    assert [span([3, 3]), span([3, 5])] == ["3", "3–5"]
    assert [spoken("winning_ticket"), spoken("one_shot"), spoken("rewinding to step 500")] == [
        "winning ticket",
        "one-shot",
        "rewinding to step 500",
    ]


@pytest.mark.parametrize(
    ("mean", "spread", "unit", "shown"),
    [
        (0.98, 0.01, "%", "98.00 ± 1.00"),
        (1066742.0, 0.0, "", "1,066,742 ± 0"),
        (29157.4, 402.3, "", "29,157 ± 402"),
        (6.001, 0.0006966, "", "6.001 ± 0.001"),
        (6.0, 0.0, "", "6 ± 0"),
        (0.25, 0.0123, "", "0.2500 ± 0.0123"),
        (-2.5, 0.1, "", "−2.500 ± 0.100"),
        (4e-5, 1e-5, "", "4e−05 ± 1e−05"),
        (66.6, float("nan"), "", "66.6"),
        (123456.0, None, "", "123,456"),
    ],
)
def test_a_mean_and_its_spread_have_the_same_decimals(mean: float, spread: float | None, unit: Unit, shown: str) -> None:
    assert mean_and_spread(mean, spread, unit) == shown


def test_numbers_within_names_are_in_their_order_and_an_average_stands_last() -> None:
    settings = ["p = 0.5, s = 5", "p = 0.5, s = 0.5", "p = 0.25, s = 10", "step 1000", "step 500"]
    assert sorted(settings, key=natural) == ["p = 0.25, s = 10", "p = 0.5, s = 0.5", "p = 0.5, s = 5", "step 500", "step 1000"]
    rows = [
        {"arm": "a", "dataset": name, "seed": 0, "error": 0.1, "scale": "paper", "model": "mlp"} for name in ("average", "adult", "letter_p2")
    ]
    laid = lay(Table("x", "X", "error", columns="dataset"), tidy(pd.DataFrame(rows)), NO_PAPER)
    assert laid is not None and list(laid.cells["column"]) == ["adult", "letter_p2", "average"]
