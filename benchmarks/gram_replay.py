"""One pass, then every optimizer: `python -m benchmarks.gram_replay FILE.json`.

A thousand configurations of full-batch Adam are trained on the moments of all rows; some of them on all rows, too, and
compared. Two epochs on all rows are timed in the same process, before and after the sweep.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from benchmarks.hot_loop.record import empty
from linreg import Adam, LinearRegression, sweep
from linreg.callbacks import Callback, Logs
from linreg.gram import Gram, gather
from linreg.json_files import read_json, write_json
from linreg.replay import error_bound
from linreg.whole_files import write_text

KIND = "linreg replay on moments"
BEGIN, END = "<!-- from the JSON: begin -->", "<!-- from the JSON: end -->"
GRID = {
    "learning_rate": np.geomspace(0.001, 0.3, 10).tolist(),
    "beta_1": [0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.93, 0.95, 0.97, 0.98],
    "beta_2": [0.98, 0.99, 0.993, 0.995, 0.997, 0.998, 0.999, 0.9995, 0.9998, 0.9999],
}


class Clock(Callback):
    """Takes the time of each epoch."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def on_epoch_begin(self, epoch: int, logs: Logs) -> None:  # noqa: ARG002
        self._begin = perf_counter()

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:  # noqa: ARG002
        self.seconds.append(perf_counter() - self._begin)


