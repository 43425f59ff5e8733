from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from experiments.lottery_ticket_claims import CLAIMS, FIGURES, TABLES
from nncompress.errors import UserError
from nncompress.report.build import Described, fill_readme, read_experiments, render_text, report
from nncompress.report.claims import COLUMNS
from nncompress.report.declare import Claim, Kind, Lines
from nncompress.report.experiments import read_words
from tests.unit.report.fake import fake_curves, fake_records, write_results

PAPER = Path("results/paper/lottery_ticket.csv")


def described(name: str = "lottery_ticket", scale: str = "paper", figures: tuple[Lines, ...] = FIGURES) -> Described:
    about = {"paper": "Frankle & Carbin 2019", "shows": "tickets win"}
    return Described(name, "lottery_ticket", scale, about, ("Hidden layers compute in bfloat16.",), CLAIMS, TABLES, figures)


@pytest.fixture
def results(tmp_path: Path) -> Path:
    (tmp_path / "paper").mkdir()
    shutil.copy(PAPER, tmp_path / "paper")
    return tmp_path


def test_a_report_writes_tables_figures_claims_and_the_overview(results: Path) -> None:
    write_results(results, "lottery_ticket", fake_records(), fake_curves(rounds=(0, 7), seeds=(0, 1)))
    paths = report(results, [described(figures=FIGURES[:1])])
    assert [path.relative_to(results).as_posix() for path in paths] == [
        "tables/lottery_ticket.md",
        "tables/lottery_ticket.csv",
        "claims/lottery_ticket.csv",
        "figures/lottery_ticket_tickets.png",
        "figures/lottery_ticket_tickets.svg",
        "README.md",
    ]
    claims = pd.read_csv(results / "claims/lottery_ticket.csv")
    assert tuple(claims.columns) == COLUMNS
    assert set(claims["verdict"]) == {"reproduced"} and set(claims["scale"]) == {"paper"} and set(claims["n"]) == {5}
    assert "- Hidden layers compute in bfloat16." in (results / "tables/lottery_ticket.md").read_text()
    overview = (results / "README.md").read_text()
    for link in (
        "records/lottery_ticket.csv",
        "tables/lottery_ticket.md",
        "claims/lottery_ticket.csv",
        "figures/lottery_ticket_tickets.png",
    ):
        assert f"]({link})" in overview and (results / link).exists(), link
    counts = sum(claim.kind == "paper" and not claim.models[0].startswith("conv") for claim in CLAIMS)
    assert f"| [lottery_ticket](#lottery_ticket) | Frankle & Carbin 2019 | paper | 5 | {counts} of {counts} reproduced | " in overview
    assert "- model and data: LeNet-300-100 on MNIST" in overview and "- device: cpu\n" in overview
    assert (results / "tables/lottery_ticket.md").read_text().startswith("# lottery_ticket\n\nFrankle & Carbin 2019: tickets win.\n\n## ")
    assert not list(results.rglob(".*"))


def ratios(name: str, kind: Kind, low: float = 0.0, geometric: bool = False) -> Claim:
    """A claim about the values 1, 2, 4 of three seeds."""
    return Claim(name, f"{name}.", 2.5, lambda _: pd.Series([1.0, 2.0, 4.0]), low, unit="×", geometric=geometric, kind=kind)


