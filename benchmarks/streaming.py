"""Training on a file larger than memory: `python -m benchmarks.streaming FOLDER --json FILE`.

Makes a Parquet file of 20 million rows of 20 features in the folder, if it is not there yet. Then, each in a process of
its own and in turn: reads it block by block as training does, and nothing else (`read`); reads it with polars alone,
without making arrays of it (`frames`); trains one epoch of Adam on batches of 1,024 (`train`). Seconds are those of the
work, without imports; peak memory is that of the process as the kernel counts it. Last, a run on the first rows is
compared with one in memory, bit by bit (`prefix`).
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parent.parent
FEATURES, AT_ONCE = 20, 2**18
PREFIX = 1_000_000
BATCH = 1024


def make(folder: Path, rows: int) -> Path:
    """Make the file in pieces; memory holds one of them."""
    import polars

    made = folder / f"rows-{rows}.parquet"
    if made.exists():
        return made
    rng = np.random.default_rng(0)
    coef = rng.normal(size=FEATURES)
    with tempfile.TemporaryDirectory(dir=folder) as parts:
        places = []
        for number, first in enumerate(range(0, rows, AT_ONCE)):
            X = rng.normal(size=(min(AT_ONCE, rows - first), FEATURES))
            y = X @ coef + 3 + rng.normal(size=len(X))
            frame = polars.DataFrame({**{f"x{j}": X[:, j] for j in range(FEATURES)}, "y": y})
            places.append(Path(parts) / f"{number:06}.parquet")
            frame.write_parquet(places[-1])
        polars.scan_parquet(places).sink_parquet(folder / "unfinished", row_group_size=AT_ONCE)
    (folder / "unfinished").rename(made)
    return made


def read(file: Path, memory: str) -> dict[str, Any]:  # noqa: ARG001
    """Read the file as training does."""
    from linreg.data import open_table

    begin, rows = time.perf_counter(), 0
    with open_table(file, "y", early=False) as source:
        for block in range(len(source)):
            rows += len(source.read(block).rows)
    return {"seconds": time.perf_counter() - begin, "rows": rows}


def frames(file: Path, memory: str) -> dict[str, Any]:  # noqa: ARG001
    """Read the file with polars alone."""
    import polars

    begin = time.perf_counter()
    table = polars.scan_parquet(file)
    count = int(table.select(polars.len()).collect().item())
    rows = sum(table.slice(first, AT_ONCE).collect().height for first in range(0, count, AT_ONCE))
    return {"seconds": time.perf_counter() - begin, "rows": rows}


def train(file: Path, memory: str) -> dict[str, Any]:
    """Train one epoch."""
    from linreg import Adam, LinearRegression

    model = LinearRegression(Adam(), epochs=1, batch_size=BATCH, random_state=0, memory=memory)
    begin = time.perf_counter()
    model.fit(file, "y")
    seconds = time.perf_counter() - begin
    return {"seconds": seconds, "loss": model.history_["loss"][0], "steps": model.state_.iterations}


def prefix(file: Path, memory: str) -> dict[str, Any]:  # noqa: ARG001
    """Compare the run on the first rows, streamed with little memory, with the same run in memory."""
    import polars

    from linreg import Adam, LinearRegression
    from linreg.data import open_table
    from linreg.streaming import order

    source = open_table(polars.scan_parquet(file).head(PREFIX), "y")
    rows = np.concatenate([source.read(block).rows for block in range(len(source))])
    same = {}
    for shuffle in (False, True):
        settings: dict[str, Any] = {"epochs": 1, "batch_size": BATCH, "kernel_initializer": "zeros"}
        model = LinearRegression(Adam(), random_state=0, shuffle=shuffle, memory="300MB", **settings).fit(source)
        taken = rows
        if shuffle:
            taken = rows[order(source, np.random.default_rng(0), batch_size=BATCH, memory="300MB")]
        again = LinearRegression(Adam(), shuffle=False, **settings).fit(taken[:, :-1], taken[:, -1])
        pairs = [
            (model.state_.parameters, again.state_.parameters),
            *zip(model.state_.slots, again.state_.slots, strict=True),
        ]
        same["shuffled" if shuffle else "in order"] = all(a.tobytes() == b.tobytes() for a, b in pairs) and (
            model.history_["loss"] == again.history_["loss"]
        )
    return {"rows": len(rows), "same bits": same}


JOBS: dict[str, Callable[[Path, str], dict[str, Any]]] = {
    "read": read, "frames": frames, "train": train, "prefix": prefix,
}  # fmt: skip


def alone(job: str, file: Path, memory: str) -> dict[str, Any]:
    """Return what a job says of itself in a process of its own, and what the kernel says of that."""
    command = [sys.executable, "-m", "benchmarks.streaming", str(file), "--job", job, "--memory", memory]
    begin = time.perf_counter()
    child = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)  # noqa: S603 (our own command)
    assert child.stdout is not None
    told = child.stdout.read()
    _, status, usage = os.wait4(child.pid, 0)
    if status:
        raise RuntimeError(f"{job} ended with status {status}")
    found = {
        "wall": time.perf_counter() - begin,
        "peak MiB": usage.ru_maxrss / 1024,
        "cpu seconds": usage.ru_utime + usage.ru_stime,
    }
    return {**json.loads(told), **found}


def measured(file: Path, rows: int, repeats: int, memory: str) -> dict[str, Any]:
    """Run every job, in turn, so many times."""
    runs: dict[str, list[dict[str, Any]]] = {job: [] for job in ("read", "frames", "train")}
    for _ in range(repeats):
        for job, done in runs.items():
            done.append(alone(job, file, memory))
            print(f"{job:7} {done[-1]['seconds']:6.1f} s  {done[-1]['peak MiB']:5.0f} MiB", file=sys.stderr, flush=True)
    seconds = {job: statistics.median(run["seconds"] for run in done) for job, done in runs.items()}
    return {
        "rows": rows, "features": FEATURES, "file MB": round(file.stat().st_size / 1e6), "memory": memory,
        "cpus": os.cpu_count(), "runs": runs, "median seconds": seconds,
        "peak MiB of training": max(run["peak MiB"] for run in runs["train"]),
        "speed beside reading": [
            reading["seconds"] / training["seconds"]
            for reading, training in zip(runs["read"], runs["train"], strict=True)
        ],
        "speed beside frames": [
            reading["seconds"] / training["seconds"]
            for reading, training in zip(runs["frames"], runs["train"], strict=True)
        ],
        "prefix": alone("prefix", file, memory),
    }  # fmt: skip


def main() -> None:
    """Measure and print; or do one job in this process."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.streaming", description=__doc__)
    parser.add_argument("place", type=Path, help="folder for the file, with 4 GB free; of a job, the file")
    parser.add_argument("--rows", type=int, default=20_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--memory", default="512MB", help="what the rows may take")
    parser.add_argument("--json", type=Path, help="where the figures go")
    parser.add_argument("--job", choices=JOBS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.job:
        print(json.dumps(JOBS[arguments.job](arguments.place, arguments.memory)))
        return
    file = make(arguments.place, arguments.rows)
    found = measured(file, arguments.rows, arguments.repeats, arguments.memory)
    text = json.dumps(found, indent=2)
    print(text)
    if arguments.json:
        arguments.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
