"""What Dask costs and what it brings: `python -m benchmarks.dask_blocks FILE.json`, with OMP_NUM_THREADS=1.

One worker process, two of them, and this process without Dask, in turns, on the same rows:

- a step of Huber's loss on all rows, which is one reduction of gradients, on blocks of growing length and number;
- an epoch of minibatch SGD as a tree of maps;
- the moments of all rows, in memory and from Parquet files.

`--report PAGE.md` writes the tables of the page from FILE.json, and what ten thousand million rows would take.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from benchmarks.gram_replay import Clock, write_part
from benchmarks.hot_loop.record import empty
from benchmarks.installed import versions
from linreg import SGD, LinearRegression
from linreg.gram import gather
from linreg.json_files import read_json, write_json

KIND = "linreg on Dask"
FEATURES = 20
LENGTHS = (1_000, 10_000, 100_000, 500_000)
NUMBERS = (2, 8, 32)
STEPS, ROUNDS = 12, 3
PARQUET_ROWS = 1_000_000
PACKAGES = ("linreg", "numpy", "dask", "distributed", "polars")
MACHINES, ALL_ROWS, BLOCK = 100, 10**10, 10**6


@contextmanager
def clusters() -> Iterator[dict[str, Any]]:
    """Start one worker process, and two."""
    from dask.distributed import Client, LocalCluster

    def started(workers: int) -> Any:
        return LocalCluster(n_workers=workers, threads_per_worker=1, processes=True, dashboard_address=None)

    with (
        started(1) as one,
        started(2) as two,
        Client(one, set_as_default=False) as first,
        Client(two, set_as_default=False) as second,
    ):
        yield {"one worker": first, "two workers": second}


def spread_rows(length: int, blocks: int) -> Any:
    """Return rows that workers draw themselves, once, and hold."""
    import dask
    import dask.array as da
    from dask.distributed import wait

    X = da.random.default_rng(0).normal(size=(length * blocks, FEATURES), chunks=(length, FEATURES))
    y = X @ np.linspace(-1, 1, FEATURES) + da.random.default_rng(1).normal(size=length * blocks, chunks=length)
    held = dask.persist(X, y)
    wait(held)
    return held


def own_rows(length: int, blocks: int) -> tuple[np.ndarray, np.ndarray]:
    """Return as many rows in this process."""
    generator = np.random.default_rng(0)
    X = generator.normal(size=(length * blocks, FEATURES))
    return X, X @ np.linspace(-1, 1, FEATURES) + generator.normal(size=len(X))


def epochs_of(data: tuple[Any, Any], rows: int, engine: str, what: str) -> list[float]:
    """Return the times of the epochs of a run."""
    clock = Clock()
    settings: dict[str, Any] = {"dtype": "float64", "shuffle": False, "engine": engine, "callbacks": (clock,)}
    if what == "step":
        model = LinearRegression(SGD(0.1), "huber", epochs=STEPS, batch_size=rows, **settings)
    else:
        model = LinearRegression(SGD(1e-4), epochs=1, batch_size=32, **settings)
    model.fit(*data)
    return clock.seconds


def in_turns(connected: dict[str, Any], length: int, blocks: int, what: str) -> dict[str, Any]:
    """Return the shortest times of one worker, two, and this process: of a step, or of an epoch of minibatches."""
    found: dict[str, list[float]] = {"this process": [], **{name: [] for name in connected}}
    own, rows = own_rows(length, blocks), length * blocks
    held = {}
    for name, client in connected.items():
        with client.as_current():
            held[name] = spread_rows(length, blocks)
    for _ in range(ROUNDS):
        found["this process"] += epochs_of(own, rows, "numpy", what)[2 if what == "step" else 0 :]
        for name, client in connected.items():
            with client.as_current():
                found[name] += epochs_of(held[name], rows, "dask", what)[2 if what == "step" else 0 :]
    return {"block rows": length, "blocks": blocks, **{name: min(times) for name, times in found.items()}}


def moments_in_turns(connected: dict[str, Any], folder: Path) -> list[dict[str, Any]]:
    """Return the shortest times of a pass over all rows for their moments."""
    import polars

    length, blocks = PARQUET_ROWS // 4, 4
    X, y = own_rows(length, blocks)
    for number, rows in enumerate(np.split(np.arange(len(y)), blocks)):
        columns = {f"x{j}": X[rows, j] for j in range(FEATURES)} | {"y": y[rows]}
        polars.DataFrame(columns).write_parquet(folder / f"part-{number}.parquet")
    found = []
    for where in ("memory", "Parquet"):
        times: dict[str, list[float]] = {name: [] for name in connected}
        for name, client in connected.items():
            with client.as_current():
                held = spread_rows(length, blocks)
                for _ in range(ROUNDS + 1):
                    begin = perf_counter()
                    gather(*held) if where == "memory" else gather_files(folder)
                    times[name].append(perf_counter() - begin)
        told = {name: min(some[1:]) for name, some in times.items()}
        found.append({"from": where, "rows": len(y), **told})
    return found


def gather_files(folder: Path) -> Any:
    """Sum up the rows of Parquet files."""
    from linreg.data.dask_rows import DaskRows

    return gather(DaskRows.of(folder, "y"))


def measured(told: Callable[[str], None]) -> dict[str, Any]:
    """Return the document of one measurement."""
    document = {name: value for name, value in empty("cpu").items() if name in ("machine", "threads", "load before")}
    document |= {"kind": KIND, "versions": versions(PACKAGES), "features": FEATURES}
    with clusters() as connected, tempfile.TemporaryDirectory() as folder:
        document["overheads"] = [in_turns(connected, 10, blocks, "step") for blocks in NUMBERS]
        told(f"steps on next to nothing: {document['overheads']}")
        document["steps"] = []
        for length in LENGTHS:
            document["steps"].append(in_turns(connected, length, 4, "step"))
            told(f"steps: {document['steps'][-1]}")
        document["epochs"] = []
        for length in LENGTHS[1:]:
            document["epochs"].append(in_turns(connected, length, 4, "epoch"))
            told(f"epochs: {document['epochs'][-1]}")
        document["moments"] = moments_in_turns(connected, Path(folder))
        told(f"moments: {document['moments']}")
    return document


def costs(document: dict[str, Any]) -> dict[str, float]:
    """Return the costs that an estimate is made from: seconds a step, a block in it, and rows a second of a worker."""
    blocks = np.array([one["blocks"] for one in document["overheads"]], float)
    times = np.array([one["two workers"] for one in document["overheads"]])
    slope, step = np.polyfit(blocks, times, 1)
    largest, epoch = document["steps"][-1], document["epochs"][-1]
    moments = {one["from"]: one for one in document["moments"]}

    def rate(rows: float, seconds: float) -> float:
        return rows / seconds / 2  # of one of two workers

    return {
        "step": float(max(step, 0.0)),
        "block": float(max(slope, 0.0)),
        "gradient rows": rate(largest["block rows"] * largest["blocks"], largest["two workers"]),
        "map rows": rate(epoch["block rows"] * epoch["blocks"], epoch["two workers"]),
        "moment rows": rate(moments["memory"]["rows"], moments["memory"]["two workers"]),
        "Parquet rows": rate(moments["Parquet"]["rows"], moments["Parquet"]["two workers"]),
    }


def beats_from(measurements: list[dict[str, Any]], other: str) -> str:
    """Return from which length of blocks on two workers are faster than something else, in words."""
    faster = [one["two workers"] < one[other] for one in measurements]
    if not faster[-1]:
        return f"at no length up to {measurements[-1]['block rows']:,} rows in a block"
    first = len(faster) - next((i for i, fast in enumerate(reversed(faster)) if not fast), len(faster))
    return f"from {measurements[first]['block rows']:,} rows in a block on"


def _seconds(value: float) -> str:
    if value >= 120:
        return f"{value / 60:,.0f} min" if value < 7200 else f"{value / 3600:,.1f} h"
    return f"{value:.3g} s" if value >= 1 else f"{value * 1000:.3g} ms"


def _table(heads: list[str], rows: list[list[str]]) -> str:
    lines = [heads, ["---"] + ["---:"] * (len(heads) - 1), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def report(document: dict[str, Any]) -> str:
    """Return the part of the page that is made from a document."""
    names = ["this process", "one worker", "two workers"]

    def told(measurements: list[dict[str, Any]]) -> str:
        rows = [[f"{one['blocks']} x {one['block rows']:,}", *(_seconds(one[name]) for name in names)]
                for one in measurements]  # fmt: skip
        return _table(["blocks x rows", *names], rows)

    cost = costs(document)
    versions_told = ", ".join(f"{name} {number}" for name, number in document["versions"].items())
    moments = [[one["from"], *(_seconds(one[name]) for name in names[1:])] for one in document["moments"]]
    machine = document["machine"]
    where = (
        f"Measured on {machine['processor']}, {machine['cores']} cores; {versions_told}; {document['features']} "
        f"features, float64, one thread a worker; the shortest of {ROUNDS} rounds; load of the machine "
        f"before: {document['load before']}."
    )
    found = (
        f"A step on next to nothing takes {_seconds(cost['step'])} and {_seconds(cost['block'])} more for each block. "
        f"Two workers beat one {beats_from(document['steps'], 'one worker')}, and this process without Dask "
        f"{beats_from(document['steps'], 'this process')}."
    )
    maps = (
        "An epoch of SGD with batches of 32 as a tree of maps, which any number of further epochs reuses; this process "
        "makes its steps one after the other:"
    )
    parts = [where, "A step of Huber's loss on all rows (one reduction):"]
    parts += [told([*document["overheads"], *document["steps"]]), found, maps, told(document["epochs"])]
    parts += [f"Two workers beat one {beats_from(document['epochs'], 'one worker')}."]
    parts += [f"Moments of {document['moments'][0]['rows']:,} rows:", _table(["from", *names[1:]], moments)]
    return "\n\n".join([*parts, _on_paper(cost, document["features"])])


def _on_paper(cost: dict[str, float], features: int) -> str:
    """Return what many rows on many machines take, from what few rows took here."""
    workers = 2 * MACHINES
    each, blocks = ALL_ROWS / workers, ALL_ROWS // BLOCK
    overhead = cost["step"] + blocks * cost["block"]
    lines = [
        ("moments of all rows, in memory", overhead + each / cost["moment rows"]),
        ("moments of all rows, from Parquet", overhead + each / cost["Parquet rows"]),
        ("one step on all rows (Huber)", overhead + each / cost["gradient rows"]),
        ("the maps of an epoch of batches of 32", overhead + each / cost["map rows"]),
    ]
    memory = ALL_ROWS * (features + 2) * 8 / MACHINES / 2**30
    told = (
        f"On paper: {ALL_ROWS:.0e} rows on {MACHINES} machines like this one, {workers} workers, {blocks:,} blocks of "
        f"{BLOCK:,} rows ({memory:.0f} GiB a machine, if they are held). Time = step + blocks x cost of a block + rows "
        f"of a worker / its rows a second; the first two, {_seconds(overhead)}, are the scheduler's, which works alone:"
    )
    return f"{told}\n\n{_table(['what', 'time'], [[name, _seconds(value)] for name, value in lines])}"


def main() -> None:
    """Measure, and write the document; or write the page from one."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dask_blocks", description=__doc__)
    parser.add_argument("file", type=Path, help="the document")
    parser.add_argument("--report", type=Path, help="measure nothing: put the tables of the document into this page")
    arguments = parser.parse_args()
    if arguments.report is not None:
        write_part(arguments.report, report(read_json(arguments.file, KIND, "holds no such measurement.")))
        return
    begin = perf_counter()

    def told(text: str) -> None:
        print(f"{perf_counter() - begin:6.0f} s  {text}", file=sys.stderr, flush=True)

    write_json(measured(told), arguments.file)


if __name__ == "__main__":
    main()
