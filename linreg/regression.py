"""`LinearRegression`: the estimator that people use."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import os
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import numpy as np

from linreg import sklearn_adapter
from linreg.batches import Batches, Evaluated, Problem
from linreg.callbacks import Callback
from linreg.dask_runs import problem_on_dask
from linreg.data.arrays import column_names, design_matrix, feature_matrix, row_vector, weight_vector
from linreg.data.given import is_source, opened_source, yields_batches
from linreg.devices import HOST, Host, cuda, device_of, on_host
from linreg.fitting import Given, check_can_start, runs_of, train
from linreg.gram import Gram
from linreg.hyperparameters import changed_params, short_repr, with_nested
from linreg.losses import Loss
from linreg.memory import in_bytes
from linreg.optimizers import Optimizer
from linreg.regularizers import Regularizer
from linreg.settings import OWNER, Settings, check, check_engine_of_gpu, with_groups
from linreg.steps import State
from linreg.streaming.feeds import BatchFeed, RowFeed
from linreg.streaming.fitting import from_batches, from_source, held_out, opened_validation, shares
from linreg.streaming.using import check_features, evaluation, predicted, squares
from linreg.training import Run

Array = Any


class LinearRegression:
    """Linear regression trained by gradient descent, step by step as Keras' `Dense(1)` would be.

    Parameters
    ----------
    optimizer : {"sgd", "rmsprop", "adam"} or Optimizer, default="sgd"
        The update rule; a name stands for Keras' default hyper-parameters.
    loss : {"mse", "huber"} or Loss, default="mse"
        The loss.
    epochs : int, default=100
        Passes over the data.
    batch_size : int, default=32
        Rows in a step; the last batch of an epoch holds what is left. `batch_size=len(X)` is full batch.
    shuffle : bool, default=True
        Draw a new order of the rows for every epoch. Keras, once seeded with `keras.utils.set_random_seed`, uses the
        same order in every epoch; here an int `random_state` reshuffles every epoch.
    random_state : None, int, KerasSeed, numpy.random.Generator or numpy.random.RandomState, default=None
        Decides the initial kernel and the order of the epochs. `KerasSeed(s)` gives both as Keras draws them after
        `keras.utils.set_random_seed(s)`, the same order in every epoch.
    kernel_initializer : {"glorot_uniform", "zeros"} or array of shape (features,), default="glorot_uniform"
        The coefficients at the start.
    bias_initializer : {"zeros"} or float, default="zeros"
        The intercept at the start.
    fit_intercept : bool, default=True
        Whether to train an intercept.
    kernel_regularizer : {"l1", "l2"} or Regularizer, optional
        Penalty on the coefficients; it is part of the reported loss.
    dtype : {"float32", "float64", "keras_float64"}, default="float32"
        Arithmetic of the training, float32 like Keras; "keras_float64" is float64 with the float32 roundings of
        hyper-parameters that a float64 Keras model has (see `linreg.precision`).
    engine : {"numpy", "numba", "exact", "dask"}, default="numpy"
        How the run is executed: "numpy" step by step; "numba" too, but compiled, with whole epochs in one call (the
        same run, in which sums may be added up in another order; the first run with a rule and a loss takes seconds
        more, and what was compiled is kept on disk); "exact" computes it by linear algebra, in a time that grows with
        the logarithm of the epochs (but for the history) and to the rounding of float64: for SGD with a squared error,
        `dtype="float64"`, up to 500 features and the same batches in every epoch (see `linreg.dynamics.closed_form`);
        "dask" takes arrays and frames of Dask and Parquet files, and computes where their blocks lie, with
        `dtype="float64"` and the rows in their order (see `linreg.dask_runs`).
    warm_start : bool, default=False
        Whether `fit` goes on where the last one ended (see Notes) instead of starting anew.
    callbacks : sequence of Callback, default=()
        Called between steps, see `linreg.callbacks`.
    verbose : {0, 1}, default=0
        1 shows a progress bar, on a terminal only.
    device : {"cpu", "cuda"}, default="cpu"
        Where `fit` trains NumPy arrays and frames: "cuda" copies them once to a GPU and runs the same rules there
        (`engine="numpy"` only; extra `gpu`). CuPy arrays are trained on the GPU where they lie, whatever is given here.
    memory : None, int or str, default=None
        What the rows of a file or a source may take: bytes, or text like "512MB" or "2GiB"; None is a quarter of the
        machine's memory. Python and its libraries (some 200 MB) come on top. Rows that fit in twice are read once;
        others block by block in every epoch, and shuffled as far as that goes: the order depends on it, so give it
        where a run is to be repeated on another machine.
    checkpoint : str or path, optional
        A file, .npz, that keeps the run while it lasts. Where it is there already, `fit` goes on from it, to the bits
        of the run that was not stopped, and refuses it if it is of other data or settings. A warm start after the end
        of a run is a run of its own, which the file then keeps. Not for iterators, which can be read only once. See
        docs/saving.md.
    checkpoint_every : int or str, default="60s"
        How often it is written: every so many epochs, or after a time, "30s", "5min" or "1h". At the end of a run, and
        when it is stopped by Ctrl-C or SIGTERM, it always is.

    Attributes
    ----------
    coef_ : array of shape (features,)
        Coefficients, in units of y per unit of each feature; a NumPy array also where a GPU has trained them.
    intercept_ : float
        Intercept, in units of y; 0.0 without `fit_intercept`.
    history_ : dict of str to list of float
        One entry an epoch: "loss" (the mean over the epoch's batches, before each of their steps, with the penalty; of
        a squared error in units of y squared),
        "learning_rate" (of the last step, or of the next where a callback logs it, as Keras' do), "val_loss" where
        validation data were given, and what callbacks log; nan in epochs that have no such number.
    n_iter_ : int
        Epochs run.
    n_features_in_ : int
        Features seen by `fit`.
    feature_names_in_ : array of str of shape (features,)
        Column names, where X had them.
    state_ : State
        Where the run stands: parameters, optimizer state, learning rate, order of the rows, counters. After a run on a
        GPU its arrays are CuPy's.
    resumed_ : int
        Epochs that came out of the checkpoint; only where there is one.

    Notes
    -----
    With `warm_start=True` a second `fit` on the same data continues bit for bit, as if the first had been asked for
    more epochs: the learning rate that callbacks have left, the optimizer's state, the counters and the generator of
    the orders live in `state_`, history and epoch numbers go on. A learning rate that was set anew on the estimator
    since the last `fit` takes the place of the one in `state_`. Keras differs in three points: the learning rate and
    the optimizer's state live in the optimizer; epochs count from 0 again unless `fit` is given `initial_epoch`; and
    with `use_ema` Keras goes on from the average, here from the parameters that were averaged. As in Keras, callbacks
    that count epochs (`EarlyStopping`, `ReduceLROnPlateau`) start counting anew with every `fit`.

    Ctrl-C during `fit` ends the run between two steps: the model keeps what it had, then KeyboardInterrupt is raised.
    An epoch that was not finished is in the parameters, but not in `history_` and `n_iter_`; a warm start begins it
    anew, and a checkpoint goes on in the middle of it. With a checkpoint, SIGTERM ends a run in the same way.
    Parameters are checked by `fit`, and by `settings`, not here, as scikit-learn asks for. A loss that diverges is no
    error: the model then holds nan, and `history_` shows how it got there.

    Examples
    --------
    >>> import numpy as np
    >>> from linreg import LinearRegression
    >>> X = np.array([[-1.0], [0.0], [1.0], [2.0]])
    >>> model = LinearRegression(epochs=500, random_state=0).fit(X, [-1, 1, 3, 5])
    >>> model.coef_.round(2), round(model.intercept_, 2)
    (array([2.], dtype=float32), 1.0)
    >>> model.predict([[3.0]]).round(2), round(model.score(X, [-1, 1, 3, 5]), 4)
    (array([7.], dtype=float32), 1.0)
    >>> len(model.history_["loss"]), model.history_["loss"][-1] < 1e-4
    (500, True)
    """

    _estimator_type = "regressor"
    resumed_: int
    _begun: Any = None

    def __init__(
        self,
        optimizer: str | Optimizer = "sgd",
        loss: str | Loss = "mse",
        epochs: int = 100,
        batch_size: int = 32,
        shuffle: bool = True,
        random_state: Any = None,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: str | float = "zeros",
        fit_intercept: bool = True,
        kernel_regularizer: str | Regularizer | None = None,
        dtype: str = "float32",
        engine: str = "numpy",
        warm_start: bool = False,
        callbacks: Iterable[Callback] = (),
        verbose: int = 0,
        *,
        device: str = "cpu",
        memory: int | str | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        checkpoint_every: int | str = "60s",
    ) -> None:
        self.optimizer = optimizer
        self.loss = loss
        self.epochs = epochs
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.random_state = random_state
        self.kernel_initializer = kernel_initializer
        self.bias_initializer = bias_initializer
        self.fit_intercept = fit_intercept
        self.kernel_regularizer = kernel_regularizer
        self.dtype = dtype
        self.engine = engine
        self.warm_start = warm_start
        self.callbacks = callbacks
        self.verbose = verbose
        self.device = device
        self.memory = memory
        self.checkpoint = checkpoint
        self.checkpoint_every = checkpoint_every

    # Parameters.

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters by name.

        Parameters
        ----------
        deep : bool, default=True
            Also list the hyper-parameters of optimizer, loss and regulariser, as `optimizer__learning_rate`.

        Returns
        -------
        dict of str to object
            Name and value of each parameter.
        """
        own = {name: getattr(self, name) for name in _parameters(type(self))}  # type: ignore[arg-type]
        if not deep:
            return own
        return {**with_nested(with_groups(own)), **own}

    def set_params(self, **params: Any) -> Self:
        """Change parameters; `optimizer__learning_rate=0.1` reaches into the optimizer, even one given by name.

        Parameters
        ----------
        **params : object
            New values by name.

        Returns
        -------
        LinearRegression
            The estimator itself.

        Raises
        ------
        ValueError
            If a name is unknown or a value is refused.
        """
        own = self.get_params(deep=False)
        direct = {name: value for name, value in params.items() if "__" not in name}
        own.update(changed_params(type(self).__name__, own, direct))
        nested = {name: value for name, value in params.items() if name not in direct}
        own.update(changed_params(type(self).__name__, with_groups(own), nested))
        for name, value in own.items():
            setattr(self, name, value)
        return self

    def settings(self) -> Settings:
        """Check every parameter and resolve the names among them.

        Returns
        -------
        Settings
            Optimizer, loss, regulariser, precision and callbacks as objects.

        Raises
        ------
        TypeError
            If a parameter is of the wrong type.
        ValueError
            If a parameter is refused; the nearest known name is suggested.
        """
        return check(self.get_params(deep=False))

    # Training.

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None, validation_data: Any = None) -> Self:
        """Train the model.

        Parameters
        ----------
        X : array or frame of shape (rows, features), path, Source, iterable of tuple, or Gram
            Features: finite numbers. A CuPy array is trained on its GPU. The path of a file that
            `linreg.data.open_table` reads, or a pattern of them, or a `linreg.data.blocks.Source`, is read block by
            block where it is larger than `memory`. An iterable of batches (X, y) or (X, y, sample_weight) makes one
            step of each, in its order; `batch_size` and `shuffle` then do nothing. Moments (`linreg.gram.gather`) take
            the place of X and y in full batches of a squared error. With `engine="dask"` an array or frame of Dask, or
            the path of a Parquet file or of a folder of them; y and the weights may then be names of columns.
        y : array of shape (rows,) or (rows, 1), str or None
            Target; brought to where X is trained, unless it is a CuPy array and X is not. The name of its column where
            X is a path, None where X is a source, yields batches or is a Gram.
        sample_weight : array of shape (rows,), optional
            Weight of each row in the loss. With the default reduction the sum is divided by the number of rows, as in
            Keras, so doubling all weights doubles the step. Sources and batches bring their own.
        validation_data : tuple (X, y) or (X, y, sample_weight), tuple (path, target) or Source, optional
            Data whose loss is reported after each epoch; of files and sources block by block as well, in a quarter of
            `memory`, or as much of it as they need.

        Returns
        -------
        LinearRegression
            The fitted estimator itself.

        Raises
        ------
        TypeError
            If the data hold something that is no number, or y lies on a GPU and X does not.
        ImportError or RuntimeError
            If a GPU is asked for, and CuPy or the GPU is missing.
        ValueError
            If a parameter is refused, shapes do not fit, or values are missing or infinite; or if the checkpoint is
            damaged, or of other data or settings.
        OSError
            If the checkpoint cannot be read or written, or is that of a run that is going on (BlockingIOError).
        KeyboardInterrupt
            After Ctrl-C, with the model fitted as far as it was.
        """
        settings, memory = self.settings(), in_bytes(OWNER, self.memory)
        with ExitStack() as stack:
            others = opened_validation(validation_data, stack, memory)
            as_given = self.engine == "dask" or isinstance(X, Gram)  # a path may be a folder there
            rows = None if as_given else stack.enter_context(opened_source(X, y, sample_weight, memory=memory))
            memory, for_others = shares(self, rows, others, settings, memory)
            feed: RowFeed | BatchFeed | None = None
            if rows is not None:
                names: list[str] | None = list(rows.names)
                problem, feed = from_source(self, rows, settings, memory, shuffle=bool(self.shuffle))
            elif not as_given and yields_batches(X, y):
                feed = from_batches(self, X, sample_weight, settings)
                problem, names = feed.first, column_names(feed.first_X)
            else:
                device = self._training_device(X)
                problem, names = self._training_problem(X, y, sample_weight, settings, device)
            validation: Problem | Evaluated | None
            if others is None:
                device = device_of(problem.matrix)
                validation = self._validation(validation_data, problem.kernel_size, names, settings, device)
            else:
                validation = held_out(self, others, problem, names, settings, for_others)
            train(
                self, Given(problem, names, validation, feed), settings, go_on=bool(self.warm_start),
                epochs=self.epochs, shuffle=self._shuffles(X), keep=True,
            )  # fmt: skip
        return self

    def partial_fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Train on some rows once, in batches of `batch_size` in the order given, going on from where the model stands.

        Parameters
        ----------
        X : array or frame of shape (rows, features), path or Source
            Features: finite numbers; a file or a source is read block by block, as by `fit`.
        y : array of shape (rows,) or (rows, 1), or str
            Target, or the name of its column in a file; None with a source.
        sample_weight : array of shape (rows,), optional
            Weight of each row in the loss; sources bring their own.

        Returns
        -------
        LinearRegression
            The estimator itself; the pass counts as an epoch in `history_` and `n_iter_`.

        Raises
        ------
        TypeError
            If the data hold something that is no number.
        ValueError
            If a parameter is refused, shapes do not fit, or values are missing or infinite; or if there is a
            `checkpoint`, which one call does not keep.

        Notes
        -----
        The first call starts as `fit` does; whether `warm_start` is set does not matter. Rows of one batch make one
        step, as Keras' `train_on_batch` does. Callbacks see each call as a run of one epoch.
        """
        if self.checkpoint is not None:
            raise ValueError(
                "partial_fit keeps no checkpoint: set checkpoint=None, and save the model (model.save) between calls."
            )
        settings, memory = self.settings(), in_bytes(OWNER, self.memory)
        with opened_source(X, y, sample_weight, memory=memory) as rows:
            if hasattr(self, "coef_"):
                self._check_features(X, rows)
            if rows is None:
                device = self._training_device(X)
                problem = self._problem(X, y, sample_weight, settings, intercept=self.fit_intercept, device=device)
                given = Given(problem, column_names(X))
            else:
                problem, feed = from_source(self, rows, settings, memory, shuffle=False)
                given = Given(problem, list(rows.names), None, feed)
            train(self, given, settings, go_on=True, epochs=1, shuffle=False)
        return self

    def _kind_of_run(self) -> Callable[..., Run]:
        """Return what executes a run."""
        return runs_of(self.engine)

    def _training_device(self, X: Any) -> Host:
        """Return where a fit on X runs."""
        device = device_of(X)
        if device is not HOST:
            check_engine_of_gpu(self.engine, "X is a CuPy array", "copy X to the host with cupy.asnumpy(X)")
            return device
        return cuda() if self.device == "cuda" else HOST

    def _training_problem(
        self, X: Any, y: Any, sample_weight: Any, settings: Settings, device: Host
    ) -> tuple[Problem, list[str] | None]:
        """Return what is trained on, and the names of its features."""
        if self.engine == "dask" and not isinstance(X, Gram):
            return problem_on_dask(
                X, y, sample_weight, settings, batch_size=int(self.batch_size), shuffle=bool(self.shuffle),
                intercept=self.fit_intercept,
            )  # fmt: skip
        problem = self._problem(X, y, sample_weight, settings, intercept=self.fit_intercept, device=device)
        return problem, column_names(X)

    def _shuffles(self, X: Any) -> bool:
        """Whether the order of the rows is drawn; the few rows of moments have none."""
        return bool(self.shuffle) and not isinstance(X, Gram)

    def _problem(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        settings: Settings,
        names: tuple[str, str, str] = ("X", "y", "sample_weight"),
        *,
        intercept: bool,
        device: Host,
    ) -> Problem:
        if isinstance(X, Gram):
            if y is not None or sample_weight is not None:
                raise ValueError("Moments (linreg.gram) hold their target and weights: leave y and sample_weight out.")
            if self.engine == "numba":
                raise ValueError(
                    'engine="numba" reads rows whose intercept is 1, unlike those of moments: set "numpy".'
                )
            few = X.problem(settings, int(self.batch_size), intercept=intercept)
            return dataclasses.replace(few, matrix=device.put(few.matrix), target=device.put(few.target))
        dtype = settings.precision.dtype
        matrix = device.put(feature_matrix(X, dtype, name=names[0]), names[0])
        target = device.put(row_vector(y, dtype, len(matrix), name=names[1], of=names[0]), names[1])
        weight = on_host(weight_vector(sample_weight, dtype, len(matrix), name=names[2], of=names[0]))
        return Problem(design_matrix(matrix, intercept), target, weight, int(self.batch_size), matrix.shape[1])

    def _validation(
        self, data: Any, features: int, names: list[str] | None, settings: Settings, device: Host
    ) -> Problem | None:
        if data is None:
            return None
        if not isinstance(data, tuple | list) or len(data) not in (2, 3):
            many = f" of length {len(data)}" if isinstance(data, tuple | list) else ""
            raise ValueError(
                f"validation_data must be a tuple (X, y) or (X, y, sample_weight), got a {type(data).__name__}{many}."
            )
        parts = ("validation_data[0]", "validation_data[1]", "validation_data[2]")
        weight = data[2] if len(data) == 3 else None
        problem = self._problem(data[0], data[1], weight, settings, parts, intercept=self.fit_intercept, device=device)
        self._check_validation(problem.kernel_size, column_names(data[0]), features, names)
        return problem

    def _check_validation(self, found: int, found_names: list[str] | None, features: int, names: Any) -> None:
        """Raise unless validation rows have the features of the training rows."""
        sklearn_adapter.check_feature_names(OWNER, found_names, names)
        if found != features:
            raise ValueError(f"validation_data has {found} features, but X has {features}: give the same columns.")

    def _keep(self, run: Run, names: list[str] | None) -> None:
        """Make the run's result the model's."""
        self.adopt(run.state, run.problem.kernel_size, run.history)
        if names is not None:
            self.feature_names_in_ = np.array(names, dtype=object)
        elif hasattr(self, "feature_names_in_"):
            del self.feature_names_in_

    def adopt(self, state: State, features: int, history: dict[str, list[float]] | None = None) -> None:
        """Make the model one that stands where a run stands, which a warm start then continues.

        Parameters
        ----------
        state : State
            Where it stands; it is kept, not copied.
        features : int
            How many of its parameters are coefficients.
        history : dict of str to list of float, optional
            Its history; empty if not given.
        """
        fitted = on_host(state.fitted if state.fitted is not None else state.parameters)
        self.coef_ = fitted[:features].copy()
        self.intercept_ = float(fitted[features]) if self.fit_intercept else 0.0
        self.history_ = {} if history is None else history
        self.n_iter_ = state.epoch
        self.n_features_in_ = features
        self.state_ = state
        self._begun = None
        self._learning_rate: Any = self.settings().optimizer.learning_rate

    # Files.

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the fitted model to a file: settings, parameters, history and where the run stands.

        Parameters
        ----------
        path : path
            The file, whose name ends in .npz. One that is there already is left as it is until the new one is complete.

        Returns
        -------
        pathlib.Path
            The file.

        Raises
        ------
        sklearn.exceptions.NotFittedError or ValueError
            If the model is not fitted, or the name has another ending.
        TypeError
            If the model holds something that no file can hold: a function as its learning rate, an optimizer of one's
            own that is not registered.
        OSError
            If the file cannot be written.

        Notes
        -----
        Callbacks, `verbose` and `checkpoint` belong to a call of `fit`, not to the model, and are left out. A pipeline
        of scikit-learn around the model is saved by `linreg.save`. See docs/saving.md for what the format promises.
        """
        from linreg.saving.models import write_model

        if not hasattr(self, "coef_"):
            raise sklearn_adapter.not_fitted(OWNER)
        return write_model(path, self)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Return the model in a file that `save` has written; nothing in the file is executed.

        Parameters
        ----------
        path : path
            The file.

        Returns
        -------
        LinearRegression
            The fitted model: it predicts the same bits, and a warm start goes on as that of the saved one would.

        Raises
        ------
        OSError
            If the file cannot be read.
        ValueError
            If a byte of it has changed, or it is no model, or one with preparation (`linreg.load` reads that).
        """
        from linreg.saving.models import SavedModel

        saved = SavedModel(path)
        if saved.preparation is not None:
            saved.archive.refuse("the model in it comes with the preparation of its features: read it by linreg.load")
        return cls.restored(saved)

    @classmethod
    def restored(cls, saved: Any) -> Self:
        """Return the model that a `linreg.saving.models.SavedModel` holds, without what was around it."""
        with saved.archive.reading():
            model = cls(**saved.parameters)
            check_can_start(model, len(saved.coef), model.settings())
            model.adopt(saved.state, len(saved.coef), saved.history)
        model.coef_, model.intercept_, model._learning_rate = saved.coef, saved.intercept, saved.learning_rate_at_fit
        if saved.names is not None:
            model.feature_names_in_ = np.array(saved.names, dtype=object)
        return model

    # Use.

    def predict(self, X: Any) -> Array:
        """Return the predictions `X @ coef_ + intercept_`.

        Parameters
        ----------
        X : array or frame of shape (rows, features), or Source
            Features, as in `fit`; a source, such as `linreg.data.open_table` makes of files, is read block by block.

        Returns
        -------
        array of shape (rows,)
            Predictions in the arithmetic of the model, in units of y; a CuPy array if X is one.

        Raises
        ------
        sklearn.exceptions.NotFittedError or ValueError
            If the model is not fitted.
        ValueError
            If X does not have the features of `fit`.
        """
        if isinstance(X, os.PathLike) or (isinstance(X, str) and Path(X).suffix):
            raise TypeError(
                f"predict takes rows or a source of them, but X is the path {os.fspath(X)!r}: give "
                f"linreg.data.open_table({os.fspath(X)!r}, target, columns=[...]), or use `linreg predict`."
            )
        if is_source(X):
            self._check_features(X, X)
            return predicted(X, self.coef_.dtype.type, self._predict)
        return self._predict(self._checked(X))

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Return R^2, the share of the variance of y that is explained, computed in float64.

        Parameters
        ----------
        X : array or frame of shape (rows, features), path or Source
            Features; a file or a source is read block by block.
        y : array of shape (rows,) or str
            Target, or the name of its column in a file; None with a source.
        sample_weight : array of shape (rows,), optional
            Weights; sources bring their own.

        Returns
        -------
        float
            1 - sum (y - prediction)^2 / sum (y - mean of y)^2; at most 1, and below 0 for a model that is worse than
            the mean. nan with fewer than two rows; for a constant y 1.0 if it is met exactly, else 0.0 (as in
            scikit-learn).
        """
        with (
            opened_source(X, y, sample_weight, memory=in_bytes(OWNER, self.memory)) as source,
            np.errstate(all="ignore"),
        ):
            if source is not None:
                self._check_features(X, source)
                residual, total, rows = squares(source, self.coef_.dtype.type, self._predict)
            else:
                residual, total, rows = self._squares(X, y, sample_weight)
        if rows < 2 or np.isnan(residual):
            return float("nan")
        if total == 0:
            return 1.0 if residual == 0 else 0.0
        return 1 - residual / total

    def _squares(self, X: Any, y: Any, sample_weight: Any) -> tuple[float, float, int]:
        """Return the sums of squares of errors and target, and the number of rows, of arrays."""
        matrix = self._checked(X)
        device = device_of(matrix)
        target = device.put(row_vector(y, np.float64, len(matrix), name="y"), "y")
        weight = weight_vector(sample_weight, np.float64, len(matrix))
        weight = np.ones_like(target) if weight is None else device.put(weight, "sample_weight")
        residual = float((weight * (target - self._predict(matrix)) ** 2).sum())
        total = float((weight * (target - np.average(target, weights=weight)) ** 2).sum())
        return residual, total, len(matrix)

    def evaluate(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Return the loss on data, computed as in training: by batches, with reduction, weights and penalty.

        Parameters
        ----------
        X : array or frame of shape (rows, features), path or Source
            Features; a file or a source is read block by block.
        y : array of shape (rows,) or str
            Target, or the name of its column in a file; None with a source.
        sample_weight : array of shape (rows,), optional
            Weights; sources bring their own.

        Returns
        -------
        float
            The loss, of a squared error in units of y squared.
        """
        settings, memory, device = self.settings(), in_bytes(OWNER, self.memory), device_of(X)
        number, dtype = settings.precision.number, settings.precision.dtype
        with opened_source(X, y, sample_weight, memory=memory) as source, np.errstate(all="ignore"):
            self._check_features(X, source)
            parameters = device.put(np.append(self.coef_, self.intercept_).astype(dtype))
            if source is None:
                problem = self._problem(X, y, sample_weight, settings, intercept=True, device=device)
                rows: Evaluated = Batches(problem, False, settings.loss, settings.precision, parameters)
            else:
                rows = evaluation(source, int(self.batch_size), memory, settings, parameters)
            loss = rows.evaluate(parameters, settings.loss.constants(number))
            if settings.regularizer is not None:
                loss = loss + settings.regularizer.bind(settings.precision.cast)[0](parameters[:-1])
        return float(on_host(loss))

    def diagnose(self, X: Any, y: Any, *, sample_weight: Any = None, validation_data: Any = None) -> Any:
        """Say why the loss of this model rises or does not come down on some data; the model is not trained.

        Parameters
        ----------
        X : array or frame of shape (rows, features)
            Features, as they would be given to `fit`.
        y : array of shape (rows,)
            Target.
        sample_weight : array of shape (rows,), optional
            Weights.
        validation_data : tuple (X, y), optional
            Data on which the loss is compared.

        Returns
        -------
        linreg.diagnosis.Diagnosis
            Verdict, causes with evidence, and remedies that were tried; see `linreg.diagnose`.
        """
        from linreg.diagnosis import diagnose  # the room below, for convenience

        settings = self.get_params(deep=False)
        return diagnose(X, y, sample_weight=sample_weight, validation_data=validation_data, **settings)

    def _predict(self, matrix: Array) -> Array:
        with np.errstate(all="ignore"):
            device = device_of(matrix)
            return device.row_dot(matrix, device.put(self.coef_)) + matrix.dtype.type(self.intercept_)

    def _check_features(self, X: Any, source: Any) -> None:
        """Raise unless the rows, of a source or arrays, fit the fitted model."""
        if source is None:
            self._checked(X)
        elif not hasattr(self, "coef_"):
            raise sklearn_adapter.not_fitted(OWNER)
        else:
            check_features(OWNER, source, self.n_features_in_, getattr(self, "feature_names_in_", None))

    def _checked(self, X: Any) -> Array:
        """Return X as an array that fits the fitted model."""
        if not hasattr(self, "coef_"):
            raise sklearn_adapter.not_fitted(OWNER)
        sklearn_adapter.check_feature_names(OWNER, column_names(X), getattr(self, "feature_names_in_", None))
        matrix = feature_matrix(X, self.coef_.dtype.type)
        if matrix.shape[1] != self.n_features_in_:
            raise ValueError(
                f"X has {matrix.shape[1]} features, but {OWNER} is expecting {self.n_features_in_} features as input: "
                "give the columns that fit was given."
            )
        return matrix

    def __getstate__(self) -> dict[str, Any]:
        """Return what is pickled or copied: with arrays of the host, so that it can be read where there is no GPU."""
        own = dict(self.__dict__)
        return {**own, "state_": self.state_.moved(HOST)} if "state_" in own else own

    def __sklearn_tags__(self) -> Any:
        """Tell scikit-learn what the estimator can do."""
        return sklearn_adapter.tags()

    def __repr__(self) -> str:
        """Show the parameters that differ from their defaults."""
        return short_repr(self, _parameters(type(self)))  # type: ignore[arg-type]


@functools.cache
def _parameters(kind: type) -> dict[str, Any]:
    """Return the parameters of an estimator and their defaults, as its constructor names them."""
    signature = inspect.signature(kind.__init__)  # type: ignore[misc]
    named = [p for p in signature.parameters.values() if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    return {p.name: p.default for p in named if p.name != "self"}
