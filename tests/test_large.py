"""Many rows: moments, maps of windows, and diagnoses that say the same as those of all rows at once."""

from __future__ import annotations

import tempfile
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from linreg import SGD, Adam, Huber, LinearRegression, MeanSquaredError, diagnose
from linreg.cli import run
from linreg.data import blocks, row_files
from linreg.data.blocks import ArrayRows, windows
from linreg.diagnosis import large, survey
from linreg.diagnosis.files import diagnose_table
from linreg.dynamics.epoch_map import Epoch
from linreg.dynamics.quadratic import Quadratic
from linreg.dynamics.windows import Windows, map_of, product
from linreg.gram import Moments, calibrated
from linreg.regularizers import L2

polars = pytest.importorskip("polars")
pytest.importorskip("sklearn")

EPS = np.finfo(np.float64).eps
ROWS, COLUMNS = 2000, 4


def some_rows(rows: int = ROWS, seed: int = 0) -> np.ndarray:
    mixed = np.random.default_rng(seed).normal(size=(rows, COLUMNS)) @ [
        [3, 1, 0, 0],
        [0, 2, 1, 0],
        [0, 0, 1, 1],
        [0, 0, 0, 5],
    ]
    return np.round(mixed * 64) / 64  # so that sums of 2,000 products are exact in whole numbers


def exact_products(rows: np.ndarray) -> np.ndarray:
    """Centred products in rational numbers."""
    whole = [[Fraction(value) for value in row] for row in rows.tolist()]
    totals = [sum(column) for column in zip(*whole, strict=True)]
    return np.array(
        [
            [
                float(sum(row[i] * row[j] for row in whole) - totals[i] * totals[j] / len(whole))
                for j in range(len(totals))
            ]
            for i in range(len(totals))
        ]
    )


@pytest.mark.parametrize("offset", [0.0, 2.0**27])
@pytest.mark.parametrize("seed", range(3))
def test_moments_of_blocks_in_any_order_are_those_of_all_rows(offset: float, seed: int) -> None:
    rows = some_rows(400) + offset
    generator = np.random.default_rng(seed)
    cuts = np.sort(generator.choice(np.arange(1, len(rows)), 6, replace=False))
    parts = np.split(generator.permutation(rows), cuts)
    summed = sum((Moments.of(part) for part in parts), Moments.of(rows[:0]))
    exact = exact_products(rows)
    size = np.sqrt(np.outer(np.diag(exact), np.diag(exact)))
    # A mean is rounded by eps of its size, and enters each of the sums over blocks as often as there are blocks; the
    # centred products are sums of so many terms.
    spread = np.sqrt(np.diag(exact) / len(rows)).min()
    bound = EPS * (len(rows) + len(parts) * offset / spread)
    assert (np.abs(summed.products - exact) <= bound * size).all()
    assert summed.count == len(rows)


def test_moments_without_some_rows_are_those_of_the_others() -> None:
    rows = some_rows()
    rest = Moments.of(rows) - Moments.of(rows[:700])
    size = np.sqrt(np.outer(*[np.diag(Moments.of(rows).products)] * 2))
    expected = np.cov(rows[700:].T, bias=True) * (len(rows) - 700)
    assert (np.abs(rest.products - expected) <= 4 * len(rows) * EPS * size).all()
    np.testing.assert_allclose(rest.mean, rows[700:].mean(axis=0), rtol=0, atol=len(rows) * EPS * np.abs(rows).max())


def test_weights_count_as_repeated_rows() -> None:
    rows, times = some_rows(50), np.arange(50) % 4
    weighted, repeated = Moments.of(rows, times.astype(float)), Moments.of(np.repeat(rows, times, axis=0))
    assert weighted.count == repeated.count
    np.testing.assert_allclose(weighted.products, repeated.products, rtol=1e3 * EPS, atol=1e3 * EPS * 100)


def test_few_rows_have_the_mean_products_of_all() -> None:
    rows = some_rows() + 10
    A = np.column_stack([rows, np.ones(len(rows))])
    few = Moments.of(rows).few_rows()
    assert len(few) == COLUMNS + 1
    expected = A.T @ A / len(A)
    np.testing.assert_allclose(few.T @ few, expected, rtol=0, atol=4 * len(rows) * EPS * expected.max())


