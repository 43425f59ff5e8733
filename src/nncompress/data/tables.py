"""Small tables of cases from UCI, for trees: numbers and categories in columns, a class for each row."""

from __future__ import annotations

import csv
import hashlib
import io
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from nncompress.data.order import permutation
from nncompress.download import no_endless_wait
from nncompress.errors import UserError, one_line, suggestion
from nncompress.files import replace_file

MISSING = "missing"


@dataclass(frozen=True)
class KnownTable:
    """What is known of a table beforehand. `openml`: its number at OpenML, None for a table that comes with scikit-learn. `categorical`: all
    its columns are, else none is. `sha256`: see `TableCases.fingerprint`."""

    rows: int
    columns: int
    classes: int
    openml: int | None
    categorical: bool = False
    sha256: str | None = None


TABLES: dict[str, KnownTable] = {
    "breast_cancer": KnownTable(699, 9, 2, 15, sha256="be2022002ee23cdbb0ef8bcffcfd54f6e4fb9f00db1cd2d3ef3a015bf9397690"),
    "ionosphere": KnownTable(351, 34, 2, 59, sha256="cbf4038538ccf4c1d8fa014914b8939f5ec10a765c80cae1f5122c248297eda1"),
    "glass": KnownTable(214, 9, 6, 41, sha256="8e2bce280e3619f94f034ff39eea18c00dc8af20818e67ca70ba33f4e7c518e0"),
    "soybean": KnownTable(683, 35, 19, 42, categorical=True, sha256="129fbe93802e939244c9f0a47fd57194c7195a2794950cb2bc47a60481cfec4b"),
    "sonar": KnownTable(208, 60, 2, 40, sha256="29572cdf1f09cb5cb8b9eead1b97f2a8e4804b1ee9ed1b45ea2c313ded6ec8e3"),
    "breast_cancer_diagnostic": KnownTable(569, 30, 2, None, sha256="e6a768578352f9dc7d49f0be14a6ed320ed34d0dd4d07c49fbac00f2fb3f1bba"),
}


@dataclass(frozen=True, eq=False)
class TableCases:
    """A table in canonical order.

    `values`: float64 (N, C); NaN where a number is missing, codes of a categorical column by the alphabet, a missing category being one of
    its own. `names`: of the columns. `categories`: of each column its categories in the order of their codes, empty for numbers. `labels`:
    int64 (N,); `classes`: their names. `source`: where the table came from, for people. `fingerprint`: SHA-256 of values and labels, which
    does not depend on the order of the rows nor on how columns and (if no two rows differ in their class alone) classes are called.
    """

    values: np.ndarray
    names: tuple[str, ...]
    categories: tuple[tuple[str, ...], ...]
    labels: np.ndarray
    classes: tuple[str, ...]
    source: str
    fingerprint: str


@dataclass(frozen=True, eq=False)
class Sides:
    """The training and the test side of a table as features of a tree, float64 (N, F).

    A number is a feature, with the median of the training side where it is missing; a category is one too, 1 for the cases that have it.
    `coordinate`: (F,), the column of the table that each feature is made of. `names`: of the features.
    """

    train_x: np.ndarray
    train_y: np.ndarray
    test_x: np.ndarray
    test_y: np.ndarray
    coordinate: np.ndarray
    names: tuple[str, ...]
    classes: tuple[str, ...]


def sides(cases: TableCases, test_share: float, seed: int) -> Sides:
    """A random `test_share` of the cases, rounded, to test on, and the others to train on; the same for the same seed.

    Raises: UserError if one of the sides would be empty.
    """
    count = len(cases.labels)
    held_out = round(test_share * count)
    if not 0 < held_out < count:
        raise UserError(f"test_share = {test_share:g} leaves {held_out} of {count} cases to test on: give a share between, such as 0.1")
    order = permutation("test split", seed, 0, count)
    test, train = np.sort(order[:held_out]), np.sort(order[held_out:])
    features, coordinate, names = [], [], []
    for place, (name, categories) in enumerate(zip(cases.names, cases.categories, strict=True)):
        column = cases.values[:, place]
        if categories:
            features += [(column == code).astype(float) for code in range(len(categories))]
            names += [f"{name} = {category}" for category in categories]
        else:
            features.append(np.where(np.isnan(column), np.nanmedian(column[train]), column))
            names.append(name)
        coordinate += [place] * max(1, len(categories))
    x, y = np.stack(features, axis=1), cases.labels
    return Sides(x[train], y[train], x[test], y[test], np.array(coordinate), tuple(names), cases.classes)


