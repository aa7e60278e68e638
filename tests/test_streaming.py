"""Rows that do not fit into memory: window by window, to the last bit as in memory."""

from __future__ import annotations

import json
import os
import signal
import threading
import tracemalloc
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from strategies import losses, optimizers, regularizers
from ulp import assert_equal_bits

from linreg import (
    SGD,
    Adam,
    Huber,
    KerasSeed,
    LinearRegression,
    MeanSquaredError,
    batches,
    callbacks,
    streaming,
    training,
)
from linreg.batches import Problem
from linreg.callbacks import Callback
from linreg.data.blocks import ArrayRows, Block, windows
from linreg.data.prefetch import prefetched
from linreg.memory import in_bytes, of_the_machine
from linreg.streaming import plans
from linreg.streaming.plans import plan
from linreg.streaming.rows import problem_of

ENGINES = ["numpy", "numba"]


def rows(count, features, seed=0, weighted=False):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(count, features))
    y = X @ rng.normal(size=features) + rng.normal(size=count)
    return X, y, rng.uniform(0.5, 2.0, count) * (rng.uniform(size=count) > 0.2) if weighted else None


def source_of(X, y, weight=None, block=7):
    return ArrayRows(X, y, tuple(f"x{j}" for j in range(X.shape[1])), weight=weight, size=block)


def least(source, batch_size, dtype="float32"):
    """The least memory that is not refused."""
    low, high = 1, 2**40
    while low < high:
        middle = (low + high) // 2
        try:
            plan(source, batch_size, middle, np.dtype(dtype))
            high = middle
        except ValueError:
            low = middle + 1
    return low


def streams(source, batch_size, memory, dtype="float32"):
    return plan(source, batch_size, memory, np.dtype(dtype)) is not None


def assert_same_run(ours, theirs):
    """Assert that two models stand at the same place, to the last bit."""
    state, expected = ours.state_, theirs.state_
    pairs = [(state.parameters, expected.parameters), *zip(state.slots, expected.slots, strict=True)]
    pairs += [(getattr(state, name), getattr(expected, name)) for name in ("total", "average", "fitted")]
    for a, b in pairs:
        assert (a is None) == (b is None)
        if a is not None:
            assert a.dtype == b.dtype
            assert a.tobytes() == b.tobytes()
    assert (state.iterations, state.epoch) == (expected.iterations, expected.epoch)
    assert ours.history_.keys() == theirs.history_.keys()
    for name, values in ours.history_.items():
        assert np.array(values).tobytes() == np.array(theirs.history_[name]).tobytes(), name


def compiled_parts():
    """Few rules and losses: each kind is compiled once, in seconds."""
    return st.sampled_from([(SGD(0.01, momentum=0.9), MeanSquaredError(), None), (Adam(0.01), Huber(0.5), None)])


@st.composite
def runs(draw, engine):
    """A run with rows that are streamed: (source, arrays, settings, bytes of a window)."""
    dtype = draw(st.sampled_from(["float32", "float64"])) if engine == "numpy" else "float32"
    features = st.integers(1, 5) if engine == "numpy" else st.sampled_from([1, 5])
    X, y, weight = rows(
        draw(st.integers(60, 250)), draw(features), draw(st.integers(0, 2**32 - 1)), draw(st.booleans())
    )
    source, batch_size = source_of(X, y, weight, draw(st.integers(1, 12))), draw(st.integers(1, 25))
    memory = int(least(source, batch_size, dtype) * draw(st.floats(1.0, 1.6)))
    assume(streams(source, batch_size, memory, dtype))
    parts = compiled_parts() if engine == "numba" else st.tuples(optimizers(), losses(), regularizers())
    optimizer, loss, penalty = draw(parts)
    given = {
        "optimizer": optimizer, "loss": loss, "kernel_regularizer": penalty, "epochs": draw(st.integers(1, 3)),
        "batch_size": batch_size, "dtype": dtype, "engine": engine, "fit_intercept": draw(st.booleans()),
        "random_state": 0, "memory": memory,
    }  # fmt: skip
    return source, (X, y, weight), given, draw(st.integers(1, 2**13))


def check_in_order(run):
    source, arrays, given, window = run
    with patch("linreg.streaming.plans.WINDOW_BYTES", window):
        ours = LinearRegression(shuffle=False, **given).fit(source)
    assert_same_run(ours, LinearRegression(shuffle=False, **given).fit(*arrays))


@given(runs("numpy"))
def test_rows_in_order_give_the_bits_of_rows_in_memory(run):
    check_in_order(run)


@settings(settings.get_profile("few"))
@given(runs("numba"))
def test_rows_in_order_give_the_bits_of_rows_in_memory_compiled(run):
    pytest.importorskip("numba", reason="Numba is not installed: pip install 'linreg[fast]'")
    check_in_order(run)


@pytest.mark.parametrize("features", [40, 70], ids=["four rows at a time", "in two passes"])
def test_long_rows_in_small_batches_have_the_bits_of_rows_in_memory_compiled(features):
    pytest.importorskip("numba", reason="Numba is not installed: pip install 'linreg[fast]'")
    X, y, *_ = rows(2**16, features)
    model = {"engine": "numba", "batch_size": 32, "epochs": 1, "shuffle": False, "random_state": 0}
    source = source_of(X, y, None, block=2**14)
    ours = LinearRegression(memory=budget(source, 32), **model).fit(source)
    assert_same_run(ours, LinearRegression(**model).fit(X, y))


