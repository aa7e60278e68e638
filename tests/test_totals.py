"""The line of totals under a spreadsheet is named as what it is; another far row is not."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linreg import SGD, diagnose
from linreg.diagnosis.totals import is_total

SEEDS = st.integers(0, 2**32 - 1)


def sheet(rng, rows=20, columns=3):
    """A table as a spreadsheet shows it: two decimals, some columns of whole numbers."""
    return np.round(rng.uniform(1, 100, (rows, columns)), rng.choice([0, 2]))


@given(SEEDS, st.integers(3, 200), st.integers(2, 6), st.data())
def test_sums_of_the_other_rows_wherever_they_stand_are_a_total(seed, rows, columns, data):
    rng = np.random.default_rng(seed)
    table, place = sheet(rng, rows, columns), data.draw(st.integers(0, rows))
    total = np.round(table.sum(axis=0), 2)
    mean = rng.uniform(size=columns) < 0.5  # such as of a price, of which a sum says nothing
    mean[0] = False
    total[mean] = table[:, mean].mean(axis=0)
    with_total = np.insert(table, place, total, axis=0)
    assert is_total(with_total, place)
    assert not any(is_total(with_total, row) for row in range(rows + 1) if row != place)


@given(SEEDS, st.sampled_from([1.001, 0.999, 10.0, 0.1]))
def test_a_far_row_that_is_not_the_sum_is_no_total(seed, factor):
    table = sheet(np.random.default_rng(seed))
    assert not is_total(np.vstack([table, table.sum(axis=0) * factor]), len(table))


def test_a_row_of_means_is_no_total():
    """It lies in the middle: nothing is wrong with it."""
    table = sheet(np.random.default_rng(0))
    assert not is_total(np.vstack([table, table.mean(axis=0)]), len(table))


def test_one_sum_alone_may_be_chance():
    table = sheet(np.random.default_rng(0))
    total = table.sum(axis=0)
    assert is_total(np.vstack([table, [total[0], total[1], 7.0]]), len(table))
    assert not is_total(np.vstack([table, [total[0], 5.0, 7.0]]), len(table))
    assert not is_total(np.append(table[:, 0], total[0])[:, None], len(table))


def test_columns_of_zeros_agree_with_everything_and_count_for_nothing():
    table = np.column_stack([sheet(np.random.default_rng(0)), np.zeros((20, 5))])
    assert not is_total(np.vstack([table, [1e4, 2e4, 3e4, 0, 0, 0, 0, 0]]), 20)
    assert is_total(np.vstack([table, table.sum(axis=0)]), 20)


def told(table, **settings):
    frame = pd.DataFrame(table, columns=["a", "b", "y"])
    found = diagnose(frame[["a", "b"]], frame["y"], epochs=50, random_state=0, **settings)
    return {one.cause: one for one in found.findings if "looks_like_a_total" in one.evidence}


def orders(rng):
    """Whole quantities and prices, all above zero: their sums lie far out, and nearly on the line."""
    X = np.column_stack([rng.integers(1, 40, 20), rng.uniform(1, 9, 20)])
    return np.column_stack([X, X @ [3, 5] + rng.normal(size=20)]), SGD(0.01)


def sales(rng):
    """Values about zero and an intercept of 500, which the sum of 40 rows has 40 times: it lies far off the line."""
    X = rng.uniform(-100, 100, (40, 2))
    return np.column_stack([X, X @ [3, -5] + 500 + rng.normal(size=40)]), SGD(1e-4)


@pytest.mark.parametrize(("cause", "made"), [("high_leverage", orders), ("outliers", sales)])
def test_the_findings_about_far_rows_name_the_total(cause, made):
    table, optimizer = made(np.random.default_rng(1))
    table = np.round(table, 2)
    last = len(table)
    table = np.vstack([table, table.sum(axis=0)])
    finding = told(table, optimizer=optimizer)[cause]
    assert finding.evidence["looks_like_a_total"] == [last]
    assert (
        f"Row {last} looks like a total: its values are the sums (or means) of the other rows." in finding.explanation
    )
    table[last] *= 1.01
    assert told(table, optimizer=optimizer) == {}
