"""The trace: every quantity of a step, out of the functions that train."""

import dataclasses

import numpy as np
import polars as pl
import pytest
from test_keras_rules import RULES
from ulp import assert_equal_bits

from linreg import SGD, Adam, Huber, LinearRegression, MeanSquaredError, RMSprop, cli, study
from linreg.keras import counterpart
from linreg.keras import state as keras_state
from linreg.optimizers import Rule
from linreg.regularizers import L1L2, L2

RNG = np.random.default_rng(5)
X = RNG.normal(size=(23, 3))
Y = X @ [1.0, -2.0, 0.5] + 3 + RNG.normal(size=23)
AROUND = [
    {},
    {"weight_decay": 0.1, "clipvalue": 0.3},
    {"global_clipnorm": 0.5},
    {"clipnorm": 0.5},
    {"gradient_accumulation_steps": 2, "use_ema": True, "ema_overwrite_frequency": 2},
]
SMALL = {"optimizer": SGD(0.25), "kernel_initializer": "zeros", "dtype": "float32"}


def test_a_step_worked_out_by_hand_stands_in_the_trace_number_for_number():
    (step,) = study.trace([[1.0], [2.0]], [1.0, 3.0], steps=[1], shuffle=False, **SMALL).steps
    expected = {
        "prediction": [0, 0], "residual": [-1, -3], "slope": [-1, -3], "loss": 5, "gradient": [-1 - 6, -4],
        "learning_rate": 0.25, "effective step": 0.25, "p[t-1]": [0, 0], "update": [1.75, 1], "p": [1.75, 1],
    }  # fmt: skip
    assert list(step.quantities) == list(expected)
    for name, numbers in expected.items():
        np.testing.assert_array_equal(step[name], numbers, err_msg=name)
    found = [(formula.symbols, formula.numbers, formula.value) for formula in step.formulas(parameter=-1, row=1)]
    assert found == [
        ("prediction = X @ p[t-1]", "prediction = 2 * 0 + 1 * 0", 0),
        ("e = prediction - y", "e = 0 - 3", -3),
        ("loss = sum(e * e) / 2", "loss = ((-1) * (-1) + (-3) * (-3)) / 2", 5),
        ("slope = (2 c) * e", "slope = 1 * (-3)", -3),
        ("g = X.T @ slope", "g = 1 * (-1) + 1 * (-3)", -4),
        ("p[t] = p[t-1] - g * lr", "p[t] = 0 - (-4) * 0.25", 1),
    ]


def test_a_penalty_stands_in_loss_and_gradient_of_a_step_as_worked_out_by_hand():
    start = {"kernel_initializer": [2.0], "bias_initializer": 1.0, "kernel_regularizer": L2(0.25)}
    (step,) = study.trace([[1.0], [2.0]], [1.0, 3.0], steps=[1], shuffle=False, **{**SMALL, **start}).steps
    # Both errors are 2: their mean square is 4, the penalty 1/4 of 2 squared; gradients 1*2 + 2*2 and 2 + 2.
    expected = {
        "loss": 5, "penalty": 1, "gradient without penalty": [6, 4], "penalty gradient": [1], "gradient": [7, 4],
        "update": [-1.75, -1], "p": [0.25, 0],
    }  # fmt: skip
    for name, numbers in expected.items():
        np.testing.assert_array_equal(step[name], numbers, err_msg=name)
    assert step.quantities["penalty gradient"].labels == ["x0"]
    weight, intercept = (
        {each.name: (each.symbols, each.numbers) for each in step.formulas(parameter)} for parameter in (0, 1)
    )
    loss = "loss = sum(e * e) / 2 + l2 * sum(p[t-1] * p[t-1])", "loss = (2 * 2 + 2 * 2) / 2 + 0.25 * (2 * 2)"
    assert weight["loss"] == intercept["loss"] == loss
    assert weight["g"] == ("g = X.T @ slope + l2 * (2 * p[t-1])", "g = 1 * 2 + 2 * 2 + 0.25 * (2 * 2)")
    assert intercept["g"] == ("g = X.T @ slope", "g = 1 * 2 + 1 * 2")


