"""One run as a document: machine, versions, measurements; written whole or not at all, and compared with another."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.hot_loop.peers import BARE_CALLS, FUSED, NUMBA, NUMPY
from benchmarks.hot_loop.table import Case
from benchmarks.installed import versions
from linreg.json_files import json_text, read_json, write_json

KIND = "linreg hot loop"
SECTIONS = ("tolerance", "cases", "sweeps", "whole", "growth", "profiles")
PACKAGES = (
    *("linreg", "numpy", "numba", "tensorflow_cpu", "tensorflow", "keras", "jax", "torch"),
    *("scikit-learn", "river", "vowpalwabbit"),
)
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


def empty(device: str) -> dict[str, Any]:
    """Return a document without measurements."""
    return {
        "kind": KIND,
        "machine": {"processor": _processor(), "cores": os.cpu_count(), "system": platform.system()},
        "versions": versions(PACKAGES),
        "threads": {name: os.environ[name] for name in THREADS if name in os.environ},
        "load before": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None,
        "device": device,
        "interrupted": False,
        "seconds": 0.0,
        **{section: [] for section in SECTIONS},
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.machine()


def text(document: dict[str, Any]) -> str:
    """Return the document as JSON, one measurement a line."""
    return json_text(document)


def save(document: dict[str, Any], path: Path) -> None:
    """Write the document; a file that is there stays as it is until the new one is complete."""
    write_json(document, path)


def load(path: Path) -> dict[str, Any]:
    """Read a document.

    Parameters
    ----------
    path : Path
        What `save` wrote.

    Returns
    -------
    dict
        The document.

    Raises
    ------
    ValueError
        If the file is something else.
    """
    return read_json(path, KIND, "holds no benchmark: give a file that `linreg bench --save` wrote.")


def ratios(loops: dict[str, Any], over: str, under: str) -> list[float]:
    """Return the times of one loop over those of another, round by round; empty where one is missing."""
    if over not in loops or under not in loops:
        return []
    return [a / b for a, b in zip(loops[over]["rounds"], loops[under]["rounds"], strict=True)]


def slowdowns(old: dict[str, Any], new: dict[str, Any]) -> Iterator[tuple[str, str, float]]:
    """Compare two documents by ratios that carry over from run to run.

    Parameters
    ----------
    old, new : dict
        Documents.

    Yields
    ------
    tuple
        Of each case in both and each engine of linreg: the case, the engine, and how many times slower it has become,
        beside a loop that does the same work and has nothing of linreg in it: the bare calls of NumPy for the NumPy
        engine, the hand-fused loop for the Numba engine.
    """
    before = {Case(**entry["case"]): entry["loops"] for entry in old["cases"]}
    for entry in new["cases"]:
        case = Case(**entry["case"])
        for engine, beside in ((NUMPY, BARE_CALLS), (NUMBA, FUSED)):
            was, now = (ratios(loops, engine, beside) for loops in (before.get(case, {}), entry["loops"]))
            if was and now:
                yield case.name, engine, median(now) / median(was)
