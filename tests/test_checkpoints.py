"""Checkpoints: a run that is stopped and goes on ends with the bits of the run that was not, or is refused by name."""

import copy
import errno
import importlib.util
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from linreg import L2, SGD, Adam, Huber, KerasSeed, LinearRegression, RMSprop, diagnose, schedules, sweep, training
from linreg.archives import read_archive, write_archive
from linreg.callbacks import Callback, EarlyStopping, LearningRateScheduler, ReduceLROnPlateau, TerminateOnNaN
from linreg.saving.checkpoints import KIND
from linreg.seeds import KerasGenerator
from linreg.stopping import Terminated


def data(rows=150, features=3, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(rows, features))
    return X, X @ np.arange(1, features + 1) + 1 + 0.1 * rng.normal(size=rows)


def bits(model):
    """Everything that a run leaves behind, as bytes."""
    state = model.state_
    parts = [
        model.coef_,
        model.intercept_,
        state.parameters,
        *state.slots,
        state.iterations,
        state.epoch,
        model.n_iter_,
    ]
    parts += [part for part in (state.total, state.average, state.fitted) if part is not None]
    parts += [np.array(model.history_[name], float) for name in sorted(model.history_)]
    parts.append(copy.deepcopy(state.generator).permutation(7))  # the generator stands where it stood
    return [np.asarray(part).tobytes() for part in parts]


class Stop(Callback):
    """Ctrl-C, or another signal, at one batch of one epoch, or after an epoch; once."""

    def __init__(self, epoch, batch=None, number=signal.SIGINT):
        self.at, self.number, self.now = (epoch, batch), number, 0
        self.batched = batch is not None

    @property
    def watches_batches(self):
        return self.batched

    def on_epoch_begin(self, epoch, logs):
        self.now = epoch

    def on_epoch_end(self, epoch, logs):
        self.strike(epoch, None)

    def on_train_batch_end(self, batch, logs):
        self.strike(self.now, batch)

    def strike(self, *at):
        if at == self.at:
            self.at = None
            os.kill(os.getpid(), self.number)


def noted():
    return [
        EarlyStopping("loss", patience=4, restore_best_weights=True, min_delta=0.01),
        ReduceLROnPlateau("loss", patience=2, min_delta=0.05, cooldown=1),
    ]


RUNS = {
    "adam": lambda: LinearRegression(Adam(0.05, amsgrad=True), random_state=1),
    "accumulated and averaged": lambda: LinearRegression(
        SGD(0.05, momentum=0.9, use_ema=True, ema_overwrite_frequency=7, gradient_accumulation_steps=4), random_state=2
    ),
    "a schedule, clipped": lambda: LinearRegression(
        RMSprop(schedules.CosineDecay(0.05, 40), centered=True, momentum=0.5, clipnorm=0.5),
        Huber(0.5),
        random_state=np.random.Generator(np.random.MT19937(3)),
        kernel_regularizer=L2(0.01),
    ),
    "keras' order": lambda: LinearRegression(SGD(0.01), random_state=KerasSeed(4), dtype="float64"),
    "callbacks": lambda: LinearRegression(SGD(0.3), random_state=5, callbacks=noted()),
    "a rate of its own": lambda: LinearRegression(
        SGD(0.01), random_state=6, callbacks=[LearningRateScheduler(lambda epoch, rate: rate * 0.9), TerminateOnNaN()]
    ),
    "Philox": lambda: LinearRegression(
        "sgd", random_state=np.random.Generator(np.random.Philox(7)), fit_intercept=False
    ),
}


@pytest.mark.parametrize("engine", ["numpy", "numba"])
@pytest.mark.parametrize("batch", [None, 3], ids=["between epochs", "within an epoch"])
@pytest.mark.parametrize("name", RUNS)
def test_a_run_that_is_stopped_and_goes_on_ends_with_the_bits_of_one_that_is_not(tmp_path, engine, batch, name):
    if engine == "numba":
        pytest.importorskip("numba", reason="Numba is not installed: pip install 'linreg[fast]'")
    X, y = data()
    weight = np.linspace(0.5, 2, len(y))
    fit = {"sample_weight": weight, "validation_data": data(30, seed=1)}
    straight, stopped, again = (RUNS[name]().set_params(engine=engine, epochs=12, batch_size=16) for _ in range(3))
    # All three look at every batch, so that all add up in the same order.
    straight.set_params(callbacks=[*straight.callbacks, Stop(99, batch)]).fit(X, y, **fit)
    path = tmp_path / "run.npz"
    stopped.set_params(callbacks=[*stopped.callbacks, Stop(4, batch)], checkpoint=path)
    with pytest.raises(KeyboardInterrupt, match=r"run\.npz' holds the run: give the same again to go on from there"):
        stopped.fit(X, y, **fit)
    again.set_params(callbacks=[*again.callbacks, Stop(99, batch)], checkpoint=path).fit(X, y, **fit)
    assert again.resumed_ == (5 if batch is None else 4)
    assert bits(again) == bits(straight)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["run.npz", "run.npz.previous"]