READ = {"sqrt": np.sqrt, "where": np.where, "absolute": np.abs, "sign": np.sign, "minimum": np.minimum,
        "maximum": np.maximum}  # fmt: skip


@pytest.mark.parametrize("weights", [None, [1.0, 2.0, 0.5, 1.0]], ids=["alike", "weighted"])
@pytest.mark.parametrize("penalty", [None, L1L2(0.5, 0.25)], ids=repr)
@pytest.mark.parametrize("loss", [MeanSquaredError(), Huber(2.0), Huber(2.0, "mean_with_sample_weight")], ids=repr)
@pytest.mark.parametrize("optimizer", [SGD(0.25, 0.5), SGD(0.25, weight_decay=0.5, clipvalue=2.0)], ids=repr)
def test_the_numbers_of_a_formula_give_its_value(optimizer, loss, penalty, weights):
    # Few bits in every number, so that six digits show all of it and no sum is rounded.
    rows, target = [[1.0, 2.0], [0.0, -1.0], [3.0, 1.0], [-2.0, 0.5]], [1.0, 2.0, -4.0, 0.5]
    settings = {"loss": loss, "kernel_regularizer": penalty, "kernel_initializer": [2.0, -1.0], "bias_initializer": 1.0}
    weighted_mean = weights and loss.reduction == "mean_with_sample_weight"
    weights = [1.0, 2.0, 0.5, 0.5] if weighted_mean else weights  # they add up to a power of two
    (step,) = study.trace(
        rows, target, steps=[1], optimizer=optimizer, sample_weight=None if weights is None else np.array(weights),
        dtype="float64", **settings,
    ).steps  # fmt: skip
    for parameter in range(3):
        for row in range(4):
            for formula in step.formulas(parameter, row):
                name, _, numbers = formula.numbers.partition(" = ")
                assert eval(numbers, READ) == formula.value, (name, numbers)  # noqa: S307 (made by the trace)


@pytest.mark.parametrize("around", AROUND, ids=str)
@pytest.mark.parametrize("rule", RULES)
def test_an_update_is_what_the_rule_adds(rule, around):
    optimizer = RULES[rule].set_params(**around)
    found = study.trace(X, Y, steps=range(1, 9), optimizer=optimizer, batch_size=8, random_state=1)
    updates = [step for step in found.steps if "update" in step.quantities]
    assert len(updates) == (4 if optimizer.gradient_accumulation_steps else 8)
    for step in updates:
        before, after = (next(step[name] for name in names if name in step.quantities)
                         for names in (("p'", "p[t-1]"), ("p''", "p")))  # fmt: skip
        assert_equal_bits(before + step["update"], after)


@pytest.mark.parametrize("rule", RULES)
def test_every_step_of_a_trace_equals_keras_bit_for_bit_given_its_gradient(keras, rule):
    optimizer = RULES[rule]
    found = study.trace(X, Y, steps=range(1, 31), optimizer=optimizer, batch_size=8, random_state=1)
    start = found.steps[0]["p[t-1]"]
    variables = [keras.Variable(part, dtype="float32") for part in (start[:3], start[3:])]
    theirs = counterpart(optimizer)
    theirs.build(variables)
    for step in found.steps:
        theirs.apply([keras.ops.convert_to_tensor(part) for part in np.split(step["gradient"], [3])])
        assert_equal_bits(step["p"], keras_state.flat(variables), what=f"p of step {step.number}")
        for letter in found.model.state_.letters:
            assert_equal_bits(step[letter], keras_state.slot(theirs, letter), what=f"{letter} of step {step.number}")


