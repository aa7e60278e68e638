"""`engine="dask"`: the same runs as in one process, on blocks that stay where they lie, also when a worker dies."""

from __future__ import annotations

import glob
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linreg import L2, SGD, Adam, Huber, LinearRegression, MeanSquaredError, RMSprop, schedules, sweep
from linreg.callbacks import EarlyStopping, LearningRateScheduler, TerminateOnNaN
from linreg.cli import run
from linreg.cli.dask import connected
from linreg.data import blocks, open_table
from linreg.data.dask_rows import DaskRows
from linreg.gram import gather
from linreg.json_files import read_json

MISSING = "Dask is not installed: pip install 'linreg[dask]'"
da = pytest.importorskip("dask.array", reason=MISSING)
pytest.importorskip("distributed", reason=MISSING)
polars = pytest.importorskip("polars", reason="polars is not installed: pip install 'linreg[data]'")

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # for the package benchmarks

ROWS, NORMWISE = 500, 1e-10
"""A product of maps rounds each entry as often as a map is wide, for each of some hundred batches: 1e-12 at most."""

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")


def some_rows(seed: int = 0, rows: int = ROWS) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    X = generator.normal(loc=[0, 1, -1], size=(rows, 3))
    y = X @ [2.0, -1.0, 0.5] + 3 + generator.normal(size=rows)
    return X, y, generator.integers(0, 3, size=rows).astype(float)


def model_of(optimizer, loss="mse", **changes) -> LinearRegression:
    given = {"epochs": 3, "batch_size": 32, "shuffle": False, "random_state": 0, "dtype": "float64", **changes}
    return LinearRegression(optimizer, loss, **given)


def parameters(model: LinearRegression) -> np.ndarray:
    return np.append(model.coef_, model.intercept_)


def assert_same_run(found: LinearRegression, direct: LinearRegression) -> None:
    size = np.linalg.norm(parameters(direct))
    assert np.linalg.norm(parameters(found) - parameters(direct)) <= NORMWISE * size
    assert found.history_.keys() == direct.history_.keys()
    for name, values in direct.history_.items():
        np.testing.assert_allclose(found.history_[name], values, rtol=1e-9)
    assert (found.state_.iterations, found.n_iter_) == (direct.state_.iterations, direct.n_iter_)
    for slot, other in zip(found.state_.slots, direct.state_.slots, strict=True):
        np.testing.assert_allclose(slot, other, rtol=0, atol=1e-9 * np.abs(other).max())


LINEAR = [
    SGD(0.01),
    SGD(0.005, momentum=0.9),
    SGD(0.005, momentum=0.9, nesterov=True),
    SGD(0.01, weight_decay=0.1),
]
OTHERS = [Adam(0.05), RMSprop(0.01), SGD(schedules.ExponentialDecay(0.02, 5, 0.9)), SGD(0.01, clipnorm=1.0)]


@given(
    optimizer=st.sampled_from(LINEAR),
    batch_size=st.sampled_from([1, 7, 32, 64, 130, 499]),
    cuts=st.lists(st.integers(1, ROWS - 1), max_size=6, unique=True),
    reduction=st.sampled_from(["sum_over_batch_size", "mean_with_sample_weight"]),
    weighted=st.booleans(),
    penalty=st.sampled_from([None, L2(0.01)]),
    intercept=st.booleans(),
)
def test_minibatches_of_blocks_of_any_length_are_the_sequential_run(
    optimizer, batch_size, cuts, reduction, weighted, penalty, intercept
):
    X, y, weight = some_rows()
    weight = weight if weighted else None
    chunks = tuple(np.diff([0, *sorted(cuts), ROWS]).tolist())
    changes = {"batch_size": batch_size, "kernel_regularizer": penalty, "fit_intercept": intercept}
    model = model_of(optimizer, MeanSquaredError(reduction), **changes)
    direct = model_of(optimizer, MeanSquaredError(reduction), **changes).fit(X, y, weight)
    spread = da.from_array(X, chunks=(chunks, 3)), da.from_array(y, chunks=ROWS), weight
    assert_same_run(model.set_params(engine="dask").fit(*spread), direct)


