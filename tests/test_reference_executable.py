"""A program as a back end: its files, its limits, and whatever it may do wrong."""

from __future__ import annotations

import os
import signal
import stat
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from judged_pair import pair_pack

from amtl_cvx.errors import ModelError
from amtl_cvx.reference import Pack
from amtl_cvx.reference.judge import Asked, Executable, judge
from amtl_cvx.reference.judge.answers import NoAnswer

pytestmark = pytest.mark.skipif(os.name != "posix", reason="programs are written for a POSIX shell")

SOLVE = """
import json, pathlib, sys
import numpy as np
given, taken = map(pathlib.Path, sys.argv[1:])
said = json.loads((given / "ask.json").read_text())
plain = dict(line.split(" ", 1) for line in (given / "ask.txt").read_text().splitlines())
assert plain["ask"] == said["ask"] and float(plain["mu"]) == said["mu"] and int(plain["d"]) == said["d"]
X, y, task, W, B = (np.load(given / f"{name}.npy") for name in ("X", "y", "task", "W", "B"))
if said["ask"] not in ("evaluate", "b-step"):
    sys.exit(64)
T, lam = said["T"], said["coupling"]
losses = [getattr((X[task == t] @ W[:, t] - y[task == t]) ** 2, said["reduction"])() for t in range(T)]
losses = np.array(losses)
if said["ask"] == "evaluate":
    prices = 1 + said["mu"] * B.sum(axis=1)
    np.save(taken / "objective.npy", prices @ losses + lam * ((W - W @ B) ** 2).sum())
    (taken / "losses.csv").write_text(",".join(map(repr, losses.tolist())))
else:
    b = (W[:, 0] @ W[:, 1] - said["mu"] * losses / (2 * lam)) / (W**2).sum(axis=0)
    np.savetxt(taken / "B.csv", [[0, max(b[0], 0)], [max(b[1], 0), 0]], delimiter=",", fmt="%.17g")
"""


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Pack:
    return pair_pack(tmp_path_factory.mktemp("packs"))


@pytest.fixture
def asked(pack: Pack) -> Asked:
    return Asked.of(pack.problem, "w-step", B=pack.solution["B"])


def shell(folder: Path, *lines: str) -> str:
    """A program of a few lines of shell, its input in $1 and its output in $2."""
    path = folder / "solve"
    path.write_text("\n".join(("#!/bin/sh", *lines)) + "\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def fault(asked: Asked, command: str | list[str], *, limit: float = 5.0, memory: int | None = 2**30) -> str:
    """Kind and words of there being no answer."""
    with pytest.raises(NoAnswer) as found:
        Executable(command, limit=limit, memory=memory).answer(asked)
    assert "\n" not in str(found.value)
    return f"{found.value.kind}: {found.value}"


@pytest.mark.sampled(2)
def test_a_program_answers_by_files_about_two_packs_at_once(pack: Pack, tmp_path: Path) -> None:
    script = tmp_path / "solve.py"
    script.write_text(SOLVE)
    backend = Executable(
        [sys.executable, str(script)], name="mine", said={"losses": ["squared"]}, memory=None
    )
    packs, seen = [pack, pair_pack(tmp_path, reduction="sum")], list[str]()
    verdict = judge(
        backend, packs=packs, levels=["L0", "L1"], observe=lambda result: seen.append(result.check.pack)
    )
    assert verdict.passes and verdict.backend == "mine", [r.words for r in verdict.failed]
    counts = {ask: 0 for ask in ("evaluate", "b-step", "w-step", "one-task")}
    for result in verdict.results:
        counts[result.check.needs] += result.status == "passed"
    assert counts == {"evaluate": 12, "b-step": 12, "w-step": 0, "one-task": 0}
    assert seen == sorted(seen) and len(set(seen)) == backend.at_once == 2
    assert "exit code 64" in next(r.words for r in verdict.results if r.check.needs == "w-step")
    assert "process group" in verdict.bounds


def test_crashes_refusals_and_silence(asked: Asked, tmp_path: Path) -> None:
    assert fault(asked, shell(tmp_path, "kill -SEGV $$")) == "crashed: it was ended by SIGSEGV"
    assert fault(asked, shell(tmp_path, "echo 'mu < 0' >&2; exit 3")) == "refused: exit code 3: mu < 0"
    assert fault(asked, shell(tmp_path, "exit 64")).startswith("unsupported: exit code 64")
    assert fault(asked, shell(tmp_path, "exit 0")) == "invalid: exit code 0, and OUT_DIR has none of W.npy"
    (tmp_path / "solve").write_bytes(b"\x00\x01\x02")
    assert fault(asked, str(tmp_path / "solve")).startswith("crashed: ")


def test_a_program_that_takes_its_folders_away(asked: Asked, tmp_path: Path) -> None:
    for line in ('rm -rf "$1"', 'rm -rf "$1"; echo x > "$1"', 'rm -rf "$1"; ln -s / "$1"'):
        assert fault(asked, shell(tmp_path, line)).startswith("tampered: it took IN_DIR away")
    assert fault(asked, shell(tmp_path, 'rm -rf "$2"')).startswith("invalid")
    said = shell(tmp_path, "echo why >&2", 'rm "$1/../said"', 'mkfifo "$1/../said"', "exit 3")
    assert fault(asked, said) == "refused: exit code 3: why"


@pytest.mark.slow
def test_a_program_that_hangs_is_killed_with_its_children(asked: Asked, tmp_path: Path) -> None:
    mark = tmp_path / "child"
    started = time.perf_counter()
    words = fault(asked, shell(tmp_path, f"(sleep 1; touch {mark}) & sleep 60"), limit=0.2)
    assert words == "hung: no answer within 0.2 s: it was killed" and time.perf_counter() - started < 3.0
    left = shell(tmp_path, f"(sleep 1; touch {mark}) &", "exit 0")
    assert fault(asked, left).startswith("invalid")
    time.sleep(1.2)
    assert not mark.exists()


def test_memory_is_bounded(asked: Asked, tmp_path: Path) -> None:
    words = fault(asked, [sys.executable, "-S", "-c", "bytearray(2**32)"], memory=2**29)
    assert words == "refused: exit code 1: MemoryError"


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (("mkfifo $2/W.npy",), "W.npy is not a plain file"),
        (("ln -s /dev/zero $2/W.npy",), "W.npy is not a plain file"),
        (("mkdir $2/W.npy",), "W.npy is not a plain file"),
        (("head -c 200000 /dev/zero > $2/W.npy",), "W.npy has 200000 bytes, expected at most"),
        (("head -c 200 /dev/zero > $2/W.npy",), "W.npy is no .npy file: ValueError"),
        (("head -c 100 $1/W.npy > $2/W.npy",), "W.npy"),
        (("cp $1/B.npy $2/W.npy",), r"W must have the shape (3, 2), it has (2, 2)"),
        (("cp $1/task.npy $2/W.npy",), "W must have the shape"),
        (("echo 'one,two' > $2/W.csv",), "W.csv is no table of numbers"),
        (("echo '1,2\n3' > $2/W.csv",), "W.csv is no table of numbers"),
        (("printf '1,2\\n3,4\\n5,nan\\n' > $2/W.csv",), "W must be finite, it is nan at [2, 1]"),
        (("cp $1/W.npy $2/; echo x >> $1/B.npy",), "it wrote into IN_DIR (B.npy)"),
        (("cp $1/W.npy $2/; rm $1/y.npy",), "it wrote into IN_DIR (y.npy)"),
        (("cp $1/W.npy $2/; touch $1/new",), "it wrote into IN_DIR (new)"),
    ],
)
def test_what_it_leaves_is_read_without_trust(
    asked: Asked, tmp_path: Path, lines: tuple[str, ...], words: str
) -> None:
    assert words in fault(asked, shell(tmp_path, *lines))


