"""The data sets that ship: the values everybody else has, and the results that were certified for them."""

from pathlib import Path

import numpy as np
import pytest

from linreg.data import datasets

LONGLEY = {
    "gnp_deflator": "GNPDEFL",
    "gnp": "GNP",
    "unemployed": "UNEMP",
    "armed_forces": "ARMED",
    "population": "POP",
    "year": "YEAR",
    "total_employment": "TOTEMP",
}
STACKLOSS = {
    "air_flow": "AIRFLOW",
    "water_temperature": "WATERTEMP",
    "acid_concentration": "ACIDCONC",
    "stack_loss": "STACKLOSS",
}
# NIST StRD, Longley: in the order of the columns, then the intercept.
LONGLEY_CERTIFIED = [
    15.0618722713733,
    -0.358191792925910e-01,
    -2.02022980381683,
    -1.03322686717359,
    -0.511041056535807e-01,
    1829.15146461355,
    -3482258.63459582,
]
NORRIS_CERTIFIED = [1.00211681802045, -0.262323073774029]


def columns(dataset):
    return (*dataset.feature_names, dataset.target_name), np.column_stack([dataset.X, dataset.y])


def least_squares(X, y):
    """Solve on standardised columns; return slopes and intercept in the units of the data, and how far off they may be.

    Rounding moves a standardised slope by about rows * eps * condition * |target|; the intercept is a difference of
    terms that may be far larger than itself, and each of them brings its own error.
    """
    mean, scale = X.mean(axis=0), X.std(axis=0)
    Z = (X - mean) / scale
    target = y - y.mean()
    slopes = np.linalg.lstsq(Z, target)[0] / scale
    error = len(y) * np.finfo(np.float64).eps * np.linalg.cond(Z) * target.std() / scale
    intercept = y.mean() - mean @ slopes
    intercept_error = np.abs(mean) @ error + len(y) * np.finfo(np.float64).eps * (np.abs(mean) @ np.abs(slopes))
    return np.append(slopes, intercept), np.append(error, intercept_error)


def are_certified(coefficients, error, certified):
    # NIST prints 15 digits, so half a unit of the last of them may be missing.
    return np.all(np.abs(coefficients - certified) <= error + 5e-15 * np.abs(certified))


@pytest.mark.parametrize(("name", "theirs"), [("longley", LONGLEY), ("stackloss", STACKLOSS)])
def test_longley_and_stackloss_equal_the_copies_in_statsmodels(name, theirs):
    module = pytest.importorskip(f"statsmodels.datasets.{name}", reason="statsmodels is not installed")
    frame = module.load_pandas().data
    names, values = columns(datasets.load(name))
    assert names == tuple(theirs)
    np.testing.assert_array_equal(values, frame[list(theirs.values())].to_numpy())


def test_norris_equals_the_file_of_nist_that_scipy_tests_with():
    scipy = pytest.importorskip("scipy", reason="SciPy is not installed")
    file = Path(scipy.__file__).parent / "stats" / "tests" / "data" / "nist_linregress" / "Norris.dat"
    if not file.exists():
        pytest.skip("this SciPy was installed without its tests, and so without NIST's Norris.dat")
    lines = file.read_text(encoding="utf-8").splitlines()
    assert "Data              (lines 61 to 96)" in lines[5]
    names, values = columns(datasets.load("norris"))
    assert names == ("x", "y")
    np.testing.assert_array_equal(values[:, ::-1], [[float(value) for value in line.split()] for line in lines[60:96]])


@pytest.mark.parametrize(("name", "certified"), [("longley", LONGLEY_CERTIFIED), ("norris", NORRIS_CERTIFIED)])
def test_least_squares_finds_the_coefficients_nist_certified(name, certified):
    dataset = datasets.load(name)
    coefficients, error = least_squares(dataset.X, dataset.y)
    assert are_certified(coefficients, error, certified)
    assert np.max(error[:-1] / np.abs(certified[:-1])) < 1e-11  # a tolerance that admits anything would prove nothing


