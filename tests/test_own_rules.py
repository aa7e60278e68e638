"""A new rule is one function and one row in the table; everything else takes it from there."""

import pickle

import numpy as np
import pytest
from ulp import assert_equal_bits

from linreg import LinearRegression, RMSprop, cli, diagnose, rules, study, sweep
from linreg.diagnosis.page import html as diagnosis_page
from linreg.optimizers import OPTIMIZERS
from linreg.own_rules import optimizer_from
from linreg.study.page import page_data

RNG = np.random.default_rng(3)
X = RNG.normal(size=(40, 2))
Y = X @ [1.0, -2.0] + 3 + 0.1 * RNG.normal(size=40)


def lion(p, g, m, lr, beta_1, beta_2):
    # p <- p - lr sign(beta_1 m + (1 - beta_1) g);  m <- beta_2 m + (1 - beta_2) g
    # X. Chen et al., "Symbolic Discovery of Optimization Algorithms", arXiv:2302.06675, program 1.
    # As in Keras, 1 - beta is taken in the arithmetic of the run.
    c = m * beta_1 + g * (1 - beta_1)
    return p - np.sign(c) * lr, m * beta_2 + g * (1 - beta_2)


Lion = optimizer_from("Lion", lion, learning_rate=0.001, beta_1=0.9, beta_2=0.99)


@pytest.fixture(autouse=True)
def known(monkeypatch):
    """The one row in the table."""
    monkeypatch.setitem(OPTIMIZERS, "lion", Lion)


def test_a_new_rule_equals_keras_bit_for_bit_step_by_step_in_its_trace(keras):
    found = study.trace(X, Y, steps=range(1, 41), optimizer=Lion(0.05), batch_size=8, random_state=1)
    variable = keras.Variable(found.steps[0]["p[t-1]"], dtype="float32")
    theirs = keras.optimizers.Lion(0.05)
    theirs.build([variable])
    for step in found.steps:
        theirs.apply([keras.ops.convert_to_tensor(step["gradient"])])
        assert_equal_bits(step["p"], variable.numpy())
        assert_equal_bits(step["m"], theirs._momentums[0].numpy())


def test_a_new_rule_is_trained_by_name_and_swept():
    model = LinearRegression("lion", random_state=0).set_params(optimizer__learning_rate=0.05).fit(X, Y)
    # Each step moves each parameter by the learning rate, so it ends within some of them.
    np.testing.assert_allclose([*model.coef_, model.intercept_], [1, -2, 3], atol=0.3)
    found = sweep(X, Y, optimizer="lion", learning_rate=[0.05, 0.001], beta_1=[0.5, 0.9], random_state=0)
    own = found.configurations.index({"learning_rate": 0.05, "beta_1": 0.9})
    # A sign turns a last bit into a whole step, of which no more than a few are left over.
    np.testing.assert_allclose(found.coef_[own], model.coef_, atol=0.3)
    assert found.best_configuration["learning_rate"] == 0.05


def test_an_optimizer_out_of_the_rule_of_rmsprop_is_rmsprop_bit_for_bit():
    again = optimizer_from("Again", rules.rmsprop, learning_rate=0.001, rho=0.9, epsilon=1e-7)
    for changed in ({}, {"rho": 0.7, "epsilon": 0.1}):
        one, other = (LinearRegression(kind(0.01, **changed), random_state=0).fit(X, Y) for kind in (again, RMSprop))
        assert_equal_bits(one.coef_, other.coef_)


def test_a_new_rule_is_traced_by_its_own_letters():
    (step,) = study.trace(X, Y, steps=[2], optimizer="lion").steps
    symbols = [formula.symbols for formula in step.formulas()]
    assert symbols[5:] == [
        "m[t] = m[t-1] * beta_2 + g * (1 - beta_2)",
        "p[t] = p[t-1] - sign(m[t-1] * beta_1 + g * (1 - beta_1)) * lr",
    ]


