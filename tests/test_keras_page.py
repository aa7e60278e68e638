"""What docs/keras.md shows is what happens."""

import contextlib
import io
import re
from pathlib import Path

PAGE = (Path(__file__).parents[1] / "docs" / "keras.md").read_text(encoding="utf-8")


def test_the_examples_print_what_the_page_shows(keras):
    keras.utils.set_random_seed(1)
    first, second = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    (shown,) = re.findall(r"```text\n(.*?)```", PAGE, flags=re.DOTALL)
    printed, names = io.StringIO(), {}
    with contextlib.redirect_stdout(printed):
        exec(compile(first, "keras.md", "exec"), names)  # noqa: S102 (our own text)
        exec(compile(second, "keras.md", "exec"), names)  # noqa: S102
    # Losses depend on the weights that Keras draws, the cause and its numbers do not.
    lines = shown[shown.index("Main cause") : shown.index("Tried")].splitlines()
    assert len(lines) > 7
    for line in filter(None, map(str.strip, lines)):
        assert line in printed.getvalue()
    assert "ExplainLoss, epoch 2: the loss rises" in printed.getvalue()
    assert printed.getvalue().splitlines()[-1] == "0.01"