@pytest.mark.parametrize(("name", "certified"), [("longley", LONGLEY_CERTIFIED), ("norris", NORRIS_CERTIFIED)])
def test_one_wrong_last_digit_anywhere_is_noticed(name, certified):
    dataset = datasets.load(name)
    digit = 0.1 if name == "norris" else 1.0
    for row in range(len(dataset.y)):
        wrong = dataset.y.copy()
        wrong[row] += digit
        assert not are_certified(*least_squares(dataset.X, wrong), certified)
        for column in range(dataset.X.shape[1]):
            X = dataset.X.copy()
            X[row, column] += 0.1 if column == 0 else 1.0
            assert not are_certified(*least_squares(X, dataset.y), certified)


@pytest.mark.parametrize(
    ("name", "r_squared", "residual_deviation"),
    [("longley", 0.995479004577296, 304.854073561965), ("norris", 0.999993745883712, 0.884796396144373)],
)
def test_the_fit_leaves_the_residuals_nist_certified(name, r_squared, residual_deviation):
    dataset = datasets.load(name)
    *slopes, intercept = least_squares(dataset.X, dataset.y)[0]
    residuals = dataset.y - dataset.X @ slopes - intercept
    rows, features = dataset.X.shape
    squares = residuals @ residuals
    # A residual is a difference of terms of the target's size: its relative error is larger by their ratio.
    terms = np.abs(dataset.y).max() + np.abs(dataset.X * slopes).max() + abs(intercept)
    relative = rows * np.finfo(np.float64).eps * terms / residuals.std()
    assert 1 - squares / (rows * dataset.y.var()) == pytest.approx(r_squared, rel=0, abs=relative)
    assert np.sqrt(squares / (rows - features - 1)) == pytest.approx(residual_deviation, rel=relative)
    assert relative < 1e-9


def test_stackloss_gives_the_coefficients_that_r_prints():
    dataset = datasets.load("stackloss")
    coefficients, _ = least_squares(dataset.X, dataset.y)
    np.testing.assert_array_equal(np.round(coefficients, 4), [0.7156, 1.2953, -0.1521, -39.9197])


@pytest.mark.parametrize(("name", "shape"), [("longley", (16, 6)), ("norris", (36, 1)), ("stackloss", (21, 3))])
def test_arrays_are_float64_and_contiguous(name, shape):
    dataset = datasets.load(name)
    assert dataset.name == name
    assert dataset.X.shape == shape
    assert dataset.y.shape == shape[:1]
    assert dataset.X.dtype == dataset.y.dtype == np.float64
    assert dataset.X.flags.c_contiguous
    assert dataset.y.flags.c_contiguous


@pytest.mark.parametrize("name", datasets.NAMES)
def test_the_description_names_every_column_and_the_source(name):
    dataset = datasets.load(name)
    described = [line.split()[0] for line in dataset.description.splitlines() if "  " in line]
    assert described == [*dataset.feature_names, dataset.target_name]
    assert "\nSource: " in dataset.description
    assert "#" not in dataset.description


def test_names_lists_the_files_that_ship():
    shipped = Path(datasets.__file__).parent.glob("*.csv")
    assert sorted(file.stem for file in shipped) == list(datasets.NAMES)
    assert [datasets.path(name).stem for name in datasets.NAMES] == list(datasets.NAMES)


def test_changing_a_loaded_array_leaves_the_next_load_alone():
    first = datasets.load("norris")
    first.X[0] = first.y[0] = 1e6
    again = datasets.load("norris")
    assert (again.X[0, 0], again.y[0]) == (0.2, 0.1)


def test_two_loads_compare_as_two_objects_and_not_array_by_array():
    first = datasets.load("norris")
    assert first == first
    assert first != datasets.load("norris")


def test_the_repr_fits_on_a_line():
    assert repr(datasets.load("norris")) == "Dataset(name='norris', feature_names=('x',), target_name='y')"


@pytest.mark.parametrize("function", [datasets.load, datasets.path])
def test_a_mistyped_name_is_answered_with_the_nearest_one(function):
    with pytest.raises(ValueError, match="No data set 'longly' ships with linreg; did you mean 'longley'") as caught:
        function("longly")
    assert str(caught.value).endswith("Known: longley, norris, stackloss.")
