"""The rules of the house: who may import whom, what a job's environment is spared, what stands in the repository."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FOLDERS = ("schemas", "codec", "models", "logger", "transforms", "stores", "pipelines", "serving")
MAY_IMPORT = {
    "schemas": set(),
    "codec": set(),
    "models": {"schemas", "codec"},
    "logger": {"schemas"},
    "transforms": {"schemas", "codec", "models"},
    "stores": {"schemas"},
    "pipelines": {"schemas", "codec", "models", "logger", "transforms", "stores"},
    "serving": {"schemas", "codec", "models", "logger", "transforms", "stores"},
}
FILES = [f for folder in FOLDERS for f in sorted((ROOT / folder).rglob("*.py")) if not f.name.endswith("_pb2.py")]


def imported(file: Path) -> set[str]:
    """Names of the modules that a file imports anywhere."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return found


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(ROOT)))
def test_imports_go_one_way(file: Path) -> None:
    here = file.relative_to(ROOT).parts[0]
    # A model is trained on what the stages see; the stages only ever load what came out.
    allowed = MAY_IMPORT[here] | ({"transforms"} if "training" in file.parts else set())
    for name in imported(file):
        parts = name.split(".")
        assert parts[0] not in FOLDERS, f"{file} imports a bare {parts[0]}: it is tracewinnow.{parts[0]}"
        if parts[0] == "tracewinnow" and len(parts) > 1 and parts[1] in FOLDERS:
            assert parts[1] == here or parts[1] in allowed, f"{file} may not import tracewinnow.{parts[1]}"


@pytest.mark.parametrize("file", sorted((ROOT / "transforms").glob("*.py")), ids=lambda f: f.name)
def test_stages_know_neither_beam_nor_kafka_nor_a_store(file: Path) -> None:
    if file.name != "dofns.py":
        outside = {"apache_beam", "confluent_kafka", "duckdb", "pyarrow", "google.cloud"}
        assert not [name for name in imported(file) for one in outside if name.startswith(one)]


def test_training_is_not_needed_to_answer() -> None:
    for file in FILES:
        if "training" not in file.parts and "programs" not in file.parts:
            assert not [
                name for name in imported(file) if "models.denoiser.training" in name or name.startswith("sklearn")
            ]


@pytest.mark.parametrize("verb", ["jobs", "show", "lines", "preprocess"])
def test_questions_need_no_pipeline(verb: str) -> None:
    names = imported(ROOT / f"src/tracewinnow/cli/{verb}.py")
    assert not [name for name in names if name.startswith(("tracewinnow.pipelines", "apache_beam"))]


def test_a_job_is_spared_what_it_does_not_need() -> None:
    heavy = ["apache_beam", "confluent_kafka", "torch", "duckdb", "pyarrow", "tiktoken", "click", "google.cloud"]
    code = f"import sys, tracewinnow.logger; print([m for m in {heavy!r} if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


def test_nothing_of_this_machine_is_in_the_repository() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:  # an unpacked source distribution
        names = [str(f.relative_to(ROOT)) for f in ROOT.rglob("*.py") if ".venv" not in f.parts]
    else:
        names = [name for name in listed.stdout.split("\0") if name]
    pattern = re.compile(r"(?<![\w.])/(?:root|work)/|files\.pythonhosted|pypi\.org|repo1?\.maven|proxy\.golang")
    found = []
    for name in names:
        file = ROOT / name
        if name != "tests/test_house.py" and file.is_file() and file.stat().st_size < 1 << 20:
            found += [name for row in file.read_text(errors="replace").splitlines() if pattern.search(row)]
        if name.endswith(".tar.xz"):
            with tarfile.open(file) as packed:
                texts = {one.name: packed.extractfile(one) for one in packed.getmembers()}
                read = {part: text.read().decode(errors="replace") for part, text in texts.items() if text is not None}
            found += [f"{name}: {part}" for part, text in read.items() if pattern.search(text)]
    assert found == []


@pytest.mark.parametrize("page", [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))], ids=lambda f: f.name)
def test_scripts_named_in_the_docs_are_there(page: Path) -> None:
    for script in re.findall(r"\binfra/[\w./-]+\.(?:sh|py|yaml)\b", page.read_text()):
        assert (ROOT / script).is_file(), f"{page.name} names {script}, which is not there"


def test_a_measurement_run_as_a_script_hides_no_module_of_python() -> None:
    assert not {file.stem for file in (ROOT / "bench").glob("*.py")} & sys.stdlib_module_names
