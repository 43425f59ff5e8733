"""An experiment's results for a notebook: its tables, figures and verdicts, from the records alone. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from nncompress.errors import UserError, suggestion
from nncompress.report.claims import judge_all
from nncompress.report.experiments import read_experiments
from nncompress.report.figures import draw
from nncompress.report.records import comparable, of_variant, read_curves, read_published, read_records
from nncompress.report.tables import by_kind, lay, ledger, markdown, verdicts_markdown
from nncompress.report.words import spoken

if TYPE_CHECKING:
    from IPython.display import Markdown
    from matplotlib.figure import Figure

Named = TypeVar("Named")
NOTHING = "*nothing recorded yet*"


class Results:
    """What is recorded of one experiment as written.

    Args:
        experiment: its name, a file of `<repository>/conf/experiment`.
        repository: the checkout; a notebook runs in a folder of it.
        results: the folder with its records, None = `<repository>/results`.

    Raises: UserError if there is no such experiment, or, of a method, no such table or figure.
    """

    def __init__(self, experiment: str, repository: Path = Path(".."), results: Path | None = None) -> None:
        self.folder = results or repository / "results"
        described = {each.name: each for each in read_experiments(repository / "conf")}
        if experiment not in described:
            raise UserError(f"no experiment {experiment!r}{suggestion(experiment, list(described))}")
        self.described = described[experiment]
        self.records = comparable(of_variant(read_records(self.folder, experiment), ""))
        self.curves = read_curves(self.folder, experiment, self.records, self.described.identity)
        self.paper = read_published(self.folder, self.described.recipe)

    def about(self) -> Markdown:
        """How many records there are, of what scale and device, and in what the run deviates from the paper."""
        scales, devices = (", ".join(sorted(set(self.records[column]))) for column in ("scale", "device"))
        counts = self.records.groupby("arm")["seed"].nunique()
        seeds = ", ".join(f"{spoken(str(arm))} {count}" for arm, count in counts.items())
        found = f"{len(self.records)} records of `{self.described.name}`, scale {scales}, device {devices}. Seeds: {seeds}."
        found = found if seeds else NOTHING
        return _markdown("\n".join([found, "", *(f"- {sentence}" for sentence in self.described.deviations)]))

    def table(self, name: str) -> Markdown:
        """One of the recipe's tables: mean ± std, n, beside the paper's numbers where it prints them."""
        laid = lay(self._declared(name, self.described.tables), self.records, self.paper, self.curves)
        return _markdown(markdown(laid) if laid else NOTHING)

    def figure(self, name: str) -> Figure | Markdown:
        """One of the recipe's figures."""
        arrays = self.folder / "arrays" / self.described.name
        drawn = draw(self._declared(name, self.described.figures), self.records, self.curves, arrays, self.paper)
        return _markdown(NOTHING) if drawn is None else drawn

    def verdicts(self) -> Markdown:
        """The recipe's claims with their intervals and verdicts."""
        if self.records.empty:
            return _markdown(NOTHING)
        judged = judge_all(self.described.claims, self.records)
        parts = [f"**{heading}**\n\n{verdicts_markdown(verdicts)}" for heading, verdicts in by_kind(judged)]
        return _markdown("\n\n".join(parts))

    def cost(self) -> Markdown:
        """Operations and seconds of training, by arm, what an arm stands on included."""
        laid = ledger(self.records)
        return _markdown(markdown(laid) if laid else NOTHING)

    def _declared(self, name: str, given: Iterable[Named]) -> Named:
        found = {each.name: each for each in given}  # type: ignore[attr-defined]
        if name not in found:
            raise UserError(f"{self.described.name} declares no {name!r}; there is {', '.join(found)}")
        return found[name]


def _markdown(text: str) -> Markdown:
    from IPython.display import Markdown

    return Markdown(text)