@pytest.mark.parametrize("loss", [MeanSquaredError(), Huber(0.7)], ids=repr)
@pytest.mark.parametrize("around", AROUND, ids=str)
@pytest.mark.parametrize("rule", ["sgd", "sgd_nesterov", "rmsprop_centered_momentum", "adam_amsgrad"])
def test_the_run_that_is_watched_is_the_run_to_the_last_bit(rule, around, loss):
    settings = {
        "optimizer": RULES[rule].set_params(**around), "loss": loss, "epochs": 4, "batch_size": 10, "random_state": 3,
        "kernel_regularizer": "l2",
    }  # fmt: skip
    alone = LinearRegression(**settings).fit(X, Y, sample_weight=np.linspace(0.5, 2, 23))
    found = study.trace(X, Y, steps=[2, 5, 6, 12], sample_weight=np.linspace(0.5, 2, 23), **settings)
    assert [step.number for step in found.steps] == [2, 5, 6, 12]
    assert_equal_bits(found.model.coef_, alone.coef_)
    assert found.model.history_ == alone.history_
    assert_equal_bits(found.steps[-1]["p"], alone.state_.parameters)
    for letter, slot in zip(alone.state_.letters, alone.state_.slots, strict=True):
        assert_equal_bits(found.steps[-1][letter], slot)


def test_the_trace_shows_what_the_rule_does_and_not_what_it_should():
    @dataclasses.dataclass(frozen=True, repr=False)
    class Wrong(SGD):
        def rule(self, precision):
            return Rule(lambda p, g, lr: (p + g * lr,), (), (), lambda lr, t: lr)

    (step,) = study.trace(X, Y, steps=[1], optimizer=Wrong(0.5)).steps
    assert step.formulas()[-1].symbols == "p[t] = p[t-1] + g * lr"
    assert_equal_bits(step["p"], step["p[t-1]"] + step["gradient"] * np.float32(0.5))


def test_bias_corrections_and_the_effective_step_of_adam_are_named():
    settings = {"optimizer": Adam(0.5, beta_1=0.75, beta_2=0.9375), "dtype": "float64"}
    *_, step = study.trace(X, Y, steps=[1, 2], batch_size=23, **settings).steps
    assert step["1 - beta_1^t"] == 1 - 0.75**2
    assert step["1 - beta_2^t"] == 1 - 0.9375**2
    assert step["effective step"] == 0.5 * np.sqrt(1 - 0.9375**2) / (1 - 0.75**2)
    formulas = {formula.name: formula.symbols for formula in step.formulas()}
    assert formulas["p[t]"] == "p[t] = p[t-1] - m[t] * alpha / (sqrt(v[t]) + epsilon)"
    assert formulas["effective step"] == "effective step = learning_rate * sqrt(1 - beta_2^t) / (1 - beta_1^t)"


def test_rows_of_a_batch_are_those_of_the_data_as_given():
    found = study.trace(X, Y, steps=[1, 2, 3], batch_size=10, random_state=2, dtype="float64")
    seen = []
    for step in found.steps:
        rows = [int(label.removeprefix("row ")) for label in step.quantities["residual"].labels]
        target = step["prediction"] - step["residual"]
        # One rounding of each of two subtractions.
        np.testing.assert_allclose(target, Y[rows], rtol=0, atol=2 * np.spacing(np.abs(Y).max() + 10))
        seen += rows
    assert sorted(seen) == list(range(23))


def test_what_stands_around_the_rule_has_its_own_lines():
    optimizer = SGD(0.5, clipvalue=0.25, weight_decay=0.125)
    (step,) = study.trace(X, Y, steps=[1], optimizer=optimizer).steps
    names = [formula.symbols for formula in step.formulas()]
    assert names[5:] == [
        "p' = p[t-1] - p[t-1] * 0.125 * 0.5",
        "g' = minimum(maximum(g, -0.25), 0.25)",
        "p[t] = p' - g' * lr",
    ]
    assert np.abs(step["g'"]).max() == 0.25


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_frames_and_files_hold_every_number_of_the_trace(tmp_path, ending):
    found = study.trace(X, Y, steps=[1, 4], optimizer="adam", names=["a", "b", "c"])
    file = found.write(tmp_path / f"trace{ending}")
    read = pl.read_csv(file) if ending == ".csv" else pl.read_parquet(file)
    frame = found.to_polars()
    assert read["value"].to_list() == frame["value"].to_list()
    assert frame["value"].to_list() == [row["value"] for row in found.rows()] == found.to_pandas()["value"].tolist()
    m = frame.filter((pl.col("step") == 4) & (pl.col("quantity") == "m"))
    assert m["label"].to_list() == ["a", "b", "c", "(intercept)"]
    assert m["value"].to_list() == found.steps[1]["m"].astype(float).tolist()


