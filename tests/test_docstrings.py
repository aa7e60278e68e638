"""Every docstring is complete by numpydoc's rules, as the objects are at run time; those of public names say more."""

import ast
import dataclasses
import importlib
import inspect
import pkgutil
import pydoc
import re
import textwrap
from pathlib import Path

import pytest
from public_names import exported, public_callables, public_methods

import linreg
from linreg.callbacks import Callback
from linreg.hyperparameters import HyperParameters

validate = pytest.importorskip("numpydoc.validate", reason="numpydoc is not installed: it comes with tox -e lint")
docscrape = pytest.importorskip("numpydoc.docscrape", reason="numpydoc is not installed: it comes with tox -e lint")

REFERENCE = Path(__file__).parent.parent / "docs" / "reference.md"
# No extended summary, examples or links are asked for, and a return value that the summary line tells needs no section
# of its own; everything else is.
LEFT_OUT = {"ES01", "EX01", "SA01", "GL01", "RT01", "RT03"}
FORMULAS = (
    "linreg.rules.",
    "linreg.losses.squared_error",
    "linreg.losses.huber",
    "linreg.schedules.cosine_decayed",
    "linreg.regularizers.l1_",
    "linreg.regularizers.l2_",
    "linreg.initializers.glorot_limit",
)
# Equations are documented by their formula, their dialect and source by the class that holds their hyper-parameters;
# hooks by the protocol of `Callback`; causes by that of their module.
EQUATIONS = (
    *FORMULAS,
    "linreg.diagnosis.coefficients.",
    "linreg.diagnosis.data_causes.",
    "linreg.diagnosis.fit_causes.",
    "linreg.diagnosis.setting_causes.",
    "linreg.diagnosis.validation_causes.",
)


def documented_objects():
    for module_info in pkgutil.walk_packages(linreg.__path__, "linreg."):
        if module_info.name.startswith("linreg.cli"):
            continue  # commands are documented by --help
        module = importlib.import_module(module_info.name)
        for name, value in vars(module).items():
            if name.startswith("_") or getattr(value, "__module__", None) != module.__name__:
                continue
            if inspect.isfunction(value):
                yield f"{module.__name__}.{name}"
            elif inspect.isclass(value):
                yield f"{module.__name__}.{name}"
                for method, member in vars(value).items():
                    if not method.startswith(("_", "on_")) and inspect.isfunction(member):
                        yield f"{module.__name__}.{name}.{method}"


NAMES = sorted(set(documented_objects()))


def is_protocol(name):
    """Whether a name is a protocol, which nobody makes."""
    return getattr(pydoc.locate(name), "_is_protocol", False)


@pytest.mark.parametrize("name", [name for name in NAMES if not name.startswith(EQUATIONS)])
def test_docstring_is_complete(name):
    result = validate.validate(name)
    # A method with one obvious argument may say all in its summary line.
    one_line = result["docstring"].strip().count("\n") == 0 and len(result["docstring"]) > 0
    problems = [f"{code} {text}" for code, text in result["errors"] if code not in LEFT_OUT]
    # A class that is made as its base is made has its base tell how.
    made_as_its_base = result["type"] == "type" and "__init__" not in vars(pydoc.locate(name))
    if one_line or made_as_its_base or is_protocol(name):
        problems = [problem for problem in problems if not problem.startswith(("PR01", "GL08"))]
    assert not problems


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith(FORMULAS)])
def test_an_equation_begins_with_its_formula(name):
    source = textwrap.dedent(inspect.getsource(pydoc.locate(name)))
    first = ast.parse(source).body[0].body[0].lineno
    assert any(line.lstrip().startswith("#") for line in source.splitlines()[1 : first - 1])


# Of public names more is asked: sections, dialect, source, shapes and units. What one may leave out stands here, with
# the reason; an entry that is no longer needed fails.