@pytest.mark.parametrize("engine", ["numpy", "numba", "exact"])
def test_a_checkpoint_changes_no_bit_and_more_epochs_are_those_of_a_longer_run(tmp_path, engine):
    if engine == "numba":
        pytest.importorskip("numba", reason="Numba is not installed: pip install 'linreg[fast]'")
    X, y = data()
    settings = {"engine": engine, "dtype": "float64", "shuffle": engine != "exact", "random_state": 0}
    known = LinearRegression(SGD(0.01, momentum=0.5), epochs=30, **settings).fit(X, y)
    kept = {"checkpoint": tmp_path / "run.npz", "checkpoint_every": 4}
    for epochs, resumed in ((10, 0), (10, 10), (11, 10), (30, 11)):
        model = LinearRegression(SGD(0.01, momentum=0.5), epochs=epochs, **settings, **kept).fit(X, y)
        assert model.resumed_ == resumed
        assert model.n_iter_ == len(model.history_["loss"]) == epochs
    assert bits(model) == bits(known)


def test_a_run_that_is_computed_goes_on_from_whole_pieces_of_its_history(tmp_path, monkeypatch):
    from linreg import exact

    monkeypatch.setattr(exact, "AT_ONCE", 50)
    X, y = data()
    settings = {"engine": "exact", "dtype": "float64", "shuffle": False, "random_state": 0, "batch_size": 16}
    known = LinearRegression(SGD(0.001), epochs=330, **settings).fit(X, y)
    model, kept, book = LinearRegression(SGD(0.001), epochs=330, **settings), [], exact.ExactRun._book

    def booked(run, form, first, last):
        kept.append(first)
        if len(kept) == 4:
            os.kill(os.getpid(), signal.SIGTERM)
        book(run, form, first, last)

    monkeypatch.setattr(exact.ExactRun, "_book", booked)
    model.set_params(checkpoint=tmp_path / "run.npz")
    with pytest.raises(Terminated) as stopped:
        model.fit(X, y)
    assert stopped.value.code == 143
    assert (model.n_iter_, model.history_["loss"]) == (0, [])
    assert bits(model.set_params(epochs=230).fit(X, y)) != bits(known)
    assert model.resumed_ == 200
    assert bits(model.set_params(epochs=330).fit(X, y)) == bits(known)
    assert kept == [0, 50, 100, 150, 200, 200, 250, 300]


def test_a_long_epoch_is_kept_by_the_clock_and_goes_on_in_its_middle(tmp_path):
    X, y = data(rows=training.CHUNK * 3 + 100)
    settings = {"epochs": 2, "batch_size": 1, "random_state": 0}
    known = LinearRegression(SGD(0.001), **settings).fit(X, y)
    path, model = tmp_path / "run.npz", LinearRegression(SGD(0.001), **settings)
    model.set_params(checkpoint=path, checkpoint_every="0s")
    seen, keep = [], __import__("linreg.saving.checkpoints", fromlist=["Checkpoint"]).Checkpoint.keep

    def keeping(self, run):
        keep(self, run)
        seen.append((run.state.epoch, run.position.batches))
        if len(seen) == 6:
            raise MemoryError  # the process is lost here

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("linreg.saving.checkpoints.Checkpoint.keep", keeping)
        with pytest.raises(MemoryError):
            model.fit(X, y)
    assert seen == [(0, 1024), (0, 2048), (0, 3072), (1, 0), (1, 1024), (1, 2048)]
    document = read_archive(path, KIND).document
    assert (document["state"]["epoch"], document["place"]["batch"], document["place"]["rows"]) == (1, 2048, 2048)
    assert bits(LinearRegression(SGD(0.001), **settings, checkpoint=path).fit(X, y)) == bits(known)


def test_a_run_that_callbacks_have_ended_stays_ended(tmp_path):
    X, y = data()
    settings = {"random_state": 0, "checkpoint": tmp_path / "run.npz", "checkpoint_every": 3}

    def fitted(epochs, **kept):
        callback = EarlyStopping("loss", patience=3, restore_best_weights=True)
        return LinearRegression(SGD(0.4), epochs=epochs, callbacks=[callback], **{**settings, **kept}).fit(X, y)

    known = fitted(50, checkpoint=None)
    assert known.n_iter_ < 50
    assert bits(fitted(50)) == bits(fitted(50)) == bits(fitted(70)) == bits(known)
    assert fitted(70).resumed_ == known.n_iter_


