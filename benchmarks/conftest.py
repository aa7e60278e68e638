"""How to run: `pytest benchmarks` (all), `--benchmark-only` (the tables), `-m ratio` (only what is promised).

A machine's own microseconds carry over to no other machine, and double when it is busy. So nothing here is held to a
time, only to ratios: loops that take turns in one process, the median of the ratios of many rounds (`interleaved.py`).
"""

import os

import pytest
from interleaved import Ratio

# Before anything imports TensorFlow: its start-up messages say nothing here.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

RATIOS = pytest.StashKey[list[str]]()


def pytest_addoption(parser):
    parser.addoption("--hot-loop", choices=("quick", "standard", "all"), default="quick", help="cases that are timed")


def pytest_configure(config):
    config.addinivalue_line("markers", "ratio: a promise about speed, as a ratio of interleaved runs")
    config.stash[RATIOS] = []


@pytest.fixture
def hold(request):
    """Hold a ratio to its limit, and show it at the end of the run whether it held or not."""

    def hold(what: str, ratio: Ratio, at_most: float) -> None:
        line = f"{what}: {ratio}, at most {at_most:.4g}"
        request.config.stash[RATIOS].append(line)
        assert ratio.median <= at_most, line

    return hold


def pytest_terminal_summary(terminalreporter, config):
    if config.stash[RATIOS]:
        terminalreporter.section("ratios")
        for line in config.stash[RATIOS]:
            terminalreporter.write_line(line)
