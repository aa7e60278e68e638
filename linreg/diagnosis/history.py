"""What a loss history alone can show: no data, no settings, and so no optimum to compare with.

A finding has a cause only where the curve proves one; else its cause is empty and its words say what may be behind it.
"""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from linreg.diagnosis.cases import Outcome
from linreg.diagnosis.diagnosis import Diagnosis
from linreg.diagnosis.findings import Finding
from linreg.diagnosis.remedies import Remedy
from linreg.hyperparameters import nearest

Array = Any

MOVED = 0.01
"""Share of the whole fall that still counts as a movement: the 1 % at which a run counts as arrived."""
FLAT = 1e-3
"""Relative change of the loss over a whole run that counts as none."""
AT_VARIANCE = 1e-4
"""Relative distance from the variance of y that is rounding: that of a mean of many float32 numbers."""
RISEN = 1.1
"""Validation loss over its least from which it has risen."""
SWING = 0.1
"""Share of the whole fall, and of itself, by which a loss that oscillates moves: small batches jitter by less."""
STANDARD_ERRORS = 3.0
"""Standard errors from which a trend is no chance."""
STEADY = 3
"""Epochs of growth in a row that are no chance."""
NO_OPTIMUM = (
    "Only the loss history was given, so the least loss there is is not known: the verdict compares the end of the run "
    "with its start. Whether a loss that has settled is the optimum cannot be told: give the data too."
)
SLOWER = Remedy("lower rate", "Lower the learning rate, tenfold at first, until the loss falls.")
STANDARDISE = Remedy("standardise", "Standardise the features (StandardScaler): then larger learning rates are stable.")


