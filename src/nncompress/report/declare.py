"""What a recipe declares about its results: claims, tables, figures. Plain descriptions that import neither pandas nor torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from pandas import DataFrame, Series

Unit: TypeAlias = Literal["", "%", "pp", "×", "steps"]
"""How a number is shown: `%` and `pp` (percentage points) are stored as fractions, `×` as a plain ratio."""
Where: TypeAlias = Mapping[str, tuple[Any, ...]]
"""Column -> the values that count."""
Kind: TypeAlias = Literal["paper", "transferred", "ours"]
"""Whose claim it is: the recipe's paper's, of such nets and data; this or another paper's, made of other nets or data and tried here on these;
this project's."""


@dataclass(frozen=True)
class Claim:
    """A sentence that records can bear out or not.

    `statistic` maps the records (one row per arm, round and seed, all of one scale, none of a sweep) to one value per seed, NaN or no entry
    where the records do not hold it. The claim holds where the statistic's mean lies in [`low`, `high`]. `paper`: the published value.
    `models`: name patterns (`conv_*`) of the models that the claim speaks of, empty for all. `geometric`: the values are ratios, so that
    mean and interval are taken of their logarithms and turned back; a value that is not positive counts as missing. `kind`: whose claim.
    `datasets`: those that the claim speaks of, empty for all. `bounds`: the range that the statistic can have, to which the interval is cut;
    the verdict does not depend on it.
    """

    id: str
    statement: str
    paper: float | None
    statistic: Callable[[DataFrame], Series]
    low: float = -inf
    high: float = inf
    minimum_seeds: int = 3
    unit: Unit = ""
    models: tuple[str, ...] = ()
    geometric: bool = False
    kind: Kind = "paper"
    datasets: tuple[str, ...] = ()
    bounds: tuple[float, float] | None = None


@dataclass(frozen=True)
class Table:
    """Mean ± std over seeds of `metric`, one row per value of `index`, one column per value of `columns`.

    `at`: show of the columns' values only those nearest to these (density: of the rounds there are). `order`: the values of `index` that
    are shown first. `where`: the records that count. `derive`: makes the table's records from them, for a metric or a name they lack.
    `cut_off`: the column that bounds the metric; a cell where a seed comes within 5 % of it is marked as no more than a lower bound.
    `spread`: what stands after ±, one standard deviation or the standard error of the mean, that over the root of n; the CSV has the deviation.
    `total`: show the sum over seeds instead, of a metric that counts; the CSV has the mean. `source`: records, or curves.
    """

    name: str
    title: str
    metric: str
    unit: Unit = "%"
    index: str = "arm"
    columns: str = "density"
    at: tuple[float, ...] = ()
    order: tuple[str, ...] = ()
    where: Where = field(default_factory=dict)
    derive: Callable[[DataFrame], DataFrame] | None = None
    cut_off: str = ""
    spread: Literal["std", "standard_error"] = "std"
    total: bool = False
    source: Literal["records", "curves"] = "records"


@dataclass(frozen=True)
class Paired:
    """Differences of `metric` between two arms on the same seed, a row for each of `pairs` (an arm, and the arm taken off it) and each value of
    `index`: the mean ± its standard error, on how many seeds the first arm is better, equal, worse, and p of the two-sided t test that the mean
    is zero, of independent seeds and, where seeds are random splits of one data set, with `overlap`, test over training examples (see
    `p_value`).

    `better`: whether less or more of the metric is. `order`: the values of `index` that are shown first. `derive` as for `Table`. `note`: what
    to know of the tests, printed underneath.
    """

    name: str
    title: str
    metric: str
    pairs: tuple[tuple[str, str], ...]
    overlap: float | None = None
    better: Literal["less", "more"] = "less"
    unit: Unit = "pp"
    index: str = "dataset"
    order: tuple[str, ...] = ()
    derive: Callable[[DataFrame], DataFrame] | None = None
    note: str = ""


