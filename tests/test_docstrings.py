"""Every public docstring is complete by numpydoc's rules, as the objects are at run time."""

import importlib
import inspect
import pkgutil

import pytest

import linreg

validate = pytest.importorskip("numpydoc.validate", reason="numpydoc is not installed: it comes with tox -e lint")

# No extended summary, examples or links are asked for, and a return value that the summary line tells needs no section
# of its own; everything else is.
LEFT_OUT = {"ES01", "EX01", "SA01", "GL01", "RT01", "RT03"}
# Equations are documented by their formula; hooks by the protocol of `Callback`; causes by that of their module.
EQUATIONS = (
    "linreg.rules.",
    "linreg.losses.squared_error",
    "linreg.losses.huber",
    "linreg.schedules.cosine_decayed",
    "linreg.regularizers.l1_",
    "linreg.regularizers.l2_",
    "linreg.initializers.glorot_limit",
    "linreg.diagnosis.coefficients.",
    "linreg.diagnosis.data_causes.",
    "linreg.diagnosis.fit_causes.",
    "linreg.diagnosis.setting_causes.",
    "linreg.diagnosis.validation_causes.",
)


def public_objects():
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


@pytest.mark.parametrize("name", sorted(name for name in set(public_objects()) if not name.startswith(EQUATIONS)))
def test_docstring_is_complete(name):
    result = validate.validate(name)
    # A method with one obvious argument may say all in its summary line.
    one_line = result["docstring"].strip().count("\n") == 0 and len(result["docstring"]) > 0
    problems = [f"{code} {text}" for code, text in result["errors"] if code not in LEFT_OUT]
    if one_line:
        problems = [problem for problem in problems if not problem.startswith(("PR01", "GL08"))]
    assert not problems