PUBLIC = public_callables()
MADE = "made by the library, of what was checked before"
WITHOUT = {
    "linreg.LinearRegression": {"Raises": "parameters are checked by `fit`, as scikit-learn asks for"},
    "linreg.Sweep": {"Raises": MADE},
    "linreg.dynamics.ClosedForm": {"Raises": MADE},
    "linreg.dynamics.Curvature": {"Raises": MADE},
    "linreg.dynamics.Direction": {"Raises": MADE},
    "linreg.dynamics.Fastest": {"Raises": MADE},
    "linreg.dynamics.GrowthRate": {"Raises": MADE},
    "linreg.dynamics.Preconditioned": {"Raises": MADE},
    "linreg.dynamics.StochasticFloor": {"Raises": MADE},
    "linreg.dynamics.step_matrices": {"Raises": "every number has such a matrix"},
    "linreg.callbacks.Run": {"Parameters": "a protocol, made by nobody", "Raises": "a protocol, made by nobody"},
    "linreg.diagnosis.Diagnosis": {"Raises": MADE},
    "linreg.diagnosis.Finding": {"Raises": MADE},
    "linreg.diagnosis.Remedy": {"Raises": MADE},
    "linreg.study.Compared": {"Raises": MADE},
    "linreg.study.Quantity": {"Raises": MADE},
    "linreg.study.Step": {"Raises": MADE},
    "linreg.study.Trace": {"Raises": MADE},
    "linreg.study.draw_lines": {"Raises": "draws whatever matplotlib draws"},
    "linreg.study.draw_losses": {"Raises": "draws whatever matplotlib draws"},
    "linreg.gram.Moments": {"Raises": "finite float64 arrays, checked where data are read"},
    "linreg.gram.Gram": {"Raises": MADE},
    "linreg.replay.Bound": {"Raises": MADE},
    "linreg.keras.weights": {"Raises": "every built model has weights"},
}


def test_exceptions_are_of_public_names():
    assert WITHOUT.keys() <= PUBLIC.keys()
    public = {owner for name in PUBLIC for owner, _ in callables_of(name)}
    assert {entry.partition(":")[0] for entry in UNITLESS} <= public


def told(value):
    """Return the sections of a docstring."""
    return docscrape.NumpyDocString(inspect.getdoc(value))


def sections_asked_for(value):
    """Yield the sections that a public class or function has, going by its signature."""
    signature = inspect.signature(value)
    if signature.parameters:
        yield from ("Parameters", "Raises")
    if inspect.isfunction(value) and signature.return_annotation not in (None, "None"):
        yield "Returns"
    yield "Examples"


@pytest.mark.parametrize("name", PUBLIC)
def test_a_public_name_has_every_section(name):
    sections = told(PUBLIC[name])
    missing = {section for section in sections_asked_for(PUBLIC[name]) if not sections[section]}
    assert missing == WITHOUT.get(name, {}).keys()


def of_kind(kind):
    return [name for name, value in PUBLIC.items() if inspect.isclass(value) and issubclass(value, kind)]


MATHEMATICS = [name for name, value in PUBLIC.items() if re.match(r"linreg\.dynamics\.[a-z]", name)]


@pytest.mark.parametrize("name", [*of_kind(HyperParameters), "linreg.initializers.initial_kernel"])
def test_an_equation_names_its_dialect_and_its_source(name):
    notes = " ".join(told(pydoc.locate(name))["Notes"])
    assert "Dialect:" in notes
    assert "Source:" in notes


@pytest.mark.parametrize("name", [*of_kind(Callback), "linreg.initializers.initial_bias", "linreg.keras.twin"])
def test_what_follows_keras_names_its_dialect(name):
    assert "Dialect:" in " ".join(told(pydoc.locate(name))["Notes"])


@pytest.mark.parametrize("name", [*MATHEMATICS, "linreg.gram.Moments", "linreg.gram.calibrated"])
def test_mathematics_names_its_source(name):
    assert "Source" in " ".join(told(pydoc.locate(name))["Notes"])


# An entry is one parameter, attribute or result: (where it stands, its name, type and description as one text).


