"""`ExplainLoss`: a Keras callback that says why the loss of `model.fit` rises, turns nan or stalls, and what helps."""

from __future__ import annotations

import dataclasses
import math
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np

from linreg.diagnosis import Diagnosis, diagnose, history, terminal, words
from linreg.diagnosis.code import scripts
from linreg.diagnosis.verdicts import CONVERGED
from linreg.keras.inputs import Inputs, look_at, told
from linreg.keras.loading import load
from linreg.keras.twins import LinearPart, linear_part

Array = Any

RISEN = 1.1
"""Loss over its least so far from which it has risen."""
EXPLODED = 1e3
"""Loss over its first from which nobody waits for another epoch."""
STALLED = 0.01
"""Share of itself by which the least loss falls, in `patience` epochs, where it does not stall."""
ARGUMENTS = (
    *("x", "y", "sample_weight", "batch_size", "shuffle", "validation_data"),
    *("steps_per_epoch", "class_weight", "initial_epoch"),
)
AGAIN = 2.0
"""Growth of the loss since it was last looked at, from which it is looked at again."""
WORDS = {
    "nan": "the loss is {value}",
    "rises": "the loss rises: {value} after {least}",
    "stalls": "the loss stalls at {value}",
    "slow": "the loss falls too slowly to arrive, it is {value}",
    "val_loss": "the validation loss rises: {value} after {least}",
}


