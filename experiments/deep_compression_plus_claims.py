"""What the recipe of the smallest file claims, tabulates and draws. Imports neither pandas nor torch.

Sizes are those of files; a rate is the float32 bytes of all parameters over them. Errors are of the net that was read back from the file; those
of candidates are of the validation split.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from experiments.compressed_files import Statistic, of
from nncompress.report.declare import Claim, Lines, Panel, Published, Table

if TYPE_CHECKING:
    from pandas import DataFrame, Series

ORDER = ("reference", "smallest", "record")
PARTS = ("codes", "indices", "codebook", "floats", "header")


def test_error(records: DataFrame) -> Series:
    """Of each seed's smallest file."""
    return of("smallest", "test_accuracy")(records).rsub(1)


STREAMS = ("codes", "indices", "fillers", "tables")
CODERS = {"huffman": "Huffman coding of gaps and codes", "ans": "asymmetric numeral systems of gaps and codes"}


def saved_over(coder: str, parts: tuple[str, ...] = ("file",)) -> Statistic:
    """Share of the bytes of these parts of a file, or of all of it, that prediction from context saves, mean over a seed's files."""

    def size(rows: DataFrame) -> Series:
        columns = ["file_bytes"] if parts == ("file",) else [column for part in parts if (column := f"bytes_{part}") in rows]
        return rows[columns].fillna(0).sum(axis=1)

    def statistic(records: DataFrame) -> Series:
        points = ["seed", "round", "entries"]
        if not {*points, "coder", "file_bytes"} <= {*records.columns}:
            return records.groupby("seed")["seed"].mean().iloc[:0]
        ours = size(records[records["arm"] == "candidate"].set_index(points))
        theirs = size(records[(records["arm"] == "coders") & (records["coder"] == coder)].set_index(points))
        return (1 - ours / theirs).dropna().groupby("seed").mean()

    return statistic


def headline(name: str, models: tuple[str, ...], rate: float, printed: float, source: str, error: float) -> tuple[Claim, ...]:
    """The claims on one net. `printed`: the largest rate of a published table that we know, and its `source`. `error`: printed of the dense
    net by Han, Mao & Dally 2016."""
    return (
        Claim(
            f"{models[0]}_rate", f"The file of {name} is at least {rate:g} times smaller than its float32 parameters (paper: "
            f"{source}).", printed, of("smallest", "rate"), low=rate, unit="×", models=models, geometric=True, kind="ours",
        ),
        Claim(
            f"{models[0]}_error", f"The {name} read back from it errs on at most {100 * error:.2f} % of the test images (paper: dense, Han "
            "et al. 2016).",
            error, test_error, high=error, unit="%", models=models, kind="ours",
        ),
    )  # fmt: skip


CLAIMS = (
    *headline("LeNet-300-100", ("lenet_300_100",), 120, 113, "Louizos et al. 2017, as quoted, not checked", 0.0164),
    *headline("LeNet-5", ("lenet_5_relu",), 200, 419, "Louizos et al. 2017, at 1.0 % error", 0.0080),
    *(
        Claim(
            f"context_beats_{coder}", f"Places and codes predicted from context take at least 10 % fewer bytes than by {words}, tables "
            "included.",
            None, saved_over(coder, STREAMS), low=0.10, unit="%", kind="ours",
        )
        for coder, words in CODERS.items()
    ),
    *(
        Claim(
            f"whole_beats_{coder}", f"With one header for all layers besides, files are at least 15 % smaller than by {words}.",
            None, saved_over(coder), low=0.15, unit="%", kind="ours",
        )
        for coder, words in CODERS.items()
    ),
)  # fmt: skip


def with_error(records: DataFrame) -> DataFrame:
    """The records with `test_error` and `validation_error`, as far as they were measured."""
    splits = [split for split in ("test", "validation") if f"{split}_accuracy" in records]
    return records.assign(**{f"{split}_error": 1 - records[f"{split}_accuracy"] for split in splits})


def by_part(records: DataFrame) -> DataFrame:
    """Of each file, one row per part of the account: `bytes`."""
    from pandas import concat

    found = [records.assign(part=part, bytes=records[f"bytes_{part}"]) for part in PARTS if f"bytes_{part}" in records]
    found += [records.assign(part="file", bytes=records["file_bytes"])] if "file_bytes" in records else []
    return concat(found, ignore_index=True) if found else records.assign(part="", bytes=0.0)


def by_coder(records: DataFrame) -> DataFrame:
    """The files of candidates under every coder; `coder` says the entries of the codebook, too: 'ans, 4 entries'."""
    found = records[records["arm"].isin(["candidate", "coders"])]
    coder = found["coder"].fillna("context") if "coder" in found else "context"
    return found.assign(coder=coder + found["entries"].map(", {:g} entries".format))


CHOSEN = {"arm": ORDER}
TABLES = (
    Table(
        "error", "Test error of the net read back from the file, % (record: the smallest file of all seeds)", "test_error", columns="dataset",
        order=ORDER, where=CHOSEN, derive=with_error,
    ),
    Table(
        "rate", "Bytes of the float32 parameters over those of the file (record: the smallest file of all seeds)", "rate", unit="×",
        columns="dataset", order=ORDER, where=CHOSEN,
    ),
    Table("parts", "What the bytes of the files are spent on", "bytes", unit="", columns="part", order=ORDER, where=CHOSEN, derive=by_part),
    Table(
        "candidates", "Validation error of the files, %, by entries of a codebook and round of pruning", "validation_error", index="entries",
        columns="round", where={"arm": ("candidate",)}, derive=with_error,
    ),
    Table(
        "sizes", "Bytes of the files, by entries of a codebook and round of pruning", "file_bytes", unit="", index="entries", columns="round",
        where={"arm": ("candidate",)},
    ),
    Table(
        "coders", "Bytes of the files, by coder, entries of a codebook and round of pruning", "file_bytes", unit="", index="coder",
        columns="round", derive=by_coder,
    ),
    Published("paper", "The papers' numbers beside ours", {"test_error": "%", "rate": "×"}, derive=with_error),
)  # fmt: skip
FIGURES = (
    Lines(
        "candidates", "Validation error and size of the files by round of pruning",
        (Panel("validation_error", "validation error, %", "%"), Panel("file_bytes", "bytes")),
        x="round", x_label="round of pruning", series="entries", where={"arm": ("candidate",)}, derive=with_error,
    ),
)  # fmt: skip
