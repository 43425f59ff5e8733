"""Two-class problems on tables (Bucilă, Caruana & Niculescu-Mizil 2006, Table 1): where they come from and how they are split."""

from __future__ import annotations

import csv
import gzip
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nncompress.data.cases import Cases, Scaler, one_hot, to_standard, to_unit
from nncompress.data.order import permutation
from nncompress.data.sources import DATASETS, fetched, read
from nncompress.download import download_file
from nncompress.errors import UserError, one_line
from nncompress.types import Augmentation, Dataset


class Table(NamedTuple):
    """`continuous`: float64 (N, C). `nominal`: uint8 (N, M). `values`: how many each nominal attribute has. `positive`: bool (N,)."""

    continuous: np.ndarray
    nominal: np.ndarray
    values: tuple[int, ...]
    positive: np.ndarray


@dataclass(frozen=True)
class Problem:
    """`read`: the table of all cases and where it was found, given the data folder. `test`: cases of the test split, as in the paper; None: all
    that neither train nor validate. `sha256`: see `fingerprint`."""

    read: Callable[[Path], tuple[Table, str]]
    test: int | None = None
    sha256: str | None = None


def _letters(positive: str) -> Callable[[Path], tuple[Table, str]]:
    """UCI's letters, of which those in `positive` are positive; 16 continuous attributes."""

    def read_letters(data_dir: Path) -> tuple[Table, str]:
        arrays, _, source, _ = read("letters", data_dir)
        features = np.concatenate([arrays.train_x, arrays.test_x]).reshape(-1, 16) // 17  # bytes again 0..15
        labels = np.concatenate([arrays.train_y, arrays.test_y])
        wanted = [ord(letter) - ord("A") for letter in positive]
        return Table(features.astype(np.float64), np.empty((len(labels), 0), np.uint8), (), np.isin(labels, wanted)), source

    return read_letters


UCI_ADULT = "https://archive.ics.uci.edu/ml/machine-learning-databases/adult"
ADULT_FILES = (("adult.data", "adult_train.csv.gz"), ("adult.test", "adult_test.csv.gz"))
ADULT_CONTINUOUS = (0, 2, 4, 10, 11, 12)  # age, fnlwgt, education_num, capital_gain, capital_loss, hours_per_week


def _adult(data_dir: Path) -> tuple[Table, str]:
    """UCI's Adult: 6 continuous and 8 nominal attributes, of the people of whom all are known; positive: an income above 50,000 dollars."""

    def fetch(folder: Path, download: bool) -> Table:
        rows: list[list[str]] = []
        for raw, packed in ADULT_FILES:
            if download:
                download_file(f"{UCI_ADULT}/{raw}", folder / raw)
            unpack = (folder / packed).exists() and not download
            text = (gzip.decompress((folder / packed).read_bytes()) if unpack else (folder / raw).read_bytes()).decode()
            rows += [row for row in csv.reader(text.splitlines(), skipinitialspace=True) if len(row) == 15 and row[0] != "age"]
        if len(rows) != 48_842:
            raise ValueError(f"{len(rows)} rows, expected 48842")
        table = np.array([row for row in rows if not {"?", ""} & set(row)])
        labels, nominal = table[:, 14], np.delete(table[:, :14], ADULT_CONTINUOUS, axis=1)
        names, codes = zip(*(np.unique(column, return_inverse=True) for column in nominal.T), strict=True)
        return Table(
            table[:, ADULT_CONTINUOUS].astype(np.float64),
            np.stack(codes, axis=1).astype(np.uint8),
            tuple(map(len, names)),
            np.char.startswith(labels, ">50K"),
        )

    def lacking(error: Exception) -> str:
        raw, packed = (" and ".join(names) for names in zip(*ADULT_FILES, strict=True))
        return (
            f"adult was not found: UCI's files in {data_dir} are missing or damaged, and could not be downloaded ({one_line(error)}). Two ways "
            f"to get it: run this once on a machine with a network, which downloads it; or put UCI's {raw}, or {packed}, in {data_dir}"
        )

    return fetched("adult", fetch, data_dir, lacking), f"UCI's files in {data_dir}"


def _covtype(data_dir: Path) -> tuple[Table, str]:
    """Forest cover types through scikit-learn: 10 continuous attributes, the area of 4 and the soil of 40; positive: the largest class."""

    def fetch(folder: Path, download: bool) -> Table:
        from sklearn.datasets import fetch_covtype

        found = fetch_covtype(data_home=str(folder), download_if_missing=download)
        areas, soils = found.data[:, 10:14], found.data[:, 14:54]
        if found.data.shape != (581_012, 54) or (areas.sum(1) != 1).any() or (soils.sum(1) != 1).any():
            raise ValueError(f"data of shape {found.data.shape}, expected (581012, 54) with one area and one soil a case")
        nominal = np.stack([areas.argmax(1), soils.argmax(1)], axis=1).astype(np.uint8)
        largest = np.bincount(found.target.astype(np.int64)).argmax()
        return Table(found.data[:, :10].astype(np.float64), nominal, (4, 40), found.target == largest)

    def lacking(error: Exception) -> str:
        return (
            f"covtype was not found: scikit-learn's files in {data_dir / 'covertype'} are missing or damaged, and could not be downloaded "
            f"({one_line(error)}). Run this once on a machine with a network, which downloads them, and copy that folder here"
        )

    return fetched("covtype", fetch, data_dir, lacking), f"scikit-learn's files in {data_dir}"


