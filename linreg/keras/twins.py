"""Twins: a compiled Keras Dense(1) model as a `LinearRegression`, and back, with the state of the optimizer.

What one of the two cannot express is refused by its name; nothing is left out silently.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from linreg import schedules
from linreg.data.arrays import column_names
from linreg.devices import on_host
from linreg.hyperparameters import HyperParameters
from linreg.keras import state as keras_state
from linreg.keras.counterparts import dense
from linreg.keras.loading import load
from linreg.losses import Huber, Loss, MeanSquaredError
from linreg.optimizers import OPTIMIZERS, Optimizer
from linreg.regression import LinearRegression
from linreg.regularizers import L1, L1L2, L2, Regularizer
from linreg.seeds import generator_from
from linreg.steps import State

Array = Any

LOSSES: dict[str, type[Loss]] = {"mean_squared_error": MeanSquaredError, "huber": Huber}
"""Losses by the names of Keras' functions, which is what a name stands for there."""


def twin(model: Any, **settings: Any) -> Any:
    """Return the twin of a model: of a compiled Keras Dense(1) model a `LinearRegression`, and the other way round.

    Parameters
    ----------
    model : keras.Model or LinearRegression
        A built and compiled Keras model of one `Dense(1)` layer, or a fitted `LinearRegression`.
    **settings : object
        Of a Keras model: what it does not know, the arguments that `model.fit` gets there (`epochs`, `batch_size`,
        `shuffle`) and other settings of `LinearRegression` (`random_state`, `engine`, `callbacks`, `verbose`).

    Returns
    -------
    LinearRegression or keras.Sequential
        The twin, which goes on from where the model stands: weights, state of the optimizer, learning rate, counters.

    Raises
    ------
    ImportError
        If TensorFlow is missing or its Keras is not version 3.
    TypeError
        If the model is neither.
    ValueError
        If the twin cannot do what the model does; the message names it.

    Notes
    -----
    A twin that is a `LinearRegression` has `warm_start=True`: its `fit` continues. `diagnose` starts from its weights,
    with a fresh optimizer, and so does `fit` after `set_params(warm_start=False)`.

    A twin that is a Keras model has the parameters of the last step as its weights. With `use_ema` those are not
    `coef_`, which is their average: Keras overwrites the weights with it at the end of the next `fit`, and goes on from
    there; linreg goes on from the parameters that were averaged.

    Keras' shuffling cannot be read from a model: train both with `shuffle=False` to compare them.

    Dialect: Keras' (docs/dialects.md).

    Examples
    --------
    >>> from linreg import LinearRegression
    >>> from linreg.keras import twin, weights
    >>> ours = LinearRegression("adam", random_state=0).fit([[0.0], [1.0]], [1.0, 3.0])
    >>> theirs = twin(ours)
    >>> bool((weights(theirs) == [*ours.coef_, ours.intercept_]).all())
    True
    >>> twin(theirs, epochs=10).optimizer
    Adam()
    """
    if isinstance(model, LinearRegression):
        if settings:
            raise TypeError(f"twin: of a LinearRegression the twin takes no settings, got {', '.join(settings)}.")
        return to_keras(model)
    keras = load()
    if not isinstance(model, keras.Model):
        raise TypeError(f"twin: the model must be a keras.Model or a LinearRegression, got a {type(model).__name__}.")
    return from_keras(model, **settings)


def from_keras(model: Any, **settings: Any) -> LinearRegression:
    """Return the `LinearRegression` that a compiled Keras Dense(1) model is.

    Parameters
    ----------
    model : keras.Model
        The model.
    **settings : object
        As for `twin`.

    Returns
    -------
    LinearRegression
        The twin.

    Raises
    ------
    ValueError
        If the model cannot be represented.
    """
    part = linear_part(model, **settings)
    if part.front:
        raise _refused(f"the layer {_shown(part.front[0])}", "a twin has one Dense(1) layer: scale X before")
    return part.model


@dataclass(frozen=True)
class LinearPart:
    """A Keras model that is linear in what fixed layers make of its inputs.

    Parameters
    ----------
    model : LinearRegression
        The twin of its Dense(1) layer.
    front : tuple of keras.layers.Layer
        The layers in front of it: Normalization, Rescaling.
    """

    model: LinearRegression
    front: tuple[Any, ...]

    def features(self, X: Any) -> Any:
        """Return what the Dense(1) layer sees of some inputs, under the names of their columns."""
        if not self.front:
            return X
        names, values = column_names(X), np.asarray(X, np.float32)
        for layer in self.front:
            values = np.asarray(layer(values))
        return values if names is None else _named(values, names)


