"""`python -m tests.kill_and_resume --times 200`: kill -9 at random moments, and what comes of the run in the end.

A run with a checkpoint is started in a process of its own, killed after a random time, and started again, until it
comes to its end. After each kill the checkpoint must be readable, and at the end everything must have the bits of the
run that was never stopped. Counted are kills that hit the run itself, over all engines, and over
rows in memory, from a source, in batches and on Dask (threads).
"""

import argparse
import importlib.util
import os
import signal
import sys
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from linreg import SGD, Adam, KerasSeed, LinearRegression, RMSprop
from linreg.archives import read_archive
from linreg.callbacks import EarlyStopping, ReduceLROnPlateau, TerminateOnNaN
from linreg.data.blocks import ArrayRows
from linreg.saving.checkpoints import KIND


def data():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(4000, 6))
    return X, X @ rng.normal(size=6) + rng.normal(size=4000), rng.random(4000) + 0.5


def callbacks():
    return [
        EarlyStopping("loss", patience=200, restore_best_weights=True),
        ReduceLROnPlateau("loss", patience=3, min_delta=1e-3),
    ]


STREAMED = 200_000
"""Bytes, of which blocks of 100 rows take 9,600 where they are shuffled."""
ON_DASK = {"engine": "dask", "shuffle": False, "dtype": "float64"}
KINDS = {
    "numpy": lambda: LinearRegression(
        Adam(0.001, use_ema=True, gradient_accumulation_steps=3), "huber", epochs=400, random_state=1, batch_size=64
    ),
    "numpy, long epochs": lambda: LinearRegression(
        RMSprop(0.0001, centered=True, momentum=0.5), epochs=6, random_state=np.random.default_rng(2), batch_size=1
    ),
    "numpy, watched": lambda: LinearRegression(
        SGD(0.001, momentum=0.9), epochs=60, random_state=KerasSeed(3), callbacks=[*callbacks(), TerminateOnNaN()]
    ),
    "numba": lambda: LinearRegression(
        Adam(0.0001, weight_decay=0.01), epochs=3000, random_state=4, engine="numba", dtype="float64"
    ),
    "numba, watched": lambda: LinearRegression(
        SGD(0.0001, momentum=0.9), epochs=600, random_state=5, engine="numba", callbacks=callbacks()
    ),
    "exact": lambda: LinearRegression(
        SGD(0.001, momentum=0.5), epochs=600_000, shuffle=False, engine="exact", dtype="float64", random_state=6
    ),
    "streamed": lambda: LinearRegression(
        Adam(0.001, use_ema=True, gradient_accumulation_steps=3), "huber", epochs=50, random_state=7, batch_size=64,
        memory=STREAMED,
    ),
    "streamed, watched": lambda: LinearRegression(
        SGD(0.001, momentum=0.9), epochs=60, random_state=8, memory=STREAMED, callbacks=callbacks()
    ),
    "streamed, numba": lambda: LinearRegression(
        Adam(0.0001, weight_decay=0.01), epochs=150, random_state=9, engine="numba", dtype="float64", memory=STREAMED,
        shuffle=False,
    ),
    "batches": lambda: LinearRegression(RMSprop(0.0001, centered=True, momentum=0.5), epochs=60, random_state=10),
    "dask": lambda: LinearRegression(Adam(0.001), "huber", epochs=25, batch_size=500, random_state=11, **ON_DASK),
    "dask, maps": lambda: LinearRegression(SGD(0.001, momentum=0.9), epochs=2000, random_state=12, **ON_DASK),
}  # fmt: skip


def bits(model):
    """Return everything that a run leaves behind."""
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
    parts += [state.learning_rate, *(part for part in (state.total, state.average) if part is not None)]
    parts += [array for name in sorted(model.history_) for array in (np.array(model.history_[name]),)]
    return b"".join(np.ascontiguousarray(part).tobytes() for part in parts)


def given(kind):
    """Return what a kind of run is fitted to."""
    X, y, weight = data()
    if kind.startswith("streamed"):
        return (ArrayRows(X, y, tuple("abcdef"), weight=weight, size=100),)
    if kind == "batches":
        return ([(X[first : first + 16], y[first : first + 16]) for first in range(0, len(y), 16)],)
    if kind.startswith("dask"):
        import dask.array as da

        return tuple(da.from_array(part, chunks=(700, *part.shape[1:])) for part in (X, y, weight))
    return X, y, None if "long" in kind else weight


def in_this_thread(kind):
    """Have Dask start no threads: they would be missing in every process that is forked."""
    if not kind.startswith("dask"):
        return nullcontext()
    import dask

    return dask.config.set(scheduler="synchronous")


