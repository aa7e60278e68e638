"""Do Keras' own callbacks say what `peer_tools` says? `python -m benchmarks.faults.peers_keras --seed 11 --count 12`.

Both make the same unshuffled run from the same weights; compared are whether a callback acts, and the verdict with it.
"""

from __future__ import annotations

import argparse
import importlib
import itertools
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from benchmarks.faults import peer_tools
from benchmarks.faults.cases import Case, finite_numbers, verdict_of
from benchmarks.faults.peer_runs import dtype, floats, watched
from linreg import LinearRegression
from linreg.keras import dense, load, train, weights

PEERS = {
    "TerminateOnNaN": (peer_tools.terminate_on_nan, {}),
    "ReduceLROnPlateau": (peer_tools.reduce_lr_on_plateau, {"monitor": "loss"}),
    "EarlyStopping": (peer_tools.early_stopping, {"monitor": "loss"}),
}


def unshuffled(case: Case) -> Case:
    """Return the run with its rows in the order given."""
    return replace(case, settings={**case.settings, "shuffle": False})


def in_keras(case: Case, callback: Any) -> tuple[bool, str]:
    """Make the run in Keras with a callback, and return whether it acted and the verdict.

    Parameters
    ----------
    case : Case
        A run that can run, unshuffled.
    callback : keras.callbacks.Callback
        One of Keras'.

    Returns
    -------
    bool, str
        Whether the run ended early or the rate was lowered, and the verdict on it.
    """
    keras, number = load(), dtype(case)
    X, y, start = floats(case.X, number), floats(case.y, number).reshape(-1), watched(case).weights[0]
    seen, rates = [start], []

    class Recorder(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
            seen.append(weights(self.model))
            rates.append(float(np.asarray(self.model.optimizer.learning_rate)))

    settings, features = case.settings, X.shape[1]
    twin = dense(LinearRegression(**settings), features, start[:features], float(start[-1]))
    epochs, batch_size = settings["epochs"], settings["batch_size"]
    data, calls = (X.astype(number), y.astype(number)), [callback, Recorder()]
    given = case.sample_weight if case.sample_weight is None else np.asarray(case.sample_weight, number)
    train(twin, *data, epochs=epochs, batch_size=batch_size, sample_weight=given, callbacks=calls)
    outcome = case.outcome
    excess = outcome.objective.excess(np.array(seen, np.float64), outcome.minimiser)
    least = float(outcome.objective.values(outcome.minimiser[np.newaxis])[0])
    floor = 1e-9 * (least + float(outcome.objective.y.var()))
    return len(seen) <= epochs or len(set(rates)) > 1, verdict_of(excess, floor)


def compared(cases: Iterator[Case], count: int) -> list[str]:
    """Return a line for each callback and each of the first `count` cases that Keras can run: "agrees" or "differs"."""
    lines = []
    runnable = (
        unshuffled(case)
        for case in cases
        if finite_numbers(case.X, dtype(case)) is not None
        and case.outcome.verdict != "cannot_run"
        and case.settings.get("fit_intercept", True)
        and not callable(case.settings["optimizer"].learning_rate)
    )
    for case in itertools.islice(runnable, count):
        for name, (peer, arguments) in PEERS.items():
            answer = peer(case)
            ours = answer.alarm, (answer.advice or case).outcome.verdict
            theirs = in_keras(case, getattr(load().callbacks, name)(**arguments))
            # A run that TerminateOnNaN ends has no verdict of its own here: the peer only detects.
            same = ours[0] == theirs[0] and (ours[1] == theirs[1] or (name == "TerminateOnNaN" and ours[0]))
            lines.append(f"{'agrees' if same else 'differs'}: {name} {ours}, Keras {theirs}: {case.name}")
    return lines


def main() -> None:
    """Compare on the first cases of a generator that Keras can run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.faults.peers_keras", description=main.__doc__)
    parser.add_argument("--generator", default="generator", choices=("generator", "second", "third"))
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--count", type=int, default=12)
    options = parser.parse_args()
    made = importlib.import_module(f"benchmarks.faults.{options.generator}").cases(options.seed, 10 * options.count)
    lines = compared(made, options.count)
    print("\n".join(lines))
    print(f"{sum(line.startswith('agrees') for line in lines)} of {len(lines)} agree")


if __name__ == "__main__":
    main()
