"""What the README shows is what happens."""

import contextlib
import io
import re
from pathlib import Path

import pytest

from linreg import cli, diagnose
from linreg.experiments import known_experiments

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def test_continuous_integration_runs_the_second_command_to_the_letter():
    _, second = blocks("sh")
    assert second.count("\n") == 1
    assert second.strip() in (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()


def test_both_commands_are_one_line_each_and_name_extras_that_exist():
    first, _ = blocks("sh")
    assert first.count("\n") == 1
    extras = re.search(r'"\.\[(.*?)\]"', first).group(1).split(",")
    setup = (ROOT / "setup.cfg").read_text(encoding="utf-8")
    assert all(f"\n{extra} =\n" in setup for extra in extras)


@pytest.mark.parametrize("example", blocks("python"), ids=["train", "explain", "sweep"])
def test_the_python_examples_print_what_they_say(example):
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(example, "README.md", "exec"), {})  # noqa: S102 (our own text)
    said = re.findall(r"^print\(.*#\s*(.*)$", example, flags=re.MULTILINE)
    assert printed.getvalue().splitlines() == said
    assert len(said) >= 2


def assert_shown(shown, printed):
    for line in filter(None, map(str.strip, shown.splitlines())):
        assert line in printed


COMMANDS = ("fit longley --target total_employment", "why longley --target total_employment")
SHOWN = blocks("text")


@pytest.mark.parametrize(
    ("command", "shown"), [*zip((*COMMANDS, "why stackloss --target stack_loss"), SHOWN[:3], strict=True)]
)
def test_the_shown_output_is_what_is_printed(command, shown, capsys):
    assert cli.run(command.split()) == cli.FOUND
    assert_shown(shown, capsys.readouterr().out)


@pytest.mark.parametrize(
    ("experiment", "run", "shown"),
    [*zip((0, 1, 1, 2), (0, 0, 1, 0), SHOWN[3:], strict=True)],
    ids=["unscaled", "rate 10", "rate 0.0001", "far point"],
)
def test_the_known_experiments_are_explained_as_shown(experiment, run, shown):
    trial = known_experiments()[experiment].trials[run]
    settings = {**trial.model.get_params(deep=False), "callbacks": ()}
    assert_shown(shown, str(diagnose(trial.X, trial.y, **settings)))


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\(((?!http)[^)#]+)", README))))
def test_every_link_leads_somewhere(link):
    assert (ROOT / link).is_file()
