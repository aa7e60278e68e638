"""Checkpoints of rows that come piece by piece, from files, sources, iterables and Dask, in the middle of an epoch."""

import os
import signal
import time
from tempfile import TemporaryDirectory
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_checkpoints import Stop, bits, noted
from test_streaming import Again, assert_no_thread_is_left, budget, cut, rows, runs, source_of

from linreg import SGD, Adam, Huber, LinearRegression, RMSprop
from linreg.archives import read_archive
from linreg.callbacks import LearningRateScheduler
from linreg.data.blocks import ArrayRows
from linreg.saving.checkpoints import KIND, Checkpoint
from linreg.saving.fingerprints import of_source
from linreg.stopping import Terminated

SOURCE = source_of(*rows(200, 3, weighted=True))
HELD_OUT = source_of(*rows(150, 3, seed=1))
MANY = source_of(*rows(800, 3, weighted=True))
MEMORY = budget(SOURCE, 8)


def model(**changes):
    given = {"epochs": 3, "batch_size": 8, "memory": MEMORY, "random_state": 4, **changes}
    return LinearRegression(**{"optimizer": Adam(0.01), **given})


def stopped_and_gone_on(made, path, fit, *stop):
    """The bits of a run that is stopped and goes on, after those of the one that is not; both look at every batch."""
    found = []
    for at, checkpoint in (((99, stop[-1]), None), (stop, path), ((99, stop[-1]), path)):
        one = made()
        one.set_params(callbacks=[*one.callbacks, Stop(*at)], checkpoint=checkpoint)
        if at == stop:
            with pytest.raises(KeyboardInterrupt, match="holds the run: give the same again to go on from there"):
                fit(one)
        else:
            found.append(bits(fit(one)))
    return found


# Rows of a source.


@pytest.mark.parametrize("batch", [0, 5, 12, 98, 99])
def test_a_run_goes_on_in_the_middle_of_an_epoch_as_if_it_had_not_stopped(batch):
    with TemporaryDirectory() as folder:
        known, found = stopped_and_gone_on(
            lambda: model(memory=4 * MEMORY), f"{folder}/run.npz", lambda one: one.fit(MANY), 1, batch
        )
    assert found == known
    assert_no_thread_is_left()


@pytest.fixture
def few_evaluated(monkeypatch):
    """Few validation rows are evaluated at once, so that they are streamed too."""
    monkeypatch.setattr("linreg.batches.EVALUATED", 32)


KINDS = {
    "in order": lambda: model(shuffle=False, optimizer=RMSprop(0.01, centered=True, momentum=0.5)),
    "averaged": lambda: model(optimizer=SGD(0.05, use_ema=True, gradient_accumulation_steps=4), fit_intercept=False),
    "callbacks": lambda: model(optimizer=Adam(0.3), callbacks=noted()),
    "float64": lambda: model(optimizer="sgd", loss=Huber(0.5), dtype="float64", memory=2 * MEMORY),
}


@pytest.mark.parametrize("batch", [None, 17], ids=["between epochs", "within an epoch"])
@pytest.mark.parametrize(("name", "engine"), [*((name, "numpy") for name in KINDS), ("callbacks", "numba")])
def test_every_kind_of_run_on_a_source_goes_on_to_the_same_bits(tmp_path, engine, batch, name, few_evaluated):
    if engine == "numba":
        pytest.importorskip("numba", reason="Numba is not installed: pip install 'linreg[fast]'")

    def fit(one):
        one.set_params(engine=engine, memory=4 * int(one.memory))  # a quarter of it is for the validation rows
        return one.fit(MANY, validation_data=HELD_OUT)

    known, found = stopped_and_gone_on(KINDS[name], tmp_path / "run.npz", fit, 1, batch)
    assert found == known


