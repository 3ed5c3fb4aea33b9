"""Work on a Dask cluster: what a serial loop gives, whatever happens to workers and scheduler."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from dataclasses import replace
from pathlib import Path
from typing import Any

import cases
import numpy as np
import pytest
from command_line import GIVEN, Run, arrays
from jobs import (
    NUMBERS,
    Luggage,
    fails,
    times,
    weigh,
)
from side_by_side import assert_same, grid, make_model

from amtl_cvx.errors import ModelError, SolveError
from amtl_cvx.experiment import fit_many
from amtl_cvx.losses import Logistic
from amtl_cvx.methods import fit
from amtl_cvx.options import Options
from amtl_cvx.parallel import (
    INLINE,
    cluster,
    dispatch,
    ordered_map,
    silence,
    worker,
    workers,
)
from amtl_cvx.solution import Record, Solution
from amtl_cvx.subproblems import transfer, weights
from amtl_cvx.transfer import LossWeightedL1


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A scheduler and two worker processes on this machine."""
    distributed = pytest.importorskip("distributed", reason="dask.distributed is not installed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0", silence_logs=50
    ) as cluster:
        yield cluster.scheduler_address


@pytest.mark.slow
@pytest.mark.parametrize("size", [10, INLINE + 1])
def test_shared_data_reach_each_dask_worker_once(address: str, size: int, tmp_path: Path) -> None:
    luggage = Luggage(tmp_path / "log", size)
    with workers(scheduler=address) as executor:
        found = ordered_map(weigh, NUMBERS, shared=luggage, executor=executor)
    assert found == [size + n for n in NUMBERS]
    places = luggage.log.read_text().split()
    assert 1 <= len(places) == len(set(places)) <= 2


