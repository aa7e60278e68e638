"""`engine="dask"`: runs over blocks of rows that stay where they lie; only parameters, moments and maps travel.

- Full batches of a squared error: the moments of all rows are summed once (`linreg.gram`), and the run is the ordinary
  one on the few rows that stand for them.
- Minibatches of a squared error with SGD: an epoch is the product of the affine maps of its batches, computed block by
  block and put together as a tree (`linreg.dynamics.stretches`): `BlockRun`.
- Anything else: one reduction a step, of the gradients of its rows; `BlockRun`, too.

Dask does all of the distribution. It runs on the client that is connected (`dask.distributed.Client(...)`), or in
threads where there is none; what a lost worker held, it computes anew.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from linreg.batches import Batches, Problem
from linreg.callbacks import Logs
from linreg.data.arrays import design_matrix, refuse_all_zero
from linreg.data.blocks import Block
from linreg.data.dask_rows import DaskRows, dask, summed
from linreg.devices import HOST
from linreg.dynamics.stretches import Steps, Stretch
from linreg.gram import gather
from linreg.losses import Loss, MeanSquaredError, divisor, row_factor
from linreg.optimizers import Optimizer
from linreg.precision import FLOAT64
from linreg.regularizers import Regularizer
from linreg.settings import Settings
from linreg.steps import Rates, bind_step
from linreg.training import Run, as_logged

Array = Any

OWNER = 'LinearRegression with engine="dask"'
WIDEST = 250
"""Width of a state up to which the maps of batches cost less than their steps."""
STEPS_AT_ONCE = 16
"""Steps between two looks at the keyboard: some tenths of a second."""


@dataclass(frozen=True)
class BlockProblem(Problem):
    """What is trained on, in blocks that Dask holds.

    Parameters
    ----------
    matrix, target, weight, batch_size, kernel_size : object
        As of any `Problem`, but that there are no rows here.
    blocks : tuple of Delayed
        Each gives a `Problem` of its rows.
    lengths : tuple of int
        Rows of each.
    weighted : bool
        Whether rows have weights.
    """

    blocks: tuple[Any, ...]
    lengths: tuple[int, ...]
    weighted: bool

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return sum(self.lengths)

    def each(self, function: Callable[[Problem], Any]) -> list[Any]:
        """Return what a function says of each block, taken where it lies."""
        take = dask().delayed(function)
        return list(dask().compute(*map(take, self.blocks)))

    @property
    def starts(self) -> Array:
        """First row of each batch."""
        return np.arange(0, self.rows, self.batch_size)


def problem_on_dask(
    X: Any, y: Any, sample_weight: Any, settings: Settings, *, batch_size: int, shuffle: bool, intercept: bool
) -> tuple[Problem, list[str] | None]:
    """Return what is trained on, and the names of the features.

    Parameters
    ----------
    X, y, sample_weight : object
        As `DaskRows.of` takes them.
    settings : Settings
        Loss and arithmetic of the run.
    batch_size : int
        Rows in a batch.
    shuffle : bool
        Whether each epoch is to have its own order.
    intercept : bool
        Whether there is one.

    Returns
    -------
    problem : Problem
        The few rows that stand for all, where moments are enough; else blocks, which Dask then holds.
    names : list of str or None
        Names, where there are any.

    Raises
    ------
    TypeError
        If the data are not Dask's, or hold something that is no number.
    ValueError
        If the run is none of float64 in the order of the rows, or the data do not fit.
    """
    if settings.precision is not FLOAT64:
        raise ValueError(f'{OWNER} computes in float64: set dtype="float64" too.')
    data = DaskRows.of(X, y, sample_weight)
    names = None if data.names is None else list(data.names)
    if batch_size >= data.count and isinstance(settings.loss, MeanSquaredError):
        return gather(data).problem(settings, batch_size, intercept=intercept), names
    if shuffle and batch_size < data.count:
        raise ValueError(
            f"{OWNER} leaves the rows where they are, in their order: set shuffle=False, or batch_size={data.count} "
            "for full batches."
        )
    blocks = dask().persist(*data.each(in_place, intercept))
    nothing = np.empty((0, data.features + bool(intercept)))
    problem = BlockProblem(
        nothing, np.empty(0), None, batch_size, data.features, blocks, data.lengths, data.weighted
    )  # fmt: skip
    if data.weighted:
        refuse_all_zero(any(problem.each(weighs)), "sample_weight")
    return problem, names


def in_place(block: Block, intercept: bool) -> Problem:
    """Return a block as training reads it; this runs where the block lies."""
    matrix = design_matrix(block.rows[:, :-1], intercept)
    target, features = block.rows[:, -1].copy(), block.rows.shape[1] - 1
    return Problem(np.ascontiguousarray(matrix), target, block.weight, len(target), features)


def weighs(block: Problem) -> bool:
    """Whether a row of a block has a weight above 0; this runs where the block lies."""
    return bool(np.any(block.weight))


def dask_run(problem: Problem, *arguments: Any, **more: Any) -> Run:
    """Return what executes a run on Dask; parameters are those of `Run`.

    Parameters
    ----------
    problem : Problem
        What `problem_on_dask` returned.
    *arguments, **more : object
        The others.

    Returns
    -------
    Run
        The fastest run that is exact.
    """
    kind = BlockRun if isinstance(problem, BlockProblem) else Run
    return kind(problem, *arguments, **more)


class _Cuts:
    """How the rows of an epoch are cut into batches, where no batch is ever here."""

    many = False

    def __init__(self, problem: BlockProblem) -> None:
        self.starts = problem.starts
        self.ends = np.minimum(self.starts + problem.batch_size, problem.rows)
        self.rows = (self.ends - self.starts).astype(np.float64)
        self.at_once = len(self.starts)
        edges = np.cumsum([0, *problem.lengths])
        self._first, self._end = edges[:-1], edges[1:]

    def __len__(self) -> int:
        return len(self.starts)

    def reorder(self, generator: np.random.Generator) -> None:
        """Leave the rows in their order."""

    def pieces(self, batch: int) -> list[tuple[int, int, int]]:
        """Return the rows of a batch as (block, first row in it, end in it)."""
        start, end = int(self.starts[batch]), int(self.ends[batch])
        held = range(np.searchsorted(self._end, start, "right"), np.searchsorted(self._first, end))
        return [
            (block, max(start - int(self._first[block]), 0), int(min(end, self._end[block]) - self._first[block]))
            for block in held
        ]


class BlockRun(Run):
    """A run on blocks: whole epochs as one affine map where they are one, else steps made here, a reduction each."""

    problem: BlockProblem
    loss: Loss
    regularizer: Regularizer | None
    optimizer: Optimizer

    def _bind_loop(self) -> None:
        """Bind what the loop itself needs."""
        self._batches: Any = _Cuts(self.problem)
        self._step = bind_step(self.optimizer, self.precision, self.problem.kernel_size, HOST)
        self._rates = Rates(self.optimizer, self.precision, HOST)
        self._steps_at_once = STEPS_AT_ONCE
        self._mapped: Stretch | None = None
        self._is_linear = self._linear()

    def _linear(self) -> bool:
        """Whether every step is one and the same affine map of its batch, and nobody looks on between steps."""
        if callable(self.state.learning_rate) or self.callbacks.watches_batches:
            return False
        try:
            return self._steps_of_now().epoch().width <= WIDEST
        except (TypeError, ValueError):
            return False

    def _steps_of_now(self) -> Steps:
        """Return the steps of an epoch at the learning rate of now."""
        problem = self.problem
        optimizer = dataclasses.replace(self.optimizer, learning_rate=self.state.learning_rate)
        return Steps(
            self.loss, self.regularizer, optimizer, problem.batch_size, problem.kernel_size, problem.matrix.shape[1],
            problem.rows, problem.weighted, OWNER,
        )  # fmt: skip

    def _epoch(self, epoch: int) -> Logs:
        if not self._is_linear:
            return super()._epoch(epoch)
        self.callbacks.call("on_epoch_begin", epoch, {})
        mapped, state = self._epoch_map(), self.state
        before = np.concatenate([state.parameters, *state.slots, [1.0]])
        loss = float(np.square(mapped.booked @ before).sum())
        parts = np.split((mapped.matrix @ before)[:-1], 1 + len(state.slots))
        state.parameters, state.slots = parts[0], parts[1:]
        state.iterations += len(self._batches)
        return self._end_epoch(epoch, loss, self.learning_rate)

    def _epoch_map(self) -> Stretch:
        """Return the map of an epoch at the learning rate of now; a callback may have changed it."""
        steps = self._steps_of_now()
        if self._mapped is None or self._mapped.steps != steps:
            take, first = dask().delayed(block_stretch), np.cumsum([0, *self.problem.lengths]).tolist()
            parts = [take(block, steps, start) for block, start in zip(self.problem.blocks, first, strict=False)]
            self._mapped = dask().compute(summed(parts))[0].ended()
        return self._mapped

    def _chunk(self, first: int, last: int) -> Array:
        """Run the batches from `first` up to `last` of the epoch, and return their losses."""
        state, kernel, losses = self.state, slice(0, self.problem.kernel_size), np.empty(last - first)
        pairs = self._rates.pairs(state.learning_rate, state.iterations, last - first)
        for batch, (rate, lr) in enumerate(pairs, first):
            losses[batch - first], g = self._gradient(batch)
            if self._penalty is not None:
                w = state.parameters[kernel]
                losses[batch - first] += self._penalty[0](w)
                g[kernel] += self._penalty[1](w)
            self._step(state, g, rate, lr)
            state.iterations += 1
        self._last_learning_rate = as_logged(self._rates.last)
        return losses

    def _gradient(self, batch: int) -> tuple[float, Array]:
        """Return the loss of a batch and its gradient, without a penalty."""
        take, blocks = dask().delayed(batch_sums), self.problem.blocks
        pieces = self._batches.pieces(batch)
        taken = [take(blocks[block], start, end, self.state.parameters, self.loss) for block, start, end in pieces]
        (sums,) = dask().compute(summed(taken))
        count = sum(end - start for _, start, end in pieces)
        weight = sums[-1:] if self.problem.weighted else None
        factor = row_factor(self.precision.number, divisor(self.loss.reduction, count, weight))
        return factor * sums[-2], factor * sums[:-2]


def batch_sums(block: Problem, start: int, end: int, parameters: Array, loss: Loss) -> Array:
    """Return what some rows of a block add to a step; this runs where the block lies.

    Parameters
    ----------
    block : Problem
        The block.
    start, end : int
        Which of its rows.
    parameters : array of shape (parameters,)
        Where the run stands.
    loss : Loss
        The loss.

    Returns
    -------
    array of shape (parameters + 2,)
        Sums over the rows: the gradient, the loss, the weight.
    """
    weight = None if block.weight is None else block.weight[start:end]
    rows = Problem(block.matrix[start:end], block.target[start:end], weight, end - start, block.kernel_size)
    loss = dataclasses.replace(loss, reduction="sum")  # type: ignore[type-var]
    constants = loss.constants(FLOAT64.number)
    batches, gradient = Batches(rows, False, loss, FLOAT64, parameters), np.empty_like(parameters)
    with np.errstate(all="ignore"):  # a diverging run overflows, here as in one process
        ((predict, add_up, target, error, factor),) = batches.views(0, 1)
        predict(parameters, error)
        np.subtract(error, target, error)
        add_up(loss.slope(error, factor, *constants), gradient)
        (value,) = batches.losses(0, 1, constants)
    return np.append(gradient, [value, end - start if weight is None else weight.sum()])


def block_stretch(block: Problem, steps: Steps, first: int) -> Stretch:
    """Return what the batches of a block do; this runs where the block lies.

    Parameters
    ----------
    block : Problem
        The block.
    steps : Steps
        The steps.
    first : int
        Number of its first row.

    Returns
    -------
    Stretch
        The maps.
    """
    return Stretch.of(steps, np.column_stack([block.matrix, block.target]), block.weight, first)