@lru_cache(maxsize=8)
def read_cases(name: str, data_dir: Path) -> TableCases:
    """A registered table, once per process: `<data_dir>/<name>.csv`, with a line of names, the class in the last column and nothing in the
    place of a missing value; else OpenML's, which is then put there.

    Raises: UserError if there is no such table, or what is found is not it.
    """
    if name not in TABLES:
        raise UserError(f"there is no table {name!r}{suggestion(name, TABLES) or '; there are ' + ', '.join(TABLES)}")
    known, path = TABLES[name], data_dir / f"{name}.csv"
    if known.openml is None:
        rows, source = _embedded(), "scikit-learn"
    else:
        if not path.exists():
            _download(name, known, path)
        rows, source = _read(path), str(path)
    return _cases(rows, known, name, source)


def _embedded() -> list[list[str]]:
    """scikit-learn's breast cancer, as the rows of a file."""
    from sklearn.datasets import load_breast_cancer

    found = load_breast_cancer()
    names = [*map(str, found.feature_names), "class"]
    return [names, *([*map(repr, row), str(found.target_names[label])] for row, label in zip(found.data.tolist(), found.target, strict=True))]


def _read(path: Path) -> list[list[str]]:
    try:
        return [row for row in csv.reader(io.StringIO(path.read_text(encoding="utf-8"), newline=""), strict=True) if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path} cannot be read ({one_line(error)}): delete it and get it again") from error


def _download(name: str, known: KnownTable, path: Path) -> None:
    """OpenML's table as a file, by one process at a time."""
    try:
        from filelock import FileLock
        from sklearn.datasets import fetch_openml

        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_name(f".{name}.lock")), no_endless_wait():
            if path.exists():
                return
            found = fetch_openml(data_id=known.openml, as_frame=True, parser="liac-arff", cache=False)
            frame = found.data.astype(object).where(found.data.notna(), "").assign(**{"class": found.target})
            content = io.StringIO(newline="")
            frame.to_csv(content, index=False, lineterminator="\n")
            replace_file(path, content.getvalue().encode(), path.with_name(f".{name}.csv.tmp"))
    except Exception as error:  # anything from a proxy's page to a full disk: to the user it is all one
        raise UserError(
            f"{name} was not found: there is no {path}, and OpenML's data set {known.openml} could not be downloaded ({one_line(error)}). Two "
            f"ways to get it: run this once on a machine with a network, which downloads it; or put {name}.csv there, {known.rows} rows of "
            f"{known.columns} columns and the class, under a line of names"
        ) from error


def _cases(rows: list[list[str]], known: KnownTable, name: str, source: str) -> TableCases:
    """The table of the rows, the first of which are names."""
    shape = len(rows) - 1, {len(row) for row in rows}
    if shape != (known.rows, {known.columns + 1}):
        widths = ", ".join(map(str, sorted(shape[1])))
        raise UserError(f"{source} has {shape[0]} rows of {widths} cells, but {name} has {known.rows} of {known.columns + 1}: delete it")
    names = tuple(word.strip().replace("_", " ").replace("-", " ") for word in rows[0][:-1])
    columns = [[cell.strip().strip("'\"") for cell in column] for column in zip(*rows[1:], strict=True)]
    columns = [["" if cell == "?" else cell for cell in column] for column in columns]
    values, categories = [], []
    for title, column in zip(names, columns[:-1], strict=True):
        known_cells = sorted({cell for cell in column if cell})
        found = tuple(known_cells) + ((MISSING,) if "" in column else ()) if known.categorical else ()
        categories.append(found)
        try:
            values.append([found.index(cell or MISSING) if found else float(cell or "nan") for cell in column])
        except ValueError as error:
            raise UserError(f"{source}: column {title!r} holds what is no number ({one_line(error)}): delete it") from error
    table = np.array(values, np.float64).T + 0.0  # no negative zeros
    titles = sorted(set(columns[-1]))
    if len(titles) != known.classes:
        raise UserError(f"{source} has {len(titles)} classes in its last column, but {name} has {known.classes}: delete it")
    labels = np.array([titles.index(cell) for cell in columns[-1]])
    order = np.lexsort((labels, *table.T[::-1]))
    table, labels = np.ascontiguousarray(table[order]), labels[order]
    first = np.unique(labels, return_index=True)[1]  # classes by where they first stand, whatever they are called
    numbers = np.argsort(np.argsort(first))[labels]
    titles = [titles[label] for label in np.argsort(first)]
    digest = hashlib.sha256(np.where(np.isnan(table), -999.0, table).tobytes() + numbers.astype(np.int64).tobytes()).hexdigest()
    if known.sha256 and digest != known.sha256:
        raise UserError(f"{source}: the content is not that of {name} (SHA-256 differs): delete it and get it again")
    return TableCases(table, names, tuple(categories), numbers, tuple(titles), source, digest)


def known_table_fingerprint(name: str) -> str | None:
    """The beginning of the only fingerprint that a registered table may have, None where no reference is known."""
    sha256 = TABLES[name].sha256
    return sha256[:12] if sha256 else None


__all__ = ["TABLES", "KnownTable", "Sides", "TableCases", "known_table_fingerprint", "read_cases", "sides"]