@given(runs("numpy"))
def test_shuffled_rows_give_the_bits_of_rows_laid_out_in_that_order(run):
    source, (X, y, weight), given, window = run
    given |= {"epochs": 1, "kernel_initializer": "zeros"}
    decisive = {name: given[name] for name in ("batch_size", "memory", "dtype")}
    with patch("linreg.streaming.plans.WINDOW_BYTES", window):
        ours = LinearRegression(shuffle=True, **given).fit(source)
        order = streaming.order(source, np.random.default_rng(0), **decisive)
    assert sorted(order) == list(range(len(y)))
    laid_out = X[order], y[order], None if weight is None else weight[order]
    assert_same_run(ours, LinearRegression(shuffle=False, **given).fit(*laid_out))


def budget(source, batch_size, dtype="float32"):
    """Memory with which a source is streamed, blocks shuffled two or three together."""
    memory = int(least(source, batch_size, dtype) * 1.3)
    assert streams(source, batch_size, memory, dtype)
    return memory


def streamed_run(epochs=1, batch_size=8, count=200, block=7, **settings):
    """A small source, and a model that streams it."""
    source = source_of(*rows(count, 3), block=block)
    settings = {"random_state": 0, "memory": budget(source, batch_size, settings.get("dtype", "float32")), **settings}
    return source, LinearRegression(epochs=epochs, batch_size=batch_size, **settings)


def test_every_epoch_takes_every_row_once_in_an_order_of_its_own():
    source, _ = streamed_run()
    generator, memory = np.random.default_rng(0), budget(source, 8)
    orders = [streaming.order(source, generator, batch_size=8, memory=memory) for _ in range(3)]
    assert all(sorted(order) == list(range(200)) for order in orders)
    assert len({tuple(order) for order in orders}) == 3


def test_blocks_are_shuffled_and_so_are_the_rows_of_those_that_are_together():
    source = source_of(*rows(400, 3), block=10)
    memory = budget(source, 8)
    together = plan(source, 8, memory, np.float32).together
    assert 1 <= together < 20
    order = streaming.order(source, np.random.default_rng(0), batch_size=8, memory=memory)
    first = order[: 10 * together - 8] // 10  # of the first blocks, up to those that fill no batch
    assert len(set(first)) == together
    assert together == 1 or (np.diff(first) != 0).mean() > 0.3
    assert set(first) != set(range(together))


def test_the_same_seed_and_memory_give_the_same_run_and_another_seed_another():
    ends = []
    for seed in (0, 0, 1):
        source, model = streamed_run(2, random_state=seed, kernel_initializer="zeros")
        ends.append(model.fit(source).coef_.tobytes())
    assert ends[0] == ends[1] != ends[2]


def test_rows_that_fit_into_memory_are_trained_on_as_arrays_are_shuffled_too():
    X, y, weight = rows(200, 3, weighted=True)
    for seed in (5, KerasSeed(3)):
        model = LinearRegression(epochs=3, random_state=seed).fit(source_of(X, y, weight))
        assert_same_run(model, LinearRegression(epochs=3, random_state=seed).fit(X, y, weight))


def test_the_exact_engine_runs_on_a_source_that_fits_and_says_what_to_do_where_it_does_not():
    X, y, _ = rows(200, 3)
    settings = {"engine": "exact", "dtype": "float64", "shuffle": False, "epochs": 20, "random_state": 0}
    model = LinearRegression(**settings).fit(source_of(X, y))
    assert model.coef_.tolist() == LinearRegression(**settings).fit(X, y).coef_.tolist()
    source, model = streamed_run(**settings)
    with pytest.raises(ValueError, match='engine="exact" needs all rows at once, but the rows do not fit into memory'):
        model.fit(source)
    model.set_params(engine="numpy", device="cuda")
    with pytest.raises(ValueError, match='device="cuda" needs all rows at once'):
        model.fit(source)


def test_a_warm_start_goes_on_as_if_more_epochs_had_been_asked_for():
    source, model = streamed_run(2, warm_start=True, optimizer="adam")
    _, straight = streamed_run(4, optimizer="adam")
    assert_same_run(model.fit(source).fit(source), straight.fit(source))


def test_batch_hooks_see_the_batches_of_all_windows_counted_through():
    class Seen(Callback):
        def __init__(self):
            self.batches, self.losses = [], []

        def on_train_batch_begin(self, batch, logs):
            self.batches.append(batch)

        def on_train_batch_end(self, batch, logs):
            self.losses.append(logs["loss"])

    X, y, _ = rows(200, 3)
    ours, theirs = Seen(), Seen()
    source, model = streamed_run(callbacks=[ours], shuffle=False)
    model.fit(source)
    LinearRegression(epochs=1, batch_size=8, random_state=0, shuffle=False, callbacks=[theirs]).fit(X, y)
    assert ours.batches == theirs.batches == list(range(25))
    assert ours.losses == theirs.losses
    assert model.history_["loss"] == [theirs.losses[-1]]


@pytest.mark.parametrize("engine", ENGINES)
def test_the_loss_of_an_epoch_does_not_depend_on_how_it_is_cut(engine, monkeypatch):
    if engine == "numba":
        pytest.importorskip("numba", reason="Numba is not installed: pip install 'linreg[fast]'")
    X, y, _ = rows(500, 3, seed=2)

    class Watching(Callback):
        def on_train_batch_end(self, batch, logs):
            pass

    found = []
    for cut in (training.CHUNK, 7, None):
        if cut is not None:
            monkeypatch.setattr(training, "CHUNK", cut)
        model = LinearRegression(
            epochs=2, batch_size=4, random_state=0, engine=engine, callbacks=[] if cut else [Watching()]
        )
        found.append(model.fit(X, y).history_["loss"])
    assert found[0] == found[1] == found[2]


