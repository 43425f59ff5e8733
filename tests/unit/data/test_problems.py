"""Problems on tables: coding and splits, and one line for whatever is wrong."""

import gzip
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from nncompress.data import problems
from nncompress.data.cases import Cases, joined, one_hot, to_standard, to_unit
from nncompress.data.problems import PROBLEMS, Problem, Table, fingerprint, load_problem
from nncompress.errors import UserError
from nncompress.types import Augmentation, Dataset
from tests.unit.served import address

DATASET = Dataset("mixed", validation=20, train_examples=50)
HEAD = "age,workclass,fnlwgt,education,education_num,marital_status,occupation,relationship,race,sex,gain,loss,hours,country,income"


def mixed(count: int = 100) -> Table:
    draw = np.random.default_rng(0)
    return Table(draw.normal(3, 2, (count, 2)), draw.integers(0, 3, (count, 1)).astype(np.uint8), (3,), draw.random(count) < 0.4)


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PROBLEMS, "mixed", Problem(lambda _: (mixed(), "nowhere")))


def rows(*parts: Cases) -> list[list[float]]:
    whole = joined(parts)
    return sorted(np.concatenate([whole.continuous, whole.nominal], axis=1).tolist())


def test_nominal_values_become_one_input_each() -> None:
    cases = Cases(np.array([[0.5], [0.25]], np.float32), np.array([[2, 0], [0, 1]], np.uint8))
    assert one_hot(cases, (3, 2)).tolist() == [[0.5, 0, 0, 1, 1, 0], [0.25, 1, 0, 0, 0, 1]]


def test_scalers_map_to_their_range_and_a_constant_to_zero() -> None:
    inputs = np.array([[2.0, 7.0], [6.0, 7.0], [4.0, 7.0]])
    assert to_unit(inputs)(inputs).tolist() == [[0, 0], [1, 0], [0.5, 0]]
    scaled = to_standard(inputs)(inputs)
    np.testing.assert_allclose((scaled.mean(0), scaled.std(0)), ([0, 0], [1, 0]), atol=1e-6)


def test_splits_share_no_case_and_the_training_cases_span_the_unit_interval() -> None:
    splits = load_problem(DATASET, Path())
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (50, 20, 30)
    assert len({tuple(row) for row in rows(splits.train, splits.validation, splits.test)}) == 100
    assert splits.train.continuous.min(0).tolist() == [0, 0] and splits.train.continuous.max(0).tolist() == [1, 1]
    other = load_problem(Dataset("mixed", 20, 1, 50), Path())
    assert other.fingerprint == splits.fingerprint and not np.array_equal(other.train_y, splits.train_y)


