"""Both settings of oneDNN: this process has one, another process of Python is asked for the other."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from linreg.hyperparameters import check_count, nearest
from linreg.keras.parity import runs
from linreg.keras.parity.cases import RULES
from linreg.keras.parity.cells import cells
from linreg.keras.parity.modes import MODES, devices, onednn

Part = tuple[str, dict[str, Any]]
SWITCH = "TF_ENABLE_ONEDNN_OPTS"
"""TensorFlow reads this when it is imported."""


@dataclass(frozen=True)
class Asked:
    """What is to be compared.

    Parameters
    ----------
    rules : tuple of str
        Names of rules.
    examples : int, default=5
        Runs of each.
    seed : int, default=0
        Decides gradients, hyper-parameters and data.
    max_ulp : int, optional
        What every cell is allowed; `cells.allowed` if not given.
    """

    rules: tuple[str, ...] = tuple(RULES)
    examples: int = 5
    seed: int = 0
    max_ulp: int | None = None

    def __post_init__(self) -> None:
        """Check every number and name."""
        check_count("parity", "examples", self.examples)
        check_count("parity", "seed", self.seed, low=0)
        if self.max_ulp is not None:
            check_count("parity", "max_ulp", self.max_ulp, low=0)
        for name in self.rules:
            if name not in RULES:
                raise ValueError(f"Unknown rule {name!r}{nearest(name, RULES)}.")

    @property
    def runs(self) -> list[str]:
        """Names of the whole runs that have one of the rules."""
        return [name for name, planned in runs.RUNS.items() if planned.rule in self.rules]

    @property
    def parts(self) -> int:
        """How many parts one setting has."""
        return (len(self.rules) + len(self.runs)) * len(devices()) * len(MODES)


def measured(asked: Asked) -> Iterator[Part]:
    """Compare everything with the setting of this process.

    Parameters
    ----------
    asked : Asked
        What.

    Yields
    ------
    tuple
        "table" and a cell, or "runs" and a run.
    """
    setting = onednn()
    limits = {"count": asked.examples, "seed": asked.seed, "max_ulp": asked.max_ulp}
    for cell in cells(list(asked.rules), devices(), setting, **limits):  # type: ignore[arg-type]
        yield "table", cell
    for run in runs.runs(asked.runs, asked.seed):
        yield "runs", run


def elsewhere(asked: Asked, python: tuple[str, ...] = (sys.executable,)) -> Iterator[Part]:
    """Compare everything with the other setting of oneDNN, in a process of its own.

    Parameters
    ----------
    asked : Asked
        What.
    python : tuple of str
        How Python is started.

    Yields
    ------
    tuple
        As `measured` does; nothing where oneDNN cannot be switched.

    Raises
    ------
    OSError
        If the other process fails.
    """
    here = onednn()
    if here is None:
        return
    environment = {**os.environ, SWITCH: "0" if here == "on" else "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [*python, "-m", "linreg.keras.parity", json.dumps(asdict(asked))]
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as errors:
        with subprocess.Popen(  # noqa: S603 (our own module)
            command, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True
        ) as process:
            try:
                for name, value in _lines(process):
                    if name != "onednn":
                        yield name, value
                    elif value == here:  # this TensorFlow has one setting only
                        process.kill()
                        return
            except BaseException:
                process.kill()
                raise
        if process.returncode:
            errors.seek(0)
            last = (errors.read().strip().splitlines() or ["it said nothing"])[-1]
            raise OSError(
                f"A second process with {SWITCH}={environment[SWITCH]} failed ({last[:200]}): set {SWITCH} yourself "
                "and call linreg parity --one-setting once with 0 and once with 1."
            )


def _lines(process: subprocess.Popen[str]) -> Iterator[tuple[str, Any]]:
    """Yield what the other process printed, but for what TensorFlow may have printed as well."""
    for line in process.stdout or ():
        if line.startswith('["parity"'):
            _, name, value = json.loads(line)
            yield name, value


def write_parts(asked: Asked, write: Callable[[str], object]) -> None:
    """Be the other process: tell its setting, then every part as it is done.

    Parameters
    ----------
    asked : Asked
        What is compared.
    write : callable
        Takes each line.
    """
    write(json.dumps(["parity", "onednn", onednn()]) + "\n")
    for name, value in measured(asked):
        write(json.dumps(["parity", name, value], allow_nan=False) + "\n")
