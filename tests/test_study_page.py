"""The interactive page: its numbers are the library's, and a real browser shows them."""

import functools
import importlib.util
import json
import os
import re
import shutil
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from linreg import Huber, LinearRegression, cli, dynamics, study, sweep
from linreg.data import datasets
from linreg.study.page import rounded

MOST = 3_000_000
"""Bytes of a page."""
ARTEFACTS = Path(os.environ.get("LINREG_ARTEFACTS", "build/artefacts"))
PAGES = {
    "norris": ["norris", "--target", "y", "--scale", "standard", "--epochs", "20"],
    "stackloss": ["stackloss", "--target", "stack_loss", "--scale", "standard", "--loss", "huber", "--epochs", "20"],
}


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Both pages by name, written by the command."""
    folder = tmp_path_factory.mktemp("pages")
    for name, arguments in PAGES.items():
        assert cli.run(["study", *arguments, "--html", str(folder / f"{name}.html")]) == 0
    return {name: folder / f"{name}.html" for name in PAGES}


def data_of(page):
    text = page.read_text(encoding="utf-8")
    (found,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    return json.loads(found)


def standardised(name):
    data = datasets.load(name)
    return (data.X - data.X.mean(axis=0)) / data.X.std(axis=0), data.y


def axis_of(data, optimizer, name):
    return next(axis for axis in data["optimizers"][optimizer] if axis["name"] == name)


@functools.cache
def compared(name):
    """The optimizers that a page starts from, by the library's own comparison."""
    return {each.label: each.optimizer for each in subject(name).compared()}


@functools.cache
def subject(name):
    loss = "mse" if name == "norris" else Huber()
    X, y = standardised(name)
    known = datasets.load(name)
    model = LinearRegression(loss=loss, epochs=20, random_state=0)
    return study.Subject(X, y, list(known.feature_names), known.target_name, model, "standard")


CHOICES = [
    ("norris", "SGD", "learning_rate", 3), ("norris", "Adam", "epsilon", 6), ("norris", "RMSprop", "rho", 2),
    ("norris", "SGD, momentum 0.9", "momentum", 5), ("norris", "SGD", "batch_size", 4),
    ("stackloss", "Adam", "beta_2", 4), ("stackloss", "SGD, Nesterov 0.9", "learning_rate", -1),
    ("stackloss", "SGD", "delta", 2),
]  # fmt: skip


@pytest.mark.parametrize(("name", "label", "setting", "at"), CHOICES)
def test_every_number_of_a_choice_is_the_one_that_trace_and_sweep_give(pages, name, label, setting, at):
    data, one = data_of(pages[name]), subject(name)
    axis = axis_of(data, label, setting)
    run = axis["runs"][at]
    optimizer = compared(name)[label]
    own = {**one.model.get_params(deep=False), "optimizer": optimizer}
    value = next(value for value in _values(one, optimizer, setting) if rounded(value) == run["value"])
    model = LinearRegression(**own).set_params(**{_place(setting): value})
    steps = [step for step in run["steps"] if step]
    found = study.trace(one.X, one.y, steps=steps, **model.get_params(deep=False)).steps
    shown = [one.parameters.index(parameter) for parameter in data["shown"]]
    for i, step in enumerate(found, start=1):
        assert run["steps"][i] == step.number
        for quantity, numbers in run["numbers"].items():
            assert numbers[i] == rounded(step[quantity][shown]), (quantity, step.number)
        p = step["p"].astype(np.float64)
        errors = one.X @ p[:-1] + p[-1] - one.y
        loss = model.settings().loss
        with np.errstate(all="ignore"):
            mean = float(np.mean(loss.value(errors, *loss.constants(np.float64))))
        if np.isfinite(mean):
            # Five digits, and the rounding of a mean that is added up in another order.
            assert run["loss"][i] == pytest.approx(mean, rel=6e-5)
    swept = sweep(one.X, one.y, **{k: v for k, v in own.items() if k not in ("callbacks", "warm_start", "verbose",
                  "device", "engine")} | {setting: _values(one, optimizer, setting)})  # fmt: skip
    if setting == "delta":  # each delta is another loss: what compares them is the squared error
        errors = one.X @ swept.coef_.T.astype(np.float64) + swept.intercept_ - one.y[:, np.newaxis]
        assert axis["measure"] == "mean squared error"
        assert axis["ends"] == pytest.approx((errors**2).mean(axis=0), rel=6e-5)
    else:
        assert axis["measure"] == "loss"
        assert axis["ends"] == rounded(swept.last("loss"))