def test_a_calibrated_sample_has_the_means_and_covariances_of_all_rows_and_keeps_what_columns_determine() -> None:
    rows = some_rows()
    rows = np.column_stack([rows[:, :2], rows[:, 0] - 2 * rows[:, 1], np.full(len(rows), 7.0), rows[:, 2:]])
    sample = np.random.default_rng(0).choice(rows, 300, replace=False)
    made = calibrated(sample, Moments.of(rows))
    bound = len(rows) * EPS * np.abs(rows).max() ** 2
    np.testing.assert_allclose(made.mean(axis=0), rows.mean(axis=0), rtol=0, atol=bound)
    np.testing.assert_allclose(np.cov(made.T, bias=True), np.cov(rows.T, bias=True), rtol=0, atol=4 * bound)
    np.testing.assert_allclose(made[:, 2], made[:, 0] - 2 * made[:, 1], rtol=0, atol=4 * bound)
    np.testing.assert_allclose(made[:, 3], 7.0, rtol=0, atol=bound)
    # Standard errors of means and covariances of 300 rows: about a seventeenth of the spread, each.
    assert np.abs(made - sample).max() < np.abs(rows - rows.mean(axis=0)).max()


# Maps.

OPTIMIZERS = [SGD(0.01), SGD(0.005, momentum=0.9), SGD(0.005, momentum=0.5, nesterov=True), SGD(0.01, weight_decay=0.1)]