def test_a_warm_start_is_kept_as_the_run_that_it_is(tmp_path):
    X, y = data()
    first = LinearRegression(Adam(0.01), epochs=5, random_state=0, warm_start=True).fit(X, y)
    first.save(tmp_path / "model.npz")
    known = LinearRegression.load(tmp_path / "model.npz").set_params(epochs=9).fit(X, y)
    kept = {"checkpoint": tmp_path / "run.npz", "epochs": 9}
    stopped = LinearRegression.load(tmp_path / "model.npz").set_params(**kept, callbacks=[Stop(8)])
    with pytest.raises(KeyboardInterrupt):
        stopped.fit(X, y)
    again = LinearRegression.load(tmp_path / "model.npz").set_params(**kept, callbacks=[Stop(99)]).fit(X, y)
    assert again.resumed_ == 4
    assert bits(again) == bits(known)
    with pytest.raises(ValueError, match="the model that it started from was another one"):
        LinearRegression(Adam(0.01), random_state=0, warm_start=True).fit(X, y).set_params(**kept).fit(X, y)


@pytest.mark.parametrize("given", ["int", "generator", "legacy"])
@pytest.mark.parametrize("begun", ["anew", "from a loaded model"])
@pytest.mark.parametrize("batch", [None, 2], ids=["between epochs", "within an epoch"])
def test_the_same_call_again_in_one_process_goes_on_whatever_the_warm_start(tmp_path, given, begun, batch):
    X, y = data()

    def model(**kept):
        own = {"int": 3, "generator": np.random.default_rng(3), "legacy": np.random.RandomState(3)}[given]
        made = LinearRegression(Adam(0.01), epochs=4, batch_size=32, random_state=own, warm_start=True)
        if begun != "anew":
            made = LinearRegression.load(made.set_params(random_state=3).fit(X, y).save(tmp_path / "model.npz"))
            made.set_params(warm_start=True)
        return made.set_params(epochs=9, **kept)

    at = 8 if begun != "anew" else 4
    known = model(callbacks=[Stop(99, batch)]).fit(X, y)
    again = model(callbacks=[Stop(at, batch)], checkpoint=tmp_path / "run.npz")
    with pytest.raises(KeyboardInterrupt):
        again.fit(X, y)
    assert again.fit(X, y).resumed_ == (4 if batch is not None else 5)
    assert bits(again) == bits(known)
    # After its end, a warm start is a further run, as it is without a checkpoint.
    assert not hasattr(known.fit(X, y), "resumed_")
    assert again.fit(X, y).resumed_ == 0
    assert bits(again) == bits(known)


def test_a_fit_that_is_not_warm_goes_on_with_a_generator_that_has_moved(tmp_path):
    X, y = data()
    known = LinearRegression(epochs=6, random_state=np.random.default_rng(1)).fit(X, y)
    again = LinearRegression(epochs=6, random_state=np.random.default_rng(1), checkpoint=tmp_path / "run.npz")
    again.set_params(callbacks=[Stop(2)])
    with pytest.raises(KeyboardInterrupt):
        again.fit(X, y)
    assert again.fit(X, y).resumed_ == 3
    assert bits(again) == bits(known)
    with pytest.raises(ValueError, match=r"random_state was Generator\(PCG64, state .* and is Generator"):
        LinearRegression(epochs=6, random_state=again.random_state, checkpoint=tmp_path / "run.npz").fit(X, y)


def test_without_a_checkpoint_a_model_has_not_resumed(tmp_path):
    X, y = data()
    model = LinearRegression(epochs=2, random_state=0, checkpoint=tmp_path / "run.npz").fit(X, y)
    assert model.fit(X, y).resumed_ == 2
    assert not hasattr(model.set_params(checkpoint=None).fit(X, y), "resumed_")


def test_partial_fit_refuses_a_checkpoint_that_it_would_not_keep(tmp_path):
    with pytest.raises(ValueError, match="partial_fit keeps no checkpoint: set checkpoint=None"):
        LinearRegression(checkpoint=tmp_path / "run.npz").partial_fit(*data())


class Notes(Callback):
    """Notes a value at the start of a run that begins anew."""

    remembers = ("value",)

    def __init__(self, first):
        self.first = first

    def on_train_begin(self, logs):
        self.value = self.first


def same_kind(one, other):
    """Whether two values have the same types and bits, all the way down."""
    if type(one) is not type(other):
        return False
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same_kind, one, other))
    if isinstance(one, dict):
        return list(one) == list(other) and all(same_kind(one[key], other[key]) for key in one)
    if isinstance(one, np.ndarray | np.generic):
        return (one.dtype, one.shape, one.tobytes()) == (other.dtype, other.shape, other.tobytes())
    return repr(one) == repr(other)


def nested(depth):
    """An empty list within so many others."""
    return [nested(depth - 1)] if depth else []