def _values(one, optimizer, setting):
    from linreg.study.choices import values_of

    own = {"batch_size": min(32, len(one.y)), "delta": 1.0}.get(setting) or getattr(optimizer, setting)
    return sorted({*values_of(one, optimizer)[setting], own})


def _place(setting):
    return {"batch_size": "batch_size", "delta": "loss__delta"}.get(setting, f"optimizer__{setting}")


@pytest.mark.parametrize("name", PAGES)
def test_the_limit_of_a_page_is_that_of_dynamics_and_losses_rise_above_it(pages, name):
    data = data_of(pages[name])
    X, _ = standardised(name)
    loss = "huber" if name == "stackloss" else "mse"
    for label, momentum, nesterov in (("SGD", 0, False), ("SGD, momentum 0.9", 0.9, False),
                                      ("SGD, Nesterov 0.9", 0.9, True)):  # fmt: skip
        axis = axis_of(data, label, "learning_rate")
        assert axis["limit"] == rounded(dynamics.max_learning_rate(X, loss, momentum, nesterov))
    if loss == "mse":
        above = [run for run in axis_of(data, "SGD", "learning_rate")["runs"] if run["value"] > 1.2 * 1.0]
        assert above
        assert all(run["loss"][-1] is None or run["loss"][-1] > data["start"] for run in above)


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_one_small_file_without_a_formula_or_an_address_in_its_script(pages, name):
    assert pages[name].stat().st_size < MOST
    script = (files("linreg.study") / "assets" / "page.js").read_text()
    assert "http" not in script
    # The logarithm is where things stand on an axis of plotly's; no other mathematics is there.
    assert set(re.findall(r"Math\.\w+", script)) == {"Math.log10"}
    assert not re.search(r"[\w\])] (\*|/|\*\*) [\w(\[]", script)


def test_known_bad_inputs_say_what_the_diagnosis_says(pages):
    bad = {one["name"]: one for one in data_of(pages["norris"])["bad"]}
    causes = {name: (one["verdict"], one["cause"]) for name, one in bad.items()}
    assert causes == {
        "Columns of different scale": ("diverges", "feature_scale"),
        "Learning rate too high": ("diverges", "learning_rate_too_high"),
        "Learning rate too low": ("too_slow", "learning_rate_too_low"),
        "One far point": ("diverges", "high_leverage"),
    }
    for one in bad.values():
        assert one["after"][-1] < one["before"][0]


def test_a_title_cannot_break_out_of_the_page():
    from linreg.study.page import page

    class Elements(HTMLParser):
        found = ()

        def handle_starttag(self, tag, attrs):
            self.found = (*self.found, tag)

    reader, usual = Elements(), Elements()
    reader.feed(page({"title": "</title></script><script>alert(1)</script>"}))
    usual.feed(page({"title": "norris"}))
    assert reader.found == usual.found


# In a real browser.


@pytest.fixture(scope="module")
def browser():
    """A headless Chromium; without one the test is skipped, with the reason printed."""
    if importlib.util.find_spec("playwright") is None:
        pytest.skip("Playwright is not installed: pip install playwright")
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if path is None:
        pytest.skip("there is no Chromium on the PATH")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def opened(browser, pages):
    """Open a page at a size, and collect everything that goes wrong or out."""
    made = []

    def open_page(name, width=1280, height=900):
        tab = browser.new_page(viewport={"width": width, "height": height})
        made.append(tab)
        tab.wrong = []
        tab.on("console", lambda message: tab.wrong.append(message.text))
        tab.on("pageerror", lambda error: tab.wrong.append(str(error)))
        tab.on("request", lambda request: request.url.startswith(("file:", "data:", "blob:"))
               or tab.wrong.append(request.url))  # fmt: skip
        tab.goto(pages[name].as_uri())
        tab.wait_for_selector("#ends .main-svg")
        return tab

    yield open_page
    for tab in made:
        assert tab.wrong == []
        tab.close()