def entries(value, *kinds):
    sections = told(value)
    for kind in kinds:
        for entry in sections[kind]:
            yield f"{kind} {entry.name}".strip(), f"{entry.name} : {entry.type}", " ".join(entry.desc)


def callables_of(name):
    """Yield a public name and its public methods."""
    yield name, PUBLIC[name]
    if inspect.isclass(PUBLIC[name]):
        for method, member in public_methods(PUBLIC[name]).items():
            if member.__doc__:
                yield f"{name}.{method}", member


@pytest.mark.parametrize("name", PUBLIC)
def test_arrays_have_a_shape(name):
    assert not [
        f"{owner}: {where}"
        for owner, value in callables_of(name)
        for where, kind, words in entries(value, "Parameters", "Attributes", "Returns", "Yields")
        if re.search(r"\b(array|frame)s?\b", kind) and not re.search(r"\bshapes?\b", kind + words)
    ]


# Results that have no unit, or more than one.
UNITLESS = {
    "linreg.LinearRegression: Attributes feature_names_in_": "names",
    "linreg.LinearRegression.score: Returns": "a share",
    "linreg.Sweep: Parameters n_iter_": "a count",
    "linreg.Sweep.last: Returns": "of whatever is asked for",
    "linreg.dynamics.ClosedForm: Parameters order": "numbers of rows",
    "linreg.dynamics.ClosedForm.map: Returns": "acts on parameters and velocity, in coordinates of the basis",
    "linreg.dynamics.ClosedForm.states: Returns": "parameters and velocity, in coordinates of the basis",
    "linreg.dynamics.ClosedForm.epochs_to: Returns": "a count",
    "linreg.dynamics.Fastest: Parameters momentum": "a share",
    "linreg.dynamics.Fastest: Parameters spectral_radius": "a factor",
    "linreg.dynamics.GrowthRate: Parameters factor": "a factor",
    "linreg.dynamics.GrowthRate: Parameters low, high": "factors",
    "linreg.dynamics.spectral_radius: Returns": "a factor",
    "linreg.dynamics.step_matrices: Returns": "acts on (parameter, velocity), which have the same unit",
    "linreg.diagnosis.Finding: Parameters gain": "powers of ten",
    "linreg.diagnosis.Finding: Parameters harm": "a factor",
    "linreg.diagnosis.Remedy.rows: Returns": "true or false",
    "linreg.gram.Moments: Parameters count": "a count",
    "linreg.streaming.order: Returns": "numbers of rows",
}


def is_result(value):
    """Whether a class is what the library returns, so that its fields are results."""
    return dataclasses.is_dataclass(value) and not issubclass(value, HyperParameters)


@pytest.mark.parametrize("name", PUBLIC)
def test_results_have_units(name):
    without = {
        f"{owner}: {where}"
        for owner, value in callables_of(name)
        for where, kind, words in entries(
            value, "Returns", "Attributes", *(["Parameters"] if owner == name and is_result(value) else [])
        )
        if re.search(r"\b(float|array)\b", kind) and not re.search(r"\bunits?\b|\bin 1 / ", kind + words, flags=re.I)
    }
    assert without == {entry for entry in UNITLESS if entry.startswith((f"{name}:", f"{name}."))}


def test_the_reference_lists_every_public_name_first():
    first = REFERENCE.read_text(encoding="utf-8").split("\n## ")[1]
    assert sorted(re.findall(r"^   ~(linreg[.\w]*)$", first, flags=re.MULTILINE)) == sorted(PUBLIC)


def test_the_reference_documents_every_public_name():
    documented = set(re.findall(r"^\.\. auto(?:class|function|data):: (\S+)$", REFERENCE.read_text(encoding="utf-8"),
                                flags=re.MULTILINE))  # fmt: skip
    constants = {name.rpartition(".")[2] for name, value in exported().items() if isinstance(value, tuple | dict)}
    assert documented >= PUBLIC.keys()
    assert {name.rpartition(".")[2] for name in documented} >= constants