@settings(settings.get_profile("few"))
@given(runs("numpy"), st.data())
def test_any_run_on_a_source_goes_on_from_any_batch_to_the_same_bits(run, drawn):
    source, _, given, window = run
    epoch = drawn.draw(st.integers(0, given["epochs"] - 1))
    batch = drawn.draw(st.integers(0, -(-source.count // given["batch_size"]) - 1))
    with patch("linreg.streaming.plans.WINDOW_BYTES", window), TemporaryDirectory() as folder:
        known, found = stopped_and_gone_on(
            lambda: LinearRegression(**given), f"{folder}/run.npz", lambda one: one.fit(source), epoch, batch
        )
    assert found == known


class LostError(Exception):
    """The process is lost here."""


def kept_until(number, monkeypatch):
    """Have a process be lost after it has kept its run so many times; return where it stood each time."""
    keep, seen = Checkpoint.keep, []

    def keeping(self, run):
        keep(self, run)
        seen.append((run.state.epoch, run.position.window, run.position.batches))
        if len(seen) == number:
            raise LostError

    monkeypatch.setattr(Checkpoint, "keep", keeping)
    return seen


def test_a_process_may_be_lost_at_any_place_of_an_epoch(tmp_path):
    def fresh(**changes):
        scheduler = LearningRateScheduler(lambda epoch, rate: 0.9 * rate)
        return model(epochs=2, memory=budget(few, 8), callbacks=[scheduler], **changes)

    few = source_of(*rows(60, 3), block=5)
    path, known = tmp_path / "run.npz", bits(fresh().fit(few))
    for number in range(1, 17):
        with pytest.MonkeyPatch.context() as patched:
            seen = kept_until(number, patched)
            with pytest.raises(LostError):
                fresh(checkpoint=path, checkpoint_every="0s").fit(few)
        assert bits(fresh(checkpoint=path).fit(few)) == known, seen[-1]
        path.unlink()
    assert {(epoch, window) for epoch, window, _ in seen} > {(1, window) for window in range(8)}


class Signals(ArrayRows):
    """A source that sends signals to its own process when one of its blocks is read, once."""

    def __init__(self, number, block, again=1):
        X, y, weight = rows(200, 3, weighted=True)
        super().__init__(X, y, SOURCE.names, weight=weight, size=7)
        self.signal, self.block, self.after = number, block, again

    def read(self, block):
        if block == self.block:
            self.after -= 1
            if self.after == 0:
                os.kill(os.getpid(), self.signal)
                time.sleep(0.15)  # three times as long as rows are waited for between two looks around
        return super().read(block)


@pytest.mark.parametrize("block", [0, 1, 9, 28], ids=["first", "second", "tenth", "last"])
@pytest.mark.parametrize(("number", "error"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Terminated)])
def test_a_signal_while_rows_are_waited_for_is_heard_and_nothing_happens_twice(tmp_path, block, number, error):
    def fresh(**changes):
        scheduler = LearningRateScheduler(lambda epoch, rate: 0.9 * rate)
        return model(shuffle=False, callbacks=[scheduler], **changes)

    known = bits(fresh().fit(SOURCE))
    path = tmp_path / "run.npz"
    fingerprinted = block in {number * 28 // 7 for number in range(8)}
    with pytest.raises(error) as stopped:
        fresh(checkpoint=path).fit(Signals(number, block, 2 + fingerprinted))  # in the second epoch
    assert "stopped after 1 epoch" in (str(stopped.value) if error is KeyboardInterrupt else stopped.value.words)
    assert_no_thread_is_left()
    place = read_archive(path, KIND).document["place"]
    assert (place["begun"], place["batch"] == 0) == (True, block < 2)  # two are read together
    assert bits(fresh(checkpoint=path).fit(SOURCE)) == known


def test_a_path_goes_on_too_and_says_where_it_stopped(tmp_path):
    polars = pytest.importorskip("polars", reason="polars is not installed: pip install 'linreg[data]'")
    X, y, _ = rows(200, 3)
    polars.DataFrame({"a": X[:, 0], "b": X[:, 1], "c": X[:, 2], "y": y}).write_parquet(tmp_path / "rows.parquet")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("linreg.data.blocks.BLOCK_ROWS", 7)
        known, found = stopped_and_gone_on(
            model, tmp_path / "run.npz", lambda one: one.fit(tmp_path / "rows.parquet", "y"), 1, 12
        )
        document = read_archive(tmp_path / "run.npz.previous", KIND).document
    assert found == known
    assert (document["state"]["epoch"], document["place"]["batch"], document["place"]["rows"]) == (1, 13, 104)


# Refused.


def others():
    X, y, weight = rows(200, 3, weighted=True)
    changed, named = X.copy(), ("x0", "other", "x2")
    changed[3, 1] += 1
    return {
        "rows held other numbers": (source_of(changed, y, weight), {}),
        r"names of the features was \['x0', 'x1', 'x2'\] and is \['x0', 'other', 'x2'\] now": (
            ArrayRows(X, y, named, weight=weight, size=7), {},
        ),
        "how rows come was 8 rows at a time, .* and is at once now": (SOURCE, {"memory": "1GB"}),
        "how rows come was 8 rows at a time, 2 of 29 blocks together .memory. and is 8 rows at a time, 4 of": (
            SOURCE, {"memory": MEMORY + 4 * 7 * 40},
        ),
        "how rows come was .* now": (source_of(X, y, weight, block=6), {}),
        "optimizer__learning_rate was 0.01 and is 0.02 now": (SOURCE, {"optimizer": Adam(0.02)}),
        "random_state was 4 and is 5 now": (SOURCE, {"random_state": 5}),
    }  # fmt: skip


@pytest.mark.parametrize("words", others())
def test_a_checkpoint_of_other_rows_or_settings_is_refused_by_their_names(tmp_path, words):
    path = tmp_path / "run.npz"
    model(checkpoint=path).fit(SOURCE)
    before = path.read_bytes()
    source, changes = others()[words]
    with pytest.raises(ValueError, match=f"is the checkpoint of another run: {words}"):
        model(checkpoint=path, **changes).fit(source)
    assert path.read_bytes() == before
    assert model(checkpoint=path).fit(SOURCE).resumed_ == 3


@pytest.mark.parametrize("blocks", range(1, 9))
def test_of_up_to_eight_blocks_every_number_is_compared(blocks):
    X, y, weight = rows(5 * blocks, 3, weighted=True)
    known = of_source(source_of(X, y, weight, block=5))
    for row in range(len(y)):
        for part in (X, y, weight):
            before = part[row].copy()
            part[row] += 1
            assert of_source(source_of(X, y, weight, block=5)) != known
            part[row] = before
    assert of_source(source_of(X, y, weight, block=5)) == known


def test_other_validation_rows_are_refused_by_their_name(tmp_path, few_evaluated):
    one = model(memory=4 * MEMORY, checkpoint=tmp_path / "run.npz").fit(MANY, validation_data=HELD_OUT)
    other = source_of(HELD_OUT.X, HELD_OUT.y + 1)
    with pytest.raises(ValueError, match="of another run: rows of validation_data held other numbers"):
        one.fit(MANY, validation_data=other)
    assert one.fit(MANY, validation_data=HELD_OUT).resumed_ == 3


class Changing(ArrayRows):
    """A source one of whose blocks, which no fingerprint looks at, holds other numbers now."""

    def read(self, block):
        found = super().read(block)
        return found if block != 10 else found._replace(rows=found.rows + 1)


def test_rows_that_have_changed_where_the_run_stands_are_noticed(tmp_path):
    path, (X, y, weight) = tmp_path / "run.npz", rows(200, 3, weighted=True)
    assert 10 not in {number * 28 // 7 for number in range(8)}
    with pytest.raises(KeyboardInterrupt):
        model(shuffle=False, checkpoint=path, callbacks=[Stop(1, 8)]).fit(SOURCE)  # before row 72; block 10 is 70 to 76
    other = Changing(X, y, SOURCE.names, weight=weight, size=7)
    with pytest.raises(ValueError, match="of another run: the rows at the place where it stands are others"):
        model(shuffle=False, checkpoint=path, callbacks=[Stop(9, 9)]).fit(other)
    assert_no_thread_is_left()


# Batches of an iterable.


@pytest.mark.parametrize("engine", ["numpy", "numba"])
@pytest.mark.parametrize("kind", [list, tuple, Again])
def test_batches_that_can_be_read_anew_go_on(tmp_path, kind, engine):
    if engine == "numba":
        pytest.importorskip("numba", reason="Numba is not installed: pip install 'linreg[fast]'")
    items = cut(*rows(100, 3))
    made = lambda: LinearRegression("adam", epochs=3, random_state=0, engine=engine)  # noqa: E731
    known, found = stopped_and_gone_on(made, tmp_path / "run.npz", lambda one: one.fit(kind(items)), 1, 7)
    assert found == known
    known, found = stopped_and_gone_on(made, tmp_path / "other.npz", lambda one: one.fit(kind(items)), 1, 0)
    assert found == known


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda items: [*items[:7], *items[8:]], "the rows at the place where it stands are others"),
        (lambda items: items[:4], "the rows of an epoch end before the place where it stands"),
        (lambda items: items[1:], "X of the first batch held other numbers; y of the first batch held other numbers"),
    ],
)
def test_other_batches_are_refused_where_the_run_stands(tmp_path, change, words):
    items, path = cut(*rows(100, 3)), tmp_path / "run.npz"
    with pytest.raises(KeyboardInterrupt):
        LinearRegression(epochs=3, random_state=0, checkpoint=path, callbacks=[Stop(1, 6)]).fit(items)
    with pytest.raises(ValueError, match=f"of another run: {words}"):
        LinearRegression(epochs=3, random_state=0, checkpoint=path, callbacks=[Stop(9, 9)]).fit(change(items))


def test_batches_that_can_be_read_once_are_refused_in_one_line(tmp_path):
    path = tmp_path / "run.npz"
    with pytest.raises(ValueError, match="X is a generator, which yields its batches once, but checkpoint=") as refused:
        LinearRegression(epochs=1, checkpoint=path).fit(item for item in cut(*rows(100, 3)))
    assert str(refused.value).endswith("give a list of batches or an object whose __iter__ begins anew.")
    assert "\n" not in str(refused.value)
    assert not path.exists()


# Blocks of Dask.


@pytest.fixture
def spread():
    da = pytest.importorskip("dask.array", reason="Dask is not installed: pip install 'linreg[dask]'")
    X, y, weight = rows(200, 3, weighted=True)

    def blocks(X=X, y=y, size=70):
        return da.from_array(X, chunks=(size, 3)), da.from_array(y, chunks=size), da.from_array(weight, chunks=size)

    return blocks


ON_DASK = {
    "steps": lambda: on_dask(Adam(0.01), loss="huber"),
    "a schedule": lambda: on_dask(SGD(0.01, clipnorm=0.5)),
    "maps": lambda: on_dask(SGD(0.01, momentum=0.9)),
    "moments": lambda: on_dask(Adam(0.05), batch_size=200, epochs=9),
}


def on_dask(optimizer, **changes):
    given = {"epochs": 3, "batch_size": 8, "shuffle": False, "dtype": "float64", "random_state": 0, **changes}
    return LinearRegression(optimizer, engine="dask", **given)


@pytest.mark.parametrize("batch", [None, 17], ids=["between epochs", "within an epoch"])
@pytest.mark.parametrize("name", ON_DASK)
def test_runs_on_dask_go_on_to_the_same_bits(tmp_path, spread, name, batch):
    batch = 0 if name == "moments" and batch is not None else batch
    X, y = rows(60, 3, seed=1)[:2]
    known, found = stopped_and_gone_on(
        ON_DASK[name], tmp_path / "run.npz", lambda one: one.fit(*spread(), validation_data=(X, y)), 1, batch
    )
    assert found == known


def test_a_run_on_dask_is_kept_by_the_clock_in_the_middle_of_an_epoch(tmp_path, spread, monkeypatch):
    path, known = tmp_path / "run.npz", bits(ON_DASK["steps"]().fit(*spread()))
    with pytest.MonkeyPatch.context() as patched:
        seen = kept_until(4, patched)
        with pytest.raises(LostError):
            ON_DASK["steps"]().set_params(checkpoint=path, checkpoint_every="0s").fit(*spread())
    assert seen == [(0, 0, 16), (1, 0, 0), (1, 0, 16), (2, 0, 0)]
    (tmp_path / "run.npz.previous").replace(path)
    again = ON_DASK["steps"]().set_params(checkpoint=path).fit(*spread())
    assert (again.resumed_, bits(again) == known) == (1, True)


def test_other_blocks_of_dask_are_refused_by_name(tmp_path, spread):
    path, X, y = tmp_path / "run.npz", *rows(200, 3)[:2]
    on_dask(Adam(0.01), checkpoint=path).fit(*spread())
    changed = X.copy()
    changed[3, 1] += 1
    for words, other in (
        ("rows held other numbers", spread(X=changed)),
        ("rows held other numbers", (*spread()[:2], spread()[2] * 2)),
        ("how rows come was in 3 blocks of Dask's and is in 4 blocks of Dask's now", spread(size=60)),
    ):
        with pytest.raises(ValueError, match=f"is the checkpoint of another run: {words}"):
            on_dask(Adam(0.01), checkpoint=path).fit(*other)
    with pytest.raises(ValueError, match="engine was 'dask' and is 'numpy' now"):
        on_dask(Adam(0.01), checkpoint=path).set_params(engine="numpy").fit(X, y)
