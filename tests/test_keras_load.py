"""What linreg compares with: Keras 3 on TensorFlow; everything else is refused by name."""

import sys
import types

import pytest
from ulp import assert_equal_bits, histogram

from linreg import SGD, Huber, MeanSquaredError, schedules
from linreg.keras import counterpart, load


def fake_tensorflow(version, backend="tensorflow"):
    module = types.ModuleType("tensorflow")
    module.keras = types.SimpleNamespace(__version__=version, backend=types.SimpleNamespace(backend=lambda: backend))
    return module


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (None, r"TensorFlow cannot be imported.*pip install 'linreg\[tf\]'"),
        (fake_tensorflow("2.15.0"), r"tf.keras is 2.15.0: install tensorflow>=2.18"),
        (fake_tensorflow("3.9.0", "jax"), r"Keras runs on the 'jax' backend.*in Keras' configuration file"),
    ],
    ids=["missing", "keras 2", "other backend"],
)
def test_what_cannot_be_compared_with_is_refused_by_name(monkeypatch, module, message):
    for name in ("KERAS_BACKEND", "TF_USE_LEGACY_KERAS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setitem(sys.modules, "tensorflow", module)
    with pytest.raises(ImportError, match=message):
        load()


def test_legacy_keras_is_refused_before_it_is_imported(monkeypatch):
    monkeypatch.setenv("TF_USE_LEGACY_KERAS", "1")
    with pytest.raises(ImportError, match=r"TF_USE_LEGACY_KERAS selects tf_keras 2.*unset it"):
        load()


def test_another_backend_is_refused_before_it_is_imported(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    with pytest.raises(
        ImportError, match=r"KERAS_BACKEND selects 'jax', but linreg compares with TensorFlow: unset it"
    ):
        load()


def test_what_keras_cannot_express_is_refused(keras):

    with pytest.raises(ValueError, match=r"Keras cannot call learning_rate=.*use a schedule of linreg.schedules"):
        counterpart(SGD(lambda step: 0.1 / (step + 1)))

    class Lion(SGD):
        """A rule of one's own."""

    with pytest.raises(ValueError, match=r"Keras has no counterpart of ELion"):
        counterpart(type("ELion", (Lion,), {})())
    assert counterpart(MeanSquaredError("sum")).reduction == "sum"
    assert float(counterpart(Huber(2.0))([[0.0]], [[3.0]])) == 2 * 3 - 2
    schedule = counterpart(SGD(schedules.ExponentialDecay(0.5, 10, 0.9)))._learning_rate
    assert schedule.get_config()["decay_rate"] == 0.9


def test_a_difference_of_bits_is_told_with_its_histogram():
    import numpy as np

    one = np.float32(1)
    other = np.nextafter(one, np.float32(2))
    with pytest.raises(AssertionError, match=r"p: 1 of 2 differ, the worst by 1 ULP.*0: 1, 1 to 1: 1"):
        assert_equal_bits(np.array([one, one]), np.array([one, other]), what="p")
    assert_equal_bits(np.array([np.nan, one]), np.array([np.nan, one]))
    assert histogram(np.array([0, 5])) == "ULP histogram: 0: 1, 4 to 7: 1"
