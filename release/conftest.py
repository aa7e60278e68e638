"""Where the wheel and the sdist lie."""

from pathlib import Path

import pytest


def pytest_addoption(parser):
    """Know `--dist`."""
    parser.addoption("--dist", type=Path, default=Path("dist"), help="folder with one wheel and one sdist")


@pytest.fixture(scope="session")
def dist(request):
    return request.config.getoption("--dist").resolve()
