"""The search for what Hinton, Vinyals & Dean 2015 (arXiv:1503.02531) do not print of section 3: rates, lengths, the weight of the labels.

It trains the arms of hinton_mnist on 50,000 images and tells them apart on the other 10,000: nothing here reports the test split, so that the
numbers of hinton_mnist are of images that no choice has seen.
"""

from __future__ import annotations

from collections.abc import Iterator

from experiments import hinton_mnist
from experiments.hinton_mnist import SELECTS, Config, smaller
from experiments.hinton_mnist_search_claims import CLAIMS, FIGURES, TABLES
from nncompress.errors import UserError
from nncompress.lab.row import Row

__all__ = ["CLAIMS", "FIGURES", "SELECTS", "TABLES", "Config", "check", "rows", "smaller"]


def check(cfg: Config) -> None:
    """Refuse what the ranges of `Config` cannot see. Raises UserError, one line."""
    hinton_mnist.check(cfg)
    if cfg.dataset.validation == 0:
        raise UserError("dataset.validation = 0: a search needs examples to choose by; hold some out, such as dataset.validation=10000")


def rows(cfg: Config) -> Iterator[Row]:
    """Every arm and seed, as in hinton_mnist."""
    yield from hinton_mnist.rows(cfg)