@dataclass(frozen=True)
class Published:
    """The numbers of `results/paper/<recipe>.csv` that the records (after `derive`) hold too, side by side. `units`: metric -> unit. `note`:
    what to know of them, printed underneath."""

    name: str
    title: str
    units: Mapping[str, Unit]
    derive: Callable[[DataFrame], DataFrame] | None = None
    note: str = ""


@dataclass(frozen=True)
class Panel:
    """One set of axes: `metric` on y. `where`: the rows that count here. `reference`: a horizontal line, with its label.

    `zoom`: leave out values far below the others, so that a curve's steep beginning does not press the rest flat; where a line's mean lies
    below the frame a triangle at the lower edge says so. `logarithmic`: the y axis, which then cannot zoom.

    `summary`: a number that the title gives, what it is and the statistic of all records whose mean over seeds it is, as of a `Claim`.
    """

    metric: str
    label: str
    unit: Unit = ""
    where: Where = field(default_factory=dict)
    reference: tuple[float, str] | None = None
    zoom: bool = False
    logarithmic: bool = False
    summary: tuple[str, Callable[[DataFrame], Series]] | None = None


@dataclass(frozen=True)
class Lines:
    """A figure of lines with bands: mean over seeds of each panel's metric against `x`, one line per value of `series`.

    `x` = density is drawn as in the lottery-ticket papers: percent, logarithmic, dense net on the left. `order`: all values that the series
    may have, which fixes their colours over all figures that share it. `at`: show only the series nearest to these numbers. `where`: the
    rows that count. `needs`: values of the series without which there is nothing to show. `baseline`: rows whose mean is a dotted horizontal
    line, called `baseline_label`. `band`: ± one standard deviation or standard error, or minimum to maximum, over seeds. `source`: records,
    or learning curves with the density of their records. `x_max`: where the x axis ends, as a share of its length. `logarithmic`: the x axis,
    whose ticks are then the values of `x`, if these are few and short. `one_range`: panels of one and the same metric share their y axis.
    `names`: what the legend calls values of the series that do not speak for themselves. `derive`: makes the rows to draw from those of the
    source; `beside` does so from them and all records, for what the curves of an arm are compared with. `horizontals`: values
    of the series that do not depend on x, with which the others are compared: dashed, without marks.
    """

    name: str
    title: str
    panels: tuple[Panel, ...]
    x: str = "density"
    x_label: str = "weights remaining"
    series: str = "arm"
    order: tuple[str, ...] = ()
    at: tuple[float, ...] = ()
    where: Where = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    baseline: Where = field(default_factory=dict)
    baseline_label: str = "dense net"
    band: Literal["std", "standard_error", "range"] = "std"
    source: Literal["records", "curves"] = "records"
    derive: Callable[[DataFrame], DataFrame] | None = None
    beside: Callable[[DataFrame, DataFrame], DataFrame] | None = None
    x_max: float = 1.0
    logarithmic: bool = False
    one_range: bool = True
    names: Mapping[str, str] = field(default_factory=dict)
    horizontals: tuple[str, ...] = ()


@dataclass(frozen=True)
class HeatMap:
    """A figure of coloured cells: mean over seeds of `metric` at each value of `x` (columns) and `y` (rows, the smallest below), written into
    the cell; the `best` of each row is framed. `where`, `derive` as for `Lines`."""

    name: str
    title: str
    metric: str
    label: str
    x: str
    y: str
    x_label: str
    y_label: str
    unit: Unit = ""
    best: Literal["smallest", "largest"] = "smallest"
    where: Where = field(default_factory=dict)
    derive: Callable[[DataFrame], DataFrame] | None = None


@dataclass(frozen=True)
class Dots:
    """A figure of dots: of each value of `x` the `metric` of every seed, beside them their mean ± one standard deviation, and the `published`
    value (in the metric's own unit) as a line across. `order`: the values of `x` that come first. `where`, `derive` as for `Lines`."""

    name: str
    title: str
    metric: str
    label: str
    x: str = "arm"
    unit: Unit = ""
    order: tuple[str, ...] = ()
    published: Mapping[str, float] = field(default_factory=dict)
    where: Where = field(default_factory=dict)
    derive: Callable[[DataFrame], DataFrame] | None = None