@dataclass(frozen=True, eq=False)
class Curve:
    """A loss history, one value an epoch.

    Parameters
    ----------
    losses : array of shape (epochs,)
        Training loss.
    validation : array of shape (epochs,) or None
        Validation loss.
    variance : float or None
        Variance of y.
    """

    losses: Array
    validation: Array | None
    variance: float | None

    @property
    def finite(self) -> Array:
        """The losses before the first that is not finite."""
        bad = np.flatnonzero(~np.isfinite(self.losses))
        return self.losses[: bad[0]] if len(bad) else self.losses

    @property
    def quarters(self) -> tuple[Array, Array]:
        """The quarter of the run before the last one, and the last."""
        quarter = max(1, len(self.losses) // 4)
        return self.losses[-2 * quarter : -quarter], self.losses[-quarter:]

    @property
    def fall(self) -> float:
        """By how much the loss has fallen from its first value to the mean of the last quarter."""
        return float(self.losses[0] - self.quarters[1].mean())

    @property
    def still_falls(self) -> float:
        """By how much the loss falls from the first half of the last quarter to the second; 0 where that is jitter."""
        half = max(1, len(self.quarters[1]) // 2)
        return max(0.0, -_trend(self.losses[-2 * half : -half], self.losses[-half:]))


def explain(losses: Any, val_losses: Any = None, *, variance: float | None = None) -> Diagnosis:
    """Say what a loss history shows.

    Parameters
    ----------
    losses : sequence of float
        Training loss of each epoch; nan and inf included.
    val_losses : sequence of float, optional
        Validation loss of each epoch.
    variance : float, optional
        Variance of y, as `numpy.var` gives it: a squared loss that stays exactly there predicts the mean.

    Returns
    -------
    Diagnosis
        Verdict and findings, without data and model. "cannot_run" here means that the first loss is not finite.

    Raises
    ------
    ValueError
        If there is no loss, or only one that is finite, or the two histories differ in length.

    Notes
    -----
    The verdicts are those of `linreg.diagnosis.verdicts` as far as they can be told without the optimum: "too_slow"
    where more than 1 % of the whole fall came within the last quarter of the run, "oscillates" where the loss moves up
    and down by more than a tenth of that fall and of itself, "stuck" where it has changed by less than 0.1 % in the
    whole run, else "converges", which means that it has settled.
    """
    curve = Curve(
        _vector(losses, "losses"), None if val_losses is None else _vector(val_losses, "val_losses"), variance
    )
    if curve.validation is not None and len(curve.validation) != len(curve.losses):
        raise ValueError(f"There are {len(curve.losses)} losses and {len(curve.validation)} validation losses.")
    if len(curve.losses) == 1 and np.isfinite(curve.losses[0]):
        raise ValueError("The loss of one epoch does not show where it goes: give at least two.")
    judged, nothing = verdict(curve), np.empty(0)
    error = f"its loss is {curve.losses[0]:g} from the first epoch on" if judged == "cannot_run" else ""
    outcome = Outcome(judged, curve.losses, math.nan, nothing, nothing, curve.validation, error)
    return Diagnosis(judged, tuple(_findings(curve, judged)), (NO_OPTIMUM,), outcome, None)


def _vector(values: Any, name: str) -> Array:
    array = np.asarray(values, np.float64)
    if array.ndim != 1 or not len(array):
        raise ValueError(f"{name} must be one number an epoch, got an array of shape {array.shape}.")
    return array


def verdict(curve: Curve) -> str:
    """Return what the run did, as far as its losses show it.

    Parameters
    ----------
    curve : Curve
        The history.

    Returns
    -------
    str
        See `explain`.
    """
    losses = curve.losses
    if not math.isfinite(losses[0]):
        return "cannot_run"
    if not np.isfinite(losses).all():
        return "diverges"
    before, last = curve.quarters
    grown = losses[-1] > 2 * losses[0] and last.mean() > before.mean()
    if grown or (losses[-1] > losses[0] * (1 + FLAT) and _trend(before, last) > 0):
        return "diverges"
    if np.ptp(losses) <= FLAT * abs(losses[0]):
        return "stuck"
    if _swings(curve):
        return "oscillates"
    return "too_slow" if curve.still_falls > MOVED * max(curve.fall, 0.0) else "converges"


def _trend(before: Array, after: Array) -> float:
    """Return by how much the mean of some losses is above that of others before; 0 where that may be jitter."""
    rise = float(after.mean() - before.mean())
    error = math.sqrt((before.var() + after.var()) / len(after))
    return rise if abs(rise) > STANDARD_ERRORS * error else 0.0


def _swings(curve: Curve) -> bool:
    """Whether the loss goes up and down by a tenth of what it has fallen, and of itself, at least twice late on."""
    late = np.concatenate(curve.quarters)
    steps = np.diff(late)
    large = SWING * max(curve.fall, float(late.mean()))
    return bool((steps > large).sum() > 1 and (steps < -large).sum() > 1)


def _findings(curve: Curve, judged: str) -> Iterator[Finding]:
    explained = _at_variance(curve) or _validation_rises(curve)
    if explained is not None:
        yield explained
    elif judged in WHAT_IT_SHOWS:
        yield WHAT_IT_SHOWS[judged](curve)


def _not_finite_at_once(curve: Curve) -> Finding:
    return Finding(
        "",
        {"first_loss": float(curve.losses[0])},
        "The loss is not finite from the first epoch on. Either a value of the data is missing or infinite, or the run "
        "diverges within one epoch: the curve cannot tell which.",
        (
            Remedy("look", "Look for missing and infinite values in X and y: linreg why FILE --target COLUMN."),
            SLOWER,
            STANDARDISE,
        ),
    )


def _diverges(curve: Curve) -> Finding:
    finite = curve.finite
    ended = len(finite) < len(curve.losses)
    until = f"is {curve.losses[len(finite)]:g} from epoch {len(finite) + 1} on" if ended else "keeps growing to the end"
    with np.errstate(all="ignore"):
        ratios = finite[1:] / finite[:-1]
    rising = ratios[::-1] > 1
    run = ratios[len(ratios) - (len(rising) if rising.all() else int(np.argmin(rising))) :]
    evidence: dict[str, Any] = {"finite_epochs": len(finite), "epochs_of_growth": len(run)}
    if len(run) >= min(STEADY, len(ratios)) and len(run) > 1:
        growth = float(np.exp(np.mean(np.log(run))))
        # On a parabola the error is multiplied by 1 - 2 rate / limit a step, the loss by its square.
        above = (1 + math.sqrt(growth)) / 2
        return Finding(
            "learning_rate_too_high",
            {"growth": growth, **evidence, "times_the_limit_at_one_step_an_epoch": above},
            f"The loss grows by a factor of {growth:.3g} an epoch and {until}: each step overshoots the optimum, "
            "further every time, so the learning rate is too high for these data. If every epoch was one step of "
            f"plain SGD on all rows, it is {above:.3g} times the largest stable one. How large that is depends on the "
            "scale of the features, on a sum instead of a mean in the loss, and on single far rows: the curve cannot "
            "tell which.",
            (STANDARDISE, SLOWER),
        )
    if len(ratios) and not len(run):
        words = (
            f"The loss does not grow before it {until}: it is {finite[-1]:.3g} the epoch before. So it is hardly the "
            "step that is too long: look for a value that overflows, or a learning rate that changes there."
        )
    else:
        words = (
            f"The loss {until}, after {len(finite)} finite value{'s'[: len(finite) > 1]}: too few to tell how it grew."
        )
    return Finding("", evidence, words, (SLOWER, STANDARDISE))


def _oscillates(curve: Curve) -> Finding:
    late = np.concatenate(curve.quarters)
    return Finding(
        "",
        {"lowest": float(late.min()), "highest": float(late.max()), "epochs": len(late)},
        f"In the last {len(late)} epochs the loss moves up and down between {late.min():.3g} and {late.max():.3g}. "
        "Steps that are too long do that, momentum, and small batches: the curve cannot tell which.",
        (SLOWER, Remedy("larger batches", "Use larger batches."), Remedy("less momentum", "Lower the momentum.")),
    )


def _still_falling(curve: Curve) -> Finding:
    evidence: dict[str, Any] = {"epochs": len(curve.losses), "fall_within_the_last_quarter": curve.still_falls}
    words = f"The loss is still falling when the run ends after {len(curve.losses)} epochs"
    if curve.fall > 0:
        evidence["share_of_the_whole_fall"] = curve.still_falls / curve.fall
        words += f": {100 * evidence['share_of_the_whole_fall']:.2g} % of its whole fall came within the last quarter."
    else:
        words += f", and has not come back below its start: it had risen to {curve.losses.max():.3g}."
    remedies = (
        Remedy("more epochs", "Train for more epochs, until the loss stays where it is."),
        Remedy("higher rate", "Raise the learning rate, threefold at first, as long as the loss does not rise."),
        STANDARDISE,
    )
    return Finding("", evidence, words, remedies)


def _flat(curve: Curve) -> Finding:
    return Finding(
        "",
        {"first_loss": float(curve.losses[0]), "last_loss": float(curve.losses[-1])},
        "The loss is flat from the first epoch: in the whole run it changes by "
        f"{np.ptp(curve.losses) / abs(curve.losses[0] or 1):.1g} of itself. Either the first epoch was enough, or "
        "nothing is learned (a learning rate that is far too low, features that say nothing about y): the curve cannot "
        "tell which.",
        (
            Remedy("higher rate", "Raise the learning rate tenfold; if nothing changes, the loss is at its floor."),
            Remedy("variance", "Compare the loss with numpy.var(y): a model that predicts the mean has exactly that."),
        ),
    )


def _at_variance(curve: Curve) -> Finding | None:
    """Return the finding for a loss that ends at exactly the variance of y: every row is predicted as the mean."""
    if curve.variance is None or not curve.variance > 0 or not np.isfinite(curve.losses).all():
        return None
    last = curve.quarters[1]
    if np.abs(last / curve.variance - 1).max() > AT_VARIANCE:
        return None
    return Finding(
        "shape_mismatch",
        {"loss": float(last[-1]), "variance": curve.variance},
        f"The loss stays at {last[-1]:.6g}, exactly the variance of y: the model predicts the mean for every row. In a "
        "loop written by hand that is what y of shape (n,) against predictions of shape (n, 1) does: their difference "
        "has the shape (n, n), so every prediction is compared with every y.",
        (Remedy("reshape", "Give both one shape: y = y.reshape(-1, 1), or predictions.reshape(-1)."),),
    )


def _validation_rises(curve: Curve) -> Finding | None:
    """Return the finding for a validation loss that rises while the training loss falls."""
    if curve.validation is None or len(curve.losses) < 2 * STEADY:
        return None
    if not np.isfinite([curve.losses, curve.validation]).all():
        return None
    width = max(1, len(curve.losses) // 8)
    train, held = (
        np.convolve(values, np.full(width, 1 / width), "valid") for values in (curve.losses, curve.validation)
    )
    lowest = int(np.argmin(held))
    if len(held) - 1 - lowest < STEADY or not train[lowest] - train[-1] > MOVED * (train[0] - train[-1]) > 0:
        return None
    risen = _trend(curve.validation[lowest : lowest + width], curve.validation[-width:])
    if risen < (RISEN - 1) * held[lowest]:
        return None
    evidence = {
        "training_loss": float(train[-1]),
        "validation_loss": float(held[-1]),
        "least_validation_loss": float(held[lowest]),
        "at_epoch": lowest + 1,
    }
    rise = f"rises from {held[lowest]:.3g} in epoch {lowest + 1} to {held[-1]:.3g}, while the training loss still falls"
    if lowest == 0:
        return Finding(
            "",
            evidence,
            f"The validation loss {rise}. It never fell, so the validation rows follow another line, or were prepared "
            "in another way than the training rows: the curve cannot tell which.",
            (Remedy("split at random", "Shuffle all rows before you split them, and scale both parts alike."),),
        )
    return Finding(
        "overfitting",
        evidence,
        f"The validation loss {rise}: from there on the model learns the noise of the training rows.",
        (
            Remedy(
                "stop early", "Stop there: callbacks=[EarlyStopping(monitor='val_loss', restore_best_weights=True)]."
            ),
            Remedy("penalty", "Add a penalty (kernel_regularizer=L2(0.01)), or use fewer features or more rows."),
        ),
    )


WHAT_IT_SHOWS: dict[str, Callable[[Curve], Finding]] = {
    "cannot_run": _not_finite_at_once,
    "diverges": _diverges,
    "oscillates": _oscillates,
    "too_slow": _still_falling,
    "stuck": _flat,
}


def read(file: str | os.PathLike[str]) -> tuple[list[float], list[float] | None]:
    """Read a loss history: one loss a line, or a CSV file with a column "loss", as Keras' CSVLogger writes it.

    Parameters
    ----------
    file : str or path
        The file.

    Returns
    -------
    losses : list of float
        Training loss of each epoch.
    val_losses : list of float or None
        The column "val_loss", if there is one.

    Raises
    ------
    OSError
        If the file is missing or may not be read.
    ValueError
        If it holds no losses, or something that is no number.
    """
    name = os.fspath(file)
    try:
        text = Path(file).read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise FileNotFoundError(f"There is no file {name!r}: give a file with one loss a line.") from None
    except IsADirectoryError:
        raise IsADirectoryError(f"{name!r} is a directory: give a file with one loss a line.") from None
    except UnicodeDecodeError:
        raise ValueError(f"{name!r} is no text in UTF-8: give a file with one loss a line.") from None
    rows = [[cell.strip() for cell in row] for row in csv.reader(text.splitlines(), skipinitialspace=True) if any(row)]
    if not rows:
        raise ValueError(f"{name!r} is empty: expected one loss a line, or a column 'loss'.")
    header = [cell.lower() for cell in rows[0]]
    if len(header) == 1 and _number(header[0]) is not None:
        return _column(rows, 0, 1, name), None
    if "loss" not in header:
        raise ValueError(f"{name!r} has no column 'loss'{nearest('loss', header)}.")
    losses = _column(rows[1:], header.index("loss"), 2, name)
    return losses, _column(rows[1:], header.index("val_loss"), 2, name) if "val_loss" in header else None


def _column(rows: Sequence[Sequence[str]], place: int, first_line: int, name: str) -> list[float]:
    found: list[float] = []
    for line, row in enumerate(rows, start=first_line):
        number = _number(row[place]) if place < len(row) else None
        if number is None:
            given = repr(row[place]) if place < len(row) else "nothing"
            raise ValueError(
                f"Row {line} of {name!r} has {given:.60} for a loss: a number was expected, or nan or inf."
            )
        found.append(number)
    if not found:
        raise ValueError(f"{name!r} has a header but no losses below it.")
    return found


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
