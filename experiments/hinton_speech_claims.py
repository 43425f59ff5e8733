"""What the speech recipe claims, tabulates and draws. Imports neither pandas nor torch.

Errors and accuracies are those of the test speakers after the last step. The net that is distilled starts from weights of its own, which are
no net's of the ensemble that teaches it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from nncompress.report.declare import Claim, Lines, Panel, Published, Table, Where

if TYPE_CHECKING:
    from pandas import DataFrame, Series

Statistic: TypeAlias = "Callable[[DataFrame], Series]"
ORDER = ("baseline", "ensemble", "distilled")
FRAMES, WORDS = "test_accuracy", "test_utterance_error"


def by_seed(records: DataFrame, arm: str, metric: str) -> Series:
    return records[records["arm"] == arm].groupby("seed")[metric].mean()


def gain(arm: str, metric: str = FRAMES) -> Statistic:
    """How much more accurate the arm is than the baseline; of an error, how much lower its error is."""
    sign = -1 if metric.endswith("error") else 1
    return lambda records: sign * (by_seed(records, arm, metric) - by_seed(records, "baseline", metric))


def gain_kept(records: DataFrame) -> Series:
    """Share of the ensemble's gain in frame accuracy that the distilled net keeps."""
    return gain("distilled")(records) / gain("ensemble")(records)


def words_lost(records: DataFrame) -> Series:
    """Utterance error of the distilled net minus the ensemble's."""
    return by_seed(records, "distilled", WORDS) - by_seed(records, "ensemble", WORDS)


def as_distilled(records: DataFrame) -> DataFrame:
    """The nets that were distilled at one of several temperatures under the name of what they are."""
    return records.assign(arm="distilled")


AT_TEMPERATURES: Where = {"arm": ("temperature",)}
OF_SPEECH = "Hinton et al. 2015, of speech:"
CLAIMS = (
    Claim(
        "ensemble_better", f"{OF_SPEECH} ten nets together are right on more frames than one.",
        0.022, gain("ensemble"), low=0, unit="pp", kind="transferred",
    ),
    Claim(
        "distilled_better", f"{OF_SPEECH} the distilled net is right on more frames than the net that learns the labels.",
        0.019, gain("distilled"), low=0, unit="pp", kind="transferred",
    ),
    Claim(
        "gain_kept", f"{OF_SPEECH} the distilled net keeps at least 80 % of the ten nets' gain in frame accuracy.",
        0.864, gain_kept, low=0.8, unit="%", kind="transferred",
    ),
    Claim(
        "ensemble_fewer_word_errors", f"{OF_SPEECH} ten nets together recognise more words than one.",
        0.002, gain("ensemble", WORDS), low=0, unit="pp", kind="transferred",
    ),
    Claim(
        "distilled_fewer_word_errors", f"{OF_SPEECH} the distilled net recognises more words than the net that learns the labels.",
        0.002, gain("distilled", WORDS), low=0, unit="pp", kind="transferred",
    ),
    Claim(
        "word_errors_as_ensemble",
        f"{OF_SPEECH} the distilled net recognises as many words as the ten nets: its error is at most half a point above theirs.",
        0.0, words_lost, high=0.005, unit="pp", kind="transferred",
    ),
)  # fmt: skip
TABLES = (
    Table("frames", "Test frame accuracy, %", FRAMES, columns="dataset", order=ORDER, where={"arm": ORDER}),
    Table("words", "Test utterance error, %", WORDS, columns="dataset", order=ORDER, where={"arm": ORDER}),
    *(
        Table(f"{name}_by_temperature", f"{what} of the distilled net, %, by temperature", metric, columns="temperature",
              where=AT_TEMPERATURES, derive=as_distilled)
        for name, what, metric in (
            ("frames", "Test frame accuracy", FRAMES),
            ("words", "Test utterance error", WORDS),
            ("validation", "Validation frame accuracy", "validation_accuracy"),
        )
    ),
    Published("paper", "The paper's numbers beside ours", {FRAMES: "%", WORDS: "%"}),
)  # fmt: skip
FIGURES = (
    Lines(
        "validation", "Validation during training: labels alone, and soft targets of the ensemble",
        (Panel("validation_accuracy", "validation frame accuracy, %", "%"), Panel("validation_loss", "validation loss")),
        x="step", x_label="training step", order=ORDER, source="curves",
    ),
    Lines(
        "temperature", "Distilled nets by temperature",
        (Panel(FRAMES, "test frame accuracy, %", "%"), Panel(WORDS, "test utterance error, %", "%")),
        x="temperature", x_label="temperature", order=ORDER, where=AT_TEMPERATURES, derive=as_distilled,
        baseline={"arm": ("baseline",)}, baseline_label="labels alone",
    ),
)  # fmt: skip
