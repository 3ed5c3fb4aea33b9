"""What the entrants run in: this Python, a virtual environment of their own, a compiled library.

Everything that has to be built goes to a cache folder outside the repository and is built once. What cannot
be built is `Unavailable`, with the reason.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

FLAGS = (
    "-std=c++17", "-O3", "-march=native", "-fno-math-errno", "-fno-signed-zeros", "-fno-trapping-math",
    "-fassociative-math", "-shared", "-fPIC",
)  # fmt: skip
SOURCE = Path(__file__).with_name("peers") / "alternation.cpp"
MINIMUM = (3, 12)
"""Oldest Python that dbcp installs on."""


class Unavailable(Exception):  # noqa: N818
    """An entrant that cannot run here, and why."""


def default_cache() -> Path:
    """AMTL_CVX_BENCH_CACHE, else a folder of the user's cache."""
    named = os.environ.get("AMTL_CVX_BENCH_CACHE")
    return Path(named) if named else Path.home() / ".cache" / "amtl-cvx-benchmark"


def dbcp(cache: Path) -> str:
    """A Python with dbcp."""
    return _environment(cache / "dbcp", _recent_python(), ["dbcp==1.0.1"])


def uno(cache: Path) -> str:
    """A Python with UNO and this environment's CVXPY."""
    cvxpy = f"cvxpy=={importlib.metadata.version('cvxpy')}"
    return _environment(cache / "uno", sys.executable, [cvxpy, "unopy"])


def library(cache: Path) -> Path:
    """alternation.cpp, compiled for this processor."""
    chosen = compiler()
    key = hashlib.sha256("\0".join([SOURCE.read_text(), chosen, *FLAGS]).encode()).hexdigest()[:16]
    target = cache / f"alternation-{key}.so"
    if not target.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as folder:
            made = Path(folder) / target.name
            _run([chosen, *FLAGS, str(SOURCE), "-o", str(made)], "the compiled alternation")
            made.replace(target)
    return target


def compiler() -> str:
    """The system's C++ compiler: $CXX, else the first that is found."""
    for name in (os.environ.get("CXX"), "c++", "g++", "clang++"):
        if name and (found := shutil.which(name)):
            return found
    raise Unavailable("no C++ compiler found: install one or set CXX")


def compiler_version() -> str:
    """First line of what the compiler says about itself."""
    return subprocess.run([compiler(), "--version"], capture_output=True, text=True).stdout.split("\n")[0]


def _environment(folder: Path, python: str, packages: Sequence[str]) -> str:
    """The Python of a virtual environment that holds `packages`, made unless it is there."""
    own, stamp = folder / "bin" / "python", folder / "installed.txt"
    wanted = "\n".join(packages)
    if not (stamp.is_file() and stamp.read_text() == wanted):
        _run([python, "-m", "venv", "--clear", str(folder)], f"the environment {folder.name}")
        _run([str(own), "-m", "pip", "install", "-q", *packages], f"the environment {folder.name}")
        stamp.write_text(wanted)
    return str(own)


def _recent_python() -> str:
    if sys.version_info >= MINIMUM:
        return sys.executable
    check = f"import sys; sys.exit(sys.version_info < {MINIMUM})"
    for name in (os.environ.get("AMTL_CVX_BENCH_PYTHON"), "python3.13", "python3.12", "python3.14"):
        found = name and shutil.which(name)
        if found and subprocess.run([found, "-c", check], capture_output=True).returncode == 0:
            return found
    raise Unavailable("dbcp needs Python 3.12 or later, none found: set AMTL_CVX_BENCH_PYTHON to one")


def _run(command: Sequence[str], what: str) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        raise Unavailable(f"{what} could not be built: {error}") from error
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise Unavailable(f"{what} could not be built: {last}")
