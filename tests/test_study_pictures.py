"""The pictures of a study: what is drawn is what the library has computed."""

import contextlib
import os
import re
import sys
import threading

import numpy as np
import pytest

from linreg import SGD, Adam, Huber, LinearRegression, MeanSquaredError, RMSprop, cli, diagnose, dynamics, study
from linreg.data import datasets
from linreg.regularizers import L2
from linreg.study import maps, pictures
from linreg.study.subject import known_optimizers


def subject(name="norris", *settings, standard=True, **more):
    data = datasets.load(name)
    X = (data.X - data.X.mean(axis=0)) / data.X.std(axis=0) if standard else data.X
    model = LinearRegression(*settings, **{"random_state": 0, **more})
    return study.Subject(X, data.y, list(data.feature_names), data.target_name, model)


SUBJECTS = {
    "one feature": lambda: subject("norris", RMSprop(5.0), epochs=30),
    "many features, huber": lambda: subject("stackloss", Adam(0.5), Huber(1.0), epochs=30),
    "diverging": lambda: subject("longley", "sgd", standard=False, epochs=30),
    "no intercept": lambda: subject("stackloss", SGD(0.1, momentum=0.9), fit_intercept=False, epochs=30),
}


@pytest.mark.parametrize("which", SUBJECTS)
def test_every_picture_of_every_subject_has_labelled_axes_and_lines_that_differ_without_colour(which, tmp_path):
    one = SUBJECTS[which]()
    compared = one.compared()
    for name in study.PICTURES:
        figure = study.draw(name, one, compared)
        for axes in figure.axes:
            assert axes.get_ylabel(), name
            assert axes.get_xlabel() or axes.get_label() == "<colorbar>", name
            named = [line for line in axes.get_lines() if not str(line.get_label()).startswith("_")]
            looks = [(str(line._dash_pattern), line.get_marker(), line.get_markerfacecolor() == "white")
                     for line in named]  # fmt: skip
            assert len(set(looks)) == len(looks), (name, looks)
        assert study.save(figure, tmp_path / f"{name}.svg").stat().st_size > 1000


@pytest.mark.parametrize(
    ("X", "y", "settings"),
    [
        (np.arange(1.0, 6)[:, None], np.arange(5.0), {"fit_intercept": False}),
        (np.array([[1.0, 2.0]]), np.array([3.0]), {}),
        (np.ones((4, 1)), np.arange(4.0), {}),
        (np.zeros((4, 2)), np.zeros(4), {}),
        (np.arange(6.0)[:, None], 2 * np.arange(6.0) + 1, {"optimizer": Adam(0.1)}),
    ],
    ids=["one parameter", "one row", "one place", "all zeros", "exact fit"],
)  # fmt: skip
def test_data_that_say_little_are_drawn_all_the_same(X, y, settings):
    model = LinearRegression(**{"epochs": 3, "random_state": 0, **settings})
    one = study.Subject(X, y, [f"x{j}" for j in range(X.shape[1])], "y", model)
    compared = one.compared()
    assert all(study.draw(name, one, compared).axes for name in study.PICTURES)
    # The two directions of the plane are different ones, and the first is the curved one.
    assert np.linalg.matrix_rank(one.plane.axes) == min(2, one.problem.size)


def test_the_edge_lies_where_dynamics_says():
    one = subject("stackloss", SGD(0.01), epochs=400, dtype="float64")
    (axes,) = pictures.edge(one).axes
    limit = dynamics.max_learning_rate(one.X)
    line = next(line for line in axes.get_lines() if "computed limit" in line.get_label())
    assert set(line.get_xdata()) == {limit}
    (band,) = axes.child_axes
    full, gone = (next(line for line in of.get_lines() if line.get_label().startswith("full batches"))
                  for of in (axes, band))  # fmt: skip
    inside, outside = full.get_xdata(), gone.get_xdata()
    assert inside.max() < outside.min()
    assert "diverges" in band.texts[0].get_text()
    # What diverges is above the limit; slightly above it, 400 epochs do not yet reach a thousand times the start.
    assert limit < outside.min() < 1.05 * limit
    start = float(one.problem.objective(one.path(most=0)[0]))
    below = inside < limit
    assert (full.get_ydata()[below] < start).all()
    found = one.swept(one.optimizer, learning_rate=inside.tolist(), batch_size=21)
    np.testing.assert_array_equal(full.get_ydata(), found.last("loss"))


