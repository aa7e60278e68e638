"""The guard of the hot loops' speed: ratios within one process, of its own, so that nothing that tests do slows it.

How far the limits are from what is measured, and that a slowdown of 1.5 passes them: docs/benchmarks.md.
"""

import functools
import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
AT_MOST = {"numpy, SGD": 1.91, "numpy, Adam": 1.71, "numba, SGD": 1.22, "numba, Adam": 1.5}
"""Times the bare calls of NumPy, and a hand-fused loop in Numba: halfway, by ratio, between linreg's loop as it is and
the loop slowed down 1.5 times."""


@functools.cache
def ratios(*arguments):
    """Of linreg's loops to what they are held to. Nothing is shared with the tests' process: it may count coverage."""
    command = [sys.executable, "-m", "benchmarks.guard", *arguments]
    alone = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    found = subprocess.run(  # noqa: S603 (our own command)
        command, cwd=ROOT, env=alone | {"OMP_NUM_THREADS": "1"}, check=True, capture_output=True, text=True
    )
    return json.loads(found.stdout)


def test_a_step_costs_little_more_than_the_least_loop_for_it():
    assert {name: ratio for name, ratio in ratios().items() if ratio > AT_MOST[name]} == {}


def test_loops_that_are_slower_by_a_half_are_noticed():
    found = ratios("--slowdown", "1.5")
    assert {name: ratio for name, ratio in found.items() if ratio <= AT_MOST[name]} == {}