def test_a_sum_taken_in_pieces_would_depend_on_them():
    """The property above can fail: sums of pieces do not add up to the same bits."""
    many = np.random.default_rng(0).uniform(size=(20, 1000))
    assert any(losses.sum() != losses[:333].sum() + losses[333:].sum() for losses in many)


@given(
    st.integers(60, 300), st.integers(1, 12), st.integers(1, 20), st.integers(1, 150), st.booleans(), st.booleans(),
)  # fmt: skip
def test_a_streamed_validation_loss_is_that_of_rows_in_memory(count, block, batch_size, evaluated, huber, weighted):
    X, y, _ = rows(50, 3)
    held = rows(count, 3, seed=1, weighted=weighted)
    source = source_of(*held, block=block)
    settings = {"loss": Huber(0.5) if huber else "mse", "epochs": 2, "batch_size": batch_size, "random_state": 0}
    with patch.object(batches, "EVALUATED", evaluated):
        memory = int(least(source, batch_size * batches.evaluated_at_once(batch_size, 4)) * 1.1)
        assume(streams(source, batch_size, memory))
        theirs = LinearRegression(**settings).fit(X, y, validation_data=held)
        ours = LinearRegression(**settings, memory=4 * memory).fit(X, y, validation_data=source)
    assert ours.history_ == theirs.history_


# Paths, sources and what is refused.


def test_a_file_and_the_name_of_its_target_are_trained_on(tmp_path):
    polars = pytest.importorskip("polars", reason="polars is not installed: pip install 'linreg[data]'")
    X, y, _ = rows(300, 3)
    frame = polars.DataFrame({"a": X[:, 0], "y": y, "b": X[:, 1], "c": X[:, 2]})
    frame.write_parquet(tmp_path / "rows.parquet")
    frame.write_csv(tmp_path / "rows.csv")
    settings = {"epochs": 2, "random_state": 0}
    theirs = LinearRegression(**settings).fit(frame.drop("y"), y, validation_data=(frame.drop("y"), y))
    for name in ("rows.parquet", "rows.csv"):
        given = tmp_path / name, "y"
        ours = LinearRegression(**settings).fit(*given, validation_data=given)
        assert_same_run(ours, theirs)
        assert ours.feature_names_in_.tolist() == ["a", "b", "c"]


def test_a_file_is_refused_in_words(tmp_path):
    polars = pytest.importorskip("polars", reason="polars is not installed: pip install 'linreg[data]'")
    file = tmp_path / "rows.parquet"
    polars.DataFrame({"a": [1.0, 2.0], "town": ["x", "z"], "y": [1.0, 2.0]}).write_parquet(file)
    model = LinearRegression()
    with pytest.raises(TypeError, match="holds no numbers in 'town', but linear regression needs numbers"):
        model.fit(file, "y")
    with pytest.raises(TypeError, match="so y must be the name of the column to predict, got nothing"):
        model.fit(str(file))
    with pytest.raises(TypeError, match="so y must be the name of the column to predict, got ndarray"):
        model.fit(file, np.ones(2))
    with pytest.raises(ValueError, match="sample_weight was given too: leave it out"):
        model.fit(file, "a", [1.0, 1.0])
    with pytest.raises(FileNotFoundError):
        model.fit(tmp_path / "nothing.parquet", "y")


WRONG = {
    "missing": "a,y\n1,2\n,3\n3,4\n",
    "infinite": "a,y\n1,2\ninf,3\n3,4\n",
    "a word": "a,y\n1,2\nfour,3\n3,4\n",
    "a short row": "a,b,y\n1,2,3\n4,5\n",
    "no target": "a,z\n1,2\n",
}


@pytest.mark.parametrize("name", WRONG)
def test_a_file_is_refused_by_fit_in_the_words_of_open_table(tmp_path, name):
    pytest.importorskip("polars", reason="polars is not installed: pip install 'linreg[data]'")
    from linreg.data import open_table

    file = tmp_path / "rows.csv"
    file.write_text(WRONG[name])
    with pytest.raises(ValueError, match=r".") as expected:
        open_table(file, "y")
    with pytest.raises(ValueError, match=r".") as caught:
        LinearRegression(epochs=1).fit(file, "y")
    assert str(caught.value) == str(expected.value)


def test_fit_takes_a_pattern_and_a_table_with_all_its_options(tmp_path):
    pytest.importorskip("polars", reason="polars is not installed: pip install 'linreg[data]'")
    from linreg.data import open_table

    (tmp_path / "1.csv").write_text("a,t,w,y\n1,u,1,2\n,v,1,3\n")
    (tmp_path / "2.csv").write_text("a,t,w,y\n4,v,0.5,4\n")
    settings = {"epochs": 3, "shuffle": False, "random_state": 0}
    files = str(tmp_path / "*.csv")
    with open_table(files, "y", weights="w", missing="mean") as table:
        ours = LinearRegression(**settings).fit(table)
    # The gap is filled with (1 + 4) / 2; "v" of "u" and "v" is 1.
    X, y, weight = np.array([[1, 0], [2.5, 1], [4, 1]]), np.array([2.0, 3, 4]), np.array([1, 1, 0.5])
    assert_same_run(ours, LinearRegression(**settings).fit(X, y, weight))
    assert ours.feature_names_in_.tolist() == ["a", "t=v"]
    (tmp_path / "1.csv").write_text("a,y\n1,2\n2,3\n")
    (tmp_path / "2.csv").write_text("a,y\n4,4\n")
    assert_same_run(
        LinearRegression(**settings).fit(files, "y"), LinearRegression(**settings).fit([[1.0], [2.0], [4.0]], y)
    )


