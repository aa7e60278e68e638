"""`python -m tests.soak --minutes 60`: training, saving and resuming over and over; memory stays flat, no handle leaks.

Each round trains with a checkpoint, stops in the middle of an epoch, goes on, raises the epochs, saves and loads the
model, refuses a damaged model, a checkpoint of other data and one in the place of a model, and predicts. Counted are
resident memory, open files, threads and what lies in the folder. Linux only: the numbers come from /proc.
"""

import argparse
import gc
import os
import signal
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

from linreg import SGD, Adam, LinearRegression, load
from linreg.callbacks import Callback, ReduceLROnPlateau

WARM = 20
"""Rounds after which everything is imported, compiled and allocated."""
GROWTH = 8 * 2**20
"""Bytes of resident memory by which the allocator may move: one more round of arrays (6 MB) may stay cached."""


class Interrupt(Callback):
    """Ctrl-C in an epoch, once."""

    def __init__(self, epoch, batch):
        self.epoch, self.batch, self.now = epoch, batch, 0

    def on_epoch_begin(self, epoch, logs):
        self.now = epoch

    def on_train_batch_end(self, batch, logs):
        if (self.now, batch) == (self.epoch, self.batch):
            self.epoch = -1
            os.kill(os.getpid(), signal.SIGINT)


def one_round(folder, rng, number):
    """Do everything once."""
    X = rng.normal(size=(20_000, 20))
    y = X @ rng.normal(size=20) + rng.normal(size=20_000)
    run, saved = folder / "run.npz", folder / "model.npz"
    run.unlink(missing_ok=True)
    engine = ("numpy", "numba", "exact")[number % 3]
    rule = {"numpy": Adam(0.01), "numba": SGD(0.01, momentum=0.9), "exact": SGD(0.01)}[engine]
    settings = {"random_state": number, "checkpoint": run, "checkpoint_every": 1, "batch_size": 256, "engine": engine}
    watchers = [] if engine == "exact" else [Interrupt(3, 5), ReduceLROnPlateau("loss", patience=1)]
    if engine == "exact":
        settings |= {"dtype": "float64", "shuffle": False}
    try:
        LinearRegression(rule, epochs=6, callbacks=watchers, **settings).fit(X, y)
    except KeyboardInterrupt:
        LinearRegression(rule, epochs=6, callbacks=watchers, **settings).fit(X, y)
    model = LinearRegression(rule, epochs=8, callbacks=watchers, **settings).fit(X, y)
    assert model.resumed_ == 6, (engine, model.resumed_)
    model.save(saved)
    np.testing.assert_array_equal(load(saved).predict(X), model.predict(X))
    damaged, content = folder / "damaged.npz", bytearray(saved.read_bytes())
    content[rng.integers(len(content))] ^= 1 << int(rng.integers(8))
    damaged.write_bytes(content)
    for refused in (lambda: model.fit(X + 1, y), lambda: load(run), lambda: load(damaged)):
        try:
            refused()
        except ValueError:
            continue
        raise AssertionError("a file was not refused")


def measured(folder):
    """Return resident bytes, open files, threads and files in the folder."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return (
        pages * os.sysconf("SC_PAGE_SIZE"),
        len(os.listdir("/proc/self/fd")),
        threading.active_count(),
        len(os.listdir(folder)),
    )


def main(minutes):
    """Run for some minutes; return what was measured after the warm-up and at the end, and the rounds."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    rng, begun, number, first, told = np.random.default_rng(0), time.monotonic(), 0, None, 0.0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        while number <= WARM or time.monotonic() - begun < 60 * minutes:
            one_round(folder, rng, number)
            number += 1
            if number == WARM:
                first = measured(folder)
            if number >= WARM and time.monotonic() - told > 60:
                told = time.monotonic()
                size, files, threads, left = measured(folder)
                print(  # noqa: T201
                    f"{(told - begun) / 60:5.1f} min, {number} rounds: {size / 2**20:.1f} MiB resident, {files} open "
                    f"files, {threads} threads, {left} files in the folder",
                    flush=True,
                )
        return first, measured(folder), number


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=60)
    before, after, rounds = main(parser.parse_args().minutes)
    print(f"{rounds} rounds; after {WARM}: {before}; at the end: {after}")  # noqa: T201
    assert after[1:] == before[1:], "handles, threads or files have leaked"
    assert after[0] - before[0] <= GROWTH, "memory has grown"
