"""What is shipped: the source distribution holds every source and data file, and nothing that was compiled here."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGED = ("src", "schemas", "codec", "models", "transforms", "logger", "stores", "pipelines", "serving")
COMPILED = (".so", ".pyc", ".c")
LEFT_OUT = shutil.ignore_patterns("*.so", "*.pyc", "*.c", "__pycache__")


def test_the_source_distribution_is_whole_and_clean(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    for name in ("pyproject.toml", "setup.py", "MANIFEST.in", "LICENSE", "README.md", "CHANGELOG.md"):
        shutil.copy(ROOT / name, tree)
    for folder in PACKAGED:
        if (ROOT / folder).is_dir():
            shutil.copytree(ROOT / folder, tree / folder, ignore=LEFT_OUT)
    wanted = {str(file.relative_to(tree)) for file in tree.rglob("*") if file.is_file()}
    for ending in COMPILED:  # what a build in place leaves
        (tree / "transforms" / f"leftover{ending}").write_text("")
    built = subprocess.run(
        [sys.executable, "-m", "build", "--sdist", "--no-isolation", "--outdir", str(tmp_path / "dist"), str(tree)],
        capture_output=True,
        text=True,
    )
    assert built.returncode == 0, built.stdout[-3000:] + built.stderr[-3000:]
    [made] = (tmp_path / "dist").glob("*.tar.gz")
    with tarfile.open(made) as archive:
        members = [member for member in archive.getmembers() if member.isfile()]
    held = {member.name.partition("/")[2] for member in members}
    assert wanted - held == set()
    assert [name for name in held if name.endswith(COMPILED)] == []
    assert sum(member.size for member in members) < 22 << 20  # half of it the encoder