def test_claims_of_other_papers_and_our_own_are_counted_apart(results: Path) -> None:
    claims = (ratios("One", "paper", -9), ratios("Two", "transferred", 99), ratios("Three", "ours"), ratios("Four", "paper", 0.3, True))
    experiment = replace(described(figures=()), claims=claims)
    write_results(results, "lottery_ticket", fake_records(rounds=(0,)))
    report(results, [experiment])
    overview = (results / "README.md").read_text()
    counted = "| 2 of 2 reproduced | 0 of 2 reproduced, 1 not, 1 inconclusive |"
    assert f"| [lottery_ticket](#lottery_ticket) | Frankle & Carbin 2019 | paper | 5 {counted}" in overview
    headings = [line for line in overview.splitlines() if line.startswith("#")]
    assert headings == [
        "# Results", "## lottery_ticket", "### Claims of the paper", "### Claims made of other nets or data, tried here", "### Our own"
    ]  # fmt: skip
    places = [overview.index(f"| {name}. |") for name in ("One", "Four", "Two", "Three")]
    assert places == sorted(places)
    assert "| One. | 2.50× | 2.33 [−1.46, 6.13]× | 3 | **reproduced** |" in overview
    assert "| Four. | 2.50× | 2.00 [0.36, 11.19]× (geometric mean) | 3 | **reproduced** |" in overview
    assert pd.read_csv(results / "claims/lottery_ticket.csv")["kind"].to_list() == ["paper", "transferred", "ours", "paper"]
    text = render_text(results, experiment)
    assert "Claims of the paper (2 reproduced, 0 not reproduced, 0 inconclusive; scale: paper)\n  reproduced      One " in text
    assert "Claims made of other nets or data, tried here (0 reproduced, 1 not reproduced, 0 inconclusive; scale: paper)\n  not rep" in text
    assert "Our own (0 reproduced, 0 not reproduced, 1 inconclusive; scale: paper)\n  inconclusive    Three " in text


def test_an_experiment_without_a_claim_of_its_paper_has_no_counts(results: Path) -> None:
    experiment = replace(described(figures=()), claims=(ratios("Two", "transferred"), ratios("Three", "ours")))
    write_results(results, "lottery_ticket", fake_records(rounds=(0,)))
    report(results, [experiment])
    assert (
        "(#lottery_ticket) | Frankle & Carbin 2019 | paper | 5 | – | 0 of 2 reproduced, 2 inconclusive |" in (results / "README.md").read_text()
    )


def test_a_report_says_where_its_records_come_from(results: Path) -> None:
    records = fake_records(rounds=(0, 1), seeds=(0, 1, 2)).assign(commit="22e8273")
    records.loc[records["seed"] == 1, ["commit", "device"]] = ["0012345", "NVIDIA H100"]
    records.loc[records["seed"] == 2, "commit"] = "0012345+dirty"
    write_results(results, "lottery_ticket", records)
    report(results, [described(figures=())])
    overview = (results / "README.md").read_text()
    assert "- device: NVIDIA H100; cpu\n- commits: 0012345, 0012345+dirty, 22e8273\n" in overview
    assert "- times: `seconds` are a replicate's share of its stack's wall time; " in overview


def test_rows_of_a_smaller_scale_are_left_out_and_counted(results: Path) -> None:
    short = fake_records(rounds=(7,), seeds=(0, 1), scale="20min")
    write_results(results, "lottery_ticket", pd.concat([fake_records(rounds=(0,)), short]), fake_curves(rounds=(0, 7)))
    report(results, [described(figures=())])
    overview, page = ((results / name).read_text() for name in ("README.md", "tables/lottery_ticket.md"))
    assert "- scale: paper\n- left out: 26 rows at 20min, which a run at the larger scale has not overwritten yet\n" in overview
    assert "| Frankle & Carbin 2019 | paper | 5 |" in overview and "\nLeft out: 26 rows at 20min.\n" in page and "21.1 %" not in page
    assert "scale: paper; left out: 26 rows at 20min)" in render_text(results, described())
    assert "20min" not in (results / "claims/lottery_ticket.csv").read_text() + (results / "tables/lottery_ticket.csv").read_text()


def test_a_report_without_figures_draws_none_and_links_to_those_there_are(results: Path) -> None:
    write_results(results, "lottery_ticket", fake_records(rounds=(0,)))
    (results / "figures").mkdir()
    (results / "figures/lottery_ticket_tickets.png").touch()
    paths = report(results, [described()], figures=False)
    assert [path.suffix for path in paths] == [".md", ".csv", ".csv", ".md"]
    assert "![Winning tickets" in paths[-1].read_text() and "lottery_ticket_layers.png" not in paths[-1].read_text()


def test_a_second_report_changes_no_byte(results: Path) -> None:
    write_results(results, "lottery_ticket", fake_records(rounds=(0, 7), seeds=(0, 1)))
    first = {path: path.read_bytes() for path in report(results, [described(figures=FIGURES[:1])])}
    assert {path: path.read_bytes() for path in report(results, [described(figures=FIGURES[:1])])} == first