NOTED = [
    None, True, 3, -(2**127), 0.1, -0.0, float("nan"), float("-inf"), "text \u2028 \ud800", "", [], (), {},
    [1, (2.0, "three", [None])], {"a": (1,), "": {"b": [True]}}, ("not an array",), nested(19),
    np.float16(0.1), np.float32(0.1), np.float64(0.1), np.int8(-3), np.uint64(2**63 + 5), np.bool_(True),
    np.complex64(1 + 2j), np.datetime64("2020-01-01"), np.timedelta64(3, "ms"), np.float32("nan"),
    np.array([True, False, True]), np.array([1 + 2j]), np.array([2**63 + 5], np.uint64), np.array([-1, 2], np.int8),
    np.array([0.1, np.nan, -0.0], np.float16), np.arange(24.0).reshape(2, 3, 4), np.array(0.1), np.zeros((0, 3)),
    np.array(["2020-01-01", "NaT"], "M8[D]"), np.arange(6, dtype=np.int32).reshape(2, 3).T,
    np.frombuffer(b"\x01\x00\xc0\x7f", np.float32),
]  # fmt: skip


@pytest.mark.parametrize("value", NOTED, ids=lambda value: f"{type(value).__name__} {value!r:.30}")
def test_what_a_callback_notes_comes_back_with_its_type_and_bits(tmp_path, value):
    X, y = data()
    LinearRegression(**BASE, checkpoint=tmp_path / "run.npz", callbacks=[Notes(value)]).fit(X, y)
    again = Notes("something else")
    LinearRegression(**BASE, checkpoint=tmp_path / "run.npz", callbacks=[again]).fit(X, y)
    assert same_kind(again.value, value)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({1, 2}, "of type set"),
        (b"bytes", "of type bytes"),
        ({1: 2}, "of type dict"),
        (2**200, "of type int"),
        (print, "of type builtin_function_or_method"),
        (np.array(["a", "b"]), "an array of type <U1"),
        (np.array([None]), "an array of type object"),
        (np.array([0.5], ">f4"), "an array of type >f4"),
        ([np.str_("a")], "a number of type <U1"),
        (np.ma.masked_array([1.0, 2.0], [True, False]), "of type MaskedArray"),
        (nested(21), "of type list"),
        (np.array([1], "m8"), "an array of type timedelta64"),
    ],
    ids=str,
)
def test_a_note_that_no_file_holds_is_refused_in_one_line_before_the_first_step(tmp_path, value, words):
    X, y = data()
    seen = []

    class Sees(Notes):
        def on_epoch_begin(self, epoch, logs):
            seen.append(epoch)

    with pytest.raises(
        TypeError, match=rf"^Sees\.value is or holds something that is {words}, which a checkpoint cannot hold"
    ) as refused:
        LinearRegression(**BASE, checkpoint=tmp_path / "run.npz", callbacks=[Sees(value)]).fit(X, y)
    assert (seen, list(tmp_path.iterdir())) == ([], [])
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("state", [[1], {1: 2}], ids=str)
def test_a_state_of_a_callback_that_has_no_names_is_refused_before_the_first_step(tmp_path, state):
    class Wrong(Callback):
        def get_state(self):
            return state

    with pytest.raises(TypeError, match=r"^Wrong\.get_state\(\) must return a dict with text as keys, got "):
        LinearRegression(**BASE, checkpoint=tmp_path / "run.npz", callbacks=[Wrong()]).fit(*data())
    assert not list(tmp_path.iterdir())


def test_a_longer_float_is_refused_where_there_is_one(tmp_path):
    if np.dtype(np.longdouble) == np.float64:
        pytest.skip("the longest float of this machine has 64 bits")
    for value in (np.longdouble(1), np.array([0.1], np.longdouble)):
        with pytest.raises(TypeError, match=r"of type float(96|128), which a checkpoint cannot hold"):
            LinearRegression(checkpoint=tmp_path / "run.npz", callbacks=[Notes(value)]).fit(*data())


@pytest.mark.parametrize(
    "lie",
    [
        {"note": "O"}, {"note": ["f8"]}, {"note": None}, {"shape": None}, {"shape": [-2]}, {"shape": [2.0]},
        {"shape": [True, 2]}, {"shape": [3]}, {"shape": [0]}, {"shape": [0, 10**40]}, {"shape": [1] * 33 + [2]},
        {"array": None}, {"array": "parameters_0"}, {"note": "b1", "shape": [16]},
    ],
    ids=str,
)  # fmt: skip
def test_noted_numbers_that_cannot_be_are_refused_in_one_line(tmp_path, lie):
    X, y = data()
    path = tmp_path / "run.npz"
    LinearRegression(**BASE, checkpoint=path, callbacks=[Notes(np.array([0.1, 0.2]))]).fit(X, y)

    def change(document):
        ((_, note),) = document["callbacks"][0]["dict"]
        note.update(lie)

    rewritten(path, change)
    with pytest.raises(ValueError, match="is refused: ") as refused:
        LinearRegression(**BASE, checkpoint=path, callbacks=[Notes(0)]).fit(X, y)
    assert "\n" not in str(refused.value)


