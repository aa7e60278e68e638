"""The options that describe a model and its training, said once for all commands that train."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from linreg.regression import LinearRegression
from linreg.regularizers import L1, L1L2, L2, Regularizer

Command = Callable[..., int]
FILE = "A CSV, Parquet or Arrow file, or the name of a shipped data set: longley, norris, stackloss."
FILES = (
    "CSV, Parquet, Arrow, .npy or .npz files of the same columns, by name or pattern ('2024-*.csv'), or the name of a "
    "shipped data set: longley, norris, stackloss."
)

Columns = Annotated[
    str | None, typer.Option("--columns", help="Columns that are features: size,rooms. All others if not given.")
]
Weights = Annotated[str | None, typer.Option("--weights", help="Column of the weights of rows.")]
Categories = Annotated[str | None, typer.Option("--categories", help="Columns of categories that look like numbers.")]
MISSING = "About missing values: error, drop (rows), mean or median."


def with_settings(command: Command) -> Command:
    """Give a command the options of a model; they reach it as one argument, `settings`.

    Parameters
    ----------
    command : callable
        A command whose keyword-only argument `settings` is a dict of the settings of `LinearRegression`. One that has
        an argument `options` too gets in it, as a list of str, the options of another command that trains the same.

    Returns
    -------
    callable
        The command as Typer is to see it, with the options in the place of `settings`.
    """
    shared = inspect.signature(_settings, eval_str=True).parameters
    parameters: list[inspect.Parameter] = []
    own = dict(inspect.signature(command, eval_str=True).parameters)
    repeated = own.pop("options", None)
    for name, parameter in own.items():
        parameters += shared.values() if name == "settings" else [parameter]

    @functools.wraps(command)
    def with_options(**given: Any) -> int:
        asked = {name: given.pop(name) for name in shared}
        if repeated is not None:
            given["options"] = [
                part for name, value in asked.items() if value != shared[name].default for part in _option(name, value)
            ]
        return command(settings=_settings(**asked), **given)

    del with_options.__wrapped__  # a signature would be looked for there
    with_options.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in parameters]
    )
    with_options.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return with_options


def _option(name: str, value: Any) -> list[str]:
    """Return an option as it is written in a command."""
    flag = name.replace("_", "-")
    if isinstance(value, bool):
        return [f"--{flag}" if value else f"--no-{flag}"]
    return [f"--{flag}", str(value)]


def _settings(
    optimizer: Annotated[str, typer.Option(help="sgd, rmsprop or adam.")] = "sgd",
    learning_rate: Annotated[
        float | None, typer.Option(help="Step size; the optimizer's default if not given.")
    ] = None,
    momentum: Annotated[float | None, typer.Option(help="Momentum of sgd or rmsprop.")] = None,
    nesterov: Annotated[bool, typer.Option("--nesterov", help="Nesterov's momentum, for sgd.")] = False,
    loss: Annotated[str, typer.Option(help="mse or huber.")] = "mse",
    delta: Annotated[float | None, typer.Option(help="Where Huber's parabola becomes a line, in units of y.")] = None,
    reduction: Annotated[
        str | None, typer.Option(help="How a batch's losses become one: sum_over_batch_size (the mean) or sum.")
    ] = None,
    l1: Annotated[float | None, typer.Option(help="Strength of a penalty l1 * sum |coefficient|.")] = None,
    l2: Annotated[float | None, typer.Option(help="Strength of a penalty l2 * sum coefficient^2.")] = None,
    epochs: Annotated[int, typer.Option(help="Passes over the data.")] = 100,
    batch_size: Annotated[int, typer.Option(help="Rows in a step.")] = 32,
    shuffle: Annotated[bool, typer.Option(help="Draw a new order of the rows for every epoch.")] = True,
    intercept: Annotated[bool, typer.Option(help="Train an intercept.")] = True,
    seed: Annotated[int, typer.Option(help="Decides the start and the order of the rows.")] = 0,
    dtype: Annotated[str, typer.Option(help="float32 or float64.")] = "float32",
) -> dict[str, Any]:
    """Return the settings of `LinearRegression` that the options ask for; each is checked."""
    model = LinearRegression(
        optimizer,
        loss,
        epochs=epochs,
        batch_size=batch_size,
        shuffle=shuffle,
        random_state=seed,
        fit_intercept=intercept,
        kernel_regularizer=_penalty(l1, l2),
        dtype=dtype,
    )
    model.settings()
    given = {
        "optimizer__learning_rate": learning_rate,
        "optimizer__momentum": momentum,
        "optimizer__nesterov": nesterov or None,
        "loss__delta": delta,
        "loss__reduction": reduction,
    }
    model.set_params(**{name: value for name, value in given.items() if value is not None})
    return model.get_params(deep=False)


def _penalty(l1: float | None, l2: float | None) -> Regularizer | None:
    if l1 is None:
        return None if l2 is None else L2(l2)
    return L1(l1) if l2 is None else L1L2(l1, l2)


TOLD_BY_FIT = ("--epochs", "--batch-size", "--shuffle", "--no-shuffle", "--seed")
"""Options that a model of Keras does not know."""


def of_keras(file: Path, settings: dict[str, Any], options: list[str]) -> tuple[dict[str, Any], Any]:
    """Return the settings of a Keras model in a file, and what stands in front of its Dense(1).

    Parameters
    ----------
    file : Path
        A .keras file.
    settings : dict
        Settings by the options; what `model.fit` would be told is taken from them.
    options : list of str
        The options that were given.

    Returns
    -------
    dict
        Settings of `LinearRegression`.
    callable or None
        Makes of features what the Dense(1) layer sees; None where nothing stands in front of it.

    Raises
    ------
    ValueError
        If the file or the model is refused, or an option says what the model says.
    """
    from linreg.keras.files import read_model
    from linreg.keras.twins import linear_part

    twice = next((one for one in options if one.startswith("--") and one not in TOLD_BY_FIT), None)
    if twice is not None:
        raise ValueError(f"{twice} and --model say the same: the model brings its own. Leave {twice} out.")
    told = {name: settings[name] for name in ("epochs", "batch_size", "shuffle", "random_state")}
    part = linear_part(read_model(file), **told)
    return part.model.set_params(warm_start=False).get_params(deep=False), part.features if part.front else None
