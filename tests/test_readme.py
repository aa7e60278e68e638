"""What the README, CONTRIBUTING and the page of the known cases show is what happens."""

import contextlib
import io
import re
from pathlib import Path

import pytest
from typer.main import get_command

from linreg import cli, diagnose
from linreg.cli.app import app
from linreg.experiments import known_experiments
from linreg.optimizers import OPTIMIZERS

ROOT = Path(__file__).parent.parent
README, CONTRIBUTING, DIAGNOSIS = (
    (ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "CONTRIBUTING.md", "docs/diagnosis.md")
)


def blocks(language, text=README):
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)


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


@pytest.mark.parametrize(
    "example",
    [*blocks("python"), *blocks("python", CONTRIBUTING)],
    ids=["train", "explain", "sweep", "a rule of one's own"],
)
def test_the_python_examples_print_what_they_say(example, monkeypatch):
    monkeypatch.setitem(OPTIMIZERS, "signed", None)  # what an example adds is gone after it
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(example, "README.md", "exec"), {})  # noqa: S102 (our own text)
    said = re.findall(r"^print\(.*#\s*(.*)$", example, flags=re.MULTILINE)
    assert printed.getvalue().splitlines() == said
    assert len(said) >= 2


def assert_shown(shown, printed):
    for line in filter(None, map(str.strip, shown.splitlines())):
        assert line in printed


LONGLEY = ("fit longley --target total_employment", "why longley --target total_employment")
KNOWN = blocks("text", DIAGNOSIS)


@pytest.mark.parametrize(
    ("command", "shown"),
    [*zip((*LONGLEY, "why stackloss --target stack_loss"), (*blocks("text"), KNOWN[0]), strict=True)],
)
def test_the_shown_output_is_what_is_printed(command, shown, capsys):
    assert f"linreg {command}`" in README + DIAGNOSIS
    assert cli.run(command.split()) == cli.FOUND
    assert_shown(shown, capsys.readouterr().out)


@pytest.mark.parametrize(
    ("experiment", "run", "shown"),
    [*zip((0, 1, 1, 2), (0, 0, 1, 0), KNOWN[1:], strict=True)],
    ids=["unscaled", "rate 10", "rate 0.0001", "far point"],
)
def test_the_known_experiments_are_explained_as_shown(experiment, run, shown):
    trial = known_experiments()[experiment].trials[run]
    settings = {**trial.model.get_params(deep=False), "callbacks": ()}
    assert_shown(shown, str(diagnose(trial.X, trial.y, **settings)))


ON_A_FILE = [command for command in re.findall(r"`\.venv/bin/linreg ([^`]*)`", README) if " FILE " in command]


@pytest.mark.parametrize("command", ON_A_FILE)
def test_the_commands_run_on_a_file_of_ones_own(command, tmp_path, monkeypatch):
    (tmp_path / "own.csv").write_text("area,rooms,price\n50,2,101\n80,3,159\n120,4,241\n65,2,130\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    command = f"{command.replace('FILE', 'own.csv').replace('COLUMN', 'price')} --epochs 5"
    assert cli.run(command.split()) in (0, cli.FOUND)


def test_every_command_and_option_exists():
    commands = get_command(app).commands
    told = set(re.findall(r"\blinreg ([a-z]+) [^`\n]*`", README)) | set(re.findall(r"bin/linreg ([a-z]+)", README))
    assert {*told} <= commands.keys()
    options = {option for command in commands.values() for parameter in command.params for option in parameter.opts}
    assert set(re.findall(r"(?<=[ `])--[a-z-]+", README)) - options == {"--help", "--quiet"}  # Typer's and pip's


def anchor(heading):
    """Return the anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize(
    "link", sorted({*re.findall(r"\]\(((?!http)[^)]+)\)", README), *re.findall(r"\]\(((?!http)[^)]+)\)", CONTRIBUTING)})
)
def test_every_link_leads_somewhere(link):
    file, _, place = link.partition("#")
    assert (ROOT / file).is_file()
    if place:
        headings = re.findall(r"^#+ (.*)$", (ROOT / file).read_text(encoding="utf-8"), flags=re.MULTILINE)
        assert place in map(anchor, headings)