SIZES = {"desktop": (1280, 900), "phone": (390, 844)}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", PAGES)
def test_a_page_opens_without_errors_or_network_and_fits_its_window(opened, name, size):
    tab = opened(name, *SIZES[size])
    tab.get_by_role("button", name="One far point").click()
    tab.wait_for_selector("#bad-plot .main-svg")
    assert tab.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    ARTEFACTS.mkdir(parents=True, exist_ok=True)
    assert len(tab.screenshot(path=ARTEFACTS / f"study-{name}-{size}.png", full_page=True)) > 20_000


def curve(tab, plot="loss", trace=0):
    return tab.evaluate(f"Array.from(document.getElementById('{plot}').data[{trace}].y)")


def test_a_slider_changes_curve_path_line_and_numbers_to_the_librarys_values(opened, pages):
    data, tab = data_of(pages["norris"]), opened("norris")
    tab.select_option("#optimizer", "Adam")
    tab.select_option("#axis", "beta_1")
    axis = axis_of(data, "Adam", "beta_1")
    for at in (0, len(axis["runs"]) - 1):
        run = axis["runs"][at]
        tab.evaluate(f"document.getElementById('slider').value = {at};"
                     "document.getElementById('slider').dispatchEvent(new Event('input'))")  # fmt: skip
        assert curve(tab) == run["loss"]
        assert curve(tab, "path", len(data["plane"]["contours"])) == run["y"]
        assert curve(tab, "fit", 1) == run["line"][-1]
        assert tab.text_content("#value") == f"{run['value']}"
        assert tab.text_content("#loss-now") == f"{run['loss'][-1]}"
        cells = [float(text) for text in tab.locator("#numbers td").all_text_contents()]
        assert cells == [number for numbers in run["numbers"].values() for number in numbers[-1]] + run["best"]


def test_with_several_features_the_line_along_one_follows_each_step(opened, pages):
    data, tab, one = data_of(pages["stackloss"]), opened("stackloss"), subject("stackloss")
    tab.select_option("#optimizer", "SGD")
    run = axis_of(data, "SGD", "learning_rate")["runs"][axis_of(data, "SGD", "learning_rate")["chosen"]]
    assert data["line"]["name"] == "air_flow (standardised)"
    # Standardised features have means 0: along the first one a prediction is coefficient times it, plus intercept.
    ends = np.array([one.X[:, 0].min(), one.X[:, 0].max()])
    model = LinearRegression(**one.model.get_params(deep=False)).set_params(optimizer=compared("stackloss")["SGD"])
    steps = study.trace(one.X, one.y, steps=run["steps"][1:], **model.get_params(deep=False)).steps
    for at in (1, 5, len(run["steps"]) - 1):
        tab.evaluate(f"document.getElementById('step').value = {at};"
                     "document.getElementById('step').dispatchEvent(new Event('input'))")  # fmt: skip
        p = steps[at - 1]["p"].astype(np.float64)
        assert curve(tab, "fit", 1) == run["line"][at]
        # Five digits; and means that are 0 but for rounding.
        assert run["line"][at] == pytest.approx(ends * p[0] + p[-1], rel=6e-5)
    assert "the other features at their means" in tab.text_content("#fit-title")


def test_runs_that_diverge_are_marked_and_not_left_out(opened, pages):
    data, tab = data_of(pages["norris"]), opened("norris")
    tab.select_option("#optimizer", "SGD")
    axis = axis_of(data, "SGD", "learning_rate")
    ended = zip(axis["runs"], axis["ends"], strict=True)
    gone = [run["value"] for run, end in ended if end is None or end > axis["top"]]
    assert gone
    assert min(gone) > axis["limit"]
    assert tab.evaluate("Array.from(document.getElementById('ends').data[2].x)") == gone
    assert "diverges" in tab.text_content("#ends")
    assert "diverges" not in tab.text_content("#loss")
    tab.focus("#slider")
    tab.keyboard.press("End")
    assert "diverges" in tab.text_content("#loss")
    assert [value is not None for value in curve(tab, "ends", 3)] == [True]