def test_what_goes_with_a_source_is_refused_in_words():
    X, y, _ = rows(50, 3)
    model = LinearRegression()
    with pytest.raises(ValueError, match="blocks hold the target, but y was given too: leave it out"):
        model.fit(source_of(X, y), y)
    with pytest.raises(ValueError, match="sample_weight was given too"):
        model.fit(source_of(X, y), None, y)
    with pytest.raises(ValueError, match="There are no rows to train on"):
        model.fit(source_of(X[:0], y[:0]))
    with pytest.raises(ValueError, match="validation_data has 2 features, but X has 3"):
        model.fit(X, y, validation_data=source_of(X[:, :2], y))


@pytest.mark.parametrize(
    ("value", "place", "dtype", "message"),
    [
        (
            np.nan,
            (41, 1),
            "float32",
            "The 7 rows that were read last contain NaN: 1 of 35 .* column 'x1' in row 41,",
        ),
        (np.inf, (63, 3), "float32", "contain infinity: 1 of 35 values, the first in target 'y' in row 63,"),
        (
            1e200,
            (5, 0),
            "float32",
            "too large for dtype.'float32'. .* column 'x0' in row 5,.*dtype=\"float64\"",
        ),
        (-1.0, (29, 4), "float64", "The weight of a row must not be negative, got -1.0 in row 29"),
        (np.nan, (29, 4), "float64", "contain NaN: 1 of 35 .* the first in weight in row 29,"),
    ],
)
@pytest.mark.parametrize("large", [True, False])
def test_values_that_cannot_be_trained_on_are_refused_with_their_place(value, place, dtype, message, large):
    X, y, _ = rows(200, 3)
    table = np.column_stack([X, y, np.ones(len(y))])
    table[place] = value
    source = source_of(table[:, :3], table[:, 3], table[:, 4])
    memory = int(least(source, 8, dtype) * 1.3) if large else None
    assert streams(source, 8, in_bytes("", memory), dtype) == large
    model = LinearRegression(batch_size=8, memory=memory, dtype=dtype)
    with pytest.raises(ValueError, match=message):
        model.fit(source)


@pytest.mark.parametrize("large", [True, False])
def test_weights_that_are_all_zero_are_refused_as_those_of_arrays_are(large):
    X, y, _ = rows(200, 3)
    source = source_of(X, y, np.zeros(200))
    model = LinearRegression(batch_size=8, memory=budget(source, 8) if large else None)
    for data in ((source,), (X, y, np.zeros(200))):
        with pytest.raises(ValueError, match=r"every \w+ is zero, but at least one weight must be above 0: weigh"):
            model.fit(*data)
    one = np.zeros(200)
    one[150] = 1.0
    assert model.fit(source_of(X, y, one)).n_iter_ == 100
    with pytest.raises(ValueError, match="every weight is zero"):
        model.set_params(memory=None).fit(X, y, validation_data=source)


def test_values_whose_sum_overflows_are_not_refused():
    X, y, _ = rows(200, 1)
    X = np.full_like(X, 3e38)
    model = LinearRegression(epochs=1, batch_size=8, memory=budget(source_of(X, y), 8)).fit(source_of(X, y))
    assert len(model.history_["loss"]) == 1


def test_many_bad_values_are_counted_and_the_first_is_placed():
    X, y, _ = rows(200, 3)
    X[20:25, 2] = np.nan
    with pytest.raises(ValueError, match=r"contain NaN: 5 of 400 values are missing, .* column 'x2' in row 20,"):
        LinearRegression().fit(source_of(X, y, block=100))


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("512MB", 512 * 10**6),
        ("1.5 GiB", 3 * 2**29),
        ("2kb", 2000),
        (" 7 ", 7),
        (4096, 4096),
        ("1TiB", 2**40),
        ("3m", 3 * 10**6),
    ],
)
def test_memory_is_read_as_people_write_it(text, size):
    assert in_bytes("x", text) == size


@pytest.mark.skipif(not os.path.exists("/proc/meminfo"), reason="only Linux tells its memory in /proc")
def test_memory_is_a_quarter_of_what_the_machine_has():
    with open("/proc/meminfo", encoding="ascii") as told:
        total = int(told.readline().split()[1]) * 1024
    assert of_the_machine() <= total
    assert in_bytes("x", None) == of_the_machine() // 4


@pytest.mark.parametrize("memory", ["", "much", "0", "-1GB", "1e3", "5 XB", -3, True, 2.5, (1,)])
def test_what_is_no_memory_is_refused(memory):
    X, y, _ = rows(50, 3)
    with pytest.raises((ValueError, TypeError), match='memory must be bytes or text like "512MB"'):
        LinearRegression(memory=memory).fit(X, y)


def test_too_little_memory_is_refused_with_what_is_enough():
    source = source_of(*rows(3000, 3), block=100)
    with pytest.raises(ValueError, match=r'memory=3000 is too little .* give at least memory="(\d+)"') as refused:
        LinearRegression(memory=3000).fit(source)
    enough = int(str(refused.value).split('"')[1])
    assert streams(source, 32, enough)
    LinearRegression(memory=enough, epochs=1).fit(source)


