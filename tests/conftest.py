"""Fixtures of all tests: one seeded generator, the real data beside the project, a command line."""

from __future__ import annotations

import gc
import multiprocessing.connection
import os
import shutil
import signal
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # tests run side by side, and before NumPy is there
signal.signal(signal.SIGINT, signal.default_int_handler)  # a suite in the background starts with it ignored
for _name in ("SIGTERM", "SIGHUP"):
    if hasattr(signal, _name):
        signal.signal(getattr(signal, _name), signal.SIG_DFL)

import pytest  # noqa: E402

pytest.register_assert_rewrite(
    "command_line", "data_files", "pictures", "side_by_side", "streamed", "written_tables"
)

# What takes long to import waits for the first fixture: the process that hands out tests needs none of it.
if TYPE_CHECKING:
    import numpy as np
    from command_line import Answer, Run

    from amtl_cvx.parallel import WorkerPool
    from amtl_cvx.solution import Solution


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """`sampled(k)`: of the instances of a test one in k is fast, the others are slow."""
    for _, instances in groupby(items, key=lambda item: item.nodeid.partition("[")[0]):
        for i, item in enumerate(instances):
            for mark in item.iter_markers("sampled"):
                if i % mark.args[0]:
                    item.add_marker(pytest.mark.slow)


def pytest_collection_finish() -> None:
    """Thousands of tests and the packages below stay: the collector of garbage need not see them again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def registered() -> Iterator[None]:
    """What a test registers is gone after it."""
    from amtl_cvx.losses import LOSSES
    from amtl_cvx.transfer import TRANSFERS

    before = [(known, dict(known)) for known in (LOSSES, TRANSFERS)]
    yield
    for known, names in before:
        known.clear()
        known.update(names)


@pytest.fixture(autouse=True, scope="session")
def few_pixels() -> Iterator[None]:
    """The pictures of a page are drawn with few pixels."""
    from amtl_cvx.report import pictures as report_pictures

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report_pictures, "_DPI", 30)
        yield


@pytest.fixture
def rng() -> np.random.Generator:
    """The only source of randomness in a test."""
    import numpy as np

    return np.random.default_rng(20160619)


@pytest.fixture
def shared_data() -> Path:
    """The folder of real data: AMTL_CVX_DATA, else ../shared/data beside the repository; skips without it."""
    named = os.environ.get("AMTL_CVX_DATA")
    folder = Path(named) if named else Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no real data: AMTL_CVX_DATA is {named!r} and {folder} does not exist")
    return folder


@pytest.fixture
def pictures() -> None:
    """Asks `run` for real pictures and a real report, a second a run."""


@pytest.fixture
def run(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> Run:
    """Runs one command inside an empty folder; picture and report are empty without `pictures`."""
    from command_line import Answer

    from amtl_cvx.cli import main
    from amtl_cvx.runfolder import folder as run_folder

    def sketch(folder: Path, solution: Solution, *what: Any) -> None:
        if solution.family.name == "amtl":
            solution.graph.write_graphml(folder / "graph.graphml")
        for name in ("graph.png", "report.html"):
            (folder / name).touch()

    monkeypatch.chdir(tmp_path)
    if "pictures" not in request.fixturenames:
        monkeypatch.setattr(run_folder, "write_pictures", sketch)

    def call(*argv: object) -> Answer:
        capsys.readouterr()
        try:
            code = main([str(word) for word in argv])
        except SystemExit as stop:
            code = int(stop.code or 0)
        return Answer(code, *capsys.readouterr())

    return call


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the run `run` and its data `a.npz`, of real files; not to be changed."""
    import numpy as np
    from command_line import GIVEN, arrays

    from amtl_cvx.cli import main

    folder = tmp_path_factory.mktemp("once")
    np.savez(folder / "a.npz", **arrays())
    options = (*GIVEN, "--standardize", "--intercept", "--quiet")
    assert main(["fit", str(folder / "a.npz"), "--out", str(folder / "run"), *options]) == 0
    return folder


@pytest.fixture
def fitted(run: Run, once: Path) -> Path:
    """A run folder `run` beside its data `a.npz`, both in the current folder."""
    shutil.copytree(once, ".", dirs_exist_ok=True)
    return Path("run")


@pytest.fixture(scope="session")
def pool() -> Iterator[WorkerPool]:
    """Two processes for the tests of parallel work; one that a test ends is replaced."""
    from amtl_cvx.parallel import WorkerPool

    with WorkerPool(2) as executor:
        yield executor


@pytest.fixture(scope="session")
def processes() -> Iterator[Executor]:
    """Two processes that are not replaced: no test of this one ends them."""
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as executor:
        yield executor


@pytest.fixture(params=["none", "threads", "processes", "pool"])
def executor(request: pytest.FixtureRequest) -> Iterator[Executor | None]:
    """Every way of working on one machine."""
    if request.param == "threads":
        with ThreadPoolExecutor(3) as threads:
            yield threads
    else:
        yield None if request.param == "none" else request.getfixturevalue(request.param)


@pytest.fixture
def two_hundred_decimals() -> Iterator[None]:
    """200 decimals in mpmath, and the precision of flint as it was found."""
    import mpmath
    from flint import ctx

    before = ctx.prec
    with mpmath.workdps(200):
        yield
    assert ctx.prec == before
