"""The loops by name.

Each is a function of a `Task` (`benchmarks.loops`) and a device. It builds and compiles what it needs, or raises
`MissingPeerError`, and returns `start`; `train = start()` goes back to zeros, outside of the clock; `train(epochs)`,
which is timed, returns the parameters at the end (kernel, then bias) and the mean loss of the last epoch, on the CPU.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from benchmarks.hot_loop.peers import floors, fused, jax_loops, keras_loops, online, ours, tf_loops, torch_loops
from benchmarks.hot_loop.peers.interface import Make, MissingPeerError
from benchmarks.hot_loop.table import Case
from benchmarks.loops import Task

__all__ = [
    "BARE_CALLS",
    "COMPILED_TORCH",
    "FUSED",
    "KERAS",
    "KERAS_STEP",
    "NUMBA",
    "NUMPY",
    "PEERS",
    "READ",
    "SCAN",
    "XLA",
    "MissingPeerError",
    "Peer",
]

FAST, MEDIUM, SLOW = 16_384, 2048, 128
"""Steps of one epoch at most, for loops whose step costs about a microsecond, tens of them, and a thousand."""
ONLINE = {"batch": 1, "optimizer": "SGD"}
OURS, LIMIT, OTHER = "linreg", "limit", "peer"


@dataclass(frozen=True)
class Peer:
    """A loop and what is known about it beforehand.

    Parameters
    ----------
    name : str
        What tables call it.
    make : callable
        The loop.
    most_steps : int
        Steps of an epoch at most: of a larger table, so many batches.
    kind : {"linreg", "limit", "peer"}
        Whose it is.
    compiled : bool
        Whether whole epochs, or at least steps, run outside of Python.
    only : dict
        What a case must be like, field by field, for it to do this work at all.
    trains : bool
        Whether there is a result to check.
    loss_in_float32 : bool
        Whether it adds up its losses in float32, whatever the model is in (Keras' metrics).
    in_forms : bool
        Whether it is tried in several forms, of which the fastest is taken.
    """

    name: str
    make: Make
    most_steps: int
    kind: str = OTHER
    compiled: bool = False
    only: dict[str, object] = field(default_factory=dict)
    trains: bool = True
    loss_in_float32: bool = False
    in_forms: bool = False

    def choose(self, task: Task, device: str) -> None:
        """Find out which form is the fastest for such work, so that building the loop builds this one only."""
        if self.in_forms:
            self.make(task, device)

    def suits(self, case: Case) -> bool:
        """Return whether it can do this work at all."""
        return all(getattr(case, name) == value for name, value in self.only.items())


NUMPY, NUMBA, BARE_CALLS, READ, FUSED = (
    "linreg numpy",
    "linreg numba",
    "bare NumPy calls",
    "one read of X",
    "hand-fused Numba",
)
SCAN, XLA, COMPILED_TORCH = "JAX scan", "tf.function XLA loop", "torch compiled"
KERAS, KERAS_STEP = "keras fit", "keras train_on_batch"
PEERS = {
    peer.name: peer
    for peer in (
        Peer(NUMPY, ours.numpy_engine, MEDIUM, OURS),
        Peer(NUMBA, ours.numba_engine, FAST, OURS, compiled=True),
        Peer(READ, floors.one_read, FAST, LIMIT, trains=False),
        Peer(BARE_CALLS, floors.bare_calls, MEDIUM, LIMIT),
        Peer(FUSED, fused.hand_fused, FAST, compiled=True),
        Peer(SCAN, jax_loops.scan, FAST, compiled=True, in_forms=True),
        Peer(XLA, tf_loops.xla_loop, FAST, compiled=True, in_forms=True),
        Peer(COMPILED_TORCH, torch_loops.compiled, SLOW, compiled=True),
        Peer("JAX jitted step", jax_loops.jitted_step, MEDIUM),
        Peer("tf.function loop", tf_loops.graph_loop, MEDIUM),
        Peer("torch eager", torch_loops.eager, SLOW),
        Peer(KERAS, keras_loops.fit, SLOW, loss_in_float32=True),
        Peer(KERAS_STEP, keras_loops.train_on_batch, SLOW, loss_in_float32=True),
        Peer("SGDRegressor", online.sgd_regressor, FAST, only=ONLINE),
        Peer("River", online.river, MEDIUM, only=ONLINE),
        Peer("Vowpal Wabbit", online.vowpal_wabbit, MEDIUM, only={**ONLINE, "loss": "MSE", "dtype": "float32"}),
    )
}