@pytest.mark.parametrize(("dtype", "batch_size"), [("float32", 32), ("float64", 5000)])
def test_too_little_for_rows_and_validation_rows_is_refused_with_the_users_number_and_what_is_enough(dtype, batch_size):
    X, y, _ = rows(40_000, 3)
    source, held = (ArrayRows(X, y, ("a", "b", "c")) for _ in range(2))
    settings = {"epochs": 1, "batch_size": batch_size, "dtype": dtype, "kernel_initializer": "zeros"}
    with pytest.raises(ValueError, match=r"memory='500KB' is too little for rows and validation rows") as refused:
        LinearRegression(memory="500KB", **settings).fit(source, validation_data=held)
    enough = str(refused.value).split('"')[1]
    ours = LinearRegression(memory=enough, shuffle=False, **settings).fit(source, validation_data=held)
    theirs = LinearRegression(shuffle=False, **settings).fit(X, y, validation_data=(X, y))
    assert_same_run(ours, theirs)
    size = in_bytes("", enough)
    with pytest.raises(ValueError, match="is too little"):
        LinearRegression(memory=size - 10**6, **settings).fit(source, validation_data=held)  # it says whole megabytes


@pytest.mark.parametrize(("features", "memory"), [(3, "12MB"), (20, "40MB"), (20, "512MB")])
def test_validation_rows_may_take_a_quarter_of_the_memory_or_what_they_need(features, memory):
    """The example of docs/streaming.md, whose rows and validation rows lie in blocks of usual size."""
    X, y, _ = rows(100_000, features)
    source, held = (ArrayRows(X, y, tuple(f"x{j}" for j in range(features))) for _ in range(2))
    model = LinearRegression(Adam(0.001), epochs=1, batch_size=1024, memory=memory)
    assert len(model.fit(source, validation_data=held).history_["val_loss"]) == 1


def test_blocks_shrink_with_the_memory_where_a_source_can_be_cut():
    source = ArrayRows(np.zeros((300_000, 20)), np.zeros(300_000), tuple(f"x{j}" for j in range(20)))
    for memory in (4 * 10**6, 30 * 10**6, 100 * 10**6):
        cut = plans.cut(source, 1024, memory, np.float64)
        # A block is read in four copies of 21 columns of 8 bytes; there are two more of 22, and 16 for its place.
        taken = plans.block_rows(cut) * (4 * 21 * 8 + 2 * (22 * 8 + 16))
        assert taken <= memory / 2
        assert plan(cut, 1024, memory, np.float64) is not None
        order = streaming.order(source, np.random.default_rng(0), batch_size=1024, memory=memory, dtype="float64")
        assert np.array_equal(np.sort(order), np.arange(300_000))
    fixed = ArrayRows(source.X, source.y, source.names, size=200_000)
    assert plans.cut(fixed, 1024, 10**6, np.float64) is fixed


class Endless:
    """Many rows that nobody holds."""

    names, count, block = ("a", "b", "c"), 400_000, 4_000

    def __len__(self):
        return self.count // self.block

    def read(self, block):
        values = np.random.default_rng(block).normal(size=(self.block, 4))
        return Block(values, np.arange(block * self.block, (block + 1) * self.block))


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("memory", [3_000_000, 30_000_000])
def test_rows_take_no_more_memory_than_they_may(shuffle, memory):
    source = Endless()
    assert streams(source, 500, memory) == (source.count * 16 > 2 * memory)  # the matrix alone
    model = LinearRegression("adam", epochs=1, batch_size=500, memory=memory, shuffle=shuffle).fit(Endless())
    tracemalloc.start()
    try:
        model.fit(source)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < memory


# The thread that reads ahead.


def assert_no_thread_is_left():
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("linreg")] == []


def test_the_next_item_is_made_while_the_last_is_used():
    made = threading.Event()

    def items():
        yield 1
        made.set()
        yield 2

    seen = []
    for item in prefetched(items(), threading.Event(), lambda: None):
        assert made.wait(10)
        seen.append(item)
    assert seen == [1, 2]
    assert_no_thread_is_left()


class Broken(ArrayRows):
    """A source that fails, or sends a signal to its own process, in one of its blocks."""

    act = staticmethod(lambda: None)
    at = 9

    def read(self, block):
        if block == self.at:
            self.act()
        return super().read(block)


def broken(act):
    X, y, _ = rows(200, 3)
    source = Broken(X, y, ("a", "b", "c"), size=7)
    source.act = act
    return source, LinearRegression(batch_size=8, memory=budget(source, 8), shuffle=False, epochs=3)


def test_what_a_source_raises_in_the_background_is_raised_by_fit():
    def act():
        raise OSError("the disk is gone")

    source, model = broken(act)
    with pytest.raises(OSError, match="the disk is gone"):
        model.fit(source)
    assert_no_thread_is_left()


