"""Every generator of the fault bench keeps its promises: the same cases again, and a truth that is clear."""

import importlib
from collections import Counter
from itertools import islice

import numpy as np
import pytest

from benchmarks.faults import fifth
from benchmarks.faults.cases import truth
from benchmarks.faults.report import GENERATORS

SEED = 8


def drawn(name, count):
    return list(islice(importlib.import_module(f"benchmarks.faults.{name}").cases(SEED, count), count))


@pytest.mark.parametrize("name", GENERATORS)
def test_a_case_depends_on_the_seed_and_its_number_alone(name):
    few, more = drawn(name, 3), drawn(name, 4)[:3]
    assert [case.name for case in few] == [case.name for case in more]
    for one, other in zip(few, more, strict=True):
        np.testing.assert_array_equal(np.asarray(one.X, object), np.asarray(other.X, object))
        np.testing.assert_array_equal(np.asarray(one.y, object), np.asarray(other.y, object))
        assert {**one.settings, "kernel_initializer": None} == {**other.settings, "kernel_initializer": None}


@pytest.mark.parametrize("name", GENERATORS)
def test_every_case_is_clear(name):
    for case in drawn(name, 8):
        known = truth(case)
        assert known.clear, case.name
        assert known.causes <= set(case.faults), case.name
        assert known.main or not known.causes, case.name


def test_the_cases_of_the_fifth_converge_without_their_faults():
    for case in drawn("fifth", 8):
        sound = case if case.healthy is None else case.healthy
        assert sound.outcome.verdict == "converges", case.name


def test_the_slots_of_the_fifth_are_those_of_the_criteria():
    assert Counter(fifth.SLOTS) == {"healthy": 20, "mild": 10, "one": 51, "two": 14, "three": 5}
    assert len(fifth.ORDER) == 17
    assert set(fifth.ORDER) == set(fifth.FORMS) == set(fifth.WISHES)


def plans(cause, many):
    """Return trained plans that a cause may be put into."""
    found, number = [], 0
    while len(found) < many:
        rng = np.random.default_rng([SEED, number])
        wish = fifth.WISHES[cause][number % len(fifth.WISHES[cause])]
        plan = fifth.made(rng, wish)
        plan = None if plan is None else fifth.trained(rng, plan, wish)
        found += [] if plan is None else [plan]
        number += 1
    return found


@pytest.mark.parametrize("cause", fifth.ORDER)
def test_a_form_of_the_fifth_changes_the_case_and_leaves_the_plan_as_it_was(cause):
    for plan in plans(cause, 3):
        before = fifth.case_of(plan)
        for form in fifth.FORMS[cause]:
            change = form(np.random.default_rng(SEED), plan, "gross")
            if change is None:
                continue
            prepared, change = (
                (change.prepared(plan), change.change) if isinstance(change, fifth.Mistake) else (plan, change)
            )
            spoilt, undone = fifth.case_of(change(prepared)), fifth.case_of(plan)
            assert undone.settings == before.settings
            np.testing.assert_array_equal(np.asarray(undone.X, float), np.asarray(before.X, float))
            np.testing.assert_array_equal(np.asarray(undone.y, float), np.asarray(before.y, float))
            assert told(spoilt) != told(fifth.case_of(prepared)), form.__name__


def told(case):
    """Return everything that `fit` is told, as text."""
    data = (case.X, case.y, case.validation_data, case.sample_weight)
    return repr(case.settings) + "".join(repr(np.asarray(part, object).tolist()) for part in data[:2]) + repr(data[2:])