def _named(values: Array, names: list[str]) -> Any:
    try:
        import polars
    except ImportError:
        return values
    return polars.DataFrame(values, schema=names)


def linear_part(model: Any, **settings: Any) -> LinearPart:
    """Return the linear part of a compiled Keras model: all of it, or what stands behind fixed layers.

    Parameters
    ----------
    model : keras.Model
        A Sequential model, or a functional one without branches.
    **settings : object
        As for `twin`.

    Returns
    -------
    LinearPart
        The twin of its Dense(1) layer, and the layers in front of it.

    Raises
    ------
    ValueError
        If it has other layers, or something that linreg cannot represent.
    """
    keras = load()
    _check_chain(model)
    *front, last = [layer for layer in model.layers if not isinstance(layer, keras.layers.InputLayer)] or [None]
    for layer in front:
        if type(layer) not in (keras.layers.Normalization, keras.layers.Rescaling):
            raise _refused(
                f"the layer {_shown(layer)}", "only Normalization and Rescaling may stand in front of Dense(1)"
            )
    if type(last) is not keras.layers.Dense:
        raise _refused(
            f"the layer {_shown(last)}" if last is not None else "a model without layers", "the last is a Dense(1)"
        )
    _check_linear(last)
    return LinearPart(_twin_of(model, last, settings), tuple(front))


def _check_chain(model: Any) -> None:
    """Refuse a model whose layers do not tell what it computes, or that trains in a way of its own."""
    keras = load()
    kind = type(model)
    if kind is not keras.Sequential and kind.__name__ != "Functional":
        raise _refused(
            f"a model class of its own ({kind.__name__})", "Sequential and functional models tell what they do"
        )
    operations = getattr(model, "operations", model.layers)
    hidden = next((one for one in operations if not isinstance(one, keras.layers.Layer)), None)
    if hidden is not None:
        raise _refused(f"the operation {type(hidden).__name__} between layers", "a prediction is that of Dense(1)")
    if kind is not keras.Sequential and (len(model.inputs) != 1 or len(model.outputs) != 1):
        raise _refused(f"{len(model.inputs)} inputs and {len(model.outputs)} outputs", "there is one of each")


def _check_linear(layer: Any) -> None:
    keras = load()
    if layer.units != 1:
        raise _refused(f"Dense({layer.units})", "one unit predicts one target")
    if layer.activation is not keras.activations.linear:
        raise _refused(f"the activation {_shown(layer.activation)!r}", "linear regression has none")
    if not layer.built:
        raise ValueError("twin: the model has no weights yet: give it keras.Input((features,)), or call it once.")
    if len(layer.kernel.shape) != 2:
        raise _refused(f"a kernel of shape {tuple(layer.kernel.shape)}", "X is a table, (rows, features)")


def _twin_of(model: Any, layer: Any, settings: dict[str, Any]) -> LinearRegression:
    """Return a `LinearRegression` with the weights of a layer and what its model was compiled with."""
    if not getattr(model, "compiled", False) or model.optimizer is None:
        raise ValueError("twin: the model is not compiled: call model.compile(optimizer=..., loss=...) first.")
    _check_layer(layer)
    kernel = np.asarray(layer.kernel).reshape(-1)
    bias = np.asarray(layer.bias).reshape(-1) if layer.use_bias else np.empty(0, kernel.dtype)
    linear = LinearRegression(
        optimizer_of(model.optimizer),
        loss_of(model),
        kernel_initializer=kernel.copy(),
        bias_initializer=float(bias[0]) if layer.use_bias else "zeros",
        fit_intercept=bool(layer.use_bias),
        kernel_regularizer=regularizer_of(layer.kernel_regularizer),
        dtype=_dtype(layer),
        warm_start=True,
    )
    linear.set_params(**settings)
    known = linear.settings()
    generator = generator_from(linear.random_state, known.precision.dtype)
    state = State.start(np.append(kernel, bias), known.optimizer, known.precision, generator)
    if model.optimizer.built:
        keras_state.read(model.optimizer, state)
    linear.adopt(state, len(kernel))
    return linear