def rewritten(path, change):
    """Write a checkpoint anew with another document."""
    found = read_archive(path, KIND)
    change(found.document)
    write_archive(path, found.document, found.arrays)


def stopped_within_an_epoch(path):
    X, y = data()
    with pytest.raises(KeyboardInterrupt):
        LinearRegression(epochs=3, batch_size=16, random_state=0, checkpoint=path, callbacks=[Stop(1, 3)]).fit(X, y)
    return X, y, LinearRegression(epochs=3, batch_size=16, random_state=0, checkpoint=path, callbacks=[Stop(9, 9)])


def test_a_checkpoint_from_before_rows_came_in_windows_goes_on(tmp_path):
    path = tmp_path / "run.npz"
    X, y, again = stopped_within_an_epoch(path)

    def older(document):
        for name in ("begun", "window", "in_window"):
            del document["place"][name]
        del document["window"]

    rewritten(path, older)
    known = LinearRegression(epochs=3, batch_size=16, random_state=0, callbacks=[Stop(9, 9)]).fit(X, y)
    assert bits(again.fit(X, y)) == bits(known)


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ({"batch": 400, "in_window": 400}, "the place where it stands is none of its run"),
        ({"begun": False}, "it does not say where it stands"),
        ({"begun": 1}, "it does not say where it stands"),
        ({"window": -1}, "it does not say where it stands"),
        ({"in_window": 3}, "it does not say where it stands"),
        ({"in_window": "4"}, "it does not say where it stands"),
        ({"batch": None}, "it does not say where it stands"),
    ],
)
def test_a_place_that_cannot_be_is_refused_in_one_line(tmp_path, place, words):
    X, y, again = stopped_within_an_epoch(tmp_path / "run.npz")
    rewritten(tmp_path / "run.npz", lambda document: document["place"].update(place))
    with pytest.raises(ValueError, match=words) as refused:
        again.fit(X, y)
    assert "\n" not in str(refused.value)


# Refused.


BASE = {"optimizer": SGD(0.01), "epochs": 5, "random_state": 0}
OTHERS = {
    "optimizer__learning_rate was 0.01 and is 0.02 now": {"optimizer": SGD(0.02)},
    "optimizer was SGD and is Adam now": {"optimizer": Adam(0.01)},
    "loss was MeanSquaredError and is Huber now": {"loss": "huber"},
    "batch_size was 32 and is 16 now": {"batch_size": 16},
    "random_state was 0 and is KerasSeed now": {"random_state": KerasSeed(0)},
    "random_state was 0 and is None now": {"random_state": None},
    r"random_state was 0 and is Generator\(PCG64, state [0-9a-f]{16}\) now": {"random_state": np.random.default_rng(0)},
    "dtype was 'float32' and is 'float64' now": {"dtype": "float64"},
    "kernel_regularizer was None and is L2 now": {"kernel_regularizer": L2()},
    "fit_intercept was True and is False now": {"fit_intercept": False},
    r"callbacks was \[\] and is \[EarlyStopping": {"callbacks": [EarlyStopping("loss")]},
    r"kernel_initializer was 'glorot_uniform' and is \(3,\)": {"kernel_initializer": np.zeros(3)},
}


@pytest.mark.parametrize("words", OTHERS)
def test_a_checkpoint_of_other_settings_is_refused_by_their_names(tmp_path, words):
    X, y = data()
    path = tmp_path / "run.npz"
    LinearRegression(**BASE, checkpoint=path).fit(X, y)
    before = path.read_bytes()
    with pytest.raises(ValueError, match=f"is the checkpoint of another run: .*{words}"):
        LinearRegression(**{**BASE, **OTHERS[words]}, checkpoint=path).fit(X, y)
    assert path.read_bytes() == before


@pytest.mark.parametrize("kind", [np.random.default_rng, np.random.RandomState])
def test_a_generator_that_stands_elsewhere_is_another_setting(tmp_path, kind):
    X, y = data()
    path = tmp_path / "run.npz"
    LinearRegression(epochs=3, random_state=kind(1), checkpoint=path).fit(X, y)
    with pytest.raises(ValueError, match=r"another run: random_state was (\w+)\(.*, state .*\) and is \1\(.*\) now"):
        LinearRegression(epochs=5, random_state=kind(2), checkpoint=path).fit(X, y)
    assert LinearRegression(epochs=5, random_state=kind(1), checkpoint=path).fit(X, y).resumed_ == 3


