"""`import linreg` beside `import numpy`, each in a Python of its own."""

import subprocess
import sys

import pytest
from interleaved import interleaved

CLOCKED = "import time; start = time.perf_counter(); import {}; print(time.perf_counter() - start)"


def import_timer(module):
    """Return what times the import alone, without the start of Python, which would bring the ratio closer to 1."""
    command = [sys.executable, "-c", CLOCKED.format(module)]
    return lambda: float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)  # noqa: S603


@pytest.mark.ratio
def test_import_takes_at_most_twice_as_long_as_numpy(hold):
    ratio = interleaved(import_timer("linreg"), import_timer("numpy"), rounds=15)
    hold("import linreg to import numpy", ratio, at_most=2)