def test_ctrl_c_ends_a_run_that_waits_for_rows_and_keeps_what_it_had():
    source, model = broken(lambda: os.kill(os.getpid(), signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        model.fit(source)
    assert_no_thread_is_left()
    assert 0 < model.state_.iterations < 25
    assert model.n_iter_ == 0
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_sigterm_ends_a_run_as_its_handler_says():
    def handler(*_):
        raise SystemExit(143)

    before = signal.signal(signal.SIGTERM, handler)
    try:
        source, model = broken(lambda: os.kill(os.getpid(), signal.SIGTERM))
        with pytest.raises(SystemExit):
            model.fit(source)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert_no_thread_is_left()


def test_an_error_between_batches_leaves_no_thread():
    class Fails(Callback):
        def on_train_batch_end(self, batch, logs):
            if batch == 3:
                raise RuntimeError("enough")

    source, model = streamed_run(callbacks=[Fails()])
    with pytest.raises(RuntimeError, match="enough"):
        model.fit(source)
    assert_no_thread_is_left()


def test_a_run_that_is_stopped_in_the_middle_of_an_epoch_leaves_no_thread():
    source, model = streamed_run(epochs=3, optimizer=SGD(1e30), callbacks=[callbacks.TerminateOnNaN()])
    with pytest.warns(RuntimeWarning, match="training stopped there"):
        model.fit(source)
    assert model.n_iter_ == 1
    assert model.state_.iterations < 25
    assert_no_thread_is_left()


# Batches of an iterable, and one pass over some rows.


def cut(X, y, weight=None, size=8):
    """Tuples of consecutive rows."""
    parts = (X, y) if weight is None else (X, y, weight)
    return [tuple(part[first : first + size] for part in parts) for first in range(0, len(y), size)]


class Again:
    """An iterable that begins anew."""

    def __init__(self, items):
        self.items = items

    def __iter__(self):
        return iter(self.items)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("weighted", [False, True])
def test_batches_of_an_iterable_are_the_steps_of_rows_in_memory(engine, weighted):
    if engine == "numba":
        pytest.importorskip("numba", reason="Numba is not installed: pip install 'linreg[fast]'")
    given = rows(100, 3, weighted=weighted)
    settings = {"optimizer": "adam", "batch_size": 8, "random_state": 0, "engine": engine, "epochs": 2}
    theirs = LinearRegression(shuffle=False, **settings).fit(*given)
    items = cut(*given)
    for batches_given in (items, tuple(items), Again(items)):
        assert_same_run(LinearRegression(**settings).fit(batches_given), theirs)
    once = LinearRegression(shuffle=False, **{**settings, "epochs": 1}).fit(*given)
    for batches_given in (iter(items), (item for item in items)):
        assert_same_run(LinearRegression(**{**settings, "epochs": 1}).fit(batches_given), once)


@pytest.mark.parametrize("engine", ENGINES)
def test_batches_may_be_of_any_size(engine):
    if engine == "numba":
        pytest.importorskip("numba", reason="Numba is not installed: pip install 'linreg[fast]'")
    X, y, _ = rows(60, 3)
    items = [(X[:3], y[:3]), (X[3:45], y[3:45]), (X[45:46], y[45:46]), (X[46:], y[46:])]
    model = LinearRegression(epochs=1, random_state=0, dtype="float64", engine=engine, shuffle=False)
    model.fit(items)
    by_hand = LinearRegression(epochs=1, random_state=0, dtype="float64", engine=engine)
    for item in items:
        by_hand.set_params(batch_size=len(item[1])).partial_fit(*item)
    np.testing.assert_array_equal(model.coef_, by_hand.coef_)
    losses = by_hand.history_["loss"]
    # Four products, and three sums of them, are rounded.
    assert model.history_["loss"][0] == pytest.approx(np.average(losses, weights=[3, 42, 1, 14]), rel=8 * 2**-53)


def test_weights_may_come_with_some_batches_only():
    pytest.importorskip("numba", reason="Numba is not installed: pip install 'linreg[fast]'")
    X, y, weight = rows(60, 3, weighted=True)
    some = [(X[:20], y[:20]), (X[20:40], y[20:40], weight[20:40]), (X[40:], y[40:])]
    all_of_them = [(X[:20], y[:20], np.ones(20)), some[1], (X[40:], y[40:], np.ones(20))]
    plain, weighted, unweighted = (
        LinearRegression(epochs=2, random_state=0, dtype="float64", engine="numba").fit(batches)
        for batches in (some, all_of_them, [batch[:2] for batch in some])
    )
    # Rows without weights have a loop of their own, in which a compiler may add up sums in another order.
    for name in ("coef_", "intercept_"):
        np.testing.assert_allclose(getattr(plain, name), getattr(weighted, name), rtol=1e-13)
    np.testing.assert_allclose(plain.history_["loss"], weighted.history_["loss"], rtol=1e-13)
    assert not np.allclose(plain.coef_, unweighted.coef_, rtol=1e-3)


def test_batches_are_refused_in_words():
    X, y, _ = rows(40, 3)
    items = cut(X, y)
    model = LinearRegression(epochs=2)
    with pytest.raises(ValueError, match="X is a generator, which yields its batches once, but epochs=2: set epochs=1"):
        model.fit(item for item in items)
    with pytest.raises(ValueError, match="X yields no batches in this epoch"):
        model.fit(Again([]))
    with pytest.raises(ValueError, match=r"batch 1 \(counted from 0\) is a str"):
        model.fit(Again([items[0], "xy"]))
    with pytest.raises(ValueError, match="Input X of batch 2 contains NaN"):
        model.fit([*items[:2], (np.full((2, 3), np.nan), y[:2])])
    with pytest.raises(ValueError, match=r"Batch 1 .* has 2 features, but the first has 3"):
        model.fit([items[0], (X[:, :2], y)])
    with pytest.raises(ValueError, match=r"yield .X, y, sample_weight. instead"):
        model.fit(items, None, y)
    with pytest.raises(ValueError, match='engine="exact" needs all rows at once, but X yields batches'):
        LinearRegression(engine="exact").fit(items)
    with pytest.raises(ValueError, match="the target y is None"):
        model.fit(X)
    with pytest.raises(ValueError, match="the target y is None"):
        model.fit(X.tolist())


def test_partial_fit_is_a_pass_in_the_order_given():
    X, y, weight = rows(100, 3, weighted=True)
    settings = {"optimizer": Adam(0.01), "batch_size": 8, "random_state": 0}
    straight = LinearRegression(epochs=1, shuffle=False, **settings).fit(X, y, weight)
    assert_same_run(LinearRegression(**settings).partial_fit(X, y, weight), straight)
    model = LinearRegression(**settings)
    for first in range(0, 100, 32):
        model.partial_fit(X[first : first + 32], y[first : first + 32], weight[first : first + 32])
    for ours, theirs in zip(
        [model.state_.parameters, *model.state_.slots],
        [straight.state_.parameters, *straight.state_.slots],
        strict=True,
    ):
        assert_equal_bits(ours, theirs)
    assert model.n_iter_ == 4
    assert len(model.history_["loss"]) == 4


def test_a_fitted_model_is_used_on_files_and_sources_as_on_their_arrays(tmp_path):
    polars = pytest.importorskip("polars", reason="polars is not installed: pip install 'linreg[data]'")
    from linreg.data import open_table

    X, y, weight = rows(9000, 3, weighted=True)
    frame = polars.DataFrame({"a": X[:, 0], "b": X[:, 1], "c": X[:, 2], "y": y, "w": weight})
    frame.write_parquet(tmp_path / "weighted.parquet")
    frame.drop("w").write_parquet(tmp_path / "rows.parquet")
    path, table = tmp_path / "rows.parquet", frame.select("a", "b", "c")
    settings = {"epochs": 2, "batch_size": 64, "random_state": 0, "kernel_regularizer": "l2", "dtype": "float64"}
    model = LinearRegression(**settings).fit(table, y)
    # A dot product of three terms and an intercept is rounded four times, in whatever order; sums of n rows n times.
    rounding = np.finfo(np.float64).eps
    with open_table(tmp_path / "weighted.parquet", "y", weights="w") as weighted:
        weighted = weighted.in_blocks_of(700)
        np.testing.assert_allclose(model.predict(weighted), model.predict(table), rtol=0, atol=40 * rounding)
        assert model.score(weighted) == pytest.approx(model.score(table, y, weight), abs=9000 * rounding)
        assert model.evaluate(weighted) == model.evaluate(table, y, weight)
        ours, theirs = (LinearRegression(**settings) for _ in range(2))
        for _ in range(2):
            ours.partial_fit(weighted)
            theirs.partial_fit(table, y, weight)
        assert_same_run(ours, theirs)
    assert model.score(path, "y") == pytest.approx(model.score(table, y), abs=9000 * rounding)
    assert model.evaluate(path, "y") == model.evaluate(table, y)
    with patch.object(batches, "EVALUATED", 1):  # the memory holds not all rows at once
        small = LinearRegression(**settings, memory=1_100_000).fit(table, y)
        rows_of_file = ArrayRows(X, y, ("a", "b", "c"))
        assert streams(plans.cut(rows_of_file, 64, 1_100_000, np.float64), 64, 1_100_000, "float64")
        assert small.evaluate(path, "y") == model.evaluate(table, y)
        assert_same_run(small.partial_fit(path, "y"), model.partial_fit(table, y))
    assert_same_run(
        LinearRegression(**settings).partial_fit(path, "y"), LinearRegression(**settings).partial_fit(table, y)
    )


def test_what_a_fitted_model_cannot_do_with_files_and_sources_is_told(tmp_path):
    X, y, _ = rows(50, 3)
    with pytest.raises(ValueError, match="not fitted yet"):
        LinearRegression().predict(source_of(X, y))
    model = LinearRegression(epochs=1).fit(source_of(X, y))
    with pytest.raises(TypeError, match=r"but X is the path 'f.csv': give linreg.data.open_table\('f.csv', target"):
        model.predict("f.csv")
    other = ArrayRows(X, y, ("x0", "x1", "z"))
    for use in (model.predict, model.score, model.evaluate, model.partial_fit):
        with pytest.raises(ValueError, match="feature names should match"):
            use(other)
    with pytest.raises(ValueError, match="X has 2 features, but LinearRegression is expecting 3"):
        LinearRegression(epochs=1).fit(X, y).score(source_of(X[:, :2], y))
    with pytest.raises(ValueError, match="contain NaN"):
        model.predict(source_of(np.where(X > 1, np.nan, X), y))
    pytest.importorskip("polars", reason="polars is not installed: pip install 'linreg[data]'")
    from linreg.data import open_table

    (tmp_path / "f.csv").write_text("x0,x1,x2,y\n1,2,3,4\n5,7,6,8\n")
    with open_table(tmp_path / "f.csv", "y") as table:
        encoding = table.encoding
    with open_table(tmp_path / "f.csv", None, encoding=encoding) as table:
        by_hand = table.arrays()[0].astype(np.float32) @ model.coef_ + np.float32(model.intercept_)
        np.testing.assert_allclose(model.predict(table), by_hand, rtol=8 * np.finfo(np.float32).eps)  # eight roundings
        for use in (model.fit, model.score, model.evaluate):
            with pytest.raises(ValueError, match="X was opened without a target: give its name to open_table"):
                use(table)


def test_partial_fit_goes_on_after_fit_and_refuses_other_features():
    X, y, _ = rows(100, 3)
    model = LinearRegression(epochs=1, shuffle=False, random_state=0).fit(X, y).partial_fit(X, y)
    assert_same_run(model, LinearRegression(epochs=2, shuffle=False, random_state=0).fit(X, y))
    with pytest.raises(ValueError, match="X has 2 features, but LinearRegression is expecting 3 features as input"):
        model.partial_fit(X[:, :2], y)


def test_windows_carry_weights_and_growing_pools_lose_nothing():
    class Uneven(ArrayRows):
        """Blocks of 1, 2, 3, ... rows, of which every second brings weights."""

        def __init__(self):
            self.names, self.count = ("a",), 55

        def __len__(self):
            return 10

        def read(self, block):
            numbers = np.arange(block * (block + 1) // 2, (block + 1) * (block + 2) // 2)
            values = np.column_stack([numbers, -numbers]).astype(np.float64)
            return Block(values, numbers, numbers + 0.5 if block % 2 else None)

    for generator in (None, np.random.default_rng(0)):
        found = list(windows(Uneven(), 4, generator, together=3, dtype=np.float32))
        assert {len(block.rows) for block in found[:-1]} == {4}
        numbers = np.concatenate([block.numbers for block in found])
        assert sorted(numbers) == list(range(55))
        np.testing.assert_array_equal(np.concatenate([block.rows for block in found])[:, 1], -numbers)
        weights = np.concatenate(
            [np.ones(len(block.rows)) if block.weight is None else block.weight for block in found]
        )
        weighted = np.isin(
            numbers, [k for b in range(1, 10, 2) for k in range(b * (b + 1) // 2, (b + 1) * (b + 2) // 2)]
        )
        np.testing.assert_array_equal(weights, np.where(weighted, numbers + 0.5, 1.0))


def test_a_problem_is_made_in_the_memory_of_its_rows():
    block = Block(np.arange(12.0).reshape(3, 4), np.arange(3))
    problem = problem_of(block, 2, True)
    assert isinstance(problem, Problem)
    assert problem.matrix is block.rows
    np.testing.assert_array_equal(problem.matrix[:, 3], 1)
    np.testing.assert_array_equal(problem.target, [3, 7, 11])
    assert problem.kernel_size == 3


# The command.


@pytest.fixture
def written(tmp_path):
    """A Parquet file of some rows."""
    polars = pytest.importorskip("polars", reason="polars is not installed: pip install 'linreg[data]'")
    X, y, _ = rows(3000, 3)
    X = X * [1, 100, 0.01] + [0, 5000, 0]
    frame = polars.DataFrame({"a": X[:, 0], "b": X[:, 1], "c": X[:, 2], "y": y})
    frame.write_parquet(tmp_path / "rows.parquet")
    return str(tmp_path / "rows.parquet")


def printed(capsys, *arguments):
    """Exit code and JSON of `linreg fit`."""
    cli = pytest.importorskip("linreg.cli", reason="Typer is not installed: pip install 'linreg[cli]'")
    code = cli.run(["fit", *arguments, "--target", "y", "--json"])
    return code, json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("scale", ["none", "standard", "minmax", "robust"])
@pytest.mark.parametrize("intercept", ["--intercept", "--no-intercept"])
def test_the_command_says_the_same_of_a_streamed_file(written, capsys, monkeypatch, scale, intercept):
    file = written
    monkeypatch.setattr("linreg.data.blocks.BLOCK_ROWS", 100)
    options = [file, "--scale", scale, intercept, "--no-shuffle", "--epochs", "3", "--dtype", "float64"]
    options += ["--learning-rate", "1e-9" if scale == "none" else "0.01"]
    code, streamed = printed(capsys, *options, "--memory", "200kB")
    expected_code, expected = printed(capsys, *options, "--no-stream")
    assert code == expected_code
    assert streamed["rows"] == expected["rows"] == 3000
    assert streamed["arrived"] == expected["arrived"]
    if scale in {"none", "robust"}:  # quartiles of blocks are those of all rows to the last bit
        assert streamed["history"] == expected["history"]
        assert streamed["coefficients"] == expected["coefficients"]
    # Everything else comes from sums of 3,000 rows, added up in another order: 3,000 roundings of float64, times what a
    # column's mean is of its spread, 50, squared.
    close = {"rel": 3000 * 2500 * 2**-53 * 10}
    for name in ("r2", "mse", "optimum_mse", "intercept", "optimum_intercept"):
        assert streamed[name] == pytest.approx(expected[name], **close), name
    for name in ("coefficients", "optimum"):
        assert streamed[name] == pytest.approx(expected[name], **close), name
    assert streamed["history"]["loss"] == pytest.approx(expected["history"]["loss"], **close)


def test_the_command_refuses_what_it_cannot_stream(written, capsys, tmp_path):
    from linreg.cli import run

    file = written
    assert run(["fit", file, "--target", "y", "--no-stream", "--memory", "1GB"]) == 2
    assert "--memory is for rows that are read block by block" in capsys.readouterr().err
    assert run(["fit", file, "--target", "y", "--memory", "lots"]) == 2
    assert 'memory must be bytes or text like "512MB"' in capsys.readouterr().err
    import polars

    polars.DataFrame({"a": [1.0, None, 2.0], "y": [1.0, 2.0, 3.0]}).write_parquet(tmp_path / "gap.parquet")
    assert run(["fit", str(tmp_path / "gap.parquet"), "--target", "y", "--stream"]) == 2
    assert "1, counted from 0. Leave such rows out (--missing drop)" in capsys.readouterr().err
    assert run(["fit", file, "--target", "z", "--stream"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_the_bar_counts_rows(monkeypatch):
    rich = pytest.importorskip("rich.progress", reason="Rich is not installed: pip install 'linreg[cli]'")
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    seen = []
    update = rich.Progress.update
    monkeypatch.setattr(rich.Progress, "update", lambda *args, **more: (seen.append(more), update(*args, **more)))
    source, model = streamed_run(epochs=2, verbose=1)
    model.fit(source)
    assert sum(more.get("advance", 0) for more in seen) == 400
    assert any("loss" in more.get("description", "") for more in seen)
