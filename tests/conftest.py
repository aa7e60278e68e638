"""Hypothesis profiles: `default` fits a CI run and repeats itself; `thorough` (tox -e thorough) tries more, anew."""

import importlib.util
import os
import signal

import pytest
import ulp
from hypothesis import HealthCheck, settings
from keras_default import float64_by_default

settings.register_profile(
    "default",
    deadline=None,
    derandomize=True,
    max_examples=50,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("few", settings.get_profile("default"), max_examples=15)
settings.register_profile("thorough", settings.get_profile("default"), derandomize=False, max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


def pytest_terminal_summary(terminalreporter):
    """Say how far apart the numbers were that the properties compared."""
    for name, (count, worst) in ulp.WORST.items():
        terminalreporter.write_line(f"{name}: {count} numbers compared, the worst {worst} ULP apart")


@pytest.fixture(autouse=True)
def ctrl_c_interrupts():
    """A shell that starts pytest in the background has it ignore SIGINT."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session")
def keras():
    """Keras on TensorFlow; without TensorFlow the test is skipped, with the reason printed."""
    if importlib.util.find_spec("tensorflow") is None:
        if os.environ.get("HYPOTHESIS_PROFILE") == "thorough":
            pytest.fail("the thorough profile compares with TensorFlow: pip install 'linreg[tf]'")
        pytest.skip("TensorFlow is not installed: pip install 'linreg[tf]'")
    from linreg.keras import load

    return load()


@pytest.fixture
def keras_float64(keras):
    """Keras with float64 as its default, until the test is over."""
    with float64_by_default(keras):
        yield keras