def test_a_run_that_overflows_is_traced_without_a_warning():
    *_, step = study.trace(X * 1e10, Y, steps=range(1, 9), optimizer=SGD(1.0)).steps
    assert not np.isfinite(step["p"]).any()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"steps": []}, "whole numbers from 1"),
        ({"steps": [0]}, "whole numbers from 1"),
        ({"steps": [1], "engine": "numba"}, "leave it out"),
    ],
)
def test_a_trace_refuses_what_it_cannot_do_in_words(arguments, words):
    with pytest.raises(ValueError, match=words):
        study.trace(X, Y, **arguments)


def test_a_trace_goes_to_known_formats_only(tmp_path):
    with pytest.raises(ValueError, match=r"\.csv or \.parquet"):
        study.trace(X, Y, steps=[1]).write(tmp_path / "trace.txt")
    with pytest.raises(KeyError, match="has no 'u': it has prediction"):
        study.trace(X, Y, steps=[1]).steps[0]["u"]


def test_v_after_step_3_of_rmsprop_is_one_command_away(capsys):
    arguments = ["norris", "--target", "y", "--optimizer", "rmsprop", "--steps", "3"]
    assert cli.run(["study", *arguments]) == 0
    out = capsys.readouterr().out
    model = LinearRegression(RMSprop(), epochs=2, random_state=0)
    table = np.genfromtxt(study.traces.__file__.replace("study/traces.py", "data/norris.csv"), delimiter=",",
                          skip_header=0, comments="#")[1:]  # fmt: skip
    found = study.trace(table[:, :1], table[:, 1], steps=[3], **model.get_params(deep=False))
    assert f"{found.steps[0]['v'][0]:.6g}" in next(line for line in out.splitlines() if "│ v  " in line)
    assert "v[t] = rho * v[t-1] + (1 - rho) * (g * g)" in out
    assert "g = X.T @ slope" in out


def test_long_sums_are_shown_by_their_first_terms_and_their_last():
    (step,) = study.trace(np.arange(20.0)[:, None], np.zeros(20), steps=[1], shuffle=False, **SMALL).steps
    found = {formula.name: formula.numbers for formula in step.formulas()}
    assert found["g"] == "g = (0 * 0 + 1 * 0 + 2 * 0 + ... + 19 * 0; 20 terms)"


def test_the_command_refuses_steps_and_parameters_that_are_not_there(capsys):
    for arguments, words in (
        (["--steps", "0"], "counted from 1"),
        (["--steps", "x:2"], "counted from 1"),
        (["--steps", "1", "--parameter", "intercept"], "did you mean '(intercept)'"),
        (["--steps", "1", "--trace", "trace.txt"], ".csv or .parquet"),
        (["--trace", "trace.csv"], "say which"),
    ):
        assert cli.run(["study", "norris", "--target", "y", *arguments]) == cli.FAILED
        assert words in capsys.readouterr().err


def test_how_keras_momentum_differs_from_pytorchs_is_one_command_away(capsys):
    assert cli.run(["study", "norris", "--target", "y", "--momentum", "0.9", "--steps", "1"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "m[t] = m[t-1] * momentum - g * lr" in out
    assert "PyTorch keeps the learning rate outside the velocity (m <- momentum m + g, p <- p - lr m)" in out
