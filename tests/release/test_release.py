"""The wheel and the sdist that `tox -e release` has built: what is in them, and that they run where nothing else is."""

import os
import subprocess
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DIST = ROOT / "dist"
EXTRAS = "cli,data,plot"
KINDS = ("*.whl", "*.tar.gz")


def one(kind):
    (found,) = DIST.glob(kind)
    return found


def tracked(*folders):
    """Return the files that git knows, as paths from the root."""
    listed = subprocess.run(["git", "ls-files", "--", *folders], cwd=ROOT, check=True, capture_output=True, text=True)
    return set(listed.stdout.splitlines())


def test_the_wheel_holds_the_package_as_git_has_it_its_licence_and_nothing_else():
    with zipfile.ZipFile(one("*.whl")) as archive:
        files = set(archive.namelist())
    about = {name for name in files if ".dist-info/" in name}
    assert files - about == tracked("linreg")
    assert any(name.endswith("/licenses/LICENSE") for name in about)


def test_the_sdist_holds_what_git_has_and_nothing_else():
    with tarfile.open(one("*.tar.gz")) as archive:
        files = {member.name.partition("/")[2] for member in archive if member.isfile()}
    made = {name for name in files if name == "PKG-INFO" or name.startswith("linreg.egg-info/")}
    assert files - made == tracked() - {".gitignore"}


@pytest.mark.parametrize("kind", KINDS, ids=["wheel", "sdist"])
def test_in_an_empty_environment_the_demo_runs_without_tensorflow_and_says_so(kind, tmp_path):
    venv.create(tmp_path / "venv", with_pip=True)
    programs = next(path for name in ("bin", "Scripts") if (path := tmp_path / "venv" / name).is_dir())
    bare = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}

    def run(*command):
        return subprocess.run(command, cwd=tmp_path, env=bare, check=True, capture_output=True, text=True).stdout

    run(programs / "python", "-m", "pip", "install", "--quiet", f"{one(kind)}[{EXTRAS}]")
    said = run(programs / "linreg", "demo", "--out", tmp_path / "demo")
    assert "The column of tf.keras is empty: TensorFlow cannot be imported" in " ".join(said.split())
    assert len(list((tmp_path / "demo").glob("*.png"))) == 3
    assert str(tmp_path) in run(programs / "python", "-c", "import linreg; print(linreg.__file__)")