@pytest.mark.parametrize("changed", [{"dtype": "float64"}, {"fit_intercept": False}])
def test_a_setting_that_makes_other_numbers_of_the_same_data_is_named_alone(tmp_path, changed):
    X, y = data()
    ((name, value),) = changed.items()
    was = LinearRegression().get_params()[name]
    LinearRegression(**BASE, checkpoint=tmp_path / "run.npz").fit(X, y)
    with pytest.raises(ValueError, match=f"another run: {name} was {was!r} and is {value!r} now. Give what"):
        LinearRegression(**BASE, **changed, checkpoint=tmp_path / "run.npz").fit(X, y)
    with pytest.raises(ValueError, match=f"another run: sample_weight was not given; {name} was"):
        LinearRegression(**BASE, **changed, checkpoint=tmp_path / "run.npz").fit(X, y, np.ones(len(y)))


def test_of_callbacks_of_ones_own_the_name_is_compared(tmp_path):
    class Counts(Callback):
        remembers = ("start",)

        def __init__(self, start=0):
            self.start = start

        def on_epoch_end(self, epoch, logs):
            self.start += 1

    X, y = data()
    first, second = Counts(), Counts()
    LinearRegression(**BASE, checkpoint=tmp_path / "run.npz", callbacks=[first]).fit(X, y)
    LinearRegression(**{**BASE, "epochs": 8}, checkpoint=tmp_path / "run.npz", callbacks=[second]).fit(X, y)
    assert (first.start, second.start) == (5, 8)


def test_a_checkpoint_of_other_data_is_refused_by_their_names(tmp_path):
    X, y = data()
    path = tmp_path / "run.npz"
    model = LinearRegression(**BASE, checkpoint=path).fit(X, y, validation_data=(X, y))
    changed = X.copy()
    changed[77, 1] = np.nextafter(np.float32(changed[77, 1]), np.float32(9))
    for words, given in {
        "X held other numbers": (changed, y, None, (X, y)),
        "y held other numbers": (X, y + 1, None, (X, y)),
        "sample_weight was not given": (X, y, np.ones(len(y)), (X, y)),
        "X of validation_data was given": (X, y, None, None),
        "y of validation_data held other numbers": (X, y, None, (X, -y)),
    }.items():
        with pytest.raises(ValueError, match=f"another run: {words}"):
            model.fit(*given)
    assert model.fit(X, y, validation_data=(X, y)).resumed_ == 5


def test_fewer_epochs_than_are_done_are_refused(tmp_path):
    X, y = data()
    model = LinearRegression(**BASE, checkpoint=tmp_path / "run.npz").fit(X, y)
    with pytest.raises(ValueError, match="holds a run of 5 epochs, but epochs=4: give at least as many"):
        model.set_params(epochs=4).fit(X, y)


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"checkpoint": "run.safetensors"}, ValueError, "a name that ends in .npz"),
        ({"checkpoint": 3}, TypeError, "checkpoint must be the path of a file, got 3"),
        ({"checkpoint_every": 0}, ValueError, "checkpoint_every must be an integer of at least 1, got 0"),
        ({"checkpoint_every": "often"}, ValueError, "or a time, as '30s', '5min' or '1h', got 'often'"),
        ({"checkpoint_every": 1.5}, TypeError, "checkpoint_every must be an integer"),
    ],
)
def test_a_setting_that_cannot_be_meant_is_refused(given, error, words):
    with pytest.raises(error, match=words):
        LinearRegression(**given).fit(*data())


def test_what_is_not_one_run_keeps_no_checkpoint(tmp_path):
    X, y = data()
    path = tmp_path / "run.npz"
    with pytest.raises(ValueError, match="a sweep keeps no checkpoint"):
        sweep(X, y, learning_rate=[0.1, 0.2], checkpoint=path)
    assert diagnose(X, y, epochs=3, checkpoint=path, random_state=0).verdict
    assert LinearRegression(epochs=3, checkpoint=path).diagnose(X, y).verdict
    assert not path.exists()


# One at a time.


def test_a_second_run_with_the_same_file_says_so_and_stops(tmp_path):
    X, y = data()
    path, seen = tmp_path / "run.npz", []

    class Second(Callback):
        def on_epoch_end(self, epoch, logs):
            code = (
                "from linreg import LinearRegression\nfrom test_checkpoints import data\n"
                f"LinearRegression(checkpoint={str(path)!r}).fit(*data())"
            )
            found = subprocess.run(  # noqa: S603
                [sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parent,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}, check=False,
            )  # fmt: skip
            seen.append(found.stderr.splitlines()[-1])
            with pytest.raises(BlockingIOError, match="is the checkpoint of a run that is going on"):
                LinearRegression(checkpoint=path).fit(X, y)

    LinearRegression(epochs=1, checkpoint=path, callbacks=[Second()]).fit(X, y)
    (words,) = seen
    assert words == (
        f"BlockingIOError: {str(path)!r} is the checkpoint of a run that is going on (process {os.getpid()}): "
        "wait for its end, or give this run another file."
    )
    assert LinearRegression(epochs=1, checkpoint=tmp_path / "other.npz").fit(X, y).resumed_ == 0
    assert not list(tmp_path.glob("*.lock"))


