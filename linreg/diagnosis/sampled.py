"""A run on many rows, simulated from a few: a random sample that stands for most rows, and the far rows themselves."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from linreg.callbacks import Callback, Logs
from linreg.dynamics.epoch_map import Epoch, require_linear
from linreg.dynamics.quadratic import Quadratic
from linreg.dynamics.windows import AT_ONCE, Windows, map_of, maps_of, product
from linreg.precision import FLOAT64
from linreg.regression import LinearRegression
from linreg.seeds import KerasSeed

Array = Any

OWNER = "diagnose"
MOST_STEPS = 30_000
"""Steps of a run that has to be made one after the other."""
WIDEST = 250
"""Width of a state up to which the map of a batch costs less than its steps."""
PIECES, CLUSTERS = 32, 64
"""Windows of a simulated epoch, and groups in which the far rows come in it."""
LAST_BATCHES = 32
"""Batches of which each epoch takes one as its last, where that is smaller than the others."""
MOST_EVENTS = 1000
"""Batches with a far row in an epoch that are made one by one."""
IN_EACH_SAMPLE = 8
"""So many batches make up a sample, at least, if their noise is to be seen in it."""


class _First(Callback):
    """Keeps the parameters before the first step."""

    parameters: Array

    def on_train_begin(self, logs: Logs) -> None:  # noqa: ARG002 (the loss is not known yet)
        self.parameters = self.run.get_weights()


def start(model: LinearRegression, features: int) -> Array:
    """Return the parameters that a model starts from.

    Parameters
    ----------
    model : LinearRegression
        The model; it is not changed.
    features : int
        Columns of the data.

    Returns
    -------
    array of shape (parameters,)
        Kernel and bias, in the arithmetic of the model.
    """
    first = _First()
    copy = LinearRegression(**model.get_params(deep=False))
    copy.set_params(callbacks=(first,), epochs=1, verbose=0, warm_start=False, engine="numpy")
    copy.fit(np.zeros((1, features)), np.zeros(1))
    return first.parameters


def linear(problem: Quadratic, model: LinearRegression) -> bool:
    """Whether every step of a run is one and the same affine map of its batch."""
    optimizer = model.settings().optimizer
    try:
        require_linear(problem, optimizer, OWNER)
    except (TypeError, ValueError):
        return False
    width = problem.size * (1 + len(optimizer.rule(FLOAT64).state)) + 1
    return not callable(optimizer.learning_rate) and not tuple(model.callbacks) and width <= WIDEST


def reshuffles(model: LinearRegression) -> bool:
    """Whether every epoch has an order of its own."""
    return bool(model.shuffle) and not isinstance(model.random_state, KerasSeed)


@dataclass(frozen=True, eq=False)
class Simulation:
    """Makes the run of a case whose rows stand for many: its `train`.

    Parameters
    ----------
    far : array of int
        Numbers of the rows that stand for themselves alone.
    """

    far: Array

    def __call__(self, case: Any) -> tuple[Array, Array]:
        """Return the parameters before the first and after each epoch, and those of the fitted model.

        Parameters
        ----------
        case : Case
            The case; its `counts` tell how many rows each row stands for.

        Returns
        -------
        path : array of shape (parameters, epochs + 1)
            Parameters. Of a run that has to be made step by step, with as many columns as could be made.
        fitted : array of shape (parameters,)
            The last of them.
        """
        if not linear(case.objective, case.model):
            return self._by_steps(case)
        begin = start(case.model, case.X.shape[1])
        generator = np.random.default_rng(0)
        found = self._windows(case, generator)
        order = generator if reshuffles(case.model) else None
        return as_trained(found.path(begin.astype(np.float64), int(case.model.epochs), order), begin.dtype)

    def _windows(self, case: Any, generator: np.random.Generator) -> Windows:
        """Return an epoch: so many steps on batches of the sample as the data have, and one on each far row."""
        size, steps = case.batch_size, case.count // case.batch_size
        epoch = Epoch(case.objective, case.settings.optimizer, size, OWNER, all_directions=True)
        rows = np.column_stack([case.objective.matrix, case.y])
        is_far = np.isin(case.row_numbers, self.far)
        near, far = rows[~is_far], rows[is_far]
        times = np.round(case.counts[is_far]).astype(int)
        last = case.count % size
        if size * IN_EACH_SAMPLE > len(near):
            # Batches so large hardly differ: each is taken as all rows.
            whole = math.sqrt(_share_of_all(case)) * case.objective.weighted_rows()
            step = epoch.run(np.eye(epoch.width), [whole], [float(case.settings.optimizer.learning_rate)])
            pieces = [len(part) for part in np.array_split(np.arange(steps), min(steps, PIECES))]
            return Windows(
                np.stack([np.linalg.matrix_power(step, k) for k in pieces]), step[np.newaxis] if last else None
            )
        if case.model.shuffle:
            near = near[generator.permutation(len(near))]
        batches = len(near) // size
        if times.sum() > MOST_EVENTS:
            # So many far rows that the sample would have its share of them: one here and there in a batch.
            share = times / times.sum()
            drawn = generator.choice(len(far), min(round(times.sum() * batches / steps), batches), p=share)
            near = near.copy()
            near[generator.choice(batches, len(drawn), replace=False) * size] = far[drawn]
            far, times = far[times == 1], times[times == 1]
        far = np.repeat(far, times, axis=0)
        groups = [
            map_of(epoch, part.reshape(-1, near.shape[1]), size)
            for part in np.array_split(
                near[: batches * size].reshape(batches, size, -1), min(batches, PIECES)
            )
        ]  # fmt: skip
        with np.errstate(all="ignore"):
            events = _far_maps(epoch, near, far, size, generator)
            maps = (_pieces if case.model.shuffle else _in_order)(groups, events, batches, steps, generator)
        ends = (
            generator.integers(len(near), size=(LAST_BATCHES, last))
            if case.model.shuffle
            else np.arange(last)[None] - last
        )
        return Windows(maps, maps_of(epoch, near[ends]) if last else None)

    def _by_steps(self, case: Any) -> tuple[Array, Array]:
        """Run on the sample, as many steps as the data would take, up to a bound."""
        from linreg.diagnosis.cases import trained

        size, rows = min(case.batch_size, len(case.y)), len(case.y)
        in_sample, in_all = -(-rows // size), -(-case.count // case.batch_size)
        epochs = int(case.model.epochs)
        made = max(1, min(epochs * in_all, MOST_STEPS) // in_sample)
        weight = case.counts * (rows / case.counts.sum())
        model = LinearRegression(**case.model.get_params(deep=False))
        model.set_params(epochs=made, batch_size=size)
        path, fitted = trained(model, case.X, case.y, weight if np.ptp(weight) else None)
        if made >= epochs:
            return path[:, np.unique(np.linspace(0, path.shape[1] - 1, epochs + 1).round().astype(int))], fitted
        return path, fitted


def as_trained(path: Array, dtype: Any) -> tuple[Array, Array]:
    """Return a path up to where an arithmetic cannot hold it any more, and its end."""
    with np.errstate(over="ignore"):
        held = np.isfinite(path.astype(dtype)).all(axis=0)
    end = len(held) if held.all() else int(np.argmin(held)) + 1
    path = np.where(held, path, np.nan)[:, :end]
    return path, path[:, -1]


def _share_of_all(case: Any) -> float:
    """Return by what the loss of one batch is smaller than that of all rows, if it is a sum."""
    return case.batch_size / case.count if case.settings.loss.reduction == "sum" else 1.0


def _far_maps(epoch: Epoch, near: Array, far: Array, size: int, generator: np.random.Generator) -> list[Array]:
    """Return what the far rows do, each in a batch with rows of the sample, in a few groups, in their order."""
    if not len(far):
        return []
    stack = near[generator.integers(len(near), size=(len(far), size))]
    stack[:, 0] = far
    maps = np.concatenate([maps_of(epoch, stack[i : i + AT_ONCE]) for i in range(0, len(far), AT_ONCE)])
    return [product(part) for part in np.array_split(maps, min(len(maps), CLUSTERS))]


def _in_order(groups: list[Array], far: list[Array], batches: int, steps: int, _: np.random.Generator) -> Array:
    """Return the windows of an epoch that goes through the rows as they are: each group as often as it stands for."""
    often = max(1, round(steps / batches))
    maps = [np.linalg.matrix_power(group, often) for group in groups]
    for j, event in enumerate(far):
        place = j * len(maps) // len(far)
        maps[place] = event @ maps[place]
    return np.stack(maps)


def _pieces(groups: list[Array], far: list[Array], batches: int, steps: int, generator: np.random.Generator) -> Array:
    """Return the windows of an epoch: the groups of the sample again and again, and what is far somewhere between."""
    many = len(groups)
    powers = [product(np.stack(groups))]
    first = [np.eye(len(groups[0]))]
    for group in groups:
        first.append(group @ first[-1])
    units = max(many, round(steps * many / batches))

    def stretch(length: int, end: Array) -> Array:
        """Return so many groups, the last of them a given one."""
        whole, rest = divmod(length - 1, many)
        matrix = first[rest]
        for digit in range(whole.bit_length()):
            if digit == len(powers):
                powers.append(powers[-1] @ powers[-1])
            if whole >> digit & 1:
                matrix = powers[digit] @ matrix
        return end @ matrix

    where, far = generator.integers(many, size=len(far)), [far[j] for j in generator.permutation(len(far))]
    maps = []
    for i, part in enumerate(np.array_split(np.arange(units), many)):
        length, matrix = len(part), np.eye(len(groups[0]))
        inside = [far[j] for j in np.flatnonzero(where == i).tolist()]
        cuts = np.sort(generator.integers(1, length + 1, size=len(inside))).tolist()
        done = 0
        for cut, event in zip([*cuts, length], [*inside, None], strict=True):
            if cut > done:
                matrix, done = stretch(cut - done, groups[i]) @ matrix, cut
            if event is not None:
                matrix = event @ matrix
        maps.append(matrix)
    return np.stack(maps)
