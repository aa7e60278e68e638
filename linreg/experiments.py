"""Three known experiments on rising losses, run here and in tf.keras side by side: what `linreg demo` shows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from linreg import keras, study
from linreg.data.scaling import in_original_units, scaler
from linreg.losses import Huber
from linreg.optimizers import SGD, Adam, RMSprop
from linreg.regression import LinearRegression
from linreg.schedules import ExponentialDecay

Array = Any
AGREEMENT = 1e-4
"""Largest relative difference of weights that counts as agreement: a few roundings (6e-8) in each of 400 steps."""


@dataclass(frozen=True)
class Trial:
    """One run of an experiment: a name, the data that are trained on, the model, and the scaler that was applied."""

    name: str
    X: Array
    y: Array
    model: LinearRegression
    scaler: Any = None


@dataclass(frozen=True)
class Experiment:
    """Data, the runs on them, and what there is to see."""

    title: str
    lesson: str
    trials: tuple[Trial, ...]
    fourth_opinion: bool = False


@dataclass(frozen=True)
class Outcome:
    """What one run ended with, here and in tf.keras.

    Parameters
    ----------
    experiment : int
        Number of the experiment, from 1.
    run : str
        Name of the run.
    loss : float
        Loss on the training data after the run, by the functions here.
    keras_loss : float or None
        The same by tf.keras; None where it did not run.
    coef : list of float
        Coefficients, in units of y per unit of the features as they were given, before scaling.
    intercept : float
        Intercept.
    agreement : str
        How far the weights of the two libraries are apart, in words.
    agrees : bool or None
        Whether that is near enough; None where tf.keras did not run.
    losses : list of float
        Loss of each epoch.
    keras_losses : list of float
        The same by tf.keras; empty where it did not run.
    """

    experiment: int
    run: str
    loss: float
    keras_loss: float | None
    coef: list[float]
    intercept: float
    agreement: str
    agrees: bool | None
    losses: list[float]
    keras_losses: list[float]


def known_experiments() -> tuple[Experiment, ...]:
    """Return the three experiments, every run from zero weights and unshuffled so that libraries can be compared.

    Returns
    -------
    tuple of Experiment
        An unscaled 3x2 table; learning rates 10 and 0.0001 on y = 2x + 1; one far point with and without a robust
        loss.
    """
    return _unscaled_table(), _learning_rates(), _far_point()


def _model(optimizer: Any, loss: Any = "mse") -> LinearRegression:
    return LinearRegression(optimizer, loss, epochs=100, shuffle=False, kernel_initializer="zeros")


def _scaled(name: str, how: str, X: Array, y: Array, model: LinearRegression) -> Trial:
    fitted = scaler(how).fit(X)
    return Trial(name, fitted.transform(X), y, model, fitted)


def _unscaled_table() -> Experiment:
    X, y = np.array([[1.0, 1000.0], [2.0, 2000.0], [3.0, 3000.0]]), np.array([1.0, 2.0, 3.0])
    return Experiment(
        "X = [[1,1000],[2,2000],[3,3000]], y = [1,2,3], SGD 0.01",
        "One column is a thousand times the other. Unscaled, each step overshoots further than the last until the loss "
        "is nan; either scaling cures it, with the same learning rate.",
        (
            Trial("unscaled", X, y, _model(SGD(0.01))),
            _scaled("standardised", "standard", X, y, _model(SGD(0.01))),
            _scaled("min-max scaled", "minmax", X, y, _model(SGD(0.01))),
        ),
    )


def _learning_rates() -> Experiment:
    # The legacy generator, because this is the well-known run: seed 42, rand, then randn.
    generator = np.random.RandomState(42)
    X = generator.rand(100, 1)
    y = 2 * X[:, 0] + 1 + 0.1 * generator.randn(100)
    runs = {
        "SGD 10.0": SGD(10.0),
        "SGD 0.0001": SGD(0.0001),
        "SGD 0.1": SGD(0.1),
        "SGD 0.5, halving": SGD(ExponentialDecay(0.5, 100, 0.5)),
        "RMSprop 0.01": RMSprop(0.01),
        "Adam 0.01": Adam(0.01),
    }
    return Experiment(
        "100 uniform x, y = 2x + 1 + 0.1 noise",
        "At 10.0 the loss rises to nan; at 0.0001 it falls, but 400 steps are far too few. The data are fine. The "
        "schedule halves the rate every 100 steps.",
        tuple(Trial(name, X, y, _model(optimizer)) for name, optimizer in runs.items()),
    )


def _far_point() -> Experiment:
    X, y = np.array([[1.0], [2.0], [3.0], [100.0]]), np.array([1.0, 2.0, 3.0, 10.0])
    return Experiment(
        "X = [1,2,3,100], y = [1,2,3,10], SGD 0.01",
        "The far x makes the loss so steep that SGD 0.01 runs to nan. Huber bounds the slope: nothing overflows, but "
        "unscaled it jumps to and fro without settling. Scaled, both fall; Huber slowly, because with a bounded slope "
        "100 steps of 0.01 move a weight by 1 at most. scikit-learn's HuberRegressor, which minimises another "
        "function, goes through the far point: alone out there, it decides the slope.",
        (
            Trial("MSE", X, y, _model(SGD(0.01))),
            Trial("Huber", X, y, _model(SGD(0.01), Huber())),
            _scaled("standardised, MSE", "standard", X, y, _model(SGD(0.01))),
            _scaled("standardised, Huber", "standard", X, y, _model(SGD(0.01), Huber())),
        ),
        fourth_opinion=True,
    )


def run_all(
    experiments: tuple[Experiment, ...], *, with_keras: bool, after_each: Callable[[str], None]
) -> Iterator[Outcome]:
    """Run every trial here and, if asked, in tf.keras.

    Parameters
    ----------
    experiments : tuple of Experiment
        What to run.
    with_keras : bool
        Whether tf.keras runs too.
    after_each : callable
        Called with the name of each run when it is done.

    Yields
    ------
    Outcome
        One for each trial, in order.
    """
    for number, experiment in enumerate(experiments, start=1):
        for trial in experiment.trials:
            yield _outcome(number, trial, with_keras)
            after_each(trial.name)
        if experiment.fourth_opinion:
            yield _huber_regressor(number, experiment.trials[0])


def _outcome(number: int, trial: Trial, with_keras: bool) -> Outcome:
    model = trial.model.fit(trial.X, trial.y)
    here = np.append(model.coef_, np.float32(model.intercept_))
    loss, keras_loss, keras_losses = model.evaluate(trial.X, trial.y), None, []
    agreement, agrees = "-", None
    if with_keras:
        features = trial.X.shape[1]
        twin = keras.dense(model, features, np.zeros(features, np.float32), 0.0)
        X, y = trial.X.astype(np.float32), trial.y.astype(np.float32)
        keras_losses = keras.train(twin, X, y, epochs=model.epochs, batch_size=model.batch_size)["loss"]
        keras_loss = float(twin.compute_loss(X, y[:, np.newaxis], twin(X)))
        agreement, agrees = _agreement(here, keras.weights(twin), model.history_["loss"], keras_losses)
    coef, intercept = in_original_units(trial.scaler, model.coef_, model.intercept_)
    return Outcome(
        number,
        trial.name,
        loss,
        keras_loss,
        coef.tolist(),
        intercept,
        agreement,
        agrees,
        model.history_["loss"],
        keras_losses,
    )


def _huber_regressor(number: int, trial: Trial) -> Outcome:
    """Ask scikit-learn's HuberRegressor: its delta is 1.35 times a scale that it estimates too; a small penalty."""
    from sklearn.linear_model import HuberRegressor

    fitted = HuberRegressor().fit(trial.X, trial.y)
    loss = Huber()
    value = float(loss.value(fitted.predict(trial.X) - trial.y, *loss.constants(np.float64)).mean())
    words = "(scikit-learn)"
    return Outcome(
        number,
        "HuberRegressor",
        value,
        None,
        fitted.coef_.tolist(),
        float(fitted.intercept_),
        words,
        None,
        [],
        [],
    )


