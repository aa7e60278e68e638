"""The guard of the hot loop's speed: ratios within one process, of its own, so that nothing that tests do slows it.

How far the limits are from what is measured, and that a slowdown of 1.5 passes them: docs/benchmarks.md.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
AT_MOST = {"numpy, SGD": 1.65, "numpy, Adam": 1.45}
"""Times the bare calls of NumPy: between them, between linreg's loop as it is and slowed down 1.5 times."""


def test_the_limits_lie_between_what_was_measured_as_it_is_and_slowed_down():
    for state in json.loads((ROOT / "docs" / "benchmarks" / "guard.json").read_text(encoding="utf-8")).values():
        for name, limit in AT_MOST.items():
            assert max(state["as it is"][name]) < limit < min(state["slowed down 1.5 times"][name])


def ratios(*arguments):
    """Of linreg's loop to the bare calls, by rule. Nothing is shared with the tests' process: it may count coverage."""
    command = [sys.executable, "-m", "benchmarks.guard", "--engine", "numpy", *arguments]
    alone = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    found = subprocess.run(  # noqa: S603 (our own command)
        command, cwd=ROOT, env=alone | {"OMP_NUM_THREADS": "1"}, check=True, capture_output=True, text=True
    )
    return json.loads(found.stdout)


def test_a_step_costs_little_more_than_the_calls_of_numpy_in_it():
    assert {name: ratio for name, ratio in ratios().items() if ratio > AT_MOST[name]} == {}


def test_a_loop_that_is_slower_by_a_half_is_noticed():
    found = ratios("--slowdown", "1.5")
    assert {name: ratio for name, ratio in found.items() if ratio <= AT_MOST[name]} == {}
