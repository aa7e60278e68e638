"""Checkpoints: a run in a file while it lasts, from which another process goes on as if nothing had happened.

A checkpoint says where in an epoch it stands: the epoch, the batches of it that are done, what they add up to, and the
generator as it was before the order of this epoch was drawn. So a run goes on in the middle of an epoch, also one whose
batches are windows of rows that are read from elsewhere.
"""

from __future__ import annotations

import copy
import math
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from linreg.archives import Archive, ArchiveError, read_archive, write_archive
from linreg.batches import Problem
from linreg.callbacks import Callback
from linreg.locks import locked
from linreg.saving.courses import Course, read_notes
from linreg.saving.fingerprints import Begun, differences, digest_of_rows
from linreg.saving.notes import plain_notes
from linreg.saving.plain import Packer
from linreg.saving.states import (
    plain_history,
    plain_position,
    plain_state,
    read_history,
    read_position,
    read_state,
    take_over,
)
from linreg.steps import State
from linreg.training import Position, Run
from linreg.whole_files import NotWrittenError, file_path, previous, remove_leftovers

KIND, FORMAT = "linreg checkpoint", 1
PARTS = ("kind", "format", "of", "state", "place", "window", "history", "callbacks", "ended")


class Checkpoint:
    """The file that keeps a run; a `linreg.training.Keeper`.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    every : float
        How often it is written.
    unit : {"epochs", "seconds"}
        What `every` counts.
    fingerprint : mapping
        Whose it is, see `linreg.saving.fingerprints`.
    callbacks : sequence of Callback
        Callbacks whose notes are kept.
    course : Course
        How the run goes through its rows from where it has begun.
    last : Begun, optional
        How the last run of the model began. The file of that run is gone on with, but by a warm start after its end,
        which is a run of its own.

    Attributes
    ----------
    found : Archive or None
        What lay there before.
    """

    def __init__(
        self,
        path: Path,
        every: float,
        unit: str,
        fingerprint: Mapping[str, Any],
        callbacks: Sequence[Callback],
        course: Course,
        last: Begun | None = None,
    ) -> None:
        self.path, self.found = path, _found(path)
        self._epochs, self._seconds = (every, math.inf) if unit == "epochs" else (math.inf, every)
        self._fingerprint, self._callbacks, self._course = fingerprint, callbacks, course
        self._written, self._epoch = time.monotonic(), course.epoch
        self._kept: tuple[int, int, int, bool] | None = None
        self._window: str | None = None
        self._notes: list[dict[str, Any]] = []
        if self.found is not None:
            self._check(self.found, last)

    def _check(self, found: Archive, last: Begun | None) -> None:
        of = found.document.get("of")
        changed = differences(of, self._fingerprint)
        if changed and last is not None and last.path == os.path.abspath(self.path):
            going_on = self._fingerprint["start"] is not None
            former = last.fingerprint(self._fingerprint, going_on=going_on)
            if not differences(of, former):
                if last.ended and going_on:
                    self.found = None
                else:
                    self._fingerprint, self._course = former, last.course if going_on else self._course
                return
        if changed:
            self._refuse("; ".join(changed))

    def begun(self, *, ended: bool) -> Begun:
        """Return how the run began, and whether it was run to its end."""
        of = self._fingerprint
        return Begun(os.path.abspath(self.path), of["start"], of["settings"]["random_state"], self._course, ended)

    def _refuse(self, changed: str) -> NoReturn:
        raise ValueError(
            f"{str(self.path)!r} is the checkpoint of another run: {changed}. Give what that run was given, another "
            "file, or remove this one."
        )

    # Going on.

    def bring_back(self, found: Archive, state: State) -> tuple[int, Position, dict[str, list[float]]]:
        """Bring a run to where the file has it.

        Parameters
        ----------
        found : Archive
            What was found.
        state : State
            The state of the run before its first step, which is changed.

        Returns
        -------
        done : int
            Epochs that are done.
        position : Position
            Where in the next one it stands.
        history : dict of str to list of float
            The history.

        Raises
        ------
        ArchiveError
            If the file does not hold the run that it says.
        """
        with found.reading():
            saved, at, history = self._read(found, state)
            if not take_over(state, saved):
                found.refuse("its state is that of another run")
        done = state.epoch - self._course.epoch + at.ahead
        if at.begun or at.ahead:
            at.generator = copy.deepcopy(state.generator)
        self._epoch = state.epoch + at.ahead
        self._kept = state.iterations, self._epoch, at.batches, found.document["ended"]
        return done, at, history

    def _read(self, found: Archive, start: State) -> tuple[State, Position, dict[str, list[float]]]:
        """Return state, place and history; whatever the run cannot have is refused before anything of it is changed."""
        document = found.document
        # Files of runs that always had their rows in memory name no window.
        found.check_names({"window": None, **document}, PARTS, "document")
        saved = read_state(found, document["state"], start.learning_rate)
        at = read_position(found, document["place"])
        history = read_history(found, document["history"])
        self._course.check(found, saved, at, history)
        seen = {name: values[self._course.booked :] for name, values in history.items()}
        self._notes = read_notes(found, document["callbacks"], self._callbacks, saved, seen)
        self._window = document.get("window")
        if not isinstance(self._window, str | None):
            found.refuse("it does not say among which rows it stands")
        found.check_all_taken()
        return saved, at, history

    def restore(self, run: Run) -> bool:
        """Bring callbacks to where they stood; return whether they had ended the run."""
        plain_notes(Packer(), self._callbacks)  # what no file can hold is to be known before the first step
        if self.found is None:
            return False
        with self.found.reading():
            for callback, noted in zip(self._callbacks, self._notes, strict=True):
                callback.set_state(noted)
        run.stop_training, self.found = self.found.document["ended"], None
        return run.stop_training and not run.position.begun

    def meets(self, window: Problem | None) -> None:
        """Refuse rows that are not those among which the run was kept; None where there are no more.

        Parameters
        ----------
        window : Problem or None
            The rows.

        Raises
        ------
        ValueError
            If they are others.
        """
        if window is None:
            self._refuse("the rows of an epoch end before the place where it stands")
        if digest_of_rows(window) != self._window:
            self._refuse("the rows at the place where it stands are others")

    # Keeping.

    def due_epoch(self, epoch: int) -> float:
        """Return after which epoch the run is to be kept next."""
        return max(self._epoch + self._epochs, epoch + 1)

    def due(self, run: Run) -> bool:
        """Return whether it is to be kept now."""
        if time.monotonic() - self._written >= self._seconds:
            return True
        return not run.position.begun and run.state.epoch + run.position.ahead >= self._epoch + self._epochs

    def keep(self, run: Run) -> None:
        """Write the file, unless it holds the run as it is.

        Parameters
        ----------
        run : Run
            The run, between two chunks.

        Raises
        ------
        OSError
            If the file cannot be written; the one before it stays as it was.
        """
        state, at = run.state, run.position
        epoch = state.epoch + at.ahead
        now = (state.iterations, epoch, at.batches, run.stop_training)
        if now == self._kept:
            return
        packer = Packer()
        if at.generator is not None:
            state = copy.copy(state)
            state.generator = at.generator
        document = {
            "kind": KIND,
            "format": FORMAT,
            "of": self._fingerprint,
            "state": plain_state(packer, state),
            "place": plain_position(packer, at),
            "window": None if run.window is None or not at.batches else digest_of_rows(run.window),
            "history": plain_history(packer, run.history),
            "callbacks": plain_notes(packer, self._callbacks),
            "ended": run.stop_training,
        }
        try:
            write_archive(self.path, document, packer.arrays, keep_previous=True)
        except NotWrittenError as error:
            kept = f"it holds the run after epoch {self._epoch}" if self.path.is_file() else "there is none yet"
            raise OSError(
                f"The checkpoint {str(self.path)!r} cannot be written ({error.reason}), so the run was stopped after "
                f"epoch {epoch}; {kept}. Make it writable, then give the same again to go on from there."
            ) from None
        self._written, self._epoch, self._kept = time.monotonic(), epoch, now

    def words(self, run: Run) -> str:  # noqa: ARG002 (others may tell more)
        """Say how to go on with the run."""
        return f"{str(self.path)!r} holds the run: give the same again to go on from there."