def test_an_array_of_objects_is_not_loaded(asked: Asked, tmp_path: Path) -> None:
    mark = tmp_path / "executed"

    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(mark),)

    np.save(tmp_path / "W.npy", np.array([Evil()], dtype=object), allow_pickle=True)
    assert "Python objects" in fault(asked, shell(tmp_path, f"cp {tmp_path}/W.npy $2/"))
    assert not mark.exists()


def test_a_command_is_found_or_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="'no-such-program' is not there"):
        Executable("no-such-program --fast")
    with pytest.raises(ModelError, match="empty"):
        Executable("  ")
    assert Executable(shell(tmp_path, "exit 0") + " --threads 2").name == "solve"


def test_float32_is_handed_over_in_float32(pack: Pack, tmp_path: Path) -> None:
    asked = Asked.of(pack.problem, "w-step", dtype="float32")
    keep = shell(tmp_path, f"cp $1/*.npy $1/ask.txt {tmp_path}/; cp $1/W.npy $2/")
    assert Executable(keep, said={"dtype": "float32"}).answer(asked)["W"].dtype == np.float64
    kinds = {path.stem: np.load(path).dtype.str for path in tmp_path.glob("*.npy")}
    assert kinds == {"X": "<f4", "y": "<f4", "W": "<f4", "B": "<f4", "task_weights": "<f4", "task": "<i8"}
    assert "dtype float32\n" in (tmp_path / "ask.txt").read_text()
    assert np.array_equal(np.load(tmp_path / "X.npy"), np.concatenate(asked.X))


@pytest.mark.slow
def test_an_interrupted_judge_ends_what_runs(pack: Pack, tmp_path: Path) -> None:
    hangs = Executable(shell(tmp_path, "sleep 60"), limit=20.0)
    others = [pack, pair_pack(tmp_path, reduction="sum")]
    main = threading.get_ident()
    timer = threading.Timer(0.5, lambda: signal.pthread_kill(main, signal.SIGINT))
    earlier, started = signal.signal(signal.SIGINT, signal.default_int_handler), time.perf_counter()
    timer.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            judge(hangs, packs=others, levels=["L0"])
    finally:
        signal.signal(signal.SIGINT, earlier)
    assert time.perf_counter() - started < 10.0
    hangs.begin()
    assert fault_of(hangs, pack).startswith("hung: no answer within 0.1 s")


def fault_of(backend: Executable, pack: Pack) -> str:
    """What there is of an answer, once more."""
    backend._limit = 0.1
    with pytest.raises(NoAnswer) as found:
        backend.answer(Asked.of(pack.problem, "evaluate"))
    return f"{found.value.kind}: {found.value}"
