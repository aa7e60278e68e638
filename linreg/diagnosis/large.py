"""Runs on many rows: what needs all of them is summed in passes, what a remedy does is tried on few and proved on all.

1. The first pass sums the moments of all rows and draws a sample; the second keeps the rows that lie far. Sample and
   far rows together stand for all (`linreg.diagnosis.survey`): causes are looked for, and remedies tried, on them.
2. SGD with a squared error is affine in its parameters, so the run itself is computed exactly on all rows, in float64,
   as the product of the maps of its batches (`linreg.dynamics.windows`), in the second pass; the first remedy of each
   cause in a third one.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from linreg.data.blocks import ArrayRows, Block, Source, complete, windows
from linreg.diagnosis.cases import Case, Outcome, trained
from linreg.diagnosis.findings import Finding
from linreg.diagnosis.ranking import cures
from linreg.diagnosis.remedies import Remedy
from linreg.diagnosis.sampled import LAST_BATCHES, MOST_STEPS, OWNER, Simulation, as_trained, linear, reshuffles, start
from linreg.diagnosis.survey import SAMPLE, FarRows, Tally, standing_in
from linreg.dynamics.epoch_map import Epoch
from linreg.dynamics.windows import Windows, map_of, maps_of
from linreg.gram import Moments
from linreg.regression import LinearRegression

Array = Any
Moved = Callable[[int, int, str], None]
PASSES = 3

LARGE = 50_000
"""Rows from which a diagnosis goes this way."""
MOST_PROVED = 4
"""Remedies that are proved on all rows."""
MOST_WORK = 1.5e12
"""Multiplications that the proof of a run may take."""
FEWEST_WINDOWS, LARGEST_WINDOW = 64, 2**16
"""Windows of an epoch at least, where the batches are small enough, and rows in a window."""
WHOLE_RUN = 350_000
"""Steps of a run on rows in memory that is not linear and is made all the same."""
HIDDEN = 1e8
"""By how much the squares of a few rows may exceed those of all others before they have to be summed apart."""


def _nobody_looks(*_: object) -> None:
    """Take no notice of the progress."""


def is_large(case: Case) -> bool:
    """Whether a case has so many rows that a sample stands for them."""
    return len(case.y) > LARGE and case.sample_weight is None and case.X.shape[1] < len(case.y) // 100


def thinned(case: Case) -> Case:
    """Return a case with a random sample of its rows, as they are; the case itself where they are not more."""
    if len(case.y) <= SAMPLE:
        return case
    rows = np.sort(np.random.default_rng(0).choice(len(case.y), SAMPLE, replace=False))
    weight = None if case.sample_weight is None else case.sample_weight[rows]
    return case.replaced(X=case.X[rows], y=case.y[rows], sample_weight=weight, rows=case.row_numbers[rows])


@dataclass(eq=False)
class ExactRun:
    """A run on all rows, of which the windows come one after the other.

    Parameters
    ----------
    case : Case
        The case whose run it is: few rows, settings, and what was done to the features.
    count : int
        Rows of the data.
    dropped : array of int
        Numbers of rows that are left out.
    """

    case: Case
    count: int
    dropped: Array = field(default_factory=lambda: np.empty(0, np.int64))
    _maps: list[Array] = field(default_factory=list, init=False)
    _left: list[Array] = field(default_factory=list, init=False)
    _ends: list[Array] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        """Bind the steps."""
        rows = self.count - len(self.dropped)
        self.size = min(int(self.case.model.batch_size), rows)
        self._last = rows % self.size
        optimizer = self.case.settings.optimizer
        self._epoch = Epoch(self.case.objective, optimizer, self.size, OWNER, all_directions=True)

    @property
    def work(self) -> float:
        """Multiplications that it takes."""
        width = self._epoch.width
        return self.count / self.size * width**3 * 2 + self.count * width**2 * 2.0

    def feed(self, block: Block) -> None:
        """Run on the next rows."""
        rows = block.rows if not len(self.dropped) else block.rows[~np.isin(block.numbers, self.dropped)]
        X, y = rows[:, :-1], rows[:, -1:]
        for transformer in self.case.prepared:
            X = np.asarray(transformer.transform(X), np.float64)
        ones = np.ones((len(X), int(self.case.objective.has_intercept)))
        self._left.append(np.hstack([X, ones, y]))
        held = sum(map(len, self._left))
        if held >= self.size:
            rows = self._left[0] if len(self._left) == 1 else np.concatenate(self._left)
            whole = held // self.size * self.size
            self._left = [rows[whole:].copy()] if whole < held else []
            if self._last and reshuffles(self.case.model) and len(self._ends) < LAST_BATCHES:
                self._ends.append(rows[: self._last].copy())
            with np.errstate(all="ignore"):
                self._maps.append(map_of(self._epoch, rows[:whole], self.size))

    def trained(self) -> tuple[Array, Array]:
        """Return the parameters before the first and after each epoch, and the last of them."""
        with np.errstate(all="ignore"):
            ends = [*([np.concatenate(self._left)] if self._left else []), *self._ends]
            last = maps_of(self._epoch, np.stack(ends)) if self._left else None
        begin, model = start(self.case.model, self.case.X.shape[1]), self.case.model
        order = np.random.default_rng(1) if reshuffles(model) else None
        path = Windows(np.stack(self._maps), last).path(begin.astype(np.float64), int(model.epochs), order)
        return as_trained(path, begin.dtype)


@dataclass(eq=False)
class Large:
    """A run on many rows.

    Parameters
    ----------
    source : Source
        The rows.
    model : LinearRegression
        The model with its settings.
    moved : callable
        Called with the rows done, those there are to do, both counted once for each pass, and what is being done.
    validation : tuple (X, y) or None
        Validation rows.
    """

    source: Source
    model: LinearRegression
    moved: Moved = _nobody_looks
    validation: tuple[Array, Array] | None = None
    tally: Tally = field(init=False)
    case: Case = field(init=False)
    far: FarRows = field(init=False)
    exact: bool = field(default=False, init=False)
    tried: int = field(default=0, init=False)
    _done: int = field(default=0, init=False)
    _far_numbers: Array = field(init=False)

    def _move(self, rows: int, text: str) -> None:
        self._done += rows
        self.moved(self._done, PASSES * self.source.count, text)

    def surveyed(self) -> Large:
        """Make the first pass."""
        self.tally = Tally(self.source).run(lambda rows: self._move(rows, "Summing up all rows"))
        return self

    def stand_in(self) -> Case:
        """Make the second pass; return the case of the rows that stand for all, its own run exact where it can be."""
        rough = self._case(self.tally.sample, None)
        self.far = FarRows(self.tally, bool(self.model.fit_intercept))
        run = ExactRun(rough, self.tally.count) if linear(rough.objective, self.model) else None
        self.exact = run is not None and run.work <= MOST_WORK
        if run is not None and (not self.exact or run.size == self.tally.count):
            run = None  # too long, or one step an epoch, for which the moments are enough
        if run is not None:
            for window in self._windows("Running on all rows", run.size, self._looked):
                run.feed(window)
        else:
            for number in range(len(self.source)):
                block = complete(self.source.read(number))
                self.far.look(block)
                self._move(len(block.rows), "Looking for far rows")
        rows, counts, self._far_numbers = standing_in(self.tally, self.far, self._without)
        self.case = self._case(rows, counts, Simulation(self._far_numbers))
        if run is not None:
            self.case.kept["trained"] = run.trained()
        elif isinstance(self.source, ArrayRows) and not self.exact and self.case.steps <= WHOLE_RUN:
            self.exact = True
            self.case.kept["trained"] = trained(self.model, self.source.X, self.source.y, None)
        return self.case

    def _case(self, block: Block, counts: Array | None, train: Simulation | None = None) -> Case:
        return Case(
            block.rows[:, :-1], block.rows[:, -1], self.source.names, self.model, None, self.validation,
            rows=block.numbers, counts=counts, train=train,
        )  # fmt: skip

    def _without(self, kept: Block) -> Moments:
        """Return the moments of all rows but some."""
        alone = Moments.of(kept.rows)
        others = self.tally.moments - alone
        if not (np.diag(alone.products) > HIDDEN * np.maximum(np.diag(others.products), 0.0)).any():
            return others
        others = Moments.of(kept.rows[:0])
        for number in range(len(self.source)):
            block = complete(self.source.read(number))
            others = others + Moments.of(block.rows[~np.isin(block.numbers, kept.numbers)])
        return others

    def _looked(self, block: Block) -> Block:
        """Look for far rows among the complete rows of a block, and return these."""
        whole = complete(block)
        self.far.look(whole)
        return whole

    def _windows(self, text: str, size: int, prepare: Callable[[Block], Block] = complete) -> Iterator[Block]:
        rows = min(LARGEST_WINDOW, max(self.tally.count // FEWEST_WINDOWS, 1))
        order = np.random.default_rng(0) if self.model.shuffle else None
        for window in windows(self.source, max(rows // size, 1) * size, order, prepare):
            yield window
            self._move(len(window.rows), text)

    def proved(self, findings: Sequence[Finding]) -> list[Finding]:
        """Make the third pass: repeat the run on all rows with the first remedy of each finding.

        Parameters
        ----------
        findings : sequence of Finding
            What was found on the rows that stand for all.

        Returns
        -------
        list of Finding
            The same, with what their first remedies do to all rows.
        """
        runs: dict[int, ExactRun] = {}
        same: dict[str, int] = {}
        for place, finding in enumerate(findings):
            run = self._run_with(finding.remedies[0]) if self.exact and finding.remedies else None
            key = _key(finding.remedies[0]) if run else ""
            if run is not None and key not in same and len(runs) < MOST_PROVED:
                same[key] = place
                runs[place] = run
        if not runs:
            return list(findings)
        for window in self._windows("Trying remedies on all rows", self.case.batch_size):
            for run in runs.values():
                run.feed(window)
        outcomes = {key: _outcome(runs[place]) for key, place in same.items()}
        self.tried = len(outcomes)
        return [_with_proof(finding, outcomes) for finding in findings]

    def _run_with(self, remedy: Remedy) -> ExactRun | None:
        """Return the run on all rows with a remedy; None where it has to be left at the sample."""
        kept = self._far_numbers
        if remedy.after is None or remedy.scale_target or (remedy.drop_rows and self.far.count > len(kept)):
            return None  # not tried, not of the data alone, or of rows of which only some are known
        case = remedy.applied(self.case)
        if not linear(case.objective, case.model) or case.full_batch:
            return None
        run = ExactRun(case, self.tally.count, np.array(remedy.drop_rows, np.int64))
        return run if run.work <= MOST_WORK / MOST_PROVED else None

    def notes(self) -> Iterator[str]:
        """Yield how many rows there are, and what was computed on which of them.

        Yields
        ------
        str
            A sentence or a few.
        """
        rows = len(self.case.y) - len(self._far_numbers)
        yield (
            f"There are {self.tally.count} complete rows. Means, spreads, correlations, leverage, residuals and the "
            f"optimum come from all of them. Causes were looked for, and remedies tried, on a random sample of {rows} "
            "rows, brought to the means and covariances of all that it stands for"
            f"{self._and_far()}."
        )
        yield from self._about_the_run()

    def _and_far(self) -> str:
        kept, count = len(self._far_numbers), self.far.count
        if not kept:
            return ""
        return f", and on {f'{kept} of ' if count > kept else ''}the {count} rows that lie far from all others"

    def _about_the_run(self) -> Iterator[str]:
        case, steps = self.case, self.case.steps
        if self.exact and linear(case.objective, case.model):
            found = ["The run", *([f"{self.tried} of the remedies that were found"] if self.tried else [])]
            words = (
                f"{' and '.join(found)} {'were' if self.tried else 'was'} computed on all rows, exactly, in float64: "
            )
            words += f"{steps} steps"
            if reshuffles(case.model) and not case.full_batch:
                words += ", the rows shuffled once and taken in windows whose order is new in every epoch"
                words += ", and the smaller last batch as well" if case.count % case.batch_size else ""
            yield f"{words}."
        elif self.exact:
            yield f"The run was made on all rows; its remedies on the sample, up to {MOST_STEPS} of {steps} steps."
        elif linear(case.objective, case.model):
            yield f"The run was simulated on the sample: {steps} steps on all rows would take too long."
        else:
            yield (
                f"With {case.settings.optimizer!r} and {case.settings.loss!r} no run on all rows can be computed: what "
                f"is said of it is that of a run on the sample, of {min(steps, MOST_STEPS)} of its {steps} steps."
            )


def _outcome(run: ExactRun) -> Outcome:
    run.case.kept["trained"] = run.trained()
    return run.case.outcome


def _key(remedy: Remedy) -> str:
    """Return what a remedy changes: two that change the same have the same outcome."""
    return repr((remedy.steps, remedy.settings, remedy.scale_target, remedy.drop_rows))


def _with_proof(finding: Finding, outcomes: dict[str, Outcome]) -> Finding:
    """Return a finding with what its remedies do to all rows; those that cure come first."""
    remedies = [
        dataclasses.replace(remedy, after=outcomes.get(_key(remedy), remedy.after)) for remedy in finding.remedies
    ]
    if remedies != list(finding.remedies) and not cures(remedies[0]):
        remedies.sort(key=lambda remedy: not cures(remedy))
    return dataclasses.replace(finding, remedies=tuple(remedies))
