"""An experiment's results as a notebook shows them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from nncompress.errors import UserError
from nncompress.report.notebook import NOTHING, Results

HERE = Path(".")


def test_tables_figures_and_verdicts_are_those_of_the_records() -> None:
    found = Results("lottery_ticket", HERE)
    assert f"{len(found.records)} records of `lottery_ticket`, scale paper" in found.about().data
    assert "winning ticket" in found.table("accuracy").data
    assert isinstance(found.figure("tickets"), Figure)
    assert "**reproduced**" in found.verdicts().data
    assert "winning ticket" in found.cost().data


def test_a_published_number_without_a_note_is_named_by_its_metric() -> None:
    assert "| rate | no hyper priors | 64.20× |" in Results("soft_weight_sharing", HERE).table("paper").data


def test_what_is_not_recorded_yet_says_so(tmp_path: Path) -> None:
    found = Results("lottery_ticket", HERE, tmp_path)
    shown = [found.about(), found.table("accuracy"), found.figure("tickets"), found.verdicts(), found.cost()]
    assert [each.data.splitlines()[0] for each in shown] == [NOTHING] * 5


def test_rows_of_sweeps_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "records").mkdir()
    path = tmp_path / "records" / "lottery_ticket.csv"
    shutil.copy("results/records/lottery_ticket.csv", path)
    lines = path.read_text().splitlines()
    header = lines[0].split(",")
    assert "variant" in header
    other = lines[1].split(",")
    other[header.index("variant")] = "training.steps=3"
    path.write_text("\n".join([*lines, ",".join(other)]) + "\n")
    assert len(Results("lottery_ticket", HERE, tmp_path).records) == len(lines) - 1


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda: Results("lotery_ticket", HERE), "no experiment 'lotery_ticket'; did you mean 'lottery_ticket'?"),
        (lambda: Results("lottery_ticket", HERE).table("acuracy"), "lottery_ticket declares no 'acuracy'; there is "),
        (lambda: Results("lottery_ticket", HERE).figure("nothing"), "lottery_ticket declares no 'nothing'; there is "),
    ],
)
def test_an_unknown_name_says_what_there_is(ask: object, words: str) -> None:
    with pytest.raises(UserError, match=words.replace("?", r"\?")):
        ask()  # type: ignore[operator]
