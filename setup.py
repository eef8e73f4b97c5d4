"""Build: top-level folders install as subpackages of tracewinnow, and .pyx files become extensions. Metadata: pyproject.toml."""

import os
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

ROOT = Path(__file__).parent
FOLDERS = ["schemas", "codec", "models", "transforms", "logger", "stores", "pipelines", "serving"]
DATA = [
    "py.typed",
    *(
        f"**/*.{end}"
        for end in ("pyi", "proto", "json", "txt", "bin", "binpb", "html", "css", "js", "md", "npz", "onnx")
    ),
]
TRAINING = ["scenes/**", "labels/**", "recordings/**", "EVALUATION.md"]  # of a checkout, not of a wheel
COMPILE = ["-O3", "-g0", "-fwrapv", "-ffp-contract=off"]  # what debuggers read would be ten times the code
if os.environ.get("TRACEWINNOW_SANITIZE"):
    COMPILE = ["-O1", "-g", "-fwrapv", "-ffp-contract=off", "-fsanitize=address,undefined", "-fno-omit-frame-pointer"]


def packages() -> dict[str, str]:
    """Package name -> folder, for every folder that holds an __init__.py."""
    found = {"tracewinnow": "src/tracewinnow"}
    for folder in FOLDERS:
        for init in sorted((ROOT / folder).rglob("__init__.py")):
            inside = init.parent.relative_to(ROOT)
            found["tracewinnow." + ".".join(inside.parts)] = str(inside)
    for init in sorted((ROOT / "src/tracewinnow").glob("*/__init__.py")):
        found["tracewinnow." + init.parent.name] = str(init.parent.relative_to(ROOT))
    return found


def extensions() -> list[Extension]:
    """One self-contained extension for each .pyx file."""
    found = []
    for folder in FOLDERS:
        for source in sorted((ROOT / folder).rglob("*.pyx")):
            inside = source.relative_to(ROOT)
            name = "tracewinnow." + ".".join(inside.with_suffix("").parts)
            found.append(Extension(name, [str(inside)], extra_compile_args=COMPILE))
    return found


def version() -> str:
    """The version is written once, in src/tracewinnow/version.py."""
    scope: dict[str, str] = {}
    exec((ROOT / "src/tracewinnow/version.py").read_text(), scope)  # noqa: S102 - our own file, at build time
    return scope["VERSION"]


PACKAGES = packages()
setup(
    version=version(),
    packages=list(PACKAGES),
    package_dir=PACKAGES,
    package_data=dict.fromkeys(PACKAGES, DATA),
    exclude_package_data={
        "tracewinnow.models.denoiser": TRAINING,
        "tracewinnow.models": [f"denoiser/{pattern}" for pattern in TRAINING],
        "tracewinnow": [f"models/denoiser/{pattern}" for pattern in TRAINING],
    },
    include_package_data=False,
    ext_modules=cythonize(extensions(), language_level=3, build_dir="build/cython", nthreads=0) if extensions() else [],
)