def test_the_lock_and_the_leftovers_of_a_process_that_is_gone_are_in_nobodys_way(tmp_path):
    path = tmp_path / "run.npz"
    (tmp_path / "run.npz.lock").write_text("12345\n")
    (tmp_path / ".run.npz.0123abcd.tmp").write_bytes(b"half of a file")
    others = [tmp_path / ".run.npz.old.0123abcd.tmp", tmp_path / ".other.npz.0123abcd.tmp"]
    for other in others:
        other.write_bytes(b"somebody else's")
    LinearRegression(epochs=1, checkpoint=path).fit(*data())
    assert {file.name for file in tmp_path.iterdir()} == {"run.npz", *(other.name for other in others)}


def test_a_run_outside_the_main_thread_has_a_checkpoint_too(tmp_path):
    X, y = data()
    models = []
    thread = threading.Thread(
        target=lambda: models.append(LinearRegression(**BASE, checkpoint=tmp_path / "run.npz").fit(X, y))
    )
    thread.start()
    thread.join()
    assert bits(models[0]) == bits(LinearRegression(**BASE).fit(X, y))


def test_the_previous_checkpoint_is_kept_and_a_damaged_one_points_to_it(tmp_path):
    X, y = data()
    path = tmp_path / "run.npz"
    settings = {**BASE, "checkpoint": path, "checkpoint_every": 2}
    known = LinearRegression(**settings).fit(X, y)
    epochs = [read_archive(file, KIND).document["state"]["epoch"] for file in (path, tmp_path / "run.npz.previous")]
    assert epochs == [5, 4]
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match=r"run.npz.previous': rename it to go on from there"):
        LinearRegression(**settings).fit(X, y)
    (tmp_path / "run.npz.previous").replace(path)
    again = LinearRegression(**settings).fit(X, y)
    assert (again.resumed_, bits(again) == bits(known)) == (4, True)


def test_a_verbose_run_says_that_it_goes_on(tmp_path, capsys):
    X, y = data()
    model = LinearRegression(**BASE, checkpoint=tmp_path / "run.npz", verbose=1).fit(X, y)
    assert capsys.readouterr().err == ""
    model.set_params(epochs=7).fit(X, y)
    assert capsys.readouterr().err == f"{str(tmp_path / 'run.npz')!r}: goes on after 5 of 7 epochs.\n"


def test_a_checkpoint_is_what_numpy_and_json_read_and_holds_no_code(tmp_path):
    X, y = data()
    model = LinearRegression(**BASE, checkpoint=tmp_path / "run.npz").fit(X, y)
    with np.load(tmp_path / "run.npz", allow_pickle=False) as found:
        document = json.loads(bytes(found["document.json"]))
        parameters = found[document["state"]["parameters"]["array"]]
    np.testing.assert_array_equal(parameters, model.state_.parameters)
    assert (document["kind"], document["format"]) == ("linreg checkpoint", 1)


def test_a_generator_of_the_users_own_moves_on_to_where_the_run_stands(tmp_path):
    X, y = data()
    own = [np.random.default_rng(9) for _ in range(3)]
    kept = {"checkpoint": tmp_path / "run.npz"}
    known = LinearRegression(epochs=4, random_state=own[0]).fit(X, y)
    with pytest.raises(KeyboardInterrupt):
        LinearRegression(epochs=4, random_state=own[1], callbacks=[Stop(1)], **kept).fit(X, y)
    again = LinearRegression(epochs=4, random_state=own[2], callbacks=[Stop(9)], **kept).fit(X, y)
    np.testing.assert_array_equal(again.coef_, known.coef_)
    assert own[2].bit_generator.state == own[0].bit_generator.state
    assert not isinstance(again.state_.generator, KerasGenerator)


# A disk that takes nothing more.


