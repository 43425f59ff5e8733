"""Every mistake on a command line is answered by one line that names the value and the mend, before torch is imported."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import run

ROOT = Path(run.__file__).parent
EXPERIMENT = "experiment=smoke/lottery_ticket"
MISTAKES = {
    "an unknown experiment": (["experiment=lotery"], "no experiment 'lotery'; did you mean 'lottery_ticket'?"),
    "no experiment": (["training.steps=5"], "which experiment? Add experiment=NAME"),
    "a word that is no key": (
        ["lottery_ticket"],
        "cannot read 'lottery_ticket': write key=value; did you mean 'experiment=lottery_ticket'?",
    ),
    "an unknown key": ([EXPERIMENT, "trainng.steps=5"], "unknown key 'trainng.steps'; did you mean 'training.steps'?"),
    "a key without its beginning": ([EXPERIMENT, "steps=5"], "unknown key 'steps'; did you mean 'training.steps'?"),
    "an unknown key of the lab": ([EXPERIMENT, "lab.wrkers=1"], "unknown key 'lab.wrkers'; did you mean 'lab.workers'?"),
    "an added key that the recipe lacks": ([EXPERIMENT, "+round=5"], "unknown key 'round'; did you mean 'rounds'?"),
    "an unknown layer": ([EXPERIMENT, "prune_fraction.fc9=0.2"], "unknown key 'prune_fraction.fc9'"),
    "an unknown logger": ([EXPERIMENT, "logger=wandd"], "no logger 'wandd'; did you mean 'wandb'?"),
    "an unknown sweep": ([EXPERIMENT, "hparams_search=gird"], "no hparams_search 'gird'; did you mean 'grid'?"),
    "an unknown launcher": ([EXPERIMENT, "hydra/launcher=slurm"], "Could not find 'hydra/launcher/slurm'"),
    "negative steps": ([EXPERIMENT, "training.steps=-5"], "training.steps = -5: must be ≥ 1"),
    "a fraction of one": ([EXPERIMENT, "prune_fraction.fc1=1.0"], "prune_fraction.fc1 = 1.0: must be < 1"),
    "a negative fraction": ([EXPERIMENT, "prune_fraction.fc1=-0.1"], "prune_fraction.fc1 = -0.1: must be ≥ 0"),
    "a word for a number": ([EXPERIMENT, "training.steps=many"], "training.steps = many: must be a whole number"),
    "a fraction for a whole number": ([EXPERIMENT, "rounds=2.5"], "rounds = 2.5: must be a whole number"),
    "nothing for a number": ([EXPERIMENT, "training.steps=null"], "training.steps = null: must be a whole number"),
    "a number for a list": ([EXPERIMENT, "seeds=3"], "seeds = 3: must be a list, [a,b]"),
    "a wrong entry of a list": ([EXPERIMENT, "seeds=[0,x]"], "seeds[1] = x: must be a whole number"),
    "an unknown optimizer": ([EXPERIMENT, "training.optimizer=adm"], "training.optimizer = adm: must be 'adam' or 'sgd'"),
    "an unknown device": ([EXPERIMENT, "lab.device=gpu"], "lab.device = gpu: must be 'auto', 'cpu' or 'cuda'"),
    "a removed key": ([EXPERIMENT, "~rounds"], "rounds is missing"),
    "several values without -m": ([EXPERIMENT, "training.steps=4,5"], "training.steps=4,5 holds several values: add -m"),
    "a value that cannot be read": ([EXPERIMENT, "training.steps=(("], "cannot read 'training.steps=(('"),
    "one wrong value in a sweep": (["-m", EXPERIMENT, "training.steps=20,-5"], "training.steps = -5: must be ≥ 1"),
    "one wrong experiment in a sweep": (
        ["-m", "experiment=smoke/lottery_ticket,smoke/lotery_ticket"],
        "no experiment 'smoke/lotery_ticket'",
    ),
    "a wrong value for a ready sweep": (
        [EXPERIMENT, "hparams_search=grid", "training.batch_size=9,-1"],
        "training.batch_size = -1: must be ≥ 1",
    ),
    "no time": ([EXPERIMENT, "minutes=0"], "minutes = 0: must be > 0"),
    "a word for yes or no": ([EXPERIMENT, "plan=maybe"], "plan = maybe: must be true or false"),
    "a results folder inside a file": ([EXPERIMENT, "lab.results=run.py/results"], "lab.results = run.py/results: "),
    "an unknown key for the store": (["store", "list", "lab.stre=x"], "unknown key 'lab.stre'; did you mean 'lab.store'?"),
    "an unknown experiment to report on": (["report", "lotery_ticket"], "did you mean 'lottery_ticket'?"),
}
# What is seen when the nets are built and the data are read, or across keys.
MISTAKES |= {
    "an unknown model": ([EXPERIMENT, "model.name=lenet"], "there is no model 'lenet'; did you mean 'lenet_5'?"),
    "an unknown data set": ([EXPERIMENT, "dataset.name=mnits"], "there is no data set 'mnits'; did you mean 'mnist'?"),
    "an unknown arm": ([EXPERIMENT, "arms=[winning_tickets]"], "there is no arm 'winning_tickets'; did you mean 'winning_ticket'?"),
    "an added layer that the model lacks": (
        [EXPERIMENT, "+prune_fraction.fc9=0.2"],
        "the model has no such layer; it has fc1, fc2, fc3",
    ),
    "ImageNet that is not there": (
        ["experiment=deep_compression_alexnet", "pretrained=null", "lab.data_dir=conf"],
        "imagenet: there is no folder conf/imagenet/train; its images belong into conf/imagenet/train/CLASS/ and conf/imagenet/val/CLASS/",
    ),
    "weights that torchvision does not have": (
        ["experiment=deep_compression_alexnet", "model.name=conv_2"],
        "model conv_2: torchvision has no weights of it; there are weights of alexnet, vgg_16",
    ),
    "a net for other classes than a folder has": (
        ["experiment=smoke/deep_compression_alexnet", "model.classes=2"],
        "model alexnet has 2 outputs, but stripes has 3 classes: set model.classes=3",
    ),
    "a method that another experiment lacks": (
        ["experiment=smoke/pareto", "methods=[{experiment: smoke/lottery_ticket, arms: [winnin_ticket]}]"],
        "methods: smoke/lottery_ticket has no arm 'winnin_ticket' with a net in it",
    ),
    "repeated seeds": ([EXPERIMENT, "seeds=[0,0]"], "seeds = [0, 0]: 0 is there twice; give each once"),
    "a batch that processes cannot share": (
        [EXPERIMENT, "training.batch_size=25", "trainer.devices=2", "plan=true"],
        "training.batch_size = 25 does not divide among 2 processes",
    ),
    "frames of speech held out one by one": (
        ["experiment=smoke/hinton_speech", "dataset.validation=100"],
        "dataset.validation = 100: tones holds frames of recordings, which are held out by the speaker",
    ),
    "an unknown table": (
        ["experiment=smoke/born_again_trees", "tables=[{name: glas}]", "drawn=glas"],
        "there is no table 'glas'; did you mean 'glass'?",
    ),
    "a share of a table that the tests are not of": (
        ["experiment=smoke/born_again_trees", "tables=[{name: breast_cancer_diagnostic, test_share: 0.0001}]"],
        "tables[0].test_share = 0.0001: the paired tests allow for the overlap of splits that hold out 0.1; give that",
    ),
    "a file without bits": (
        ["compress", "w.npz", "net"],
        "the following arguments are required: --model, --bits; `run.py compress --help` says",
    ),
    "a command misspelt": (["inspct", "net.nnc"], "cannot read 'inspct': write key=value; did you mean 'inspect'?"),
    "a command of the store": (["store", "show"], "invalid choice: 'show'"),
    "training cases of one class": (
        ["experiment=smoke/model_compression", "dataset.train_examples=1", "library.nearest_neighbours.neighbours=[1]"],
        "dataset.train_examples = 1: with seed 0 all training cases of breast_cancer are of one class; give more, or another seed",
    ),
    "an unknown speaker": (["experiment=smoke/hinton_speech", "dataset.validation_speakers=[nicolas]"], "'nicolas' is not among"),
}


@pytest.fixture(autouse=True)
def _at_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "argv", ["run.py"])


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_line_and_exit_code_2(mistake: str, capsys: pytest.CaptureFixture[str]) -> None:
    arguments, line = MISTAKES[mistake]
    try:
        code: object = run.main(arguments)
    except SystemExit as stop:  # within a job
        code = stop.code
    assert code == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert line in err
    assert len(err.strip().splitlines()) == 1


@pytest.mark.parametrize(
    "arguments", [[], [EXPERIMENT, "trainng.steps=5"], ["-m", EXPERIMENT, "seeds=[0],[x]"], ["report", "nothing"], ["--help"]]
)
def test_the_answer_comes_before_torch_is_imported(arguments: list[str]) -> None:
    code = f"import sys, run; run.main({arguments!r}); sys.exit('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_a_gpu_that_is_not_there_is_one_line(command: Any, tmp_path: Path) -> None:
    done = command(EXPERIMENT, "lab.device=cuda", f"lab.results={tmp_path}", CUDA_VISIBLE_DEVICES="")
    assert done.returncode == 2
    assert done.stderr.strip() == "lab.device = cuda: no GPU is visible here; use lab.device=cpu or auto"


def test_a_folder_that_may_not_be_written_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.access", lambda *_: False)  # root may write everywhere
    assert run.main([EXPERIMENT, f"lab.results={tmp_path}"]) == 2
    assert f"lab.results = {tmp_path}: {tmp_path} cannot be written; choose another folder with lab.results=FOLDER" in capsys.readouterr().err


def test_ctrl_c_says_how_to_go_on(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "experiment", interrupted)
    assert run.main([EXPERIMENT]) == 130
    assert capsys.readouterr().err == "interrupted; the same command goes on from here\n"
