"""Tables of cases: wherever they come from they are the same, and whatever is wrong with one, one line says so."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from nncompress.data.tables import TABLES, KnownTable, TableCases, read_cases, sides
from nncompress.errors import UserError

NUMBERS = "a_b,c,class\n" + "".join(f"{i},{'' if i == 4 else 10 * i},{'yes' if i % 3 else 'no'}\n" for i in range(12))
WORDS = "colour,size,class\nred,big,1\nblue,,2\nred,small,2\n?,small,3\n"


@pytest.fixture(autouse=True)
def _tables(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(TABLES, "numbers", KnownTable(12, 2, 2, 1))
    monkeypatch.setitem(TABLES, "words", KnownTable(4, 2, 3, 2, categorical=True))
    read_cases.cache_clear()
    yield
    read_cases.cache_clear()


def read(folder: Path, name: str, text: str) -> TableCases:
    (folder / f"{name}.csv").write_text(text)
    read_cases.cache_clear()
    return read_cases(name, folder)


def message(folder: Path, name: str) -> str:
    with pytest.raises(UserError) as caught:
        read_cases(name, folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_numbers_are_read_with_what_is_missing_and_words_in_the_names(tmp_path: Path) -> None:
    found = read(tmp_path, "numbers", NUMBERS)
    assert found.names == ("a b", "c") and found.categories == ((), ()) and found.source == str(tmp_path / "numbers.csv")
    assert found.values[:, 0].tolist() == list(range(12))
    assert np.isnan(found.values[4, 1]) and found.values[5, 1] == 50
    assert [found.classes[label] for label in found.labels[:4]] == ["no", "yes", "yes", "no"]


def test_categories_are_codes_and_a_missing_one_is_a_category(tmp_path: Path) -> None:
    found = read(tmp_path, "words", WORDS)
    assert found.categories == (("blue", "red", "missing"), ("big", "small", "missing"))
    rows = {tuple(found.categories[j][int(code)] for j, code in enumerate(row)) for row in found.values}
    assert rows == {("red", "big"), ("blue", "missing"), ("red", "small"), ("missing", "small")}


def test_the_order_of_rows_and_what_classes_are_called_change_nothing(tmp_path: Path) -> None:
    found = read(tmp_path, "numbers", NUMBERS)
    head, *rows = NUMBERS.splitlines()
    shuffled = [rows[i] for i in np.random.default_rng(0).permutation(12)]
    other = read(tmp_path, "numbers", "\n".join([head, *shuffled]).replace("yes", "A").replace("no", "B") + "\n")
    assert other.fingerprint == found.fingerprint
    np.testing.assert_array_equal(other.values, found.values)
    np.testing.assert_array_equal(other.labels, found.labels)
    assert other.classes == ("B", "A")
    assert read(tmp_path, "numbers", NUMBERS.replace("70", "71")).fingerprint != found.fingerprint


def test_a_split_is_a_partition_that_the_seed_decides(tmp_path: Path) -> None:
    cases = read(tmp_path, "numbers", NUMBERS)
    found = sides(cases, 0.25, seed=3)
    assert len(found.test_y) == 3 and len(found.train_y) == 9
    assert sorted([*found.train_x[:, 0], *found.test_x[:, 0]]) == list(range(12))
    np.testing.assert_array_equal(found.test_x, sides(cases, 0.25, seed=3).test_x)
    assert any(set(sides(cases, 0.25, seed).test_x[:, 0]) != set(found.test_x[:, 0]) for seed in (4, 5))


def test_a_missing_number_is_the_median_of_the_training_side(tmp_path: Path) -> None:
    cases = read(tmp_path, "numbers", NUMBERS)
    for seed in range(6):
        found = sides(cases, 0.25, seed)
        here = next(side for side in (found.train_x, found.test_x) if 4 in side[:, 0])
        others = [10 * a for a in found.train_x[:, 0] if a != 4]
        assert here[here[:, 0] == 4, 1] == np.median(others)


def test_each_category_is_a_feature_of_its_column(tmp_path: Path) -> None:
    found = sides(read(tmp_path, "words", WORDS), 0.25, seed=0)
    assert found.names[:3] == ("colour = blue", "colour = red", "colour = missing") and found.coordinate.tolist() == [0, 0, 0, 1, 1, 1]
    for x in (found.train_x, found.test_x):
        assert (x[:, :3].sum(1) == 1).all() and (x[:, 3:].sum(1) == 1).all()


@pytest.mark.parametrize("share", [0.01, 0.99])
def test_a_share_that_leaves_nothing_is_one_line(tmp_path: Path, share: float) -> None:
    with pytest.raises(UserError, match=f"test_share = {share:g} leaves"):
        sides(read(tmp_path, "numbers", NUMBERS), share, 0)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "has -1 rows"),
        (NUMBERS.rpartition("11,")[0], "has 11 rows of 3 cells, but numbers has 12 of 3"),
        (NUMBERS.replace("5,50,yes", "5,50"), "rows of 2, 3 cells"),
        (NUMBERS.replace("50", "fifty"), "column 'c' holds what is no number"),
        (NUMBERS.replace("11,110,yes", "11,110,maybe"), "has 3 classes in its last column, but numbers has 2"),
        ('a,b,class\n"1,2,3\n', "cannot be read"),
    ],
)
def test_a_wrong_file_is_named(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "numbers.csv").write_text(text)
    assert said in message(tmp_path, "numbers")


def test_altered_content_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = read(tmp_path, "numbers", NUMBERS).fingerprint
    monkeypatch.setitem(TABLES, "numbers", replace(TABLES["numbers"], sha256=digest))
    read(tmp_path, "numbers", NUMBERS)
    (tmp_path / "numbers.csv").write_text(NUMBERS.replace("70", "71"))
    read_cases.cache_clear()
    assert "the content is not that of numbers (SHA-256 differs)" in message(tmp_path, "numbers")


def test_an_unknown_table_brings_the_near_name(tmp_path: Path) -> None:
    assert "there is no table 'sonnar'; did you mean 'sonar'?" in message(tmp_path, "sonnar")


def test_a_table_that_is_not_there_is_downloaded_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = pd.DataFrame({"colour": ["red", "blue", "red", None], "size": ["big", None, "small", "small"]}).astype("category")
    asked: list[Any] = []

    class Found:
        data, target = frame, pd.Series(["1", "2", "2", "3"], dtype="category")

    monkeypatch.setattr("sklearn.datasets.fetch_openml", lambda **options: asked.append(options["data_id"]) or Found)
    found = read_cases("words", tmp_path / "new")
    assert asked == [2] and (tmp_path / "new" / "words.csv").exists()
    assert found.fingerprint == read(tmp_path, "words", WORDS).fingerprint
    read_cases.cache_clear()
    read_cases("words", tmp_path / "new")
    assert asked == [2]


def test_without_file_and_network_one_line_names_the_two_ways(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(**_: object) -> None:
        raise OSError("no route\nto host")

    monkeypatch.setattr("sklearn.datasets.fetch_openml", offline)
    said = message(tmp_path, "numbers")
    for part in (str(tmp_path / "numbers.csv"), "OpenML's data set 1", "no route", "with a network", "12 rows of 2 columns and the class"):
        assert part in said


def test_the_embedded_table_needs_no_file(tmp_path: Path) -> None:
    found = read_cases("breast_cancer_diagnostic", tmp_path)
    assert found.values.shape == (569, 30) and sorted(found.classes) == ["benign", "malignant"] and found.source == "scikit-learn"
    assert {name: int((found.labels == label).sum()) for label, name in enumerate(found.classes)} == {"malignant": 212, "benign": 357}
