# More than 300 lines: the tests of one rename, and of what can come between.
"""The commit of a run: whatever kills the process and whenever, a reader has the old run or the new one."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import cases
import numpy as np
import pytest

from amtl_cvx.data import Dataset, read_point
from amtl_cvx.errors import DataError
from amtl_cvx.losses import Squared
from amtl_cvx.methods import fit
from amtl_cvx.options import Options
from amtl_cvx.problem import Model
from amtl_cvx.runfolder import RunFolder, read_history, read_run
from amtl_cvx.runfolder.content import write_pictures
from amtl_cvx.runfolder.files import OWN_PREFIX
from amtl_cvx.runfolder.settled import settled
from amtl_cvx.runfolder.state import read_state
from amtl_cvx.solution import Solution, Status
from amtl_cvx.transfer import LossWeightedL1
from amtl_cvx.untrusted import digest


@pytest.fixture(scope="module")
def data() -> Dataset:
    return Dataset(name="three", train=cases.random_tasks(np.random.default_rng(3), d=3, counts=(7, 9, 8)))


@pytest.fixture(scope="module")
def old(data: Dataset) -> Solution:
    """A certified solution."""
    solution = fit(data.train, Model(loss=Squared(), transfer=LossWeightedL1(mu=0.05), coupling=0.5))
    assert solution.status is Status.CERTIFIED
    return solution


@pytest.fixture(scope="module")
def new(old: Solution) -> Solution:
    """Another one of the same tasks, told by its W and its history."""
    return dataclasses.replace(old, blocks={**old.blocks, "W": 2 * old.W}, history=old.history[:1])


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures that take no time."""

    def sketch(folder: Path, *what: Any) -> None:
        (folder / "graph.png").touch()

    monkeypatch.setattr("amtl_cvx.runfolder.folder.write_pictures", sketch)


def given(data: Dataset, **changes: Any) -> dict[str, Any]:
    return {"dataset": data, "arguments": {"tol": 1e-8}, "seed": 5, **changes}


def write(place: Path, solution: Solution, data: Dataset, *, force: bool = False) -> Path:
    with RunFolder(place, force=force) as folder:
        return folder.write(solution, **given(data, scores={}, seed=len(solution.history)))


def in_child(do: Callable[[], None], *, killed_at: int | None = None) -> bool:
    """Run `do` in a forked child that dies before the k-th change of a folder; whether it came to its end."""
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1] == 0
    done = 0

    def count(event: str, _: object) -> None:
        nonlocal done
        done += event in ("os.rename", "os.remove", "os.rmdir", "os.mkdir")
        if done == killed_at:
            os._exit(9)

    try:
        sys.addaudithook(count)
        do()
        os._exit(0)
    finally:
        os._exit(1)


def which(place: Path, old: Solution, new: Solution) -> str:
    """The run that a reader finds in `place`, by all its files."""
    stored, history = read_run(place), read_history(place)
    for name, solution in (("old", old), ("new", new)):
        if np.array_equal(stored.W, solution.W):
            assert len(history) == len(solution.history)
            return name
    raise AssertionError("neither")


def _interrupt() -> None:
    raise KeyboardInterrupt


def leftovers(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.name.startswith(OWN_PREFIX)]


def assert_whole(place: Path) -> None:
    """run.json describes the files that are there, and no other of ours is."""
    files = json.loads((place / "run.json").read_text())["files"]
    assert all(digest(place / name) == known for name, known in files.items())
    assert {path.name for path in place.iterdir()} - {"notes.txt", "p.csv"} == {*files, "run.json"}


