"""Names and numbers as people read them."""

from __future__ import annotations

import re
from math import floor, isfinite, isinf, isnan, log10
from typing import Any

from nncompress.report.declare import Unit

SPELLED = {
    "one_shot": "one-shot",
    "learning_rate_rewinding": "learning-rate rewinding",
    "fine_tuning": "fine-tuning",
    "random_reinit": "random reinit",
    "low_rank": "SVD, low rank (bytes counted)",
    "float32": "winning ticket in float32",
    "lenet_300_100": "LeNet-300-100",
    "lenet_5": "LeNet-5",
    "lenet_5_relu": "LeNet-5 with ReLU",
    "alexnet": "AlexNet",
    "vgg_16": "VGG-16",
    "imagenet": "ImageNet",
    "conv_2": "Conv-2",
    "conv_4": "Conv-4",
    "conv_6": "Conv-6",
    "mlp": "MLP",
    "mnist": "MNIST",
    "cifar10": "CIFAR-10",
    "cifar100": "CIFAR-100",
    "svhn": "SVHN",
    "fsdd": "FSDD",
    "cart": "CART",
    "arced_cart": "arced CART",
    "born_again_cart": "born-again CART",
    "small_born_again_cart": "small born-again CART",
    "four_fifths_of_cart": "0.8 × CART",
    "breast_cancer_diagnostic": "breast cancer (diagnostic)",
    "adult": "ADULT",
    "covtype": "COVTYPE",
    "letter_p1": "LETTER.p1",
    "letter_p2": "LETTER.p2",
    "nbe": "NBE",
    "munge": "MUNGE",
}
DIGITS: dict[str, int] = {"%": 2, "pp": 2, "×": 2, "steps": 0}


def spoken(name: object) -> str:
    """A column's or an arm's name in words: 'winning ticket'."""
    return SPELLED.get(str(name), str(name).replace("_", " "))


def number(value: float | None, unit: Unit, *, signed: bool = False) -> str:
    """The value in its unit, without the unit's name: percent and percentage points times 100; '–' where there is none."""
    if value is None or isnan(value):
        return "–"
    if isinf(value):
        return "∞" if value > 0 else "−∞"
    value = 100 * value if unit in ("%", "pp") else value
    digits = f".{DIGITS[unit]}f" if unit in DIGITS else ",.0f" if 1e4 <= abs(value) < 1e12 else ".4g"
    text = f"{value:{'+' if signed else ''}{digits}}"
    return "0" if text in ("-0", "+0") else text.replace("-", "−")


def mean_and_spread(mean: float, spread: float | None, unit: Unit) -> str:
    """'98.00 ± 1.00', in the unit, without its name; of numbers without one, both with the decimals that give the mean four figures, none where
    all values are the same whole number. Without a spread the mean alone."""
    if spread is None or isnan(spread):
        return number(mean, unit)
    if unit in DIGITS or not 1e-3 <= abs(mean) < 1e12 or not isfinite(spread):
        return f"{number(mean, unit)} ± {number(spread, unit)}"
    decimals = 0 if spread == 0 and mean == round(mean) else max(0, 3 - floor(log10(abs(mean))))
    return f"{mean:,.{decimals}f} ± {spread:,.{decimals}f}".replace("-", "−")


def with_unit(value: float | None, unit: Unit) -> str:
    """The value and the name of its unit: '0.30 pp', '2.51×'."""
    text = number(value, unit)
    return text if text == "–" or not unit else text + ("×" if unit == "×" else f" {unit}")


def percent(density: float) -> str:
    """A density as the papers print it, three figures: '21.1 %'."""
    return f"{100 * density:.3g} %"


def span(values: list[int]) -> str:
    """'5' if all are equal, else '3–5'."""
    return str(values[0]) if min(values) == max(values) else f"{min(values)}–{max(values)}"


DECIMAL = re.compile(r"\d+(\.\d+)?")


def natural(name: object) -> tuple[Any, ...]:
    """Sorting key by which 'step 500' comes before 'step 1000', and numbers before words."""
    if isinstance(name, int | float):
        return ((0, name, ""),)
    words = [word.rstrip(",") for word in str(name).split()]
    return tuple((1, float(word), "") if DECIMAL.fullmatch(word) else (2, 0, word) for word in words)