def test_a_checkpoint_that_cannot_be_written_stops_the_run_and_leaves_the_last_good_one(tmp_path, monkeypatch):
    X, y = data()
    path, fsync = tmp_path / "run.npz", os.fsync
    calls = []

    def full(descriptor):
        calls.append(descriptor)
        if len(calls) > 6:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="cannot be written") as raised:
        LinearRegression(**BASE, checkpoint=path, checkpoint_every=1).fit(X, y)
    assert str(raised.value) == (
        f"The checkpoint {str(path)!r} cannot be written (No space left on device), so the run was stopped after epoch "
        "4; it holds the run after epoch 3. Make it writable, then give the same again to go on from there."
    )
    assert {file.name for file in tmp_path.iterdir()} == {"run.npz", "run.npz.previous"}
    monkeypatch.setattr(os, "fsync", fsync)
    again = LinearRegression(**BASE, checkpoint=path, checkpoint_every=1).fit(X, y)
    assert again.resumed_ == 3
    assert bits(again) == bits(LinearRegression(**BASE).fit(X, y))


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 64 KiB."""
    place = tmp_path / "disk"
    place.mkdir()
    if os.name != "posix" or os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    mounted = subprocess.run(  # noqa: S603
        ["/bin/mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", place], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"no small disk can be mounted here: {mounted.stderr.strip()}")
    yield place
    subprocess.run(["/bin/umount", place], check=True)  # noqa: S603


def stops_at_a_full_disk(path, words):
    """A run whose checkpoint grows with its history until it is refused; what it says, and what is left."""
    X, y = data()
    settings = {**BASE, "epochs": 20_000, "batch_size": len(y), "checkpoint": path, "checkpoint_every": 100}
    with pytest.raises(OSError, match=words):
        LinearRegression(**settings).fit(X, y)
    held = read_archive(path, KIND).document["state"]["epoch"]
    assert held > 0
    again = LinearRegression(**{**settings, "epochs": held}).fit(X, y)
    assert again.resumed_ == held
    assert bits(again) == bits(LinearRegression(**{**BASE, "epochs": held, "batch_size": len(y)}).fit(X, y))
    assert {file.name for file in path.parent.iterdir()} == {"run.npz", "run.npz.previous"}


def test_a_full_disk_is_one_line_and_the_last_checkpoint_is_intact(small_disk):
    stops_at_a_full_disk(
        small_disk / "run.npz", r"cannot be written \(No space left on device\), so the run was stopped"
    )


def test_a_read_only_disk_is_one_line_and_the_last_checkpoint_is_intact(small_disk):
    X, y = data()
    path = small_disk / "run.npz"
    LinearRegression(**BASE, checkpoint=path).fit(X, y)
    before = path.read_bytes()
    subprocess.run(["/bin/mount", "-o", "remount,ro", small_disk], check=True)  # noqa: S603
    with pytest.raises(OSError, match=r"run.npz.lock' cannot be written \(Read-only file system\)"):
        LinearRegression(**{**BASE, "epochs": 9}, checkpoint=path).fit(X, y)
    with pytest.raises(OSError, match=r"cannot be written \(Read-only file system\)"):
        LinearRegression(**BASE).fit(X, y).save(small_disk / "model.npz")
    assert path.read_bytes() == before


def test_a_folder_that_vanishes_is_one_line(tmp_path):
    X, y = data()
    place = tmp_path / "folder"
    place.mkdir()

    class Vanish(Callback):
        def on_epoch_end(self, epoch, logs):
            if epoch == 2:
                for file in place.iterdir():
                    file.unlink()
                place.rmdir()

    with pytest.raises(OSError, match=r"cannot be written \(No such file or directory\).*after epoch 3; there is none"):
        LinearRegression(**BASE, checkpoint=place / "run.npz", checkpoint_every=1, callbacks=[Vanish()]).fit(X, y)
    with pytest.raises(OSError, match=rf"^There is no folder {str(place)!r} to put 'run.npz' in: make it first"):
        LinearRegression(**BASE, checkpoint=place / "run.npz").fit(X, y)


def test_a_folder_in_the_place_of_the_checkpoint_before_is_named_before_the_run(tmp_path):
    (tmp_path / "run.npz.previous").mkdir()
    with pytest.raises(IsADirectoryError, match=r"run\.npz\.previous' is a folder.*: move it away"):
        LinearRegression(**BASE, checkpoint=tmp_path / "run.npz", checkpoint_every=1).fit(*data())
    assert [file.name for file in tmp_path.iterdir()] == ["run.npz.previous"]


def test_a_limit_on_the_size_of_files_is_one_line_and_the_last_checkpoint_is_intact(tmp_path):
    resource = pytest.importorskip("resource", reason="only Unix limits the size of files")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, hard))
    try:
        stops_at_a_full_disk(tmp_path / "run.npz", r"cannot be written \(File too large\), so the run was stopped")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


# kill -9


@pytest.mark.skipif(not hasattr(os, "fork"), reason="without fork, no run of tests.kill_and_resume starts")
def test_runs_that_are_killed_go_on_and_end_with_the_same_bits(tmp_path):
    thorough = os.environ.get("HYPOTHESIS_PROFILE") == "thorough"
    few = [
        "--times",
        "8",
        "--kinds",
        "numpy",
        "numpy, watched",
        "streamed",
        *(["numba"] if importlib.util.find_spec("numba") else []),
    ]
    script = Path(__file__).parent / "kill_and_resume.py"
    found = subprocess.run(  # noqa: S603
        [sys.executable, str(script), *(["--times", "200"] if thorough else few)],
        capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}, timeout=3600,
    )  # fmt: skip
    assert found.returncode == 0, found.stderr
    assert "every run ended with the bits of the undisturbed one" in found.stdout
