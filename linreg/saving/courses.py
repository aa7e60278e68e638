"""The course of a run, against which its checkpoint is held: a place or notes that it cannot have are refused.

A file from a stranger may say anything under a right digest. What decides how a run goes on is compared with the run
that asks for it, before anything of that run is changed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from linreg.archives import Archive, one_line
from linreg.callbacks import Callback
from linreg.saving.notes import read_note
from linreg.steps import State
from linreg.training import Position

BOOKED = ("loss", "learning_rate")
"""What the history of every run has."""
COUNTS = {"wait", "stopped_epoch", "best_epoch", "cooldown_counter", "epoch"}
OF_WHAT_IT_SAW = {"best", "best_weights"}
"""Notes of linreg's own callbacks: counts, and what comes of the number that is watched; others are parameters."""


@dataclass(frozen=True)
class Course:
    """How a run goes through its rows, as far as that is known before.

    Parameters
    ----------
    batch_size : int
        Rows in a batch.
    rows : int or None
        Rows of an epoch; None where every batch is as long as it comes.
    window : int
        Rows of each part of an epoch but the last; rows in memory are one part.
    epoch, iterations : int, default=0
        Epochs and steps before it begins.
    booked : int, default=0
        Entries of its history before it begins.
    validated : bool, default=False
        Whether a loss on validation data is in the history.
    """

    batch_size: int
    rows: int | None
    window: int
    epoch: int = 0
    iterations: int = 0
    booked: int = 0
    validated: bool = False

    @property
    def batches(self) -> int | None:
        """Batches of an epoch."""
        return None if self.rows is None else -(-self.rows // self.batch_size)

    def check(self, found: Archive, saved: State, at: Position, history: Mapping[str, list[float]]) -> None:
        """Refuse a file in which a run stands where this one cannot.

        Parameters
        ----------
        found : Archive
            The file.
        saved : State
            The state in the file.
        at : Position
            The place in the file.
        history : mapping of str to list of float
            The history in the file.

        Raises
        ------
        ArchiveError
            If it does not fit.
        """
        ended = found.part(found.document, "ended")
        if type(ended) is not bool:
            found.refuse("it does not say whether it has ended")
        if not self._has(at):
            found.refuse("the place where it stands is none of its run")
        done = saved.epoch - self.epoch
        if done < 0 or (at.ahead and (done or at.begun)):
            found.refuse("its epochs are not those of its run")
        if not self._takes(saved.iterations - self.iterations, done, at, ended=ended):
            found.refuse(f"{saved.iterations} steps are not those of {done} epochs and {at.batches} batches of its run")
        self._check_history(found, history, self.booked + done + at.ahead)

    def _has(self, at: Position) -> bool:
        """Whether a run can be kept there."""
        if not at.begun:
            return (at.window, at.batch, at.batches, at.rows, at.loss_sum) == (0, 0, 0, 0, 0)
        if self.rows is None:  # each part is one batch
            return at.batches == at.window + at.batch and at.batch <= 1 and at.rows >= at.batches
        in_part, most = -(-self.window // self.batch_size), self.batches or 0
        within = at.batches < most and at.batch <= in_part and at.rows == at.batches * self.batch_size
        return within and at.batches == at.window * in_part + at.batch and (at.batches > 0 or at.loss_sum == 0)

    def _takes(self, steps: int, done: int, at: Position, *, ended: bool) -> bool:
        """Whether so many epochs and the batches after them are so many steps; the last epoch may have been cut."""
        if self.batches is None:
            return steps >= done + at.batches
        cut = self.batches - 1 if ended and done and not at.begun else 0
        return 0 <= done * self.batches + at.batches - steps <= cut

    def _check_history(self, found: Archive, history: Mapping[str, list[float]], entries: int) -> None:
        expected = (*BOOKED, *(["val_loss"] if self.validated else [])) if entries else ()
        absent = next((name for name in expected if name not in history), None)
        if absent is not None:
            found.refuse(f"its history has no {absent!r}")
        other = next((name for name, values in history.items() if len(values) != entries), None)
        if other is not None:
            found.refuse(f"its history of {one_line(repr(other), 60)} has not one entry for each of {entries} epochs")


def read_notes(
    found: Archive, plain: Any, callbacks: Sequence[Callback], saved: State, seen: Mapping[str, list[float]]
) -> list[dict[str, Any]]:
    """Return what callbacks have noted.

    Parameters
    ----------
    found : Archive
        The file.
    plain : object
        Plain values, one for each callback.
    callbacks : sequence of Callback
        The callbacks.
    saved : State
        The state in the file.
    seen : mapping of str to list of float
        The history since the run has begun.

    Returns
    -------
    list of dict
        Notes by their names, one for each callback.

    Raises
    ------
    ArchiveError
        If they are not those of these callbacks.
    """
    if not isinstance(plain, list) or len(plain) != len(callbacks):
        found.refuse("its callbacks are not those of this run")
    notes, own = [], [type(callback).__module__.startswith("linreg.") for callback in callbacks]
    for callback, of_one, is_own in zip(callbacks, plain, own, strict=True):
        noted, name = read_note(found, of_one), type(callback).__name__
        if not isinstance(noted, dict):
            found.refuse("a callback has noted nothing")
        if type(callback).get_state is Callback.get_state:
            found.check_names(noted, callback.remembers, f"note of {name}")
        for note, value in noted.items() if is_own else ():
            known = seen if all(own) else None  # one of another's may have changed what is booked
            if not _can_note(callback, note, value, saved, known):
                found.refuse(f"{name} cannot have noted {one_line(repr(value), 60)} as {note!r}")
        notes.append(noted)
    return notes


def _can_note(callback: Any, name: str, value: Any, saved: State, seen: Mapping[str, list[float]] | None) -> bool:
    """Whether one of linreg's own callbacks can have noted a value: a count, parameters, or the best that it saw."""
    if name in COUNTS:
        most = callback.cooldown if name == "cooldown_counter" else saved.epoch
        return type(value) is int and 0 <= value <= most
    if name in OF_WHAT_IT_SAW and (value is None or name == "best"):
        return _can_be_best(callback, name, value, saved.epoch, seen)
    like = saved.parameters
    return isinstance(value, np.ndarray) and (value.shape, value.dtype) == (like.shape, like.dtype)


def _can_be_best(callback: Any, name: str, value: Any, epoch: int, seen: Mapping[str, list[float]] | None) -> bool:
    """Whether a value, or None, can be the best of the losses that were seen, or parameters of that moment missing."""
    if value is not None and type(value) not in (int, float):
        return False
    if seen is None or callback.monitor not in ("loss", "val_loss"):
        return True
    losses = seen.get(callback.monitor, [])
    skipped = max(0, getattr(callback, "start_from_epoch", 0) - (epoch - len(losses)))
    if value is None:
        kept = name == "best" or callback.restore_best_weights
        return not kept or all(loss != loss for loss in losses[skipped:])
    return any(loss == value or (loss != loss and value != value) for loss in losses[skipped:])