def test_standard_scaling_is_by_the_training_cases() -> None:
    splits = load_problem(Dataset("mixed", 20, 0, 50, "standard"), Path())
    np.testing.assert_allclose(splits.inputs(splits.train).mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(splits.inputs(splits.train).std(0), 1, atol=1e-5)
    assert splits.inputs(splits.test).shape == (30, 5) and splits.inputs(splits.test).dtype == np.float32


def test_the_order_of_the_source_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = mixed()
    order = np.random.default_rng(1).permutation(100)
    shuffled = Table(whole.continuous[order], whole.nominal[order], whole.values, whole.positive[order])
    before = load_problem(DATASET, Path())
    monkeypatch.setitem(PROBLEMS, "mixed", Problem(lambda _: (shuffled, "nowhere")))
    after = load_problem(DATASET, Path())
    np.testing.assert_array_equal(before.test.continuous, after.test.continuous)
    assert before.fingerprint == after.fingerprint


def test_the_embedded_problem_is_known_by_its_content() -> None:
    splits = load_problem(Dataset("breast_cancer", 150, 0, 200), Path())
    assert splits.fingerprint == PROBLEMS["breast_cancer"].sha256 and len(splits.test) == 219


def person(income: str, country: str = "Cuba", sex: str = "Male") -> str:
    return f"39,State-gov,77516,Bachelors,13,Divorced,Sales,Husband,White,{sex},2174,0,40,{country},{income}"


def adult(folder: Path, packed: bool) -> str:
    """49 thousand people, of whom one has no country and one is a woman with a high income; UCI's spelling, or packed tables."""
    people = [person("<=50K") for _ in range(48_840)]
    train, test = [*people[:32_000], person(">50K", sex="Female")], [*people[32_000:], person(">50K", country="" if packed else "?")]
    if packed:
        for name, lines in (("train", train), ("test", test)):
            (folder / f"adult_{name}.csv.gz").write_bytes(gzip.compress("\n".join([HEAD, *lines]).encode()))
    else:
        (folder / "adult.data").write_text("\n".join(line.replace(",", ", ") for line in train) + "\n\n")
        (folder / "adult.test").write_text("\n".join(["|1x3 Cross validator", *(line.replace(",", ", ") + "." for line in test)]))
    table, source = PROBLEMS["adult"].read(folder)
    assert str(folder) in source
    assert table.continuous.shape == (48_841, 6) and table.values == (1, 1, 1, 1, 1, 1, 2, 1) and table.positive.sum() == 1
    assert table.continuous[0].tolist() == [39, 77516, 13, 2174, 0, 40]
    return fingerprint(table)


def test_adult_is_the_same_from_either_files_and_leaves_out_whom_something_is_not_known_of(tmp_path: Path) -> None:
    (tmp_path / "packed").mkdir()
    assert adult(tmp_path, packed=False) == adult(tmp_path / "packed", packed=True)


def test_adult_is_downloaded_where_a_file_of_it_is_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    expected = adult(tmp_path, packed=False)
    (tmp_path / "here" / "adult.data").write_text(person("<=50K"))
    monkeypatch.setattr(problems, "UCI_ADULT", address(tmp_path))
    table, _ = PROBLEMS["adult"].read(tmp_path / "here")
    assert fingerprint(table) == expected


def test_covtype_is_decoded_from_the_columns_that_scikit_learn_gives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    count = 581_012
    data, target = np.zeros((count, 54), np.float32), np.full(count, 2)
    data[:, 0], data[:, 9] = np.arange(count) % 100, 7
    area, soil = np.arange(count) % 4, np.arange(count) % 40
    data[np.arange(count), 10 + area] = data[np.arange(count), 14 + soil] = 1
    target[:1000] = 5
    bunch = SimpleNamespace(data=data, target=target)
    monkeypatch.setattr("sklearn.datasets.fetch_covtype", lambda data_home, download_if_missing: bunch)
    table, _ = PROBLEMS["covtype"].read(tmp_path)
    assert table.continuous.shape == (count, 10) and table.continuous[123, [0, 8, 9]].tolist() == [23, 0, 7]
    assert table.values == (4, 40) and table.nominal[123].tolist() == [3, 3] and table.positive.sum() == count - 1000
    data[5, 10:14] = 0  # no area
    assert "one area and one soil a case" in message(Dataset("covtype", 1000, 0, 4000), tmp_path)


def message(dataset: Dataset, folder: Path = Path()) -> str:
    with pytest.raises(UserError) as caught:
        load_problem(dataset, folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", ["adult", "covtype"])
def test_a_problem_that_is_nowhere_is_one_line_that_says_where_and_how(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: object, **__: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr(problems, "download_file", offline)
    monkeypatch.setattr("sklearn.datasets.fetch_covtype", offline)
    said = message(Dataset(name, 1000, 0, 4000), tmp_path)
    assert str(tmp_path) in said and "no network" in said and "with a network" in said


def test_altered_content_is_refused(tmp_path: Path) -> None:
    adult(tmp_path, packed=True)
    assert "content is not that of adult" in message(Dataset("adult", 1000, 0, 4000), tmp_path)


def test_training_cases_of_one_class_are_one_line_that_names_the_problem_and_the_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    negative = mixed()._replace(positive=np.zeros(100, bool))
    monkeypatch.setitem(PROBLEMS, "mixed", Problem(lambda _: (negative, "nowhere")))
    assert "with seed 7 all training cases of mixed are of one class" in message(Dataset("mixed", 20, 7, 50))


@pytest.mark.parametrize(
    ("dataset", "words"),
    [
        (Dataset("mixed", 20), "dataset.train_examples is not given"),
        (Dataset("mixed", 40, 0, 60), "leave 0 of the 100 cases"),
        (Dataset("mixed", 20, 0, 50, train_classes=(1,)), "dataset.train_classes is not for mixed"),
        (Dataset("mixed", 20, 0, 50, augmentation=Augmentation(shift=1)), "dataset.augmentation is not for mixed"),
    ],
)
def test_what_a_problem_does_not_have_is_one_line(dataset: Dataset, words: str) -> None:
    assert words in message(dataset)