def line(rows: int = ROWS, seed: int = 1, noise: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    X = generator.normal(size=(rows, COLUMNS))
    return X, X @ [2.0, -1.0, 0.5, 1.5] + 1.0 + noise * generator.normal(size=rows)


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
@pytest.mark.parametrize("penalty", [None, L2(0.05)], ids=repr)
@pytest.mark.parametrize("batch_size", [32, 30])
def test_the_product_of_the_maps_of_batches_is_the_run_step_by_step(optimizer, penalty, batch_size) -> None:
    X, y = line(330)
    problem = Quadratic.of(X, y, kernel_regularizer=penalty, owner="test", largest=10, instead="")
    epoch = Epoch(problem, optimizer, batch_size, "test", all_directions=True)
    rows = np.column_stack([problem.matrix, y])
    cut = 5 * batch_size
    whole = len(rows) // batch_size * batch_size
    maps = np.stack([map_of(epoch, rows[:cut], batch_size), map_of(epoch, rows[cut:whole], batch_size)])
    last = map_of(epoch, rows[whole:], batch_size)[np.newaxis] if whole < len(rows) else None
    path = Windows(maps, last).path(np.zeros(COLUMNS + 1), 3, None)
    settings = {"kernel_initializer": "zeros", "dtype": "float64", "shuffle": False, "kernel_regularizer": penalty}
    for epochs in (1, 2, 3):
        model = LinearRegression(optimizer, epochs=epochs, batch_size=batch_size, **settings).fit(X, y)
        # Every step of a stable run adds some roundings of sums over a batch and over the parameters.
        steps = epochs * -(-len(X) // batch_size)
        bound = steps * (batch_size + 4 * epoch.width) * EPS * np.abs(path).max()
        np.testing.assert_allclose(path[:, epochs], np.append(model.coef_, model.intercept_), rtol=0, atol=bound)


@pytest.mark.parametrize("count", [1, 2, 3, 7, 8])
def test_a_product_of_maps_does_the_first_one_first(count: int) -> None:
    maps = np.random.default_rng(0).integers(-2, 3, size=(count, 3, 3)).astype(float)  # exact in any order
    state = np.array([1.0, -2.0, 3.0])
    expected = state
    for matrix in maps:
        expected = matrix @ expected
    np.testing.assert_array_equal(product(maps) @ state, expected)


def test_a_path_that_leaves_the_numbers_is_nan_from_there() -> None:
    path = Windows(np.diag([1e200, 1.0])[np.newaxis]).path(np.ones(1), 4, None)
    assert np.isfinite(path[:, :2]).all()
    assert np.isnan(path[:, 2:]).all()


# Blocks.


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "BLOCK_ROWS", 37)
    monkeypatch.setattr(blocks, "AT_ONCE", 8 * 3 * 37 * (COLUMNS + 1))


@pytest.mark.parametrize("shuffled", [True, False])
@pytest.mark.usefixtures("small_blocks")
def test_windows_hold_every_complete_row_once(shuffled: bool) -> None:
    X, y = line(500)
    X[[3, 77], [0, 2]] = np.nan, np.inf
    source = ArrayRows(X, y, ("a", "b", "c", "d"), np.arange(500))
    parts = list(windows(source, 64, np.random.default_rng(0) if shuffled else None))
    assert {len(part.rows) for part in parts[:-1]} == {64}
    numbers = np.concatenate([part.numbers for part in parts])
    assert sorted(numbers) == [row for row in range(500) if row not in (3, 77)]
    assert (numbers[1:] > numbers[:-1]).all() != shuffled
    rows = np.concatenate([part.rows for part in parts])
    np.testing.assert_array_equal(rows, np.column_stack([X, y])[numbers])


# Diagnoses: the same as of all rows at once.


def scaled(rows: int = ROWS) -> tuple[np.ndarray, np.ndarray]:
    X, y = line(rows)
    return X * [1, 1000, 30, 1] + [0, 5000, 0, 1], y


def with_outliers(rows: int = ROWS) -> tuple[np.ndarray, np.ndarray]:
    X, y = line(rows)
    y[::97] += 100
    return X, y


def with_far_row(rows: int = ROWS) -> tuple[np.ndarray, np.ndarray]:
    X, y = line(rows)
    X[17] *= 300
    return X, y


def repeated(rows: int = ROWS) -> tuple[np.ndarray, np.ndarray]:
    X, y = line(rows)
    X[:, 3] = X[:, 2] + 1e-4 * np.random.default_rng(2).normal(size=rows)
    return X, y


def constant(rows: int = ROWS) -> tuple[np.ndarray, np.ndarray]:
    X, y = line(rows)
    X[:, 1] = 7.0
    return X, y + 50


def skewed(rows: int = ROWS) -> tuple[np.ndarray, np.ndarray]:
    X, _ = line(rows)
    X = np.exp(X)
    return X, X @ [2.0, -1.0, 0.5, 1.5] + 0.5 * np.random.default_rng(3).normal(size=rows)


CASES = {
    "healthy": (line, {}),
    "healthy, skewed": (skewed, {}),
    "healthy, full batch": (line, {"optimizer": SGD(0.1), "batch_size": ROWS, "epochs": 100}),
    "healthy, momentum": (line, {"optimizer": SGD(0.005, momentum=0.9)}),
    "healthy, Huber": (line, {"loss": Huber()}),
    "healthy, Adam": (line, {"optimizer": Adam(0.01)}),
    "healthy, in order": (line, {"shuffle": False}),
    "healthy, sum": (line, {"loss": MeanSquaredError(reduction="sum"), "optimizer": SGD(3e-4)}),
    "reduction": (line, {"loss": MeanSquaredError(reduction="sum"), "optimizer": SGD(0.1)}),
    "scale": (scaled, {}),
    "scale, full batch": (scaled, {"batch_size": ROWS}),
    "outliers": (with_outliers, {}),
    "far row": (with_far_row, {}),
    "far row, full batch": (with_far_row, {"batch_size": ROWS}),
    "collinear": (repeated, {}),
    "constant": (constant, {"optimizer": SGD(0.001)}),
    "rate too high": (line, {"optimizer": SGD(1.5)}),
    "rate too low": (line, {"optimizer": SGD(1e-6)}),
    "rate too low, Adam": (line, {"optimizer": Adam(1e-6)}),
    "momentum": (line, {"optimizer": SGD(0.01, momentum=0.9999), "batch_size": ROWS, "epochs": 200}),
    "penalty": (line, {"kernel_regularizer": L2(2.0)}),
    "noise": (line, {"batch_size": 1, "optimizer": SGD(0.15)}),
}


@pytest.mark.parametrize("name", CASES)
def test_a_large_diagnosis_says_the_same_as_one_of_all_rows_at_once(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made, settings = CASES[name]
    X, y = made()
    settings = {"epochs": 20, "kernel_initializer": "zeros", **settings}
    at_once = diagnose(X, y, **settings)
    monkeypatch.setattr(large, "LARGE", 100)
    monkeypatch.setattr(survey, "SAMPLE", ROWS // 2)
    found = diagnose(X, y, **settings)
    assert any(f"{ROWS} complete rows" in note for note in found.notes)
    assert found.verdict == at_once.verdict
    assert [f.cause for f in found.findings[:1]] == [f.cause for f in at_once.findings[:1]]
    if not at_once.findings and "Huber" not in name:
        # Moments hold the least squared error exactly, up to some roundings a row; of another loss they hold nothing.
        assert found.outcome.least == pytest.approx(at_once.outcome.least, rel=1e3 * ROWS * EPS)


def test_the_optimum_and_the_limit_come_from_all_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = scaled()
    monkeypatch.setattr(large, "LARGE", 100)
    monkeypatch.setattr(survey, "SAMPLE", 200)
    found = diagnose(X, y, optimizer=SGD(0.01), epochs=3)
    A = np.column_stack([X, np.ones(len(X))])
    limit = 2 / np.linalg.eigvalsh(2 * A.T @ A / len(A))[-1]
    best = np.linalg.lstsq(A, y, rcond=None)[0]
    # Moments of columns 5 spreads from zero, of 2,000 rows: some thousand roundings.
    assert found.findings[0].evidence["limit"] == pytest.approx(limit, rel=1e4 * EPS)
    assert found.outcome.least == pytest.approx(np.mean((A @ best - y) ** 2), rel=1e6 * EPS)


def test_rows_far_out_are_named_by_their_numbers_also_outside_the_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = with_far_row()
    y[1234] += 1000
    monkeypatch.setattr(large, "LARGE", 100)
    monkeypatch.setattr(survey, "SAMPLE", 100)
    found = diagnose(X, y, epochs=5)
    numbers = set(found.case.row_numbers[found.case.counts == 1].tolist())
    assert {17, 1234} <= numbers


def test_the_exact_run_on_all_rows_is_the_run_step_by_step(monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = line()
    monkeypatch.setattr(large, "LARGE", 100)
    settings = {"shuffle": False, "dtype": "float64", "epochs": 4, "kernel_initializer": "zeros", "batch_size": 30}
    found = diagnose(X, y, **settings)
    model = LinearRegression(**settings).fit(X, y)
    bound = 4 * len(X) * 20 * EPS * np.abs(model.coef_).max()
    expected = np.append(model.coef_, model.intercept_)
    np.testing.assert_allclose(found.outcome.parameters, expected, rtol=0, atol=bound)


# Files.


def diagnose_file(*given, **settings):
    """The diagnosis of a table in a file that is taken for one too large for memory."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(row_files, "IN_MEMORY", 0)
        return diagnose_table(*given, **settings)


def written(folder: Path, X: np.ndarray, y: np.ndarray, name: str = "rows.parquet") -> Path:
    frame = polars.DataFrame({**{f"x{j}": X[:, j] for j in range(X.shape[1])}, "y": y})
    place = folder / name
    {"parquet": frame.write_parquet, "csv": frame.write_csv, "arrow": frame.write_ipc}[place.suffix[1:]](place)
    return place


@pytest.mark.parametrize("name", ["rows.parquet", "rows.arrow", "rows.csv"])
@pytest.mark.parametrize("made", [line, scaled, with_outliers])
@pytest.mark.usefixtures("small_blocks")
def test_a_file_is_diagnosed_like_its_rows(name: str, made, tmp_path: Path) -> None:
    X, y = made(1000)
    done: list[tuple[int, int]] = []
    settings = {"epochs": 40, "batch_size": 250, "optimizer": SGD(0.1)}
    found = diagnose_file(written(tmp_path, X, y, name), "y", moved=lambda *moved: done.append(moved[:2]), **settings)
    expected = diagnose(X, y, **settings)
    assert found.verdict == expected.verdict
    assert [f.cause for f in found.findings[:1]] == [f.cause for f in expected.findings[:1]]
    assert all(done <= of for done, of in done)
    assert done[-1][1] == 3 * len(y)
    assert not list(Path(tempfile.gettempdir()).glob("linreg-*/rows.parquet"))


def test_missing_and_infinite_values_in_a_file_are_counted_in_all_rows(tmp_path: Path) -> None:
    X, y = line(1000)
    X[[5, 600, 601], [1, 1, 2]] = np.nan, np.inf, np.nan
    found = diagnose_file(written(tmp_path, X, y), "y", epochs=20)
    assert found.verdict == "cannot_run"
    assert found.findings[0].cause == "missing_values"
    assert found.findings[0].evidence["missing"] == {"x1": 2, "x2": 1}
    assert (found.findings[0].evidence["rows"], found.findings[0].evidence["of"]) == (3, 1000)
    assert any(remedy.after is not None and remedy.after.healthy for remedy in found.findings[0].remedies)


def test_columns_of_a_file_that_hold_no_numbers_are_named(tmp_path: Path) -> None:
    X, y = line(1000)
    place = written(tmp_path, X, y)
    polars.read_parquet(place).with_columns(kind=polars.lit("a")).write_parquet(place)
    found = diagnose_file(place, "y", epochs=20)
    assert (found.verdict, found.findings[0].cause) == ("cannot_run", "wrong_dtype")
    assert "kind" in found.findings[0].explanation


def test_scaled_features_of_a_file_are_healthy(tmp_path: Path) -> None:
    found = diagnose_file(written(tmp_path, *scaled(1000)), "y", scale="standard", epochs=20)
    assert (found.verdict, found.findings) == ("converges", ())


def test_validation_rows_of_a_file_from_elsewhere_are_told(tmp_path: Path) -> None:
    place = written(tmp_path, *line(1000))
    X, y = line(1000, seed=5)
    found = diagnose_file(place, "y", validation=written(tmp_path, X + 3, y, "other.parquet"), epochs=20)
    assert [finding.cause for finding in found.findings] == ["validation_shift"]


def test_ctrl_c_leaves_no_files_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    place = written(tmp_path, *line(500), "rows.csv")
    with pytest.raises(KeyboardInterrupt):
        diagnose_file(place, "y", moved=stop)
    assert [found.name for found in tmp_path.iterdir()] == ["rows.csv"]


def no_rows(place: Path) -> None:
    polars.DataFrame({"x": [], "y": []}).write_parquet(place)


def no_parquet(place: Path) -> None:
    place.write_bytes(b"no such file")


def nothing(place: Path) -> None:
    place.write_bytes(b"")


def one_column(place: Path) -> None:
    polars.DataFrame({"y": [1.0, 2.0]}).write_parquet(place)


def no_target(place: Path) -> None:
    polars.DataFrame({"x": [1.0, 2.0], "z": [1.0, 2.0]}).write_parquet(place)


def no_file(place: Path) -> None:
    pass


@pytest.mark.parametrize("make", [no_rows, no_parquet, nothing, one_column, no_target, no_file])
@pytest.mark.parametrize("streams", [True, False])
def test_a_file_that_cannot_be_diagnosed_is_refused_in_one_line(make, streams, tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.setattr(row_files, "IN_MEMORY", -1 if streams else 2**30)
    place = tmp_path / "rows.parquet"
    make(place)
    assert run(["why", str(place), "--target", "y"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("linreg: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize("streams", [True, False])
def test_the_command_tells_what_was_computed_on_all_rows(streams, tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.setattr(row_files, "IN_MEMORY", -1 if streams else 2**30)
    monkeypatch.setattr(large, "LARGE", 100)
    place = written(tmp_path, *scaled(1000))
    page = tmp_path / "page.html"
    assert run(["why", str(place), "--target", "y", "--epochs", "5", "--html", str(page)]) == 1
    out, err = capsys.readouterr()
    assert err == ""
    assert "1000 rows, 4 features" in out
    assert "1000 complete rows" in " ".join(out.split())
    assert "feature_scale" in page.read_text(encoding="utf-8")


def test_a_word_behind_many_numbers_is_found_as_in_a_small_file(tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.setattr(row_files, "IN_MEMORY", -1)
    lines = ["x,y", *(f"{i},{i}" for i in range(20_000)), "oh,3"]
    place = tmp_path / "rows.csv"
    place.write_text("\n".join(lines), encoding="utf-8")
    assert run(["why", str(place), "--target", "y", "--epochs", "5"]) == 1
    out, err = capsys.readouterr()
    assert err == ""
    assert "Main cause     wrong_dtype. Column x holds numbers written as text, 'oh'" in out


def test_rows_that_stand_for_many_are_no_weights_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = with_outliers(6000)
    monkeypatch.setattr(large, "LARGE", 100)
    monkeypatch.setattr(survey, "SAMPLE", 200)
    found = diagnose(X, y, epochs=20, optimizer=SGD(1.5))
    assert "loss_reduction" not in [finding.cause for finding in found.findings]
    assert found.case.sample_weight is None
    assert found.case.count == len(y)