@dataclass(frozen=True)
class Picture:
    """A figure of one two-dimensional array that rows of the recipe keep (`Row.keep_arrays`), of the first seed that `where` leaves: what is
    not zero is black. `array`: its name in the stage. `x_label`, `y_label`: what its columns and rows are."""

    name: str
    title: str
    array: str
    x_label: str
    y_label: str
    where: Where = field(default_factory=dict)


@dataclass(frozen=True)
class TreePanel:
    """One tree of a figure: `prefix`, under which the row of `where` keeps its arrays, what it is called, of what `cases` its leaves have a
    share, and the row's metrics `accuracy` and, of a tree that was cut back, `uncut`, its leaves before that."""

    label: str
    prefix: str
    where: Where
    cases: str
    accuracy: str = "test_accuracy"
    uncut: str = ""


@dataclass(frozen=True)
class Trees:
    """A figure of decision trees, one under the other, that rows of the recipe keep (`Row.keep_arrays`): of each `<prefix>/feature`,
    `threshold`, `left`, `right`, `answer` and `share` as in `nncompress.trees.Tree`, and `words`, the names of features and classes. All are
    of the first seed that has every one of them."""

    name: str
    title: str
    panels: tuple[TreePanel, ...]


@dataclass(frozen=True)
class Joint:
    """A figure of one array of counts that rows of the recipe keep (`Row.keep_arrays`), of the first seed that `where` leaves: values on one
    occasion (rows) and on another (columns), coloured by the logarithm of the count, with both marginals. `array`, `edges`: their names in the
    stage; the bins are the same for both axes."""

    name: str
    title: str
    array: str
    edges: str
    x_label: str
    y_label: str
    where: Where = field(default_factory=dict)


@dataclass(frozen=True)
class MixtureCourse:
    """A figure of how a mixture of Gaussians moved while it was trained, and an animation of it beside the histogram of the weights, of arrays
    that rows keep under `mixture/` (see `MixturePrior.course`): of the first seed that `where` leaves."""

    name: str
    title: str
    where: Where = field(default_factory=dict)


@dataclass(frozen=True)
class Matrices:
    """A figure of matrices beside one another, from red (negative) over white (zero) to blue, of one array (matrices, rows, columns) of signed
    levels that rows keep, of the first seed that `where` leaves. `names`: of the matrices."""

    name: str
    title: str
    array: str
    names: tuple[str, ...]
    x_label: str
    y_label: str
    where: Where = field(default_factory=dict)


@dataclass(frozen=True)
class Frontier:
    """A figure of what can be had at which size: of each point of each value of `series` the mean over seeds of `metric`, a share shown in
    percent, against that of `x`, both axes logarithmic, with bars of ± one standard deviation. The columns `point` tell points apart. The
    frontier, a line of steps, leads over the points of which no other has both an `x` as low and a lower mean `chosen_by`.

    `published`: arm -> the value of the series whose colour its published `x` and `metric` take, as a hollow star, named by the note of the
    latter up to a parenthesis. `mark`: a column; rows where it holds a text are no points but a filled star of the colour of their series,
    named by the text, and count nowhere else. `order`, `where`, `derive` as for `Lines`."""

    name: str
    title: str
    x: str
    metric: str
    x_label: str
    label: str
    series: str
    point: tuple[str, ...]
    chosen_by: str
    mark: str = ""
    order: tuple[str, ...] = ()
    published: Mapping[str, str] = field(default_factory=dict)
    where: Where = field(default_factory=dict)
    derive: Callable[[DataFrame], DataFrame] | None = None


Figure: TypeAlias = Lines | HeatMap | Dots | Picture | Trees | Joint | MixtureCourse | Matrices | Frontier
"""What a recipe may name in its FIGURES."""
