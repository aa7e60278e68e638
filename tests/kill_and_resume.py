"""`python -m tests.kill_and_resume --times 200`: kill -9 at random moments, and what comes of the run in the end.

A run with a checkpoint is started in a process of its own, killed after a random time, and started again, until it
comes to its end. After each kill the checkpoint must be readable, and at the end everything must have the bits of the
run that was never stopped. Counted are kills that hit the run itself, over all engines.
"""

import argparse
import os
import signal
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from linreg import SGD, Adam, KerasSeed, LinearRegression, RMSprop
from linreg.archives import read_archive
from linreg.callbacks import EarlyStopping, ReduceLROnPlateau, TerminateOnNaN
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
}


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


def train(kind, checkpoint, every, started=None):
    """Train in this process; tell through a pipe when the data are there."""
    X, y, weight = data()
    model = KINDS[kind]().set_params(checkpoint=checkpoint, checkpoint_every=every)
    if started is not None:
        os.write(started, b"!")
    return bits(model.fit(X, y, sample_weight=None if "long" in kind else weight))


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


def main(times=200, seed=0, kinds=tuple(KINDS), show=print):
    """Kill runs of every kind, so many times in all; return how often each was killed."""
    rng, kills = np.random.default_rng(seed), dict.fromkeys(kinds, 0)
    with tempfile.TemporaryDirectory() as folder:
        for kind in kinds:  # what is compiled or imported here is there in every process that is started
            X, y, weight = data()
            KINDS[kind]().set_params(epochs=1).fit(X, y, sample_weight=None if "long" in kind else weight)
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
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), choices=list(KINDS), metavar="KIND")
    asked = parser.parse_args()
    found = main(asked.times, asked.seed, asked.kinds)
    print("killed:", ", ".join(f"{kind} {count}" for kind, count in found.items()))  # noqa: T201
    print("every run ended with the bits of the undisturbed one, every checkpoint was readable")  # noqa: T201
