"""The recipe of the smallest file: what it declares, and that every claim can come out each way."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from dataclasses import replace
from typing import Any

import pandas as pd
import pytest

import run
from experiments.deep_compression_plus import ARMS, OTHER_CODERS, Config, check, rows, smaller
from experiments.deep_compression_plus_claims import CLAIMS, TABLES, by_coder, by_part, with_error
from nncompress.errors import UserError
from nncompress.lab.configuration import request
from nncompress.lab.quantizing import SharedWeights
from nncompress.lab.smallest import CandidateFile, LivingMask, SmallestFile
from nncompress.lab.stage import ancestors
from nncompress.lab.stages import Fit, Logits, PrunedMask
from nncompress.report.claims import judge
from nncompress.report.records import tidy
from nncompress.report.tables import lay

PAPER: Config = request(run.CONF, ["experiment=deep_compression_plus"]).config
LAST = PAPER.file_rounds[-1]
HOPED = {"lenet_300_100": (8600, 125, 0.0160), "lenet_5_relu": (8400, 205, 0.0078)}


def records(model: str, **changes: float) -> pd.DataFrame:
    """What is hoped for; `changes` say otherwise: `rate`, `error`, and `saved`, the share of the bytes that context saves."""
    size, rate, error = HOPED[model]
    values = {"rate": rate, "error": error, "saved": 0.2} | changes
    found = []
    for seed in range(5):
        wobble = (seed - 2) * 1e-5
        common = {"seed": seed, "model": model, "dataset": "mnist", "scale": "paper", "variant": ""}
        smallest = {"test_accuracy": 1 - values["error"] - wobble, "rate": values["rate"] + wobble, "file_bytes": size, "bytes_codes": 10.0}
        found.append({**common, "arm": "smallest", **smallest})
        for round_ in (7, 8):
            for entries in (3, 4):
                point = {**common, "round": round_, "entries": entries, "validation_accuracy": 0.985}
                theirs, ours = size + round_ + wobble, (size + round_) * (1 - values["saved"])
                found.append({**point, "arm": "candidate", "file_bytes": ours, "bytes_codes": 0.8 * ours})
                others = {**point, "arm": "coders", "file_bytes": theirs, "bytes_codes": 0.6 * theirs, "bytes_tables": 0.2 * theirs}
                found += [{**others, "coder": coder} for coder in OTHER_CODERS]
    return pd.DataFrame(found)


def verdicts(found: pd.DataFrame) -> dict[str, str]:
    [model] = set(found["model"])
    mine = [claim for claim in CLAIMS if not claim.models or model in claim.models]
    return {claim.id.removeprefix(f"{model}_"): str(judge(claim, found)["verdict"]) for claim in mine}


def test_the_recipe_is_declared_without_torch_or_pandas() -> None:
    imports = "import sys; sys.path[:0] = ['src', '.']; import experiments.deep_compression_plus"
    code = f"{imports}; sys.exit(not {{'torch', 'pandas'}}.isdisjoint(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], cwd=run.ROOT).returncode == 0


@pytest.mark.parametrize("model", HOPED)
def test_claims_are_borne_out_and_refuted_one_by_one(model: str) -> None:
    names = ("rate", "error", *(f"{what}_beats_{coder}" for what in ("context", "whole") for coder in OTHER_CODERS))
    assert verdicts(records(model)) == dict.fromkeys(names, "reproduced")
    assert verdicts(records(model, rate=HOPED[model][1] / 2))["rate"] == "not reproduced"
    assert verdicts(records(model, error=2 * HOPED[model][2]))["error"] == "not reproduced"
    found = verdicts(records(model, saved=0.12))
    assert (found["whole_beats_huffman"], found["context_beats_ans"]) == ("not reproduced", "reproduced")
    assert verdicts(records(model, saved=0.05))["context_beats_ans"] == "not reproduced"


def test_what_is_not_recorded_is_inconclusive() -> None:
    found = records("lenet_300_100").query("arm == 'candidate'").drop(columns=["coder", "rate"])
    assert set(verdicts(found).values()) == {"inconclusive"}


def test_every_arm_has_its_seeds_and_points() -> None:
    points = len(PAPER.file_rounds) * len(PAPER.entries)
    found = Counter(str(row.columns["arm"]) for row in rows(PAPER))
    assert found == {"smallest": 5, "candidate": 5 * points, "coders": 3 * points * 2, "reference": 5, "record": 1}
    assert set(PAPER.arms) == set(ARMS)


def test_the_nets_are_distilled_pruned_in_turn_and_share_values_little_by_little() -> None:
    last = [row.stage for row in rows(PAPER) if row.columns == {"arm": "candidate", "seed": 1, "round": LAST, "entries": 4}]
    [file] = last
    assert isinstance(file, CandidateFile) and file.coder == "context" and file.half and isinstance(file.net, Fit)
    fits = [stage for stage in ancestors([file]) if isinstance(stage, Fit) and stage.model == PAPER.model]
    assert len(fits) == 1 + LAST + len(PAPER.shares) + 1
    assert all(isinstance(fit.teacher, Logits) and fit.distillation == PAPER.distillation and fit.seed == 1 for fit in fits)
    dense, *pruned = fits[: LAST + 1]
    assert dense.mask is None and dense.training == PAPER.training
    for before, fit in zip(fits, pruned, strict=False):
        assert fit.start == before and fit.training == PAPER.retraining
        assert isinstance(fit.mask, LivingMask) and isinstance(fit.mask.mask, PrunedMask) and fit.mask.mask.fit == before
    for before, fit, share in zip(fits[LAST:], fits[LAST + 1 :], [*PAPER.shares, 1.0], strict=False):
        assert isinstance(fit.start, SharedWeights) and fit.start == fit.mask == fit.codebook
        assert (fit.start.fit, fit.start.share, fit.training) == (before, share, PAPER.tuning)
    assert fits[-1].start.entries == dict.fromkeys(("fc1.weight", "fc2.weight", "fc3.weight"), 4) | dict.fromkeys(
        ("fc1.bias", "fc2.bias", "fc3.bias"), PAPER.bias_entries
    )
    assert file.net == fits[-1] and file.codebook == fits[-1].codebook


def test_the_record_is_chosen_among_the_files_of_all_seeds_and_kept() -> None:
    [record] = [row for row in rows(PAPER) if row.columns["arm"] == "record"]
    own = [row.stage for row in rows(PAPER) if row.columns["arm"] == "smallest"]
    assert isinstance(record.stage, SmallestFile) and record.keep_file == "lenet_300_100.nnc"
    assert record.stage.candidates == tuple(file for stage in own if isinstance(stage, SmallestFile) for file in stage.candidates)


def test_without_teachers_the_labels_teach_alone() -> None:
    fits = [stage for stage in ancestors([row.stage for row in rows(replace(PAPER, teacher_seeds=[]))]) if isinstance(stage, Fit)]
    assert fits and all(fit.teacher is None and fit.distillation is None for fit in fits)


def test_tables_are_derived_from_what_there_is() -> None:
    found = records("lenet_300_100")
    assert set(by_part(found)["part"]) == {"codes", "file"}
    assert set(by_coder(found)["coder"]) == {f"{coder}, {entries} entries" for coder in ("context", *OTHER_CODERS) for entries in (3, 4)}
    assert {"test_error", "validation_error"} <= set(with_error(found).columns)
    assert "test_error" not in with_error(found.drop(columns="test_accuracy"))


def test_a_row_of_the_coders_is_of_one_size_of_codebooks() -> None:
    found = pd.concat([records("lenet_300_100"), records("lenet_300_100").query("entries == 4").assign(entries=10)])
    found["file_bytes"] += found["entries"]
    [table] = [table for table in TABLES if table.name == "coders"]
    laid = lay(table, tidy(found), pd.DataFrame())
    assert laid is not None
    coders = ("ans", "context", "huffman")
    assert [row[0] for row in laid.rows] == [f"{coder}, {entries} entries (n = 5)" for coder in coders for entries in (3, 4, 10)]
    assert list(laid.cells.query("row == 'ans, 10 entries'")["mean"]) == pytest.approx([8617, 8618])


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"arms": ["smalest"]}, "arms: there is no arm 'smalest'; did you mean 'smallest'?"),
        ({"entries": [3, 3]}, "entries = [3, 3]: 3 is there twice; give each once"),
        ({"file_rounds": []}, "file_rounds is empty: give at least one"),
        ({"file_rounds": [8, 7]}, "file_rounds = [8, 7]: give them rising, since each builds on the one before"),
        ({"shares": [0.7, 0.5]}, "shares = [0.7, 0.5]: give them rising, since each builds on the one before"),
        (
            {"dataset": replace(PAPER.dataset, validation=0)},
            "dataset.validation = 0: files are chosen by their validation error; hold some out, such as dataset.validation=10000",
        ),
    ],
)
def test_what_ranges_cannot_see_is_refused_in_one_line(change: dict[str, Any], line: str) -> None:
    with pytest.raises(UserError) as refusal:
        check(replace(PAPER, **change))
    assert str(refusal.value) == line


def test_ever_smaller_experiments_keep_the_arms_of_the_table() -> None:
    sizes = list(smaller(PAPER))
    assert sizes[0] == PAPER
    assert all(config.arms[:2] == ["smallest", "candidate"] and len(config.seeds) >= 3 for config in sizes)