def _check_layer(layer: Any) -> None:
    if not layer.trainable:
        raise _refused("a Dense layer with trainable=False", "it would not be trained")
    for name in ("bias_regularizer", "activity_regularizer", "kernel_constraint", "bias_constraint"):
        if getattr(layer, name, None) is not None:
            raise _refused(
                f"{name}={_shown(getattr(layer, name))}", "only the kernel is penalised, and nothing is constrained"
            )
    for variable in layer.trainable_variables:
        if getattr(variable, "constraint", None) is not None:
            raise _refused(f"a constraint of {variable.name}", "nothing is constrained")
    for name in ("lora_enabled", "quantization_mode"):
        if getattr(layer, name, None):
            raise _refused(f"a Dense layer with {name}", "its weights are plain numbers")


def _dtype(layer: Any) -> str:
    keras = load()
    kinds = layer.compute_dtype, layer.variable_dtype, keras.config.floatx()
    if kinds == ("float32",) * 3:
        return "float32"
    if kinds == ("float64",) * 3:
        return "keras_float64"
    raise _refused(
        f"computing in {kinds[0]} with weights in {kinds[1]} and keras.config.floatx() {kinds[2]!r}",
        "all three are float32, or all three float64",
    )


def optimizer_of(optimizer: Any) -> Optimizer:
    """Return linreg's optimizer with the hyper-parameters of one of Keras', its learning rate as it is now.

    Parameters
    ----------
    optimizer : keras.optimizers.Optimizer
        Keras' SGD, RMSprop or Adam.

    Returns
    -------
    Optimizer
        The same rule.

    Raises
    ------
    ValueError
        If it is another rule, or has an option without a counterpart.
    """
    keras = load()
    name = type(optimizer).__name__
    kind = next((kind for kind in OPTIMIZERS.values() if kind.__name__ == name), None)
    if kind is None or type(optimizer) is not getattr(keras.optimizers, name):
        raise _refused(f"the optimizer {name}", f"its rules are {_names(OPTIMIZERS.values())}")
    if optimizer.loss_scale_factor is not None:
        raise _refused("loss_scale_factor", "it is for half precision")
    if getattr(optimizer, "_exclude_from_weight_decay", None) or getattr(
        optimizer, "_exclude_from_weight_decay_pattern", None
    ):
        raise _refused("exclude_from_weight_decay", "weight decay takes in the kernel and the bias")
    rate = _learning_rate(optimizer._learning_rate)
    return _same(kind, {**optimizer.get_config(), "learning_rate": rate})  # type: ignore[no-any-return]


def _learning_rate(rate: Any) -> Any:
    keras = load()
    if not isinstance(rate, keras.optimizers.schedules.LearningRateSchedule):
        if isinstance(rate, keras.Variable):
            # The shortest number that is rounded to it: 0.01 for float32's 0.009999999776482582.
            return float(str(np.asarray(rate)[()]))
        raise _refused("a learning rate that is a function", "give a number or one of keras.optimizers.schedules")
    name = type(rate).__name__
    kind = getattr(schedules, name, None)
    if kind is None or type(rate) is not getattr(keras.optimizers.schedules, name, None):
        raise _refused(f"the schedule {name}", "its schedules are Keras' own")
    return _same(kind, rate.get_config())


def _same(kind: Any, config: dict[str, Any]) -> Any:
    """Return hyper-parameters of a kind, by their names in a Keras configuration."""
    names = kind.__dataclass_fields__
    # Keras takes 0 for "none" where linreg wants None.
    none = {name for name in ("ema_overwrite_frequency", "gradient_accumulation_steps") if config.get(name) == 0}
    return kind(**{name: None if name in none else config[name] for name in names if name in config})


