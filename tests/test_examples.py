"""Every example in a docstring prints what it says, pasted into an empty session."""

import doctest
import importlib
import io
import pkgutil

import pytest
from public_names import public_callables

import linreg


def modules_with_examples():
    """Yield the modules whose source holds an example; the others need not be imported."""
    for info in pkgutil.walk_packages(linreg.__path__, "linreg."):
        with open(info.module_finder.find_spec(info.name).origin, encoding="utf-8") as source:
            if ">>>" in source.read():
                yield importlib.import_module(info.name)


EXAMPLES = {
    example.name: example
    for module in (linreg, *modules_with_examples())
    for example in doctest.DocTestFinder(exclude_empty=True).find(module)
    if example.examples
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_example_prints_what_it_says(name, request):
    if name.startswith("linreg.keras."):
        request.getfixturevalue("keras")
    example = EXAMPLES[name]
    example.globs = {"__name__": "example"}
    told = io.StringIO()
    failed = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(example, out=told.write).failed
    assert not failed, told.getvalue()


def test_every_public_name_has_an_example_that_is_run():
    assert {f"{value.__module__}.{value.__qualname__}" for value in public_callables().values()} <= EXAMPLES.keys()