@pytest.mark.parametrize("optimizer", OTHERS)
@pytest.mark.parametrize("loss", [MeanSquaredError(), Huber(0.5), Huber(0.5, reduction="mean_with_sample_weight")])
@pytest.mark.parametrize("batch_size", [180, ROWS])
def test_other_rules_and_losses_take_one_reduction_a_step(optimizer, loss, batch_size):
    X, y, weight = some_rows()
    direct = model_of(optimizer, loss, batch_size=batch_size, kernel_regularizer=L2(0.01)).fit(X, y, weight)
    spread = da.from_array(X, chunks=(130, 2)), da.from_array(y[:, np.newaxis], chunks=100), da.from_array(weight)
    again = model_of(optimizer, loss, batch_size=batch_size, kernel_regularizer=L2(0.01), engine="dask")
    assert_same_run(again.fit(*spread), direct)


@pytest.mark.parametrize("optimizer", [SGD(0.05), *OTHERS])
def test_full_batches_of_a_squared_error_run_on_moments(optimizer):
    X, y, _ = some_rows()
    direct = model_of(optimizer, batch_size=ROWS, epochs=30).fit(X, y)
    spread = da.from_array(X, chunks=(130, 3)), da.from_array(y, chunks=130)
    found = model_of(optimizer, batch_size=ROWS, epochs=30, engine="dask").fit(*spread)
    assert_same_run(found, direct)


def test_moments_of_blocks_are_those_of_all_rows():
    X, y, weight = some_rows()
    rows, alone = gather(da.from_array(X, chunks=(37, 3)), y, weight), gather(X, y, weight)
    assert (rows.rows, rows.blocks) == (ROWS, 14)
    scale = np.sqrt(np.outer(*[np.diag(alone.moments.products)] * 2))
    assert (np.abs(rows.moments.products - alone.moments.products) <= 1e-12 * scale).all()
    np.testing.assert_allclose(rows.moments.mean, alone.moments.mean, rtol=1e-12)


def test_frames_and_folders_of_parquet_are_taken_by_the_names_of_their_columns(tmp_path):
    dd = pytest.importorskip("dask.dataframe", reason="dask.dataframe is not installed: pip install 'dask[dataframe]'")
    pandas = pytest.importorskip("pandas")
    X, y, weight = some_rows()
    table = {"a": X[:, 0], "b": X[:, 1], "price": y, "c": X[:, 2], "w": weight}
    for number, rows in enumerate(np.array_split(np.arange(ROWS), 3)):
        polars.DataFrame({name: values[rows] for name, values in table.items()}).write_parquet(
            tmp_path / f"part-{number}.parquet"
        )
    direct = model_of(SGD(0.01)).fit(X, y, weight)
    frame = dd.from_pandas(pandas.DataFrame(table), npartitions=4)
    ways = [
        (os.fspath(tmp_path), "price", "w"),
        (tmp_path, "price", "w"),
        (frame, "price", "w"),
        (frame[["a", "b", "c"]], frame["price"], frame["w"]),
    ]
    for way in ways:
        found = model_of(SGD(0.01), engine="dask").fit(*way)
        assert_same_run(found, direct)
        assert list(found.feature_names_in_) == ["a", "b", "c"]