def test_paths_on_the_contours_are_the_parameters_of_the_trace_before_and_after_each_step():
    one = subject("norris", SGD(0.3, momentum=0.5), epochs=10)
    path = one.path(most=12)
    own = {**one.model.get_params(deep=False), "callbacks": ()}
    steps = study.trace(one.X, one.y, steps=range(1, 13), **own).steps
    np.testing.assert_array_equal(path, [steps[0]["p[t-1]"], *(step["p"] for step in steps)])
    # With one feature the plane is that of coefficient and intercept.
    np.testing.assert_allclose(one.plane.of(path), path, rtol=1e-15, atol=1e-12 * np.abs(path).max())


@pytest.mark.parametrize("loss", [Huber(2.0), MeanSquaredError(), MeanSquaredError("sum")], ids=repr)
@pytest.mark.parametrize("penalty", [None, L2(0.5)], ids=repr)
def test_contours_show_the_loss_that_evaluate_gives(loss, penalty):
    one = subject("stackloss", "sgd", loss, dtype="float64", kernel_regularizer=penalty)
    across, up = np.linspace(-3, 4, 3), np.linspace(-2, 1, 3)
    height = maps.surface(one, one.plane, across, up)
    model = LinearRegression(loss=loss, dtype="float64", epochs=1).fit(one.X, one.y)
    for i, row in enumerate(up):
        for j, column in enumerate(across):
            *model.coef_, model.intercept_ = one.plane.parameters(column, row)[:, 0]
            model.coef_ = np.array(model.coef_)
            expected = model.evaluate(one.X, one.y) + (0.5 * (model.coef_**2).sum() if penalty else 0)
            # Sums of 21 rows of 5 numbers in another order: each square has a rounding of its terms' squares.
            terms = np.square(np.abs(one.X) @ np.abs(model.coef_) + abs(model.intercept_) + one.y)
            scale = terms.sum() if loss.reduction == "sum" else terms.mean()
            assert abs(height[i, j] - expected) < 21 * 5 * 2.3e-16 * scale


@pytest.mark.parametrize("which", SUBJECTS)
def test_lines_of_equal_loss_are_drawn_where_the_loss_is_equal(which):
    one = SUBJECTS[which]()
    (axes, _) = pictures.paths(one, one.compared()).axes
    lines = max((drawn for drawn in axes.collections if not drawn.filled), key=lambda drawn: len(drawn.levels))
    drawn = [(level, path) for level, path in zip(lines.levels, lines.get_paths(), strict=True) if len(path.vertices)]
    assert len(drawn) > 10
    for level, path in drawn:
        for points in np.split(path.vertices, np.flatnonzero(path.codes == path.MOVETO)[1:]):
            middle = (points[1:] + points[:-1]) / 2  # straight pieces are farthest off there
            root = np.sqrt(one.problem.objective(one.plane.parameters(*middle.T)) - one.least)
            # About the optimum the root of the excess grows with the distance: a share of it is one of the radius, and
            # half a per cent is the width of the line, one dot, where it is 200 dots away.
            assert np.abs(root / level - 1).max() < 0.005


def test_optimizers_are_compared_by_when_they_are_there_to_stay():
    one = subject("stackloss", epochs=60)
    found = one.compared()
    assert {each.label for each in found} == {label for label, _ in known_optimizers()}
    start = float(one.problem.objective(one.path(most=0)[0]))
    near = one.least + 0.01 * (start - one.least)
    arrived = [each.arrived or np.inf for each in found]
    assert arrived == sorted(arrived)
    for each in found:
        own = one.model.get_params(deep=False) | {"optimizer": each.optimizer}
        losses = LinearRegression(**own).fit(one.X, one.y).history_["loss"]
        # A few roundings of float32 in each step. Until a run is there it does not amplify them; RMSprop then does.
        way = slice(each.arrived or 5)
        np.testing.assert_allclose(each.losses[way], losses[way], rtol=60 * 1.2e-7 * 10)
        if each.arrived:
            assert (each.losses[each.arrived - 1 :] <= near).all()
            assert each.arrived == 1 or each.losses[each.arrived - 2] > near


def test_ten_thousand_rows_of_ten_features_are_drawn(tmp_path, capsys):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(10_000, 10)) @ rng.normal(size=(10, 10))
    table = np.column_stack([X, X.sum(axis=1) + rng.normal(size=10_000)])
    names = ",".join([*(f"f{j}" for j in range(10)), "y"])
    np.savetxt(tmp_path / "big.csv", table, delimiter=",", header=names, comments="")
    assert cli.run(["study", str(tmp_path / "big.csv"), "--target", "y", "--out", str(tmp_path / "out")]) == 0
    assert sorted(file.stem for file in (tmp_path / "out").iterdir()) == sorted(study.PICTURES)
    out, err = capsys.readouterr()
    assert err == ""  # no bar where there is no terminal
    assert f"{dynamics.max_learning_rate(X):.3g}" in out
    assert "Which optimizer gets there first" in out