def train(kind, checkpoint, every, started=None):
    """Train in this process; tell through a pipe when the data are there."""
    rows = given(kind)
    model = KINDS[kind]().set_params(checkpoint=checkpoint, checkpoint_every=every)
    if started is not None:
        os.write(started, b"!")
    return bits(model.fit(*rows))


def forked(kind, checkpoint, every, result):
    """Start the run in a process of its own, which writes its bits to a file; return it as soon as it trains."""
    read, write = os.pipe()
    process = os.fork()
    if not process:
        code = 1
        try:
            os.close(read)
            Path(result).write_bytes(train(kind, checkpoint, every, write))
            code = 0
        except BaseException as error:  # told by the exit code and on stderr
            sys.stderr.write(f"{kind}: {type(error).__name__}: {error}\n")
        finally:
            os._exit(code)
    os.close(write)
    os.read(read, 1)
    os.close(read)
    return process


def undisturbed(kind, folder):
    """Return the bits and the seconds of the run without a checkpoint, and those of one with it."""
    result, seconds = Path(folder) / "bits", []
    for leftover in Path(folder).iterdir():
        leftover.unlink()
    for checkpoint in (None, str(Path(folder) / "whole.npz")):
        begun = time.monotonic()
        _, status = os.waitpid(forked(kind, checkpoint, "1h", result), 0)
        seconds.append(time.monotonic() - begun)
        if status:
            raise AssertionError(f"{kind}: the run that is not killed ends with status {status}")
        if checkpoint is None:
            known = result.read_bytes()
    if result.read_bytes() != known:
        raise AssertionError(f"{kind}: a checkpoint changes the run")
    return known, seconds[0]


def killed_run(kind, known, seconds, rng, folder, most):
    """Kill a run until it comes to its end; return how often."""
    checkpoint, result = Path(folder) / "run.npz", Path(folder) / "bits"
    for leftover in Path(folder).iterdir():
        leftover.unlink()
    kills = 0
    while True:
        # Half of the checkpoints are written so often that a kill is likely to hit the writing.
        every = int(rng.integers(1, 3)) if rng.random() < 0.5 else f"{rng.uniform(0.005, 0.05):.3f}s"
        process = forked(kind, str(checkpoint), every, result)
        if kills < most:
            time.sleep(rng.uniform(0, 0.7 * seconds))
            os.kill(process, signal.SIGKILL)
        _, status = os.waitpid(process, 0)
        if checkpoint.exists():
            read_archive(checkpoint, KIND)  # raises where it cannot be read
        if not os.WIFSIGNALED(status):
            break
        kills += 1
    if status:
        raise AssertionError(f"{kind}: after {kills} kills the run ends with status {status}")
    if result.read_bytes() != known:
        raise AssertionError(f"{kind}: after {kills} kills the run ends with other bits")
    left = {file.name for file in Path(folder).iterdir()} - {"run.npz", "run.npz.previous", "bits"}
    if left:
        raise AssertionError(f"{kind}: files are left behind: {left}")
    return kills


def possible():
    """Return the kinds whose libraries are installed."""
    missing = {name for name in ("numba", "dask") if importlib.util.find_spec(name) is None}
    return [kind for kind in KINDS if not any(name in kind for name in missing)]


def main(times, seed, kinds, show=print):
    """Kill runs of every kind, so many times in all; return how often each was killed."""
    rng, kills = np.random.default_rng(seed), dict.fromkeys(kinds, 0)
    with tempfile.TemporaryDirectory() as folder:
        for kind in kinds:  # what is compiled or imported here is there in every process that is started
            with in_this_thread(kind):
                KINDS[kind]().set_params(epochs=1).fit(*given(kind))
        known = {kind: undisturbed(kind, folder) for kind in kinds}
        while sum(kills.values()) < times:
            kind = min(kinds, key=lambda one: kills[one])
            most = int(min(rng.integers(1, 9), 1 + times // (2 * len(kinds)), times - sum(kills.values())))
            kills[kind] += killed_run(kind, *known[kind], rng, folder, most)
            show(f"{sum(kills.values()):4} kills, the last of {kind}", flush=True)
    return kills


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kinds", nargs="+", default=possible(), choices=list(KINDS), metavar="KIND")
    asked = parser.parse_args()
    found = main(asked.times, asked.seed, asked.kinds)
    print("killed:", ", ".join(f"{kind} {count}" for kind, count in found.items()))  # noqa: T201
    print("every run ended with the bits of the undisturbed one, every checkpoint was readable")  # noqa: T201