def test_callbacks_have_their_say_between_epochs():
    X, y, _ = some_rows()

    def fitted(*data, **changes) -> LinearRegression:
        callbacks = [
            LearningRateScheduler(lambda epoch: 0.02 / (1 + epoch // 3)),
            EarlyStopping("loss", min_delta=1e-3),
        ]
        return model_of(SGD(momentum=0.5), epochs=30, callbacks=callbacks, **changes).fit(*data)

    direct = fitted(X, y)
    found = fitted(da.from_array(X, chunks=(90, 3)), y, engine="dask")
    assert 3 < direct.n_iter_ < 30
    assert_same_run(found, direct)


def test_validation_data_are_looked_at_after_each_epoch():
    X, y, _ = some_rows()
    other, target, _ = some_rows(seed=1)
    direct = model_of(SGD(0.01)).fit(X, y, validation_data=(other, target))
    found = model_of(SGD(0.01), engine="dask").fit(da.from_array(X, chunks=90), y, validation_data=(other, target))
    assert_same_run(found, direct)


def test_a_run_that_diverges_ends_as_it_does_in_one_process():
    X, y, _ = some_rows()
    found = model_of(SGD(50.0), epochs=20, engine="dask").fit(da.from_array(X, chunks=90), y)
    assert not np.isfinite(found.history_["loss"][-1])
    with pytest.warns(RuntimeWarning, match="training stopped there"):
        watched = model_of(SGD(50.0), epochs=20, engine="dask", callbacks=[TerminateOnNaN()]).fit(
            da.from_array(X, chunks=90), y
        )
    assert watched.n_iter_ < 20


@pytest.mark.parametrize("optimizer", [SGD(0.01, momentum=0.9), Adam(0.05)])
def test_a_warm_start_goes_on(optimizer):
    X, y, _ = some_rows()
    spread = da.from_array(X, chunks=90), y
    whole = model_of(optimizer, batch_size=250, engine="dask", epochs=4).fit(*spread)
    half = model_of(optimizer, batch_size=250, engine="dask", epochs=2, warm_start=True).fit(*spread).fit(*spread)
    assert parameters(half).tobytes() == parameters(whole).tobytes()
    assert half.history_ == whole.history_


X, Y, WEIGHT = some_rows()
SPREAD = da.from_array(X, chunks=90)


def with_hole():
    holed = X.copy()
    holed[95, 1] = np.nan
    return da.from_array(holed, chunks=(90, 3))


@pytest.mark.parametrize(
    ("data", "changes", "error", "told"),
    [
        ((X, Y), {}, TypeError, r"X is a ndarray: make one with dask\.array\.from_array"),
        ((SPREAD, Y), {"shuffle": True}, ValueError, "set shuffle=False, or batch_size=500"),
        ((SPREAD, Y), {"dtype": "float32"}, ValueError, 'set dtype="float64"'),
        ((with_hole(), Y), {}, ValueError, "X in rows 90 to 179 contains NaN.*row 95, column 1"),
        ((SPREAD, Y[:-1]), {}, ValueError, "inconsistent numbers of samples"),
        ((SPREAD, da.from_array(Y[:-1])), {}, ValueError, "inconsistent numbers of samples"),
        ((SPREAD, "price"), {}, ValueError, "no column 'price' in X, X has no names"),
        ((SPREAD[:, 0], Y), {}, ValueError, "Expected 2D array for X, got a 1D array of Dask"),
        ((SPREAD[SPREAD[:, 0] > 99], None), {}, ValueError, "0 sample"),
        ((SPREAD, Y, -np.ones(ROWS)), {}, ValueError, r"sample_weight in rows \d+ to \d+ must not be negative"),
        ((SPREAD, None), {}, ValueError, "the target y is None: give one number a row of X"),
        (("nowhere", "price"), {}, FileNotFoundError, "'nowhere' is no Parquet file and no folder of them"),
        ((__file__, "price"), {}, ValueError, r"test_dask\.py' is no Parquet file"),
        ((os.path.dirname(__file__), "price"), {}, FileNotFoundError, r"tests' holds no file .* ends in \.parquet"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_told_in_one_line(data, changes, error, told):
    with pytest.raises(error, match=told) as caught:
        model_of(SGD(0.01), engine="dask", **changes).fit(*data)
    assert "\n" not in str(caught.value)


def test_files_of_other_columns_are_refused(tmp_path):
    for name, columns in (("a", ["x", "y"]), ("b", ["x", "z"])):
        polars.DataFrame({column: [1.0, 2.0] for column in columns}).write_parquet(tmp_path / f"{name}.parquet")
    with pytest.raises(ValueError, match=r"b\.parquet' has no column 'y', which .*a\.parquet' has"):
        DaskRows.of(tmp_path, "y")


@pytest.fixture
def folder(tmp_path):
    """500 rows in part.0.parquet to part.11.parquet, every other with its columns backwards; the name is a pattern."""
    place = tmp_path / "rows[1]"
    place.mkdir()
    table = {"a": X[:, 0], "*": X[:, 1], "^a.*$": X[:, 2], "price": Y, "w": WEIGHT}
    for number, rows in enumerate(np.array_split(np.arange(ROWS), 12)):
        names = list(table)[:: 1 if number % 2 == 0 else -1]
        polars.DataFrame({name: table[name][rows] for name in names}).write_parquet(place / f"part.{number}.parquet")
    return place


def test_files_are_one_table_in_the_order_of_their_numbers_with_columns_taken_by_name(folder):
    direct = model_of(SGD(0.01), batch_size=64).fit(X, Y, WEIGHT)
    for path in (folder, f"{glob.escape(os.fspath(folder))}/part.*.parquet"):
        found = model_of(SGD(0.01), batch_size=64, engine="dask").fit(path, "price", "w")
        assert_same_run(found, direct)
        assert list(found.feature_names_in_) == ["a", "*", "^a.*$"]


def test_dask_and_open_table_read_a_folder_in_the_same_order(folder):
    dd = pytest.importorskip("dask.dataframe", reason="dask.dataframe is not installed: pip install 'dask[dataframe]'")
    with open_table(f"{glob.escape(os.fspath(folder))}/*.parquet", "price") as table:
        assert table.arrays()[1].tolist() == Y.tolist()
    os.rename(folder, folder.with_name("rows"))  # dask takes [1] for a pattern
    assert dd.read_parquet(folder.with_name("rows"))["price"].compute().tolist() == Y.tolist()


def test_an_arrow_file_is_read_too(folder):
    polars.DataFrame({"a": X[:, 0], "price": Y}).write_ipc(folder / "rows[2].arrow")
    found = model_of(SGD(0.01), engine="dask").fit(folder / "rows[2].arrow", "price")
    assert_same_run(found, model_of(SGD(0.01)).fit(X[:, :1], Y))


WRONG = {
    "a missing value": ("a", None, r"X in rows 0 to 41 of '.*part\.3\.parquet' contains NaN.*row 5,.*\(column 'a'\)"),
    "a word": ("a", "four", r"column 'a' of X in rows 0 to 41 of '.*part\.3\.parquet' holds text, 'four' at row 5"),
    "no target": ("price", None, r"target 'price' in rows 0 to 41 of '.*part\.3\.parquet' contains NaN.*in row 5"),
    "an endless target": ("price", np.inf, r"target 'price' .*part\.3\.parquet' contains infinity.*in row 5"),
    "a negative weight": ("w", -2.0, r"weight 'w' .*part\.3\.parquet' must not be negative, got -2\.0 in row 5"),
    "no weight": ("w", None, r"weight 'w' in rows 0 to 41 of '.*part\.3\.parquet' contains NaN.*in row 5"),
}


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("batch_size", [64, ROWS])
def test_what_is_wrong_in_a_file_is_told_with_file_column_and_row_of_the_file(folder, name, batch_size):
    column, value, told = WRONG[name]
    file = folder / "part.3.parquet"
    frame = polars.read_parquet(file, glob=False)
    values = frame[column].to_list()
    values[5] = value
    kind = str if isinstance(value, str) else float
    changed = polars.Series(column, [None if one is None else kind(one) for one in values])
    frame.with_columns(changed).write_parquet(file)
    with pytest.raises((TypeError, ValueError), match=told) as caught:
        model_of(SGD(0.01), batch_size=batch_size, engine="dask").fit(folder, "price", "w")
    assert "\n" not in str(caught.value)


def test_rows_are_counted_from_the_begin_of_the_file_in_its_later_blocks_too(folder, monkeypatch):
    monkeypatch.setattr(blocks, "BLOCK_ROWS", 10)
    values = np.where(np.arange(42) == 37, np.nan, 1.0)
    polars.DataFrame({"a": values, "price": Y[:42]}).write_parquet(folder / "one.parquet")
    with pytest.raises(ValueError, match=r"X in rows 30 to 39 of '.*one\.parquet' contains NaN.*in row 37, column 0"):
        model_of(SGD(0.01), engine="dask").fit(folder / "one.parquet", "price")


@pytest.mark.parametrize(
    ("given", "error", "told"),
    [
        ((), ValueError, "the target y is None: give the name of its column, or one number a row of X"),
        (("prize",), ValueError, "The table has no column 'prize'; did you mean 'price'"),
        (("price", "price"), ValueError, "The target 'price' cannot be the weights, too"),
    ],
)  # fmt: skip
def test_what_is_asked_of_a_folder_and_cannot_be_is_told(folder, given, error, told):
    with pytest.raises(error, match=told):
        model_of(SGD(0.01), engine="dask").fit(folder, *given)


@pytest.mark.parametrize("batch_size", [64, ROWS])
@pytest.mark.parametrize("loss", ["mse", "huber"])
def test_weights_that_are_all_zero_are_refused(batch_size, loss):
    model = model_of(SGD(0.01), loss, batch_size=batch_size, engine="dask")
    for nothing in (np.zeros(ROWS), da.zeros(ROWS, chunks=50)):
        with pytest.raises(ValueError, match="weight"):
            model.fit(SPREAD, Y, nothing)


def test_a_block_without_weight_takes_part():
    weight = np.where(np.arange(ROWS) < 100, 0.0, 1.0)
    direct = model_of(SGD(0.01)).fit(X, Y, weight)
    assert_same_run(model_of(SGD(0.01), engine="dask").fit(da.from_array(X, chunks=50), Y, weight), direct)


def test_a_sweep_is_sent_to_the_moments():
    with pytest.raises(ValueError, match=r"rows = linreg\.gram\.gather\(X, y\)"):
        sweep(SPREAD, Y, engine="dask", learning_rate=[0.1, 0.2])
    found = sweep(gather(SPREAD, Y), learning_rate=[0.01, 0.1], batch_size=ROWS, dtype="float64", random_state=0)
    assert len(found) == 2


# With processes.


@pytest.fixture(scope="module")
def client():
    from dask.distributed import Client, LocalCluster

    with (
        LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0") as cluster,
        Client(cluster) as connected,
    ):
        yield connected


def many_rows():
    X, y, _ = some_rows(seed=3, rows=40_000)
    return da.from_array(X, chunks=(5_000, 3)), X, y


def moved(client) -> int:
    """Return how many bytes the workers have sent so far."""
    return sum(client.run(lambda dask_worker: dask_worker.transfer_outgoing_bytes_total).values())


RUNS = {
    "maps": model_of(SGD(0.001, momentum=0.5), engine="dask"),
    "moments": model_of(Adam(0.05), batch_size=40_000, epochs=30, engine="dask"),
    "reductions": model_of(Adam(0.05), batch_size=4_000, epochs=2, engine="dask"),
    "huber": model_of(SGD(0.1), "huber", batch_size=40_000, epochs=10, engine="dask"),
}


@pytest.mark.parametrize("name", RUNS)
def test_two_processes_find_what_one_finds_and_their_blocks_stay_where_they_are(client, name):
    spread, X, y = many_rows()
    model = LinearRegression(**RUNS[name].get_params(deep=False))
    begin = moved(client)
    found = model.fit(spread, y)
    assert moved(client) - begin < X.nbytes / 10  # what travels does not grow with the rows; a block is an eighth
    direct = LinearRegression(**{**model.get_params(deep=False), "engine": "numpy"}).fit(X, y)
    assert_same_run(found, direct)


def test_two_processes_sum_up_the_moments_of_all_rows(client):
    spread, X, y = many_rows()
    rows, alone = gather(spread, y), gather(X, y)
    scale = np.sqrt(np.outer(*[np.diag(alone.moments.products)] * 2))
    assert (np.abs(rows.moments.products - alone.moments.products) <= 1e-12 * scale).all()
    np.testing.assert_allclose(rows.moments.mean, alone.moments.mean, rtol=1e-12)


class Killer:
    """Kills a worker as soon as it has made one of the tasks of a run while others of them are still to be made."""

    name = "killer"

    def __init__(self, client, task: str, after: int) -> None:
        self.client, self.task, self.after = client, task, after
        self.pids, self.made, self.lost = client.run(os.getpid), [], None

    def transition(self, key, start, finish, *args, worker=None, **more) -> None:
        if finish != "memory":
            return
        self.made.append(key)
        if self.lost is None and self._of_the_run(key) and sum(map(self._of_the_run, self.made)) >= self.after:
            tasks = self.client.cluster.scheduler.tasks
            if any(self._of_the_run(other) and tasks[other].state != "memory" for other in tasks):
                self.lost = key
                os.kill(self.pids[worker], signal.SIGKILL)

    def _of_the_run(self, key) -> bool:
        return str(key).startswith(self.task)

    def close(self) -> None:
        """The scheduler calls it at its end."""

    def __getattr__(self, hook):
        return lambda *args, **more: None  # what else the scheduler tells its plugins


KILLED = {
    # An epoch has 8 maps, or 15 pieces of batches: a worker dies in the second epoch.
    "maps": ("block_stretch", 10, {"optimizer": SGD(0.001, momentum=0.5)}),
    "reductions": ("batch_sums", 20, {"optimizer": Adam(0.05)}),
    "moments": ("block_moments", 3, {"optimizer": Adam(0.05), "batch_size": 40_000}),
}


@pytest.mark.parametrize("name", KILLED)
def test_a_run_survives_the_death_of_a_worker_in_the_middle_with_the_same_result(client, name):
    X, _, y = many_rows()
    task, after, settings = KILLED[name]
    schedule = LearningRateScheduler(lambda epoch: 0.001 / (1 + epoch))  # so that every epoch has maps of its own
    settings = {"batch_size": 5_500, "epochs": 4, "engine": "dask", "callbacks": [schedule], **settings}
    undisturbed = model_of(**settings).fit(X, y)
    client.wait_for_workers(2)
    killer, scheduler = Killer(client, task, after), client.cluster.scheduler
    scheduler.add_plugin(killer)
    try:
        found = model_of(**settings).fit(X, y)
    finally:
        scheduler.remove_plugin(killer.name)
    assert killer.lost is not None
    assert killer.made.count(killer.lost) == 2  # what was lost with the worker was made again
    assert parameters(found).tobytes() == parameters(undisturbed).tobytes()
    assert found.history_ == undisturbed.history_


@pytest.mark.filterwarnings("ignore:Running on a single-machine scheduler")  # the command has no client beside it
def test_the_command_trains_on_a_scheduler_or_in_threads(client, tmp_path, capsys):
    X, y, _ = some_rows()
    polars.DataFrame({"a": X[:, 0], "b": X[:, 1], "c": X[:, 2], "price": y}).write_parquet(tmp_path / "rows.parquet")
    told = []
    for address in (client.scheduler.address, "threads"):
        code = run(["fit", os.fspath(tmp_path), "--target", "price", "--scale", "standard", "--dask", address])
        told.append(capsys.readouterr().out)
        assert code == 0
    assert told[0] == told[1]
    assert "500 rows, features a, b, c, target price" in told[0]
    expected = np.linalg.lstsq(np.column_stack([X, np.ones(ROWS)]), y, rcond=None)[0]
    for value in expected:
        assert f"{value:.6g}" in told[0]


def test_workers_of_this_machine_leave_what_is_wrong_to_one_line(folder):
    polars.DataFrame({"a": [1.0, None], "*": 1.0, "^a.*$": 1.0, "price": 1.0, "w": 1.0}).write_parquet(
        folder / "part.12.parquet"
    )
    ran = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "linreg", "fit", os.fspath(folder), "--target", "price", "--dask", "local"],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    dashboard, complaint = ran.stderr.splitlines()
    assert dashboard.startswith("Dask's dashboard: http")
    assert complaint.startswith("linreg: Input X in rows 0 to 1 of '")
    assert "part.12.parquet' contains NaN: 1 of 8 values are missing, the first in row 1" in complaint
    assert (ran.returncode, ran.stdout) == (2, "")


@pytest.mark.filterwarnings("ignore:Running on a single-machine scheduler")
def test_a_task_that_kills_its_workers_is_told(client, monkeypatch):
    import dask

    monkeypatch.setattr(client.cluster.scheduler, "allowed_failures", 0)
    with (
        pytest.raises(ValueError, match=r"^Every worker that took the task '_exit-.*' died of it") as caught,
        connected(client.scheduler.address),
    ):
        dask.delayed(os._exit)(1).compute()
    assert "\n" not in str(caught.value)


def test_a_scheduler_that_does_not_answer_is_told(tmp_path, capsys):
    with dask_timeout("300ms"):
        assert run(["fit", os.fspath(tmp_path), "--target", "y", "--dask", "tcp://127.0.0.1:1"]) == 2
    assert "No Dask scheduler answers at 'tcp://127.0.0.1:1'" in capsys.readouterr().err


def dask_timeout(seconds: str):
    import dask

    return dask.config.set({"distributed.comm.timeouts.connect": seconds})


def test_the_page_tells_what_was_measured():
    from benchmarks import dask_blocks

    document = read_json(ROOT / "docs" / "benchmarks" / "dask.json", dask_blocks.KIND, "")
    assert dask_blocks.report(document) in (ROOT / "docs" / "dask.md").read_text(encoding="utf-8")


@pytest.mark.filterwarnings("ignore:Port 8787 is already in use")
def test_workers_that_a_command_starts_leave_ctrl_c_to_it(capsys):
    from dask.distributed import default_client

    from linreg.cli.dask import connected

    before = signal.getsignal(signal.SIGINT)
    with connected("local"):
        heard = default_client().run(signal.getsignal, signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is before
    assert len(heard) >= 1
    assert set(heard.values()) == {signal.SIG_IGN}
    assert "Dask's dashboard" in capsys.readouterr().err
