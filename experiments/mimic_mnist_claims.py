"""What the recipe on what to match claims, tabulates and draws. Imports neither pandas nor torch."""

from __future__ import annotations

from experiments.hinton_mnist_claims import fewer, with_errors
from nncompress.report.declare import Claim, Lines, Panel, Table

ORDER = ("teacher", "plain", "logits", "soft_targets_1", "soft_targets_4", "soft_targets_20", "probabilities")
OF_SPEECH = "Ba & Caruana 2014, of speech:"
CLAIMS = (
    Claim(
        "logits_beat_probabilities", f"{OF_SPEECH} regression on logits gives fewer errors than regression on probabilities.",
        None, fewer("logits", "probabilities"), low=0, kind="transferred",
    ),
    Claim(
        "logits_beat_kl", f"{OF_SPEECH} regression on logits gives fewer errors than cross-entropy with the teacher's probabilities.",
        None, fewer("logits", "soft_targets_1"), low=0, kind="transferred",
    ),
    Claim(
        "high_temperature_is_regression",
        "Hinton et al. 2015, in the limit: temperature 20 and regression on logits differ by at most 10 errors.",
        None, fewer("logits", "soft_targets_20"), low=-10, high=10, kind="transferred",
    ),
)  # fmt: skip
TABLES = (
    Table("errors", "Test errors, by what the student matches", "test_errors", unit="", columns="dataset", order=ORDER, derive=with_errors),
)
FIGURES = (
    Lines(
        "gradients", "The gradient of soft targets nears that of logit regression",
        (
            Panel("gradient_distance", "distance, over the norm of the limit"),
            Panel("gradient_cosine", "cosine of the angle between them"),
        ),
        x="temperature", x_label="temperature", source="curves", logarithmic=True,
    ),
)  # fmt: skip