def _breast_cancer(data_dir: Path) -> tuple[Table, str]:
    """scikit-learn's breast cancer, Wisconsin: 569 cases, 30 continuous attributes; positive: benign."""
    from sklearn.datasets import load_breast_cancer

    found = load_breast_cancer()
    return Table(found.data.astype(np.float64), np.empty((len(found.data), 0), np.uint8), (), found.target == 1), "scikit-learn"


PROBLEMS: dict[str, Problem] = {
    "adult": Problem(_adult, 35_222, "d98c7d7cf4e1821e7b4943e7bba76a8d30985f9c69ac1f635258ac9a456bbb56"),
    "covtype": Problem(_covtype, 25_000),
    "letter_p1": Problem(_letters("O"), 14_000, "0ac26a229f683ebaaebd21776cb4386e74af4cf9d13d84aba746a2981897abe7"),
    "letter_p2": Problem(_letters("ABCDEFGHIJKLM"), 14_000, "33ebd3bd316f750f55de348d79089ab421d51b4b549d0ee0113b2e0b62cf131e"),
    "breast_cancer": Problem(_breast_cancer, None, "c9de6be6315ada60378bc55524f3a101236593ce6002f711d4b4d831196354b8"),
}


@dataclass(frozen=True, eq=False)
class ProblemSplits:
    """The splits of a problem. Continuous attributes are scaled so that those of the training cases span [0, 1].

    `<split>_y`: int64 (N,), 1 = positive. `values`: of each nominal attribute. `scaler`: of the coded inputs, if `dataset.scaling` asks for it.
    """

    train: Cases
    train_y: np.ndarray
    validation: Cases
    validation_y: np.ndarray
    test: Cases
    test_y: np.ndarray
    values: tuple[int, ...]
    scaler: Scaler | None
    source: str
    fingerprint: str

    def inputs(self, cases: Cases) -> np.ndarray:
        """What a net sees of the cases: coded one-hot and scaled as the data set asks for, float32 (N, F)."""
        coded = one_hot(cases, self.values)
        return coded if self.scaler is None else self.scaler(coded)


def load_problem(dataset: Dataset, data_dir: Path) -> ProblemSplits:
    """The splits of a problem, drawn by `dataset.split_seed` from all its cases: validation, training, test, in this order.

    Raises: UserError for cases that cannot be found, splits that are too large, training cases of one class alone, or what problems do not
        have.
    """
    if dataset.name not in PROBLEMS:
        raise UserError(f"there is no problem {dataset.name!r} on a table; there are {', '.join(PROBLEMS)}")
    problem = PROBLEMS[dataset.name]
    for name, default in (("train_classes", ()), ("validation_speakers", ()), ("train_recordings", None), ("augmentation", Augmentation())):
        if getattr(dataset, name) != default:
            raise UserError(f"dataset.{name} is not for {dataset.name}, which is a table of two classes: leave it out")
    if dataset.train_examples is None:
        raise UserError(f"dataset.train_examples is not given: {dataset.name} has no fixed splits; say how many cases train, such as 4000")
    table, source = problem.read(Path(data_dir))
    table = _canonical(table)
    digest = fingerprint(table)
    if problem.sha256 and digest != problem.sha256:
        raise UserError(f"{source}: the content is not that of {dataset.name} (SHA-256 differs): delete it and get it again")
    count, held_out, trained = len(table.positive), dataset.validation, dataset.train_examples
    left = count - held_out - trained
    if left < (problem.test or 1):
        raise UserError(
            f"dataset.validation = {held_out} and dataset.train_examples = {trained} leave {max(0, left)} of the {count} cases of "
            f"{dataset.name} for the test split, which has {problem.test or 'the others'}: lower them"
        )
    order = permutation("validation split", dataset.split_seed, 0, count)
    places = order[held_out : held_out + trained], order[:held_out], order[held_out + trained :][: problem.test]
    unit = to_unit(table.continuous[places[0]])
    train, validation, test = (Cases(unit(table.continuous[chosen]).astype(np.float32), table.nominal[chosen]) for chosen in places)
    train_y, validation_y, test_y = (table.positive[chosen].astype(np.int64) for chosen in places)
    if train_y.min() == train_y.max():
        raise UserError(
            f"dataset.train_examples = {trained}: with seed {dataset.split_seed} all training cases of {dataset.name} are of one class; give "
            "more, or another seed"
        )
    scaler = to_standard(one_hot(train, table.values)) if dataset.scaling == "standard" else None
    return ProblemSplits(train, train_y, validation, validation_y, test, test_y, table.values, scaler, source, digest)


@lru_cache(maxsize=4)
def problem_splits(dataset: Dataset, data_dir: Path) -> ProblemSplits:
    """`load_problem`, once per process."""
    return load_problem(dataset, data_dir)


def known_fingerprint(name: str) -> str | None:
    """The beginning of the only fingerprint that a registered data set or problem may have, None where no reference is known."""
    sha256 = (PROBLEMS[name] if name in PROBLEMS else DATASETS[name]).sha256
    return sha256[:12] if sha256 else None


def fingerprint(table: Table) -> str:
    """SHA-256 of the cases in canonical order: continuous attributes as float64, nominal values and labels as bytes."""
    digest = hashlib.sha256()
    for array in (table.continuous.astype("<f8"), table.nominal, table.positive):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _canonical(table: Table) -> Table:
    """The same cases in an order that depends on their content alone: sorted by their attributes and label, then by one fixed permutation."""
    columns: Sequence[np.ndarray] = [*table.continuous.T, *table.nominal.T, table.positive]
    order = np.lexsort(columns[::-1])[permutation("canonical order", 0, 0, len(table.positive))]
    return Table(table.continuous[order], table.nominal[order], table.values, table.positive[order])