def loss_of(model: Any) -> Loss:
    """Return linreg's loss for what a Keras model was compiled with.

    Parameters
    ----------
    model : keras.Model
        A compiled model.

    Returns
    -------
    Loss
        The same loss.

    Raises
    ------
    ValueError
        If it is another loss, or has an option without a counterpart.
    """
    keras = load()
    given = model.loss
    while isinstance(given, list | tuple | dict) and len(given) == 1:
        (given,) = given.values() if isinstance(given, dict) else given
    loss = given if not isinstance(given, str) else keras.losses.get(given)
    if getattr(model._compile_loss, "_user_loss_weights", None) is not None:
        raise _refused("loss_weights", "multiply the learning rate by the weight instead")
    if isinstance(loss, keras.losses.Loss):
        kind = next((kind for kind in LOSSES.values() if type(loss) is getattr(keras.losses, kind.__name__)), None)
        if kind is None:
            raise _refused(f"the loss {type(loss).__name__}", f"its losses are {_names(LOSSES.values())}")
        if loss.reduction not in ("sum_over_batch_size", "sum", "mean_with_sample_weight"):
            raise _refused(
                f"reduction={loss.reduction!r}", "its reductions are sum_over_batch_size, sum, mean_with_sample_weight"
            )
        if loss.dtype != keras.config.floatx():
            raise _refused(f"a loss in {loss.dtype}", f"the loss of this model is computed in {keras.config.floatx()}")
        # Keras leaves delta out of the configuration of its Huber, and so out of every file (docs/dialects.md).
        return _same(kind, {**loss.get_config(), **getattr(loss, "_fn_kwargs", {})})  # type: ignore[no-any-return]
    name = getattr(loss, "__name__", type(loss).__name__)
    if name not in LOSSES or loss is not keras.losses.get(name):
        raise _refused(f"the loss {_shown(loss)}", f"its losses are {_names(LOSSES.values())}")
    return LOSSES[name]()


def regularizer_of(regularizer: Any) -> Regularizer | None:
    """Return linreg's regulariser for one of Keras'.

    Parameters
    ----------
    regularizer : keras.regularizers.Regularizer or None
        Keras' L1, L2 or L1L2.

    Returns
    -------
    Regularizer or None
        The same penalty.

    Raises
    ------
    ValueError
        If it is another one.
    """
    if regularizer is None:
        return None
    keras = load()
    kinds: tuple[type[Regularizer], ...] = (L1, L2, L1L2)
    for kind in kinds:
        if type(regularizer) is getattr(keras.regularizers, kind.__name__):
            strengths = ("l1", "l2") if kind is L1L2 else (kind.__name__.lower(),)
            return kind(**{name: float(getattr(regularizer, name)) for name in strengths})
    raise _refused(f"the regulariser {_shown(regularizer)}", f"its regularisers are {_names(kinds)}")


def _names(kinds: Iterable[type[HyperParameters]]) -> str:
    return ", ".join(kind.__name__ for kind in kinds)


def _refused(what: str, instead: str) -> ValueError:
    """Return the error about something that linreg cannot represent, and what it can."""
    return ValueError(f"twin: linreg cannot represent {what}: {instead}.")


def _shown(thing: Any) -> str:
    name = getattr(thing, "__name__", None) or type(thing).__name__
    return f"{name} ({thing.name!r})" if isinstance(getattr(thing, "name", None), str) else str(name)


def to_keras(model: LinearRegression) -> Any:
    """Return the compiled Keras Dense(1) model that a fitted `LinearRegression` is.

    Parameters
    ----------
    model : LinearRegression
        The model.

    Returns
    -------
    keras.Sequential
        The twin.

    Raises
    ------
    ValueError
        If the model is not fitted, or Keras cannot represent it.
    """
    keras = load()
    if not hasattr(model, "state_"):
        raise ValueError("twin: the model is not fitted yet: call fit first, with epochs=0 to train nothing.")
    _check_arithmetic(model.dtype, keras.config.floatx())
    state, features = model.state_, model.n_features_in_
    parameters: Array = on_host(state.parameters)
    bias = float(parameters[features]) if model.fit_intercept else 0.0
    made = dense(model, features, parameters[:features], bias)
    made.optimizer.build(made.trainable_variables)
    keras_state.write(state, made.optimizer)
    return made


def _check_arithmetic(dtype: str, floatx: str) -> None:
    needed = {"float32": "float32", "keras_float64": "float64"}.get(dtype)
    if needed is None:
        raise ValueError(
            f"twin: Keras cannot represent dtype={dtype!r}, float64 all through: its float64 models pass some numbers "
            'through float32. dtype="keras_float64" is what they compute.'
        )
    if needed != floatx:
        raise ValueError(
            f"twin: a model with dtype={dtype!r} needs Keras with {needed} by default, but it is {floatx}: call "
            f'keras.config.set_floatx("{needed}") and keras.config.set_dtype_policy("{needed}") first.'
        )