def test_a_page_says_how_much_of_a_run_it_shows_and_which_losses_compare(opened):
    tab = opened("stackloss")
    assert "up to 36 of the first 400 steps" in tab.text_content("#caps")
    assert tab.text_content("#note") == ""
    tab.select_option("#axis", "delta")
    assert "curves of different deltas cannot be compared" in tab.text_content("#note")
    assert "Huber's with delta" in tab.text_content("#loss-title")
    assert tab.text_content("#ends-title").startswith("Mean squared error at the end of epoch 20")


def test_hovering_shows_iteration_loss_and_the_numbers_of_that_step(opened, pages):
    data, tab = data_of(pages["norris"]), opened("norris")
    run = axis_of(data, "SGD", "learning_rate")["runs"][axis_of(data, "SGD", "learning_rate")["chosen"]]
    for plot, curve_number in (("loss", 0), ("path", len(data["plane"]["contours"]))):
        tab.evaluate(f"Plotly.Fx.hover('{plot}', [{{curveNumber: {curve_number}, pointNumber: 3}}])")
        shown = tab.text_content(f"#{plot} .hoverlayer")
        numbers = [number for values in run["numbers"].values() for number in values[3]]
        for text in (f"step {run['steps'][3]}", f"loss {run['loss'][3]}", *map(str, numbers)):
            assert text in shown


def test_the_keyboard_alone_reaches_every_control_and_moves_it(opened, pages):
    data, tab = data_of(pages["norris"]), opened("norris")
    reached = []
    for _ in range(8):
        tab.keyboard.press("Tab")
        reached.append(tab.evaluate("document.activeElement.id || document.activeElement.textContent"))
        assert tab.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
    assert reached == ["optimizer", "axis", "slider", "step", *(one["name"] for one in data["bad"])]
    tab.focus("#slider")
    tab.keyboard.press("End")
    axis = axis_of(data, "SGD", "learning_rate")
    assert tab.text_content("#value").startswith(f"{axis['runs'][-1]['value']} (computed limit {axis['limit']})")
    assert "above the computed limit" in tab.text_content("#told")
    tab.focus("#step")
    tab.keyboard.press("Home")
    tab.keyboard.press("ArrowRight")
    assert tab.text_content("#step-text") == "1"
    tab.get_by_role("button", name="Learning rate too high").press("Enter")
    assert "The learning rate is 10" in tab.text_content("#bad")


LUMINANCE = """() => {
  const light = (rgb) => rgb.map((c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const numbers = (text) => text.match(/[\\d.]+/g).map(Number);
  const back = (one) => { for (let at = one; at; at = at.parentElement) {
    const found = numbers(getComputedStyle(at).backgroundColor); if (found.length < 4 || found[3] > 0) return found; }
    return [255, 255, 255]; };
  const worst = [];
  const texts = "h1, h2, p, label, output, select, button, figcaption, th, td, span, text";
  for (const one of document.querySelectorAll(texts)) {
    if (!one.textContent.trim() || !one.getClientRects().length) continue;
    const style = getComputedStyle(one), svg = one.tagName === "text";
    const [a, b] = [light(numbers(svg ? style.fill : style.color).slice(0, 3)), light(back(one).slice(0, 3))];
    worst.push([(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), one.textContent.slice(0, 40)]);
  }
  return worst.sort((x, y) => x[0] - y[0])[0];
}"""


def test_every_text_has_the_contrast_of_wcag_aa(opened):
    tab = opened("stackloss")
    tab.get_by_role("button", name="One far point").click()
    tab.focus("#slider")
    tab.keyboard.press("End")
    contrast, text = tab.evaluate(LUMINANCE)
    assert contrast >= 4.5, text