@pytest.mark.sampled(2)
@pytest.mark.parametrize("earlier", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_a_kill_at_any_step_leaves_one_whole_run(
    tmp_path: Path, old: Solution, new: Solution, data: Dataset, earlier: bool
) -> None:
    found, before = [], "none"
    if earlier:
        with RunFolder(tmp_path / "0" / "run") as folder:
            extra = {"numbers": lambda at: (at / "digits.json").write_text("{}")}
            folder.write(old, **given(data, scores={}, **extra))
        (tmp_path / "0" / "run" / "notes.txt").write_text("mine")
        before = "old"
    for step in range(1, 200):
        home = tmp_path / str(step)
        place = home / "run"
        shutil.copytree(tmp_path / "0", home) if earlier else home.mkdir()
        ended = in_child(lambda place=place: write(place, new, data), killed_at=step)
        found.append(which(place, old, new) if earlier or place.exists() else "none")
        with RunFolder(place):  # the next run finishes or undoes
            pass
        assert not leftovers(home)
        if place.exists():
            assert which(place, old, new) == found[-1]
            assert_whole(place)
            assert (place / "digits.json").exists() == (found[-1] == "old")
            assert (place / "notes.txt").exists() == earlier
        else:
            assert found[-1] == "none"
        if ended:
            break
    first = found.index("new")
    assert first > 0 and set(found[:first]) == {before} and set(found[first:]) == {"new"}


def test_what_fails_for_a_moment_is_read_again(tmp_path: Path, old: Solution, data: Dataset) -> None:
    """Another run may have been there between two looks at the same run.json; what is damaged fails twice."""
    write(tmp_path / "run", old, data)
    for fails in (1, 2):
        calls: list[int] = []

        def read(run: Mapping[str, Any], fails: int = fails, calls: list[int] = calls) -> str:
            calls.append(1)
            if len(calls) <= fails:
                raise DataError("of another run")
            return "read"

        if fails == 1:
            assert settled(tmp_path / "run", read) == "read"
        else:
            with pytest.raises(DataError, match="of another run"):
                settled(tmp_path / "run", read)
        assert len(calls) == 2


@pytest.mark.slow
def test_kills_at_random_moments(tmp_path: Path, old: Solution, new: Solution, data: Dataset) -> None:
    place, rng = tmp_path / "run", np.random.default_rng(0)
    write(place, old, data)

    def refit() -> None:
        for k in range(1000):
            write(place, (new, old)[k % 2], data)

    for _ in range(30):
        child = os.fork()
        if not child:
            refit()
            os._exit(0)
        time.sleep(rng.uniform(0.005, 0.05))
        for _ in range(20):  # a reader beside a writer
            stored = read_run(place)
            run = old if stored.run["seed"] == len(old.history) else new
            np.testing.assert_array_equal(stored.W, run.W)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        found = which(place, old, new)
        with RunFolder(place):
            pass
        assert which(place, old, new) == found and not leftovers(tmp_path)
        assert_whole(place)


def test_numbers_and_digest_are_of_one_file(
    tmp_path: Path, old: Solution, new: Solution, data: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a run is read another one takes its place, and gives it back."""
    place = write(tmp_path / "run", old, data)

    def slowly(source: Any) -> Any:
        write(place, new, data)
        found = read_point(source)
        write(place, old, data)
        return found

    monkeypatch.setattr("amtl_cvx.amtl.family.read_point", slowly)
    stored = read_run(place)
    assert stored.run["seed"] == len(old.history)
    np.testing.assert_array_equal(stored.W, old.W)


def test_only_own_files_are_replaced(tmp_path: Path, old: Solution, new: Solution, data: Dataset) -> None:
    place = write(tmp_path / "run", old, data)
    (place / "src").mkdir()
    others = (
        "notes.txt",
        "p.csv",
        "x.pdf",
        "src/main.py",
        "proof.json",
    )  # the last by certify --proof
    for name in others:
        (place / name).write_text(name)
    write(place, new, data)
    assert which(place, old, new) == "new"
    assert [(place / name).read_text() for name in others] == list(others)


def test_a_run_from_before_the_hashes_is_replaced_and_read(
    tmp_path: Path, old: Solution, new: Solution, data: Dataset
) -> None:
    place = write(tmp_path / "run", old, data)
    run = json.loads((place / "run.json").read_text())
    (place / "run.json").write_text(json.dumps({k: v for k, v in run.items() if k != "files"}))
    (place / "landscape.csv").touch()
    np.testing.assert_array_equal(read_run(place).W, old.W)
    write(place, new, data)
    assert which(place, old, new) == "new"
    assert_whole(place)


@pytest.mark.parametrize("name", ["solution.npz", "history.csv"])
def test_a_file_of_another_run_is_told_by_its_hash(
    tmp_path: Path, old: Solution, new: Solution, data: Dataset, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    place, other = write(tmp_path / "run", old, data), write(tmp_path / "other", new, data)
    (place / name).write_bytes((other / name).read_bytes())
    with pytest.raises(DataError, match="is not the file that the run.json beside it describes"):
        which(place, old, new)
    assert not caplog.records
    np.testing.assert_array_equal(
        read_run(place / "solution.npz").B, new.B
    )  # given by name: certify judges it
    assert bool(caplog.records) == (name == "solution.npz")


@pytest.mark.parametrize("status", [Status.INTERRUPTED, Status.STALLED])
def test_a_worse_run_goes_beside_a_certified_one(
    tmp_path: Path, old: Solution, new: Solution, data: Dataset, status: Status
) -> None:
    place = write(tmp_path / "run", old, data)
    worse = dataclasses.replace(new, status=status)
    word = "interrupted" if status is Status.INTERRUPTED else "uncertified"
    assert write(place, worse, data) == tmp_path / f"run.{word}"
    assert write(place, worse, data) == tmp_path / f"run.{word}-2"
    assert which(place, old, new) == "old" and which(tmp_path / f"run.{word}-2", old, new) == "new"
    assert write(place, worse, data, force=True) == place and which(place, old, new) == "new"
    assert write(place, dataclasses.replace(old, status=status), data) == place  # nothing certified is lost
    assert write(place, new, data) == place
    names = {"run", f"run.{word}", f"run.{word}-2"}  # runs that were asked for and are no checkpoints
    assert {path.name for path in tmp_path.iterdir()} == names


def test_a_second_run_to_the_same_place_is_refused(tmp_path: Path, old: Solution, data: Dataset) -> None:
    for place in (tmp_path / "run", write(tmp_path / "earlier", old, data)):
        before = sorted(tmp_path.rglob("*"))
        with RunFolder(place) as first:
            with pytest.raises(DataError, match=f"process {os.getpid()} .* is writing to"):
                RunFolder(place)
            with RunFolder(tmp_path / "another"):
                pass
            first.write(old, **given(data, scores={}))
        assert place == tmp_path / "run" or sorted(tmp_path.rglob("*")) == before


def test_a_checkpoint_is_a_run_folder_until_the_run_is_there(
    tmp_path: Path, old: Solution, new: Solution, data: Dataset
) -> None:
    stopped = fit(data.train, old.model, options=Options(callback=lambda record: _interrupt()))
    assert stopped.state is not None
    point = dataclasses.replace(stopped, blocks={**stopped.blocks, "W": new.W}, history=new.history)
    with RunFolder(tmp_path / "run") as folder:
        for solution in (old, point):
            assert folder.checkpoint(solution, **given(data)) == tmp_path / "run.interrupted"
            assert which(tmp_path / "run.interrupted", old, new) == ("old" if solution is old else "new")
            assert_whole(tmp_path / "run.interrupted")
        found = read_state(tmp_path / "run.interrupted")
        assert found is not None and found.history == stopped.history
        folder.write(old, **given(data, scores={}))
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_checkpoints_of_dead_runs_stay_until_a_certified_run_is_there(
    tmp_path: Path, old: Solution, new: Solution, data: Dataset
) -> None:
    place, point = tmp_path / "run", dataclasses.replace(new, status=Status.INTERRUPTED)
    (tmp_path / "run.interrupted").mkdir()
    (tmp_path / "run.interrupted" / "mine").touch()
    kept = tmp_path / "run.interrupted-2"

    def die(continued: Path | None = None) -> None:
        with RunFolder(place, continued=continued) as folder:
            assert folder.checkpoint(point, **given(data)) is not None
            os._exit(0)

    assert in_child(die)
    assert which(kept, old, new) == "new" and leftovers(tmp_path)
    assert in_child(lambda: die(continued=kept))  # goes on from it, and replaces it
    shutil.copytree(kept, tmp_path / "run.interrupted-copy")
    stalled = dataclasses.replace(old, status=Status.STALLED)
    assert write(place, stalled, data) == place and not leftovers(tmp_path)
    others = {"run", "run.interrupted", "run.interrupted-copy"}  # somebody's own
    assert {path.name for path in tmp_path.iterdir()} == {*others, kept.name}
    assert write(place, old, data) == place
    assert {path.name for path in tmp_path.iterdir()} == others


def test_a_checkpoint_that_cannot_be_written_is_a_warning(
    tmp_path: Path,
    old: Solution,
    data: Dataset,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def full(*args: Any, **settings: Any) -> None:
        raise OSError(28, "No space left on device")

    with RunFolder(tmp_path / "run") as folder:
        with monkeypatch.context() as patch:
            patch.setattr(np, "savez", full)
            assert folder.checkpoint(old, **given(data)) is None
        assert "No space left" in caplog.text
        folder.write(old, **given(data, scores={}))
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_picture_that_fails_is_a_warning(
    tmp_path: Path,
    old: Solution,
    data: Dataset,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken(path: Path) -> None:
        path.write_text("half")
        raise RuntimeError("no LaTeX")

    monkeypatch.setattr("amtl_cvx.runfolder.folder.write_pictures", write_pictures)
    monkeypatch.setattr("amtl_cvx.plotting.graph_figure", broken)
    monkeypatch.setattr("amtl_cvx.report.write_report", lambda path, **what: broken(path))
    with RunFolder(tmp_path / "run") as folder:
        folder.write(old, **given(data, scores={}, pictures={"landscape.png": broken}))
    np.testing.assert_array_equal(read_run(tmp_path / "run").W, old.W)
    assert_whole(tmp_path / "run")
    assert (tmp_path / "run" / "graph.graphml").exists()
    assert [record.args[0] for record in caplog.records if record.args] == [
        "graph.png", "report.html", "landscape.png"
    ]  # fmt: skip


def test_a_full_disk_sends_the_numbers_to_the_temporary_folder(
    tmp_path: Path, old: Solution, new: Solution, data: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, temporary, savez = write(tmp_path / "run", old, data), tmp_path / "tmp", np.savez
    temporary.mkdir()

    def full(path: Path, **arrays: Any) -> None:
        if place in path.parents:
            path.write_text("half")
            raise OSError(28, "No space left on device")
        savez(path, **arrays)

    monkeypatch.setattr(np, "savez", full)
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    with pytest.raises(DataError, match="No space left on device; the numbers are in") as failed:
        write(place, new, data)
    kept = Path(str(failed.value).rpartition(" ")[2])
    assert temporary in kept.parents and which(kept, old, new) == "new"
    assert which(place, old, new) == "old" and not leftovers(place)


def test_a_mount_point_is_written_to(
    tmp_path: Path, old: Solution, new: Solution, data: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = os.rename

    def across(source: Path, target: Path) -> None:
        if tmp_path / "run" in (source, target) or (tmp_path / "run" in target.parents) != (
            tmp_path / "run" in source.parents
        ):
            raise OSError(18, "Invalid cross-device link")
        rename(source, target)

    (tmp_path / "run").mkdir()
    monkeypatch.setattr(os, "rename", across)
    for solution, name in ((old, "old"), (new, "new")):
        assert which(write(tmp_path / "run", solution, data), old, new) == name
        assert_whole(tmp_path / "run")


def test_a_disk_that_is_full_before_the_fit_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(handle: int, content: bytes) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        with pytest.raises(DataError, match="No space left on device"):
            RunFolder(tmp_path / "deep" / "run")
    assert not list(tmp_path.iterdir())
    (tmp_path / ".amtl_cvx-none").mkdir()  # of a process that was killed before it could say who it was
    (tmp_path / ".amtl_cvx-empty").mkdir()
    (tmp_path / ".amtl_cvx-empty" / "owner").touch()
    with RunFolder(tmp_path / "run"):
        assert len(leftovers(tmp_path)) == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(os.getuid() == 0, reason="root may write anywhere")
def test_a_read_only_place_is_refused_before_the_fit(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(DataError, match="cannot write"):
        RunFolder(tmp_path / "run")