@contextmanager
def kept(path: str | os.PathLike[str], *what: Any) -> Iterator[Checkpoint]:
    """Hold the file of a checkpoint while a run lasts.

    Parameters
    ----------
    path : path
        The file.
    *what : object
        The other arguments of `Checkpoint`.

    Yields
    ------
    Checkpoint
        The checkpoint.

    Raises
    ------
    OSError
        If the file or its folder cannot be read or written.
    BlockingIOError
        If another run holds it.
    ValueError
        If it is damaged, or is the checkpoint of another run.
    """
    file = file_path(path, "run.npz")
    if previous(file).is_dir():
        raise IsADirectoryError(
            f"{str(previous(file))!r} is a folder, but the checkpoint before the last one is kept there: move it away, "
            "or choose another file."
        )
    with locked(file, "the checkpoint of a run"):
        remove_leftovers(file)
        yield Checkpoint(file, *what)


def _found(path: Path) -> Archive | None:
    """Return what lies at a path, None if there is nothing."""
    if not path.exists():
        return None
    try:
        found = read_archive(path, KIND)
        check_format(found, FORMAT)
    except ArchiveError as error:
        other = previous(path)
        way = f" The one before it is {str(other)!r}: rename it to go on from there." if other.is_file() else ""
        raise ArchiveError(f"{error}{way}") from None
    return found


def check_format(found: Archive, known: int) -> None:
    """Refuse an archive of a later format.

    Parameters
    ----------
    found : Archive
        The archive.
    known : int
        The latest format that is known.

    Raises
    ------
    ArchiveError
        If its format is a later one.
    """
    given = found.document.get("format")
    if type(given) is not int or given < 1:
        found.refuse("it does not say in which format it is")
    if given > known:
        found.refuse(f"it is in format {given} of a later linreg, and this one reads up to {known}: upgrade linreg")