def rows_of(rows: int, features: int) -> tuple[np.ndarray, np.ndarray]:
    """Return correlated columns of different scale that lie away from zero, and a target with noise."""
    generator = np.random.default_rng(0)
    mix = np.eye(features) + 0.3 * generator.normal(size=(features, features))
    X = np.empty((rows, features))
    for part in np.array_split(X, max(1, rows // 100_000)):
        part[:] = generator.normal(size=part.shape) @ mix + 1.0
    return X, X @ generator.normal(size=features) + 3.0 + generator.normal(size=rows)


def two_epochs(X: np.ndarray, y: np.ndarray, **settings: Any) -> float:
    """Return the time of two epochs on all rows, after a first one that does not count."""
    clock = Clock()
    LinearRegression(Adam(), epochs=3, callbacks=(clock,), **settings).fit(X, y)
    return sum(clock.seconds[1:])


def checked(
    X: np.ndarray,
    y: np.ndarray,
    rows: Gram,
    models: list[LinearRegression],
    found: dict[int, Any],
    told: Callable[[str], None],
) -> list[dict[str, Any]]:
    """Return how far some configurations are from their own runs on all rows."""
    compared = []
    for place, (coef, intercept) in found.items():
        model = models[place]
        direct = model.fit(X, y)
        apart = np.append(coef - direct.coef_, intercept - direct.intercept_)
        size = np.append(direct.coef_, direct.intercept_)
        bound = error_bound(model, rows)
        limit = np.append(bound.coef, bound.intercept)
        optimizer = model.settings().optimizer
        compared.append(
            {
                **{name: getattr(optimizer, name) for name in GRID},
                "loss": direct.history_["loss"][-1],
                "relative": float(np.linalg.norm(apart) / np.linalg.norm(size)),
                "largest relative of one": float(np.abs(apart / size).max()),
                "bound": float(np.linalg.norm(limit) / np.linalg.norm(size)),
                "within the bound": bool((np.abs(apart) <= limit).all()),
                "doubts": list(bound.doubts),
            }
        )
        told(f"configuration {place}: {compared[-1]['relative']:.1e} apart, bound {compared[-1]['bound']:.1e}")
    return compared


def largest_bound(
    rows: Gram, models: list[LinearRegression], coef: np.ndarray, intercept: np.ndarray
) -> dict[str, Any]:
    """Return the largest bound of all, beside the length of the parameters, and how many have doubts."""
    largest, doubted = 0.0, 0
    for place, model in enumerate(models):
        bound = error_bound(model, rows)
        size = np.linalg.norm(np.append(coef[place], intercept[place]))
        largest = max(largest, float(np.linalg.norm(np.append(bound.coef, bound.intercept)) / size))
        doubted += bool(bound.doubts)
    return {"largest": largest, "doubted": doubted}


def measured(rows: int, features: int, epochs: int, checks: int, told: Callable[[str], None]) -> dict[str, Any]:
    """Return the document of one measurement."""
    X, y = rows_of(rows, features)
    told("rows are there")
    settings: dict[str, Any] = {"batch_size": rows, "dtype": "float64", "random_state": 0, "shuffle": False}
    gather(X[:1000], y[:1000])
    begin = perf_counter()
    moments = gather(X, y)
    pass_seconds = perf_counter() - begin
    told(f"one pass took {pass_seconds:.2f} s")
    before = two_epochs(X, y, **settings)
    begin = perf_counter()
    swept = sweep(moments, optimizer="adam", epochs=epochs, **GRID, **settings)
    sweep_seconds = perf_counter() - begin
    after = two_epochs(X, y, **settings)
    told(f"sweep of {len(swept)}: {sweep_seconds:.2f} s; two epochs on all rows: {before:.2f} and {after:.2f} s")
    bounds = largest_bound(moments, swept.models, swept.coef_, swept.intercept_)
    told(f"bounds: {bounds}")
    chosen = np.linspace(0, len(swept) - 1, checks).round().astype(int).tolist()
    found = {place: (swept.coef_[place], float(swept.intercept_[place])) for place in chosen}
    return {
        **{name: value for name, value in empty("cpu").items() if name in ("machine", "versions", "threads")},
        "kind": KIND,
        "rows": rows, "features": features, "epochs": epochs, "configurations": len(swept),
        "seconds of the pass": pass_seconds,
        "seconds of the sweep": sweep_seconds,
        "seconds of two epochs on all rows": [before, after],
        "bounds of all": bounds,
        "checked": checked(X, y, moments, swept.models, found, told),
    }  # fmt: skip


def report(document: dict[str, Any]) -> str:
    """Return the part of the page that is made from a document."""
    checked, seconds = document["checked"], document["seconds of two epochs on all rows"]
    apart = [one["relative"] for one in checked]
    bounds, of_all = [one["bound"] for one in checked], document["bounds of all"]
    within = sum(one["within the bound"] for one in checked)
    return (
        f"{document['rows']:,} rows of {document['features']} features, {document['machine']['processor']}, "
        f"{document['machine']['cores']} cores: one pass took {document['seconds of the pass']:.2g} s, "
        f"{document['configurations']:,} configurations of full-batch Adam with {document['epochs']} epochs each "
        f"{document['seconds of the sweep']:.2g} s on the moments. Two epochs of one configuration on all rows took "
        f"{min(seconds):.2g} to {max(seconds):.2g} s.\n\n"
        f"{len(checked)} of them were run on all rows as well: the parameters differ by {min(apart):.1e} to "
        f"{max(apart):.1e} of their length, and {within} of {len(checked)} lie within their bounds, {min(bounds):.1e} "
        f"to {max(bounds):.1e}. The largest bound of all {document['configurations']:,} is {of_all['largest']:.1e}; "
        f"{of_all['doubted']} are doubted."
    )


def write_part(page: Path, part: str) -> None:
    """Put what is made from a document into its place in a page."""
    before, rest = page.read_text(encoding="utf-8").split(BEGIN)
    _, after = rest.split(END)
    write_text(page, f"{before}{BEGIN}\n\n{part}\n\n{END}{after}")


def main() -> None:
    """Measure, and write the document; or write the page from one."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gram_replay", description=__doc__)
    parser.add_argument("file", type=Path, help="where the document goes")
    parser.add_argument("--report", type=Path, help="measure nothing: put what the document says into this page")
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--features", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=50)
    parser.add_argument("--checked", type=int, default=20, help="configurations that are run on all rows, too")
    arguments = parser.parse_args()
    if arguments.report is not None:
        write_part(arguments.report, report(read_json(arguments.file, KIND, "holds no such measurement.")))
        return
    begin = perf_counter()

    def told(text: str) -> None:
        print(f"{perf_counter() - begin:6.0f} s  {text}", file=sys.stderr, flush=True)

    document = measured(arguments.rows, arguments.features, arguments.epochs, arguments.checked, told)
    write_json(document, arguments.file)


if __name__ == "__main__":
    main()