def test_a_new_rule_is_compiled():
    pytest.importorskip("numba", reason='engine="numba" needs Numba: pip install "linreg[fast]"')
    integers = RNG.integers(-4, 5, size=(32, 2)).astype(float)
    settings = {"optimizer": Lion(0.25), "batch_size": 8, "random_state": 0, "kernel_initializer": "zeros", "epochs": 9}
    # All sums are exact, so that both engines add them up to the same bits.
    plain, compiled = (
        LinearRegression(**settings, engine=engine).fit(integers, integers @ [2, 3]) for engine in ("numpy", "numba")
    )
    assert_equal_bits(compiled.coef_, plain.coef_)
    assert len(set(plain.coef_.tolist())) > 1


def floored(p, g, v, lr, floor):
    v = np.maximum(v, np.hypot(g, 1e-8))  # which Numba takes in float64, whatever g is
    return p - lr * g / np.sqrt(v + floor), v


def test_a_rule_that_numba_takes_in_float64_keeps_the_type_of_the_run_on_one_feature():
    pytest.importorskip("numba", reason='engine="numba" needs Numba: pip install "linreg[fast]"')
    kind = optimizer_from("Floored", floored, learning_rate=0.25, floor=1.0)
    x = 2.0 ** RNG.integers(-2, 3, size=(20, 1))
    plain, compiled = (
        LinearRegression(kind(), batch_size=1, epochs=3, random_state=0, shuffle=False, engine=engine).fit(
            x, 3 * x[:, 0]
        )
        for engine in ("numpy", "numba")
    )
    assert compiled.coef_.dtype == np.float32
    np.testing.assert_allclose(compiled.coef_, plain.coef_, rtol=1e-5)
    np.testing.assert_allclose(compiled.intercept_, plain.intercept_, rtol=1e-4)


def test_a_new_rule_is_drawn_put_on_the_page_and_diagnosed():
    subject = study.Subject(X, Y, ["a", "b"], "y", LinearRegression(Lion(0.01), random_state=0, epochs=10))
    compared = subject.compared()
    assert "Lion" in [one.label for one in compared]
    for name in study.PICTURES:
        assert study.draw(name, subject, compared).axes
    axes = page_data(subject, [one for one in compared if one.label == "Lion"], "Lion")["optimizers"]["Lion"]
    assert [axis["name"] for axis in axes] == ["learning_rate", "beta_1", "beta_2", "batch_size"]
    found = diagnose(X, Y, optimizer="lion", random_state=0)
    assert (found.verdict, found.findings[0].cause) == ("too_slow", "learning_rate_too_low")
    assert "Lion" in diagnosis_page(found, "Lion")


def test_the_command_line_knows_a_new_rule_by_name(capsys):
    assert cli.run(["study", "norris", "--target", "y", "--optimizer", "lion", "--steps", "2"]) == 0
    assert "sign(m[t-1] * beta_1" in capsys.readouterr().out


def test_an_optimizer_of_ones_own_is_checked_shown_and_pickled_like_the_others():
    assert repr(Lion(0.1, beta_1=0.5)) == "Lion(learning_rate=0.1, beta_1=0.5)"
    assert pickle.loads(pickle.dumps(Lion(0.1))) == Lion(0.1)  # noqa: S301 (made in the line before)
    with pytest.raises(ValueError, match="Lion: beta_1 must be a finite number at least 0"):
        Lion(beta_1=-1.0)


def test_a_rule_that_cannot_be_read_is_refused_in_words():
    with pytest.raises(TypeError, match="takes p, g, its state, lr and its constants"):
        optimizer_from("Odd", lambda w, g, lr: (w,), learning_rate=0.1)
    with pytest.raises(TypeError, match="there is no default for 'beta'"):
        optimizer_from("Odd", lambda p, g, lr, one_minus_beta: (p,), learning_rate=0.1)
