"""The judge before back ends that are right, and before those that are wrong in one place."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np
import pytest
from backends.broken import BROKEN, PACKS, Broken, programs
from backends.dense import Dense
from backends.terms import ROWS

from amtl_cvx.reference import read_pack
from amtl_cvx.reference.judge import Asked, Executable, PythonBackEnd, Verdict, judge
from amtl_cvx.reference.judge.asked import ASKS
from amtl_cvx.reference.judge.causes import MISTAKES

FEW = ("squared-row-weights-t4", "logistic-sum-t4-d4")
SOURCE = Path(__file__).parent / "backends" / "solve.cpp"
SAID = {"row_weights": True}
QUICK = (
    "AnswerTransposed",
    "TakesNegativePrices",
)
"""Broken back ends that are judged in every run."""


def faults(verdict: Verdict) -> list[str]:
    """What failed, in words."""
    return [f"{result.check.id}: {result.words}" for result in verdict.failed]


def told(verdict: Verdict, cause: str, patterns: Iterable[str]) -> None:
    """Of each pattern a check failed; every failed one names the cause, and one names nothing else."""
    failed = {result.check.id: [each.name for each in result.causes] for result in verdict.failed}
    for pattern in patterns:
        assert any(fnmatchcase(name, pattern) for name in failed), f"{pattern}: failed are {sorted(failed)}"
    if not cause:
        return  # the check says all there is
    without = {name: causes for name, causes in failed.items() if cause not in causes}
    assert not without, f"{cause!r} is not named: {without}"
    assert [cause] in failed.values(), f"{cause!r} never stands alone: {failed}"


# ----------------------------------------------------------------------------------- back ends that are right


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.sampled(2)
def test_numpy_passes(dtype: str) -> None:
    verdict = judge(Dense(dtype), packs=FEW)
    assert verdict.passes, faults(verdict)
    assert set(verdict.levels()) >= {"L0", "L1", "L2", "L3"}


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_numpy_passes_every_check_that_is_made_unasked(dtype: str) -> None:
    verdict = judge(Dense(dtype))
    assert verdict.passes, faults(verdict)
    assert len(verdict.results) >= 120


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_pytorch_passes_every_check(dtype: str) -> None:
    if importlib.util.find_spec("torch") is None:
        pytest.skip("PyTorch is not installed: pip install torch, and run this again")
    import torch
    from backends.traced import Traced

    torch.set_num_threads(1)
    verdict = judge(PythonBackEnd(Traced(dtype), limit=60.0), packs=[*FEW, *PACKS.values()])
    assert verdict.passes, faults(verdict)


@pytest.fixture(scope="session")
def compiler() -> str:
    """The system's C++ compiler; skips where there is none."""
    found = shutil.which("c++") or shutil.which("g++") or shutil.which("clang++")
    if found is None:
        pytest.skip("no C++ compiler: neither c++, g++ nor clang++ is on the path")
    return found


def built(compiler: str, source: Path, *options: str) -> Path:
    """The program of a source, beside it."""
    program = source.with_suffix("")
    command = [compiler, "-std=c++17", *options, "-o", str(program), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return program


@pytest.fixture(scope="session")
def solve(compiler: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The C++ back end, built."""
    copy = tmp_path_factory.mktemp("program") / SOURCE.name
    shutil.copy(SOURCE, copy)
    return built(compiler, copy, "-O2", "-Wall", "-Wextra", "-Werror")


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_cpp_passes_every_check(solve: Path, dtype: str) -> None:
    verdict = judge(Executable([str(solve)], said={**SAID, "dtype": dtype}))
    assert verdict.passes, faults(verdict)
    assert len(verdict.results) >= 120


@pytest.mark.slow
def test_cpp_says_what_it_does_not_do(solve: Path) -> None:
    verdict = judge(Executable([str(solve)], said={"losses": ("huber",)}), packs=["huber-mean-t3-d3"])
    assert {result.status for result in verdict.results if result.check.level != "L5"} == {"skipped"}


def test_float32_is_computed_in_float32() -> None:
    problem = read_pack("logistic-sum-t4-d4")
    backend, seen = Dense("float32"), []
    for ask in ASKS:
        W, B = problem.solution["W"], problem.solution["B"]
        asked = Asked.of(problem.problem, ask, W=W, B=B, task=1, count=2, dtype="float32")
        found = getattr(backend, asked.method)(asked)
        parts = found.values() if isinstance(found, dict) else found if ask == "fit" else [found]
        seen += [np.asarray(part) for part in parts if not isinstance(part, float)]
    assert {each.dtype.name for each in seen} == {"float32"}
    z, y = np.float32([-30, 0.5, 40]), np.float32([1, -1, 1])
    assert {part(z, y).dtype.name for parts in ROWS.values() for part in parts} == {"float32"}


# ----------------------------------------------------------------------------------- back ends that are wrong


def test_every_mistake_that_is_named_has_a_broken_back_end() -> None:
    assert set(MISTAKES) - {broken.cause for broken in BROKEN} == set()
    assert sum(broken.cause in MISTAKES for broken in BROKEN) >= 45
    assert len({broken.name for broken in BROKEN}) == len(BROKEN)
    assert set(QUICK) <= {broken.name for broken in BROKEN}


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(each, id=each.name, marks=() if each.name in QUICK else pytest.mark.slow)
        for each in BROKEN
    ],
)
def test_what_is_wrong_fails_where_it_is_wrong_and_is_called_by_its_name(broken: Broken) -> None:
    verdict = judge(PythonBackEnd(broken.make(), limit=broken.limit), packs=[broken.pack])
    told(verdict, broken.cause, broken.fails)


@pytest.mark.slow
@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(each, id=each.name)
        for each in BROKEN[::6]
        if each.cause in MISTAKES and each.cause != "float32 accumulation"
    ],
)
def test_a_mistake_is_called_by_its_name_in_float32(broken: Broken) -> None:
    backend = PythonBackEnd(broken.make("float32"), limit=broken.limit)
    told(judge(backend, packs=[broken.pack]), broken.cause, broken.fails)


@pytest.mark.parametrize("name", programs.SCRIPTS)
@pytest.mark.sampled(6)
def test_a_program_that_goes_wrong_is_a_failed_check(name: str, tmp_path: Path) -> None:
    _, words = programs.SCRIPTS[name]
    seconds = 0.5 if words == "no answer within" else 10.0
    backend = Executable([str(programs.script(tmp_path, name))], said=SAID, limit=seconds, memory=2**26)
    verdict = judge(backend, packs=["step-w-squared-sum"])
    seen = [result for result in verdict.failed if result.check.needs == "w-step"]
    assert seen and not verdict.passes
    assert all(words in result.words or "not asked any more" in result.words for result in seen), faults(
        verdict
    )
    assert verdict.seconds < 20.0


@pytest.mark.slow
@pytest.mark.parametrize("name", programs.CHANGES)
def test_a_program_with_a_mistake_is_told_so(name: str, compiler: str, tmp_path: Path) -> None:
    cause, sound, faulty, pattern, where = programs.CHANGES[name]
    text = SOURCE.read_text()
    assert text.count(sound) == 1, f"{sound!r} occurs {text.count(sound)} times in {SOURCE.name}"
    source = tmp_path / "solve.cpp"
    source.write_text(text.replace(sound, faulty))
    backend = Executable([str(built(compiler, source, "-O0"))], said=SAID)
    levels = ["L0", "L1", "L3"] if cause else ["L5"]  # what is not read is not refused either, L5 says so
    told(judge(backend, packs=[PACKS[where]], levels=levels), cause, [pattern])
