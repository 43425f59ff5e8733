"""Listing, composing and naming configurations."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
import yaml

import run
from nncompress.errors import UserError, suggestion
from nncompress.lab import configuration
from nncompress.lab.configuration import experiments, lab_settings, listing, normalized, request, variant

CONF = run.CONF
NAMES = list(experiments(CONF))


def test_every_experiment_is_listed_with_its_paper_what_it_shows_and_its_cost() -> None:
    text = listing(CONF)
    for name, description in experiments(CONF).items():
        assert f"experiment={name} " in text
        assert set(description["about"]) == {"paper", "shows", "cost"}
        assert all(words in text for words in description["about"].values())
    assert len(NAMES) >= 9


def test_python_run_py_alone_lists(capsys: pytest.CaptureFixture[str]) -> None:
    assert run.main([]) == 0
    assert capsys.readouterr().out.strip() == listing(CONF)


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert run.main(["--help"]) == 0
    out = capsys.readouterr().out
    assert all(word in out for word in ("plan=true", "minutes=", "--cfg job", "-m ", "report", "store list", "logger="))


@pytest.mark.parametrize("name", NAMES)
def test_every_experiment_can_be_asked_for_and_declares_its_rows(name: str, tmp_path: Path) -> None:
    asked = request(CONF, [f"experiment={name}", f"lab.results={tmp_path}"])
    rows = list(asked.recipe.rows(asked.config))
    assert len({tuple(row.columns.items()) for row in rows}) == len(rows) > 0
    assert asked.variant == ""
    assert asked.scale == (name.partition("/")[0] if "/" in name else "paper")
    assert asked.deviations or asked.values["recipe"] != "lottery_ticket"
    assert asked.optimized is None or any(row.columns["arm"] == asked.optimized["arm"] for row in rows)
    assert (run.ROOT / "results" / "paper" / f"{asked.values['recipe']}.csv").exists()
    assert not list(tmp_path.iterdir())


def test_the_paper_scale_is_the_papers() -> None:
    config = request(CONF, ["experiment=lottery_ticket"]).config
    assert (config.training.steps, config.training.batch_size, config.training.learning_rate) == (50000, 60, 1.2e-3)
    assert config.prune_fraction == {"fc1": 0.2, "fc2": 0.2, "fc3": 0.1}
    conv = {n: request(CONF, [f"experiment=lottery_ticket_conv_{n}"]).config for n in (2, 4, 6)}
    assert [c.training.steps for c in conv.values()] == [20000, 25000, 30000]
    assert [c.training.learning_rate for c in conv.values()] == [2e-4, 3e-4, 3e-4]
    assert [c.prune_fraction["conv1"] for c in conv.values()] == [0.1, 0.1, 0.15]
    assert [len(c.prune_fraction) for c in conv.values()] == [5, 7, 9]


def test_overrides_of_the_recipe_name_the_variant() -> None:
    experiment = "experiment=smoke/lottery_ticket"
    assert request(CONF, [experiment, "training.learning_rate=1e-2", "model.widths=[64,9,10]"]).variant == (
        "model.widths=[64,9,10] training.learning_rate=0.01"
    )
    assert request(CONF, [experiment, "training.learning_rate=0.004", "lab.workers=1", "plan=true", "logger=csv"]).variant == ""


def test_seeds_rounds_and_arms_choose_among_the_records_and_are_no_variant() -> None:
    asked = request(CONF, ["experiment=smoke/lottery_ticket", "seeds=[3,4]", "rounds=1", "instability_rounds=[0]"])
    assert (asked.variant, asked.part, asked.config.seeds) == ("", True, [3, 4])
    assert not request(CONF, ["experiment=smoke/lottery_ticket"]).part


@pytest.mark.parametrize("option", ["precision=64-true", "max_epochs=2", "gradient_clip_val=1", "foo=1"])
def test_an_option_of_lightning_that_could_change_a_stored_result_is_refused(option: str) -> None:
    with pytest.raises(UserError, match=f"trainer.{option.partition('=')[0]} would change more than where to compute"):
        request(CONF, normalized(["experiment=smoke/lottery_ticket", f"trainer.{option}"]))


@pytest.mark.parametrize("metric", ["test_accuracy", "early_stop_accuracy"])
def test_a_search_may_not_look_at_the_test_split(metric: str, tmp_path: Path) -> None:
    conf = Path(shutil.copytree(CONF, tmp_path / "conf"))
    file = conf / "experiment" / "lottery_ticket.yaml"
    file.write_text(file.read_text().replace("metric: validation_accuracy", f"metric: {metric}"))
    with pytest.raises(UserError, match=rf"^optimized\.metric = {metric}: a search may not look at the test split; name a metric of the valid"):
        request(conf, ["experiment=smoke/lottery_ticket"])


@pytest.mark.parametrize("metric", ["mimic_validation_rmse", "validation_loss"])
def test_a_search_does_not_maximise_what_should_be_small(metric: str, tmp_path: Path) -> None:
    conf = Path(shutil.copytree(CONF, tmp_path / "conf"))
    file = conf / "experiment" / "lottery_ticket.yaml"
    file.write_text(file.read_text().replace("metric: validation_accuracy", f"metric: {metric}"))
    with pytest.raises(UserError, match=rf"^optimized\.metric = {metric}: a search maximises it, and lower is better; name a metric of which"):
        request(conf, ["experiment=smoke/lottery_ticket"])


def test_a_variant_lists_changed_and_added_leaves_sorted() -> None:
    assert variant({"b": {"c": 1, "d": 2.0}, "a": 3}, {"b": {"c": 1, "d": 2.5, "e": "x"}, "a": None}) == "a=null b.d=2.5 b.e=x"


def test_lightnings_own_options_need_no_plus(tmp_path: Path) -> None:
    words = normalized(["experiment=smoke/lottery_ticket", "trainer.devices=2", "trainer.strategy=ddp", f"lab.results={tmp_path}"])
    assert request(CONF, words).settings.trainer == {"devices": 2, "strategy": "ddp"}


def test_the_store_lies_in_the_results_folder_unless_said_otherwise() -> None:
    assert lab_settings(CONF, ["lab.results=elsewhere"]).store == Path("elsewhere/store")
    assert lab_settings(CONF, ["lab.results=elsewhere", "lab.store=here"]).store == Path("here")


def test_suggestions_take_the_end_of_a_key_before_its_look() -> None:
    assert suggestion("steps", ["rewind_steps", "training.steps"]) == "; did you mean 'training.steps'?"
    assert suggestion("nothing near", ["a", "b"]) == ""


def test_a_missing_plugin_is_named_with_its_package() -> None:
    from hydra.errors import MissingConfigException

    error = MissingConfigException("Could not find", missing_cfg_file="hydra/launcher/submitit_slurm")
    assert configuration.one_line(error) == "hydra/launcher=submitit_slurm needs a package: pip install hydra-submitit-launcher"


def test_a_configuration_of_another_kind_is_refused_by_name() -> None:
    with pytest.raises(UserError, match=r"^lab\.threads = 0: must be ≥ 1$"):
        lab_settings(CONF, ["lab.threads=0"])


def test_the_sweep_file_of_weights_and_biases_names_what_there_is() -> None:
    sweep = yaml.safe_load((run.CONF / "wandb_sweep.yaml").read_text())
    chosen = [word for word in sweep["command"] if "experiment=" in word]
    asked = request(run.CONF, [*chosen, *(f"{key}=30" for key in sweep["parameters"])])
    assert (run.ROOT / sweep["program"]).exists()
    assert sweep["metric"]["name"] == "{arm}/{metric}".format(**asked.optimized or {})


def test_the_readmes_processes_of_one_fit_divide_its_batch() -> None:
    """Of the command that is given for several machines: nodes times processes on each, asked of the experiment that it names."""
    line = next(line for line in (run.ROOT / "README.md").read_text().splitlines() if line.startswith("torchrun "))
    numbers = {key: int(value) for key, value in re.findall(r"(--nnodes|--nproc-per-node|trainer\.num_nodes|trainer\.devices)=(\d+)", line)}
    assert numbers["--nnodes"] == numbers["trainer.num_nodes"] and numbers["--nproc-per-node"] == numbers["trainer.devices"]
    asked = request(CONF, [word for word in line.split() if word.startswith("experiment=")])
    assert asked.config.training.batch_size % (numbers["--nnodes"] * numbers["--nproc-per-node"]) == 0