def test_curves_of_different_losses_stand_on_axes_of_their_own():
    one = subject("stackloss", standard=False)
    panels = pictures.remedy(one).axes
    titles = [axes.get_title() for axes in panels]
    assert [title.partition("(")[0] for title in titles] == ["MeanSquaredError", "Huber"]
    for axes in panels:
        named = [line.get_label() for line in axes.get_lines() if not line.get_label().startswith("_")]
        assert named
        assert all(("huber" in label) == ("Huber" in axes.get_title()) for label in named)


def test_the_delta_of_a_picture_is_that_of_the_run_or_says_where_it_comes_from():
    one = subject("stackloss")
    offered = {remedy.settings["loss"].delta for finding in diagnose(one.X, one.y, random_state=0).findings
               for remedy in finding.remedies if "loss" in remedy.settings}  # fmt: skip
    (offer,) = offered
    for loss, delta, told in ((Huber(2.5), 2.5, "that of this run"), ("mse", offer, "as linreg why offers it")):
        one = subject("stackloss", "sgd", loss)
        figure = pictures.residuals(one)
        assert f"delta {delta}: " in figure.get_suptitle()
        assert told in figure.get_suptitle()
        (line,) = (line for line in figure.axes[0].get_lines() if line.get_label().startswith("delta"))
        assert set(line.get_xdata()) == {delta}


def test_axes_say_in_which_units_they_are():
    X, y = np.random.default_rng(2).normal(size=(20, 1)), np.arange(20.0)
    model = LinearRegression(SGD(0.1, momentum=0.9), random_state=0, epochs=3)
    plain, scaled = (study.Subject(X, y, ["age"], "cost", model, scale) for scale in ("none", "standard"))
    assert plain.plane.units[0] == "units of cost per unit of age"
    assert scaled.plane.units[0] == "units of cost per standard deviation of age"
    assert scaled.plane.units[1] == "units of cost"
    assert scaled.feature_label("age") == "age (standardised)"
    for axes in pictures.state(scaled).axes:
        assert len(axes.get_ylabel()) > len(axes.get_title()) + 10


def test_a_picture_of_paths_in_many_dimensions_says_that_they_are_projected():
    for name, said in (("norris", False), ("stackloss", True)):
        one = subject(name, epochs=3)
        assert ("projected onto a plane" in pictures.paths(one, one.compared()).get_suptitle()) == said


def test_rates_above_the_limit_are_tried_and_rise():
    one = subject("stackloss", epochs=60)
    for each in one.compared():
        limit = one.limit(each.optimizer)
        if np.isfinite(limit):
            # Among the rates is the limit itself, at which a run neither grows nor comes down.
            assert (1 - 1e-12) * limit <= each.rises_from <= 1.5 * limit
            assert each.optimizer.learning_rate <= limit


def test_a_progress_bar_moves_on_a_terminal(tmp_path, monkeypatch):
    pty = pytest.importorskip("pty", reason="there are no pseudo-terminals here")
    command = ["study", "norris", "--target", "y", "--epochs", "3", "--out", str(tmp_path / "pictures")]
    here, there = pty.openpty()
    shown = []

    def read():
        with contextlib.suppress(OSError):  # the other end is closed
            while part := os.read(here, 4096):
                shown.append(part)

    reader = threading.Thread(target=read)
    reader.start()
    with os.fdopen(there, "w") as terminal, monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", terminal)
        patch.setenv("TERM", "xterm")
        patch.setenv("COLUMNS", "120")
        assert cli.run(command) == 0
    reader.join()
    os.close(here)
    text = b"".join(shown).decode()
    steps = [int(done) for done in re.findall(rf"(\d+)/{1 + len(study.PICTURES)}", text)]
    assert steps[0] == 0
    assert steps[-1] > len(study.PICTURES) // 2
    assert steps == sorted(steps)
    assert "comparing optimizers" in text
    assert "drawing remedy" in text


def test_more_features_than_can_be_drawn_are_refused():
    with pytest.raises(ValueError, match="give fewer columns"):
        study.Subject(np.ones((3, 501)), np.ones(3), ["a"] * 501, "y", LinearRegression())


def test_dollar_signs_in_names_are_no_formula(tmp_path):
    X = np.column_stack([np.arange(12.0), np.arange(12.0) ** 2])
    one = study.Subject(X, X[:, 0], ["a_$", "b ($)"], "cost_$", LinearRegression(epochs=3, random_state=0))
    for name in ("state", "residuals"):
        study.save(study.draw(name, one, []), tmp_path / f"{name}.png")
        assert (tmp_path / f"{name}.png").stat().st_size > 1000