def test_one_experiment_alone_is_made_again_but_the_overview_tells_of_all(results: Path) -> None:
    experiments = [described("quick/lottery_ticket", "quick", ()), described("lottery_ticket", "paper", ())]
    write_results(results, "lottery_ticket", fake_records(rounds=(0, 1)))
    write_results(results, "quick/lottery_ticket", fake_records(rounds=(0, 1), scale="quick"))
    paths = report(results, experiments, "quick/lottery_ticket")
    assert {path.parent.name for path in paths[:-1]} == {"quick"}
    overview = paths[-1].read_text()
    assert 0 < overview.index("## lottery_ticket") < overview.index("## quick/lottery_ticket")


@pytest.mark.parametrize(
    "keep",
    [
        lambda r: r[r["round"] == 0],
        lambda r: r[r["seed"] == 0],
        lambda r: r[(r["round"] < 2) & (r["arm"] == "winning_ticket")],
        lambda r: r[r["arm"] == "random_reinit"],
        lambda r: r[r["arm"] == "instability"],
        lambda r: r[r["round"] > 30],
        lambda r: r.assign(variant="training.learning_rate=0.01"),
        lambda r: r.assign(test_accuracy=float("nan"), early_stop_step=float("nan")),
        lambda r: r[["experiment", "scale", "dataset", "model", "arm", "round", "seed"]],
        lambda r: r.drop(columns=["density", "device", "key", "seconds"]),
    ],
    ids=[
        "dense only",
        "one seed",
        "two rounds of one arm",
        "reinit only",
        "instability only",
        "none",
        "sweep",
        "NaN",
        "identity only",
        "columns",
    ],
)
def test_partial_records_never_stop_a_report(results: Path, keep: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
    write_results(results, "lottery_ticket", keep(fake_records(rounds=(0, 1, 7), seeds=(0, 1))), fake_curves(rounds=(0,), seeds=(0,)))
    assert report(results, [described(figures=())])[-1].name == "README.md"
    assert "lottery_ticket" in render_text(results, described()) or "Claims" in render_text(results, described())


def test_nothing_recorded_yet_is_said(results: Path) -> None:
    assert report(results, [described()]) == [results / "README.md"]
    assert "Nothing is recorded yet." in (results / "README.md").read_text()
    assert "no records" in render_text(results, described())


def test_an_empty_records_file_counts_as_nothing(results: Path) -> None:
    (results / "records").mkdir()
    (results / "records/lottery_ticket.csv").write_text("")
    assert report(results, [described()]) == [results / "README.md"]


def test_a_record_file_that_is_no_table_is_named(results: Path) -> None:
    (results / "records").mkdir()
    (results / "records/lottery_ticket.csv").write_text("a,b\n1,2,3\n1,2,3,4\n")
    with pytest.raises(UserError, match=r"records/lottery_ticket\.csv is no table"):
        report(results, [described()])


def test_an_unknown_experiment_suggests_the_near_one(results: Path) -> None:
    with pytest.raises(UserError, match="did you mean 'lottery_ticket'"):
        report(results, [described()], "lotery_ticket")


def test_a_results_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("a file in the way")
    with pytest.raises(UserError, match=r"lab\.results="):
        report(tmp_path / "results" / "deeper", [described()])


def test_the_terminal_shows_the_main_table_and_every_verdict(results: Path) -> None:
    write_results(results, "lottery_ticket", fake_records())
    text = render_text(results, described())
    assert text.startswith("Test accuracy at early stop, %")
    assert "winning ticket (n = 5)" in text
    assert "reproduced, 0 not reproduced, 0 inconclusive; scale: paper)" in text
    assert all(claim.id in text for claim in CLAIMS if not claim.models[0].startswith("conv"))
    assert max(map(len, text.splitlines())) <= 140


def test_experiments_inherit_the_words_of_their_defaults(tmp_path: Path) -> None:
    folder = tmp_path / "experiment"
    (folder / "quick").mkdir(parents=True)
    (folder / "a.yaml").write_text(
        "recipe: lottery_ticket\nscale: paper\nabout: {paper: P, shows: S, cost: hours}\ndeviations: [One.]\nrounds: 20\n"
    )
    (folder / "b.yaml").write_text("defaults: [a, _self_]\nabout: {shows: B}\n")
    (folder / "quick/a.yaml").write_text(
        "defaults: [/experiment/a, _self_]\nscale: quick\nabout: {cost: a minute}\ndeviations: [Two., Three.]\n"
    )
    (folder / "quick/c.yaml").write_text("defaults:\n  - /experiment@_global_: a\n  - override /logger: none\nscale: quick\n")
    found = {e.name: e for e in read_experiments(tmp_path)}
    assert list(found) == ["a", "b", "quick/a", "quick/c"]
    assert found["b"].about == {"paper": "P", "shows": "B", "cost": "hours"}
    assert (found["quick/a"].scale, found["quick/a"].about["cost"], found["quick/a"].deviations) == (
        "quick",
        "a minute",
        ("Two.", "Three."),
    )
    assert (found["quick/c"].about["paper"], found["quick/c"].recipe) == ("P", "lottery_ticket")


def test_words_of_the_last_parent_come_first_and_other_groups_are_none(tmp_path: Path) -> None:
    folder = tmp_path / "experiment/small"
    folder.mkdir(parents=True)
    (tmp_path / "experiment/a.yaml").write_text("recipe: one\nabout: {paper: P, shows: S}\n")
    (folder / "b.yaml").write_text("scale: quick\nabout: {shows: B}\nsteps: 3\n")
    (folder / "a.yaml").write_text("defaults: [/experiment/a@_global_, b, a, _self_, /model: a, absent]\ndeviations: [One.]\n")
    words = read_words(tmp_path, "small/a")
    assert words == {"recipe": "one", "scale": "quick", "about": {"paper": "P", "shows": "B"}, "deviations": ["One."]}


def test_an_experiment_that_is_no_yaml_is_named(tmp_path: Path) -> None:
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment/a.yaml").write_text("recipe: [\n")
    with pytest.raises(UserError, match=r"conf/experiment/a\.yaml is not valid YAML: "):
        read_words(tmp_path, "a")


def test_a_recipe_that_is_missing_is_named(tmp_path: Path) -> None:
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment/a.yaml").write_text("recipe: no_such_recipe\n")
    with pytest.raises(UserError, match="no_such_recipe"):
        read_experiments(tmp_path)


def test_torch_is_not_needed_for_a_report_nor_pandas_for_its_declarations(results: Path) -> None:
    records = fake_records(rounds=(0, 1), seeds=(0, 1))
    write_results(results, "lottery_ticket", records[records["arm"] == "instability"])
    code = (
        "import sys, pathlib; sys.path[:0] = ['src', '.']\n"
        "import experiments.lottery_ticket_claims\n"
        "assert not {'torch', 'pandas', 'matplotlib', 'scipy'} & set(sys.modules)\n"
        "from nncompress.report import build\n"
        "experiments = [e for e in build.read_experiments(pathlib.Path('conf')) if e.name == 'lottery_ticket']\n"
        f"assert len(build.report(pathlib.Path({str(results)!r}), experiments)) > 4\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).resolve().parents[3])


def test_the_projects_readme_gets_the_summary_between_its_markers_only(results: Path, tmp_path: Path) -> None:
    write_results(results, "lottery_ticket", fake_records(), fake_curves(rounds=(0,), seeds=(0, 1)))
    readme = tmp_path / "README.md"
    readme.write_text("before\n<!-- results:begin (generated) -->\nold\n<!-- results:end -->\nafter\n")
    assert fill_readme(readme, results, [described()])
    text = readme.read_text()
    assert text.startswith("before\n<!-- results:begin (generated) -->\n| experiment") and text.endswith(".\n<!-- results:end -->\nafter\n")
    assert f"[lottery_ticket]({results.name}/README.md#lottery_ticket)" in text and "old" not in text
    assert not fill_readme(tmp_path / "absent.md", results, [described()])
