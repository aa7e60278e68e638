"""Ctrl-C and SIGTERM: a run ends between two steps, says in one line how to go on, and leaves nothing behind."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from test_checkpoints import Stop, data

from linreg import SGD, LinearRegression
from linreg.callbacks import Callback
from linreg.stopping import Terminated

COMMAND = [sys.executable, "-c", "from linreg.cli import main; main()"]


@pytest.fixture
def table(tmp_path):
    pytest.importorskip("polars", reason="polars is not installed: pip install 'linreg[data]'")
    pytest.importorskip("typer", reason="Typer is not installed: pip install 'linreg[cli]'")
    X, y = data(rows=500)
    path = tmp_path / "table.csv"
    np.savetxt(path, np.column_stack([X, y]), delimiter=",", header="a,b,c,y", comments="")
    return path


def started(tmp_path, *arguments):
    """A command in a process of its own, whose temporary files go to a folder of its own."""
    temporary = tmp_path / "temporary"
    temporary.mkdir(exist_ok=True)

    def hear_ctrl_c():
        signal.signal(signal.SIGINT, signal.default_int_handler)

    return subprocess.Popen(  # noqa: S603
        [*COMMAND, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "TMPDIR": str(temporary), "OMP_NUM_THREADS": "1"},
        preexec_fn=hear_ctrl_c,
    )  # fmt: skip


def waited_for(path, process):
    """Wait until a file is there."""
    for _ in range(600):
        if path.exists() or process.poll() is not None:
            break
        time.sleep(0.1)
    assert path.exists(), process.communicate()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stopped_command_says_in_one_line_how_to_go_on_and_goes_on(tmp_path, table, number, code):
    run = ["fit", table, "--target", "y", "--epochs", "1000000", "--batch-size", "64", "--checkpoint", "run.npz"]
    process = started(tmp_path, *run, "--every", "5")
    waited_for(tmp_path / "run.npz", process)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (code, "")
    (line,) = err.strip().splitlines()
    assert line.startswith("linreg: stopped after ")
    assert line.endswith("'run.npz' holds the run: give the same again to go on from there.")
    assert {file.name for file in tmp_path.iterdir()} == {"run.npz", "run.npz.previous", "table.csv", "temporary"}
    assert not list((tmp_path / "temporary").iterdir())
    done = int(line.split()[3])
    run[run.index("1000000")] = str(done + 2)
    process = started(tmp_path, *run)
    _, err = process.communicate(timeout=120)
    assert f"'run.npz': goes on after {done} of {done + 2} epochs." in err


@pytest.mark.parametrize(
    ("given", "number", "code"),
    [
        (["--stream", "--memory", "60MB", "--batch-size", "64"], signal.SIGINT, 130),
        (["--dask", "threads", "--loss", "huber", "--batch-size", "2500"], signal.SIGTERM, 143),
    ],
    ids=["streamed", "dask"],
)
def test_a_command_on_rows_that_come_block_by_block_goes_on_to_the_same_report(tmp_path, given, number, code):
    polars = pytest.importorskip("polars", reason="polars is not installed: pip install 'linreg[data]'")
    pytest.importorskip("typer", reason="Typer is not installed: pip install 'linreg[cli]'")
    if "--dask" in given:
        pytest.importorskip("dask", reason="Dask is not installed: pip install 'linreg[dask]'")
    X, y = data(rows=600_000 if "--stream" in given else 50_000)
    rows = polars.DataFrame({"a": X[:, 0], "b": X[:, 1], "c": X[:, 2], "y": y}).cast(polars.Float32)
    rows.write_parquet(tmp_path / "rows.parquet")
    run = ["fit", "rows.parquet", "--target", "y", "--learning-rate", "0.001", "--seed", "1", "--json", *given]
    kept = [*run, "--checkpoint", "run.npz"]
    process = started(tmp_path, *kept, "--epochs", "1000000", "--every", "0.1s")
    waited_for(tmp_path / "run.npz", process)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (code, "")
    (line,) = err.strip().splitlines()
    told = re.fullmatch(r"linreg: stopped after (\d+) epochs?(, batch \d+ of epoch \d+)?\. 'run\.npz' holds .*", line)
    assert told, line
    found = []
    for command in (kept, run):
        process = started(tmp_path, *command, "--epochs", str(int(told[1]) + 1))
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        found.append(json.loads(out))
    assert found[0].pop("resumed") == int(told[1])
    assert found[0] == found[1]


def test_sigterm_ends_a_command_without_a_checkpoint_in_one_line_too(tmp_path, table):
    process = started(tmp_path, "fit", table, "--target", "y", "--epochs", "100000000", "--plot", "loss.png")
    time.sleep(5)
    process.terminate()
    _, err = process.communicate(timeout=60)
    assert process.returncode == 143
    assert len(err.strip().splitlines()) == 1
    assert err.startswith("linreg: stopped")
    assert {file.name for file in tmp_path.iterdir()} == {"table.csv", "temporary"}


def test_sigterm_is_heard_in_a_run_with_a_checkpoint_and_left_alone_in_one_without(tmp_path):
    X, y = data()
    model = LinearRegression(SGD(0.01), epochs=9, random_state=0, checkpoint=tmp_path / "run.npz")
    with pytest.raises(Terminated, match="143") as stopped:
        model.set_params(callbacks=[Stop(3, number=signal.SIGTERM)]).fit(X, y)
    assert stopped.value.words.startswith("stopped after 4 epochs. ")
    assert model.n_iter_ == 4
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL

    class Ask(Callback):
        def on_epoch_end(self, epoch, logs):
            handlers.append(signal.getsignal(signal.SIGTERM))

    handlers = []
    LinearRegression(epochs=1, callbacks=[Ask()]).fit(X, y)
    assert handlers == [signal.SIG_DFL]


def test_a_script_that_sigterm_ends_says_in_one_line_how_to_go_on(tmp_path):
    code = (
        "import signal\nfrom linreg import LinearRegression\nfrom test_checkpoints import Stop, data\n"
        "LinearRegression(checkpoint='run.npz', callbacks=[Stop(3, number=signal.SIGTERM)]).fit(*data())"
    )
    found = subprocess.run(  # noqa: S603
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([os.path.dirname(__file__), *sys.path])},
    )  # fmt: skip
    assert (found.returncode, found.stdout) == (143, "")
    assert found.stderr == (
        "stopped after 4 epochs. 'run.npz' holds the run: give the same again to go on from there.\n"
    )


def test_a_second_ctrl_c_stops_at_once(tmp_path):
    X, y = data()

    class Twice(Callback):
        def on_epoch_end(self, epoch, logs):
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)
            reached.append(epoch)

    reached = []
    with pytest.raises(KeyboardInterrupt):
        LinearRegression(epochs=9, checkpoint=tmp_path / "run.npz", callbacks=[Twice()]).fit(X, y)
    assert reached == []
    assert not list(tmp_path.iterdir())


def test_a_stopped_run_says_where(tmp_path):
    X, y = data()
    for stop, words in (
        (Stop(0), "stopped after 1 epoch."),
        (Stop(3, 2), "stopped after 3 epochs, batch 3 of epoch 4."),
    ):
        with pytest.raises(KeyboardInterrupt) as stopped:
            LinearRegression(epochs=9, batch_size=16, callbacks=[stop]).fit(X, y)
        assert str(stopped.value) == words


@pytest.mark.parametrize("engine", ["numpy", "numba", "exact"])
def test_no_thread_and_no_handle_is_left_behind(tmp_path, engine):
    if engine == "numba":
        pytest.importorskip("numba", reason="Numba is not installed: pip install 'linreg[fast]'")
    if not os.path.isdir("/proc/self/fd"):
        pytest.skip("open files are counted in /proc, which is not there")
    X, y = data()
    settings = {"engine": engine, "dtype": "float64", "shuffle": False, "random_state": 0}

    def fit(number):
        LinearRegression(epochs=3 + number, checkpoint=tmp_path / "run.npz", **settings).fit(X, y)

    fit(0)
    before = threading.active_count(), len(os.listdir("/proc/self/fd"))
    for number in range(1, 20):
        fit(number)
    assert (threading.active_count(), len(os.listdir("/proc/self/fd"))) == before