class Ready(Executor):
    """Does every job at once, so that all have ended when the first is looked at."""

    def submit(self, work: Callable[..., Any], /, *args: Any, **options: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(work(*args, **options))
        return future


def test_later_jobs_that_ended_with_the_failed_one_do_not_matter() -> None:
    with pytest.raises(SolveError, match="^job 2$"):
        ordered_map(fails, NUMBERS, shared=2, executor=Ready())


@pytest.mark.slow
def test_dask_raises_the_earliest_error_as_it_is(address: str) -> None:
    with workers(scheduler=address) as executor, pytest.raises(SolveError, match="^job 2$") as caught:
        ordered_map(fails, NUMBERS, shared=2, executor=executor)
    assert (caught.value.solver, caught.value.round) == ("SCS", 2)


@pytest.mark.slow
def test_many_fits_with_a_dask_worker_killed_in_the_middle(address: str, rng: np.random.Generator) -> None:
    jobs, killed = grid(rng), []
    with workers(scheduler=address) as executor:
        client = executor._client  # type: ignore[union-attr]

        def kill(number: int, solution: Solution) -> None:
            if not killed:
                killed.extend(client.run(os.getpid).values())
                os.kill(killed[0], signal.SIGKILL)

        found = fit_many(jobs, executor=executor, observe=kill)
        client.wait_for_workers(2, timeout=60)
        assert killed[0] not in client.run(os.getpid).values()
    assert_same(found, fit_many(jobs))


@pytest.mark.slow
def test_the_steps_of_a_fit_with_a_dask_worker_killed_between_rounds(
    address: str, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "COLUMN_SIZE", 2)
    monkeypatch.setattr(transfer, "JOB_COLUMNS", 1)
    monkeypatch.setattr(weights, "SPREAD_SIZE", 1)
    tasks = cases.random_tasks(rng, loss="logistic", counts=(20, 15, 25, 18, 22))
    model = make_model(loss=Logistic(), transfer=LossWeightedL1(mu=0.01))
    options = Options(max_rounds=6, refine=False)
    with workers(scheduler=address) as executor:
        client = executor._client  # type: ignore[union-attr]

        def kill(record: Record) -> None:
            if (record.round, record.step) == (2, "W"):
                os.kill(next(iter(client.run(os.getpid).values())), signal.SIGKILL)

        found = fit(tasks, model, options=replace(options, executor=executor, callback=kill))
    assert found.history[-1].round == 6
    assert_same([found], [fit(tasks, model, options=options)])


@pytest.mark.slow
def test_the_command_line_works_on_the_cluster(address: str, run: Run) -> None:
    np.savez("a.npz", **arrays())
    for name, words in (("here", ()), ("there", ("--scheduler", address))):
        answer = run("fit", "a.npz", "--out", name, "--coupling", "auto", "--mu", "auto", *words)
        assert answer.code == 0
    here, there = (np.load(f"{name}/solution.npz") for name in ("here", "there"))
    for name in here:
        np.testing.assert_array_equal(here[name], there[name])


@pytest.mark.slow
def test_an_address_without_a_scheduler_is_one_line(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed", reason="dask.distributed is not installed")
    monkeypatch.setattr(cluster, "PATIENCE", 0.5)
    np.savez("a.npz", **arrays())
    answer = run("fit", "a.npz", "--out", "run", *GIVEN, "--scheduler", "tcp://127.0.0.1:1")
    assert answer.code == 2 and len(answer.err.splitlines()) == 1
    assert answer.err.startswith("error: no Dask scheduler answers at 'tcp://127.0.0.1:1': start one")


class Scheduler:
    """What `_Pulse` asks of a Dask client, as far as a test says."""

    def __init__(self, *, workers: int = 1, frozen: bool = False, silent: bool = False) -> None:
        self.number, self.frozen, self.silent, self.keys = workers, frozen, silent, list[str]()
        self.over = threading.Event()

    def scheduler_info(self) -> dict[str, Any]:
        if self.frozen:
            self.over.wait()
        seen = 1.0 if self.silent else time.time()
        return {"workers": {f"tcp://{n}": {"last_seen": seen} for n in range(self.number)}}

    def processing(self) -> dict[str, list[str]]:
        return {"tcp://0": self.keys}


class Cluster(Executor):
    """Takes jobs and does none of them."""

    def __init__(self, client: Scheduler) -> None:
        self.client = client

    def submit(self, work: Callable[..., Any], /, *args: Any, key: str, **options: Any) -> Future[Any]:
        self.client.keys.append(key)
        return Future()


@pytest.mark.parametrize(
    "state, line",
    [
        ({"frozen": True}, "the Dask scheduler does not answer"),
        ({"workers": 0}, "the Dask scheduler has no workers"),
        ({"silent": True}, "the Dask worker tcp://0 gives no sign of life"),
    ],
    ids=["frozen scheduler", "no workers", "silent worker"],
)
def test_jobs_of_the_silent_are_done_here(
    state: dict[str, Any], line: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    client = Scheduler(**state)
    monkeypatch.setattr(dispatch, "client_of", lambda executor: client)
    for name, seconds in (("NOTICE", 0.1), ("SILENCE", 0.3), ("BEAT", 0.02)):
        monkeypatch.setattr(silence, name, seconds)
    started = time.perf_counter()
    assert ordered_map(times, range(3), shared=5, executor=Cluster(client)) == [0, 5, 10]
    client.over.set()
    assert time.perf_counter() - started < 5.0
    notice, end = (record.message for record in caplog.records)
    assert notice.startswith(f"{line} for 0 s, with 3 jobs: the limit is 0 s")
    assert end.startswith(f"{line} for ") and end.endswith(": doing 3 jobs here")


def test_a_long_job_of_a_worker_that_lives_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    client = Scheduler()
    monkeypatch.setattr(dispatch, "client_of", lambda executor: client)
    for name, seconds in (("NOTICE", 0.1), ("SILENCE", 0.2), ("BEAT", 0.02)):
        monkeypatch.setattr(silence, name, seconds)

    class Slow(Cluster):
        def submit(self, work: Callable[..., Any], /, *args: Any, key: str, **options: Any) -> Future[Any]:
            future: Future[Any] = super().submit(work, key=key)
            threading.Timer(0.6, lambda: future.set_result(worker.Outcome(result=7))).start()
            return future

    assert ordered_map(times, range(1), shared=5, executor=Slow(client)) == [7]


@pytest.mark.slow
@pytest.mark.parametrize(
    "address", ["silent", "", "x", "tcp://", "http://a:1", "tcp://127.0.0.1:99999999", "tcp://\0"]
)
def test_an_address_that_is_silent_or_odd_is_one_line(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed", reason="dask.distributed is not installed")
    monkeypatch.setattr(cluster, "PATIENCE", 0.5)
    with socket.socket() as port:
        port.bind(("127.0.0.1", 0))
        port.listen()  # accepts, and never says a word
        silent = f"tcp://127.0.0.1:{port.getsockname()[1]}"
        address = silent if address == "silent" else address
        with pytest.raises(ModelError, match="no Dask scheduler answers at"), workers(scheduler=address):
            pass


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["scheduler", "workers", "worker"])
def test_a_frozen_cluster_ends_in_a_line(
    victim: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("distributed", reason="dask.distributed is not installed")
    for name, seconds in (("NOTICE", 1.0), ("SILENCE", 3.0), ("BEAT", 0.2)):
        monkeypatch.setattr(silence, name, seconds)
    with socket.socket() as port:
        port.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{port.getsockname()[1]}"
    dask = [sys.executable, "-m", "dask"]
    paths = os.pathsep.join([str(Path(__file__).parent), *sys.path])  # where the jobs' functions are
    quiet = {
        "stdout": subprocess.DEVNULL,
        "stderr": subprocess.DEVNULL,
        "env": os.environ | {"PYTHONPATH": paths},
    }
    host, number = address.removeprefix("tcp://").split(":")
    scheduler = subprocess.Popen(
        [*dask, "scheduler", "--host", host, "--port", number, "--no-dashboard"], **quiet
    )  # type: ignore[call-overload]
    worker = [*dask, "worker", address, "--nthreads", "1", "--no-dashboard", "--no-nanny"]
    crew = [subprocess.Popen(worker, **quiet) for _ in range(2)]  # type: ignore[call-overload]
    try:
        for _ in range(60):
            with contextlib.suppress(OSError), socket.create_connection((host, int(number)), timeout=1.0):
                break
            time.sleep(0.5)
        with workers(scheduler=address) as executor:
            executor._client.wait_for_workers(2, timeout=30)  # type: ignore[union-attr]
            {"scheduler": scheduler, "workers": crew[0], "worker": crew[0]}[victim].send_signal(
                signal.SIGSTOP
            )
            if victim == "workers":
                crew[1].send_signal(signal.SIGSTOP)
            assert ordered_map(times, range(4), shared=5, executor=executor) == [0, 5, 10, 15]
    finally:
        for process in (*crew, scheduler):
            process.kill()
            process.wait()
    assert "doing" in caplog.text and "jobs here" in caplog.text
