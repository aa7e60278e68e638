"""The guard of the hot loop's speed: a ratio within one process, of its own, so that nothing that tests do slows it.

How far the limits are from what is measured, and that a slowdown of 1.5 passes them: docs/benchmarks.md.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
AT_MOST = {"SGD": 1.95, "Adam": 1.72}
"""Times the bare calls of NumPy: halfway, by ratio, between the loop as it is and the loop slowed down 1.5 times."""


def ratios(*arguments):
    """Of linreg's loop to the bare calls, by rule. Nothing is shared with the tests' process: it may count coverage."""
    command = [sys.executable, "-m", "benchmarks.guard", *arguments]
    alone = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    found = subprocess.run(  # noqa: S603 (our own command)
        command, cwd=ROOT, env=alone | {"OMP_NUM_THREADS": "1"}, check=True, capture_output=True, text=True
    )
    return json.loads(found.stdout)


def test_a_step_costs_little_more_than_the_calls_of_numpy_in_it():
    found = ratios()
    assert {name: ratio for name, ratio in found.items() if ratio > AT_MOST[name]} == {}


@pytest.mark.parametrize("rule", AT_MOST)
def test_a_loop_that_is_slower_by_a_half_is_noticed(rule):
    assert ratios("--slowdown", "1.5")[rule] > AT_MOST[rule]