class ExplainLoss:
    """Callback for `model.fit` that explains a loss that rises, turns nan or stalls, and can stop the run.

    Parameters
    ----------
    X : array or frame of shape (rows, inputs), or tf.data.Dataset, optional
        The training data, where `fit` cannot tell (a generator): it usually can.
    y : array of shape (rows,) or (rows, 1), optional
        Their target.
    stop : bool, default=True
        Stop the run when its loss is explained; if not, it goes on, and each kind of trouble is explained once.
    restore : bool, default=True
        Bring back the last good weights when the run is stopped: those from which the epoch with the least loss began,
        or those with the least validation loss where there is one.
    patience : int, default=3
        Epochs in a row in which the loss is more than a tenth above its least value before it counts as rising. Where
        it is not finite, or a thousand times its first value, nobody waits.
    stalled : int, default=10
        Epochs within which the least loss must fall by 1 %, or the run is looked at; and after which it is seen whether
        the run will arrive in the epochs that are left, at the pace it has. A run that has arrived at the optimum
        stalls too; it goes on, and nothing is said.
    sample : int, default=100_000
        Rows of a `tf.data.Dataset` that are read.
    verbose : {0, 1}, default=1
        Whether the explanation is printed.

    Attributes
    ----------
    diagnosis_ : Diagnosis or None
        The explanation (the last one); None where nothing was wrong.
    epoch_ : int or None
        The epoch after which it was given, counted from 0 as Keras does.
    trouble_ : {"nan", "rises", "stalls", "slow", "val_loss"} or None
        What was seen.
    text_ : str
        What was printed; "" where nothing was.

    Raises
    ------
    ValueError
        If `patience`, `stalled` or `sample` is no whole number of at least 1.

    Notes
    -----
    What `fit` was given (data, weights, batch size, epochs) is read from its arguments when training begins. For one
    linear unit, alone or behind Normalization and Rescaling layers, the run is repeated in linreg from the weights it
    began with, and diagnosed there (`linreg.diagnose`), planned epochs and all; other callbacks are not repeated. For
    any other model only the loss curve and the inputs are looked at, and the text says so.

    Looked at once an epoch, so that a step costs nothing more.

    Examples
    --------
    >>> import numpy as np
    >>> from linreg.keras import ExplainLoss, load
    >>> keras = load()
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    >>> model.compile(optimizer=keras.optimizers.SGD(0.01), loss="mse")
    >>> X, y = np.array([[1.0, 1000.0], [2.0, 2000.0], [3.0, 3000.0]]), np.array([1.0, 2.0, 3.0])
    >>> explain = ExplainLoss(verbose=0)
    >>> history = model.fit(X, y, epochs=100, verbose=0, callbacks=[explain])
    >>> explain.trouble_, explain.diagnosis_.findings[0].cause
    ('rises', 'feature_scale')
    """

    async_safe = True

    def __init__(
        self,
        X: Any = None,
        y: Any = None,
        *,
        stop: bool = True,
        restore: bool = True,
        patience: int = 3,
        stalled: int = 10,
        sample: int = 100_000,
        verbose: int = 1,
    ) -> None:
        for name, count in (("patience", patience), ("stalled", stalled), ("sample", sample)):
            if not isinstance(count, int) or count < 1:
                raise ValueError(f"ExplainLoss: {name} must be a whole number, at least 1, got {count!r}.")
        self._given = X, y
        self.stop, self.restore, self.verbose = stop, restore, verbose
        self.patience, self.stalled, self.sample = patience, stalled, sample
        self._begin()

    def _begin(self) -> None:
        self.diagnosis_: Diagnosis | None = None
        self.epoch_: int | None = None
        self.trouble_: str | None = None
        self.text_ = ""
        self._losses: list[float] = []
        self._val_losses: list[float] = []
        self._over = {"loss": 0, "val_loss": 0}
        self._looked: dict[str, float] = {}

    # What Keras calls. It asks for these methods, not for a base class, so TensorFlow is not needed to import this.

    def set_params(self, params: dict[str, Any]) -> None:
        """Take the parameters of the run."""
        self.params = params

    def set_model(self, model: Any) -> None:
        """Take the model."""
        self.model = model

    def on_train_begin(self, logs: Any = None) -> None:  # noqa: ARG002
        """Remember where the run begins, and what `fit` was given."""
        self._begin()
        load()
        X, y = self._given
        self._arguments = _arguments_of_fit(self.model)
        if X is not None:
            self._arguments = told(self._arguments, X, y, self.params.get("steps"))
        self._before = self._good = self.model.get_weights()
        self._least = {"loss": math.inf, "val_loss": math.inf}
        self._linear: LinearPart | None = None
        self._why_not = ""
        try:
            self._linear = linear_part(self.model, epochs=self._epochs())
        except (TypeError, ValueError) as error:
            self._why_not = str(error).removeprefix("twin: ")

    def _epochs(self) -> int:
        """Return how many epochs were planned."""
        return max(1, (self.params.get("epochs") or 1) - (self._arguments.get("initial_epoch") or 0))

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Look at the losses of the epoch."""
        if not logs or "loss" not in logs:
            return  # a train_step of one's own, which tells other numbers
        loss, val_loss = float(logs["loss"]), logs.get("val_loss")
        self._losses.append(loss)
        if val_loss is not None:
            self._val_losses.append(float(val_loss))
        weights = self.model.get_weights()
        trouble = self._trouble(loss, val_loss)
        self._keep_good(loss, val_loss, weights)
        self._before = weights
        looked = self._looked.get(trouble or "")
        if trouble is not None and (looked is None or loss > AGAIN * looked):
            self._looked[trouble] = abs(loss)
            self._explain(trouble, epoch)

    def on_train_end(self, logs: Any = None) -> None:  # noqa: ARG002
        """Let go of the data."""
        self._arguments = {}

    def _nothing(self, *_: Any, **__: Any) -> None:
        """Do nothing."""

    on_epoch_begin = _nothing
    on_batch_begin = on_batch_end = on_train_batch_begin = on_train_batch_end = _nothing
    on_test_begin = on_test_end = on_test_batch_begin = on_test_batch_end = _nothing
    on_predict_begin = on_predict_end = on_predict_batch_begin = on_predict_batch_end = _nothing

    def _trouble(self, loss: float, val_loss: float | None) -> str | None:
        least = self._least
        for name, value in (("loss", loss), ("val_loss", val_loss)):
            if value is not None:
                self._over[name] = self._over[name] + 1 if _above(value, least[name], RISEN) else 0
        if not math.isfinite(loss):
            return "nan"
        if self._over["loss"] >= self.patience or self._exploded():
            return "rises"
        if self._over["val_loss"] >= self.patience:
            return "val_loss"
        if self._linear is None:
            return None  # of another model a plateau says nothing
        before = self._losses[: -self.stalled]
        if before and min(self._losses) > (1 - STALLED) * min(before):
            return "stalls"
        if len(self._losses) == self.stalled and self._will_be_late(self._linear):
            return "slow"
        return None

    def _exploded(self) -> bool:
        return _above(self._losses[-1], self._losses[0], EXPLODED)

    def _will_be_late(self, linear: LinearPart) -> bool:
        """Whether 1 % of the first excess of the loss over its least value is out of reach at the pace so far."""
        data, _ = self._read()
        if data is None:
            return False
        floor = data.least_loss(linear)
        excess = np.array(self._losses) - floor
        left = self._epochs() - len(excess)
        half = len(excess) // 2
        if not (excess > 0).all() or half == 0:
            return False
        pace = np.log(excess[-1] / excess[-1 - half]) / half
        return bool(np.log(excess[-1] / excess[0]) + pace * left > np.log(CONVERGED))

    def _keep_good(self, loss: float, val_loss: float | None, weights: list[Array]) -> None:
        """Remember the weights with the least loss: a loss of training is that of the epoch which began with them."""
        name, value, its_weights = ("loss", loss, self._before) if val_loss is None else ("val_loss", val_loss, weights)
        if value < self._least[name] and all(np.isfinite(weight).all() for weight in its_weights):
            self._good = its_weights
        for kind, seen in (("loss", loss), ("val_loss", val_loss)):
            if seen is not None and seen < self._least[kind]:
                self._least[kind] = float(seen)

    def _explain(self, trouble: str, epoch: int) -> None:
        data, unread = self._read()
        try:
            found = self._diagnosis(data)
        except (TypeError, ValueError) as error:
            data, unread = None, str(error)
            found = self._of_curve(None)
        if found is not None and words.healthy(found) and math.isfinite(self._losses[-1]) and not self._exploded():
            return  # it only jitters, or has arrived
        self.diagnosis_, self.epoch_, self.trouble_ = found, epoch, trouble
        name = "val_loss" if trouble == "val_loss" else "loss"
        value = (self._val_losses if name == "val_loss" else self._losses)[-1]
        lines = [WORDS[trouble].format(value=f"{value:.4g}", least=f"{self._least[name]:.4g}")]
        if self.stop:
            self.model.stop_training = True
            lines.append("Training is stopped.")
            if self.restore:
                self.model.set_weights(self._good)
                lines[-1] = "Training is stopped, and the last good weights are back."
        head = f"ExplainLoss, epoch {epoch + 1}: {'. '.join(lines)}"
        told = () if found is None else ("", terminal.text(found), *_code(found))
        self.text_ = "\n".join([head, *self._limits(data, unread), *told])
        if self.verbose:
            print(f"\n{self.text_}", flush=True)  # noqa: T201 (to tell is what it is for)

    def _read(self) -> tuple[Inputs | None, str]:
        try:
            # Of another model than a linear one only arrays are looked at, which lie there already.
            return look_at(self._arguments, self.sample, read_batches=self._linear is not None), ""
        except Exception as error:
            return None, " ".join(f"{error}".split())

    def _of_curve(self, data: Inputs | None) -> Diagnosis | None:
        """Return what the curve alone shows; None where it shows nothing."""
        held = self._val_losses if len(self._val_losses) == len(self._losses) else None
        try:
            return history.explain(self._losses, held, variance=None if data is None else data.variance)
        except ValueError:
            return None

    def _diagnosis(self, data: Inputs | None) -> Diagnosis | None:
        if data is None or self._linear is None:
            return self._of_curve(data)
        linear = self._linear.model
        linear.set_params(batch_size=data.batch_size, shuffle=data.shuffle, warm_start=False)
        features, validation = self._linear.features, data.validation
        return diagnose(
            features(data.X), data.y, sample_weight=data.sample_weight,
            validation_data=None if validation is None else (features(validation[0]), *validation[1:]),
            **linear.get_params(deep=False),
        )  # fmt: skip

    def _limits(self, data: Inputs | None, unread: str) -> Iterator[str]:
        """Yield what the explanation could not take into account."""
        if self._linear is None:
            yield f"The model is not linear regression: {self._why_not}"
            yield "So only the loss curve and the inputs can be looked at."
            if data is not None:
                yield from data.facts()
        elif self._linear.front:
            yield "Values of features below are those behind the layers in front of Dense(1)."
        if unread:
            yield f"The data could not be looked at, only the loss curve: {unread}"
        elif data is not None and data.sampled:
            yield f"Of the Dataset the first {len(data.y):,} rows were read."


def _above(value: float, least: float, times: float) -> bool:
    """Whether a loss is so many times another one; a loss below 0 has its distance measured in its own size."""
    return value > times * least if least > 0 else value > least + times * abs(least) > least


def _code(found: Diagnosis) -> Iterator[str]:
    """Yield the first remedy as a script in tf.keras, if there is one; it starts from weights of its own."""
    if found.given is None or not found.findings or not found.findings[0].remedies:
        return
    anew = {"kernel_initializer": "glorot_uniform", "bias_initializer": "zeros", "random_state": None}
    found = dataclasses.replace(found, given=found.given.with_settings(**anew))
    finding = found.findings[0]
    remedy = finding.remedies[0]
    script = scripts(found, finding, remedy).get("keras")
    if script is not None:
        yield f"\nIn tf.keras ({remedy.name}):\n"
        yield script.rstrip()


def _arguments_of_fit(model: Any) -> dict[str, Any]:
    """Return the arguments of the `fit` of a model that is running, as it has split them; {} if none is."""
    frame = sys._getframe()
    while frame is not None:
        if frame.f_code.co_name == "fit" and frame.f_locals.get("self") is model:
            return {name: frame.f_locals.get(name) for name in ARGUMENTS}
        frame = frame.f_back  # type: ignore[assignment]
    return {}