def _agreement(here: Array, there: Array, losses: list[float], keras_losses: list[float]) -> tuple[str, bool]:
    """Say how far two runs are apart."""
    ended, keras_ended = _first_not_finite(losses), _first_not_finite(keras_losses)
    finite, keras_finite = bool(np.isfinite(here).all()), bool(np.isfinite(there).all())
    if not finite or not keras_finite:
        if ended == keras_ended and finite == keras_finite:
            return f"nan from epoch {ended}", True
        return f"nan from epoch {ended or 'never'}, {keras_ended or 'never'}", finite == keras_finite
    difference = float(np.abs(here - there).max() / max(np.abs(there).max(), np.finfo(np.float32).tiny))
    return "bit for bit" if (here == there).all() else f"{difference:.0e} relative", difference <= AGREEMENT


def _first_not_finite(losses: list[float]) -> int | None:
    bad = np.flatnonzero(~np.isfinite(losses))
    return int(bad[0]) + 1 if len(bad) else None


def check_folder(folder: Path) -> None:
    """Make the folder of the pictures and check, before any work is done, that pictures can be drawn into it.

    Parameters
    ----------
    folder : pathlib.Path
        Where the pictures go; it is made if it is missing.

    Raises
    ------
    ImportError
        If matplotlib is missing.
    OSError
        If the folder cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OSError(f"The folder {str(folder)!r} cannot be made ({error.strerror}): choose another one.") from None
    study.picture_path(folder / "experiment.png")


def draw(experiments: tuple[Experiment, ...], outcomes: list[Outcome], folder: Path) -> list[Path]:
    """Draw one picture an experiment and return the files.

    Parameters
    ----------
    experiments : tuple of Experiment
        The experiments.
    outcomes : list of Outcome
        What their runs ended with.
    folder : pathlib.Path
        Where the pictures go, see `check_folder`.

    Returns
    -------
    list of pathlib.Path
        The files.
    """
    files = []
    for number, experiment in enumerate(experiments, start=1):
        runs = [outcome for outcome in outcomes if outcome.experiment == number]
        x, y = experiment.trials[0].X, experiment.trials[0].y
        drawable = {outcome.run: (outcome.coef[0], outcome.intercept) for outcome in runs if x.shape[1] == 1}
        figure, axes = study.new_figure(2 if drawable else 1, f"{number}. {experiment.title}")
        study.draw_losses(
            axes[0],
            {outcome.run: outcome.losses for outcome in runs if outcome.losses},
            {outcome.run: outcome.keras_losses for outcome in runs if outcome.keras_losses},
        )
        if drawable:
            study.draw_lines(axes[1], x[:, 0], y, drawable)
        files.append(study.save(figure, folder / f"experiment-{number}.png"))
    return files
