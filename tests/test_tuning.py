"""Tuning: the table is that of a plain double loop, whoever does the work and whatever ended it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tuned_tasks import alike

from amtl_cvx import LossWeightedL1, Model, Options, TaskSet, fit
from amtl_cvx.errors import DataError
from amtl_cvx.experiment.tuning import Splits, Tuning, tune
from amtl_cvx.experiment.tuning import engine as engines
from amtl_cvx.parallel import workers
from amtl_cvx.subproblems import ColumnProblem, WeightProblem

TASKS = alike()
FAST = Options(engine="fast")
MUS, COUPLINGS = (0.05, 0.5), (0.1, 1.0)


def model(mu: float, coupling: float) -> Model:
    return Model(transfer=LossWeightedL1(mu=mu), coupling=coupling)


def looped(splits: Splits, error: Callable[[Any, Any], float], **options: Any) -> dict[Any, list[float]]:
    """Errors of every point on every split, by two loops over fits."""
    return {
        (mu, coupling): [
            error(fit(part.train, model(mu, coupling), options=replace(FAST, **options)), part.held)
            for part in splits
        ]
        for mu in MUS
        for coupling in COUPLINGS
    }


def pooled(W: np.ndarray, held: TaskSet) -> float:
    """By hand: the root of the mean of all squared errors; `held` has all tasks."""
    errors = [task.y - task.X @ w for task, w in zip(held, W.T, strict=True)]
    return float(np.sqrt(np.mean(np.concatenate(errors) ** 2)))


def table(tuning: Tuning) -> list[dict[str, Any]]:
    """All of it but the time it took."""
    return [{key: value for key, value in row.items() if key != "seconds"} for row in tuning.rows()]


def test_the_table_is_that_of_a_double_loop() -> None:
    splits = Splits.folds(TASKS, 3, seed=2)
    expected = looped(splits, lambda found, held: pooled(found.W, held))
    told: list[tuple[int, int, float]] = []
    tuning = tune(
        TASKS,
        "amtl",
        {"mu": MUS, "coupling": COUPLINGS},
        splits=splits,
        widen=0,
        observe=lambda *said: told.append(said),
    )
    assert [tuple(trial.parameters.values()) for trial in tuning.trials] == list(expected)
    for trial, errors in zip(tuning.trials, expected.values(), strict=True):
        np.testing.assert_allclose(trial.errors, errors, rtol=1e-12)
        assert trial.mean == pytest.approx(np.mean(errors)) and trial.seconds > 0.0
        assert trial.se == pytest.approx(np.std(errors, ddof=1) / np.sqrt(3))
    best = min(expected, key=lambda point: np.mean(expected[point]))
    assert tuple(tuning.chosen.parameters.values()) == best
    assert [done for done, _, _ in told] == list(range(1, 13)) and told[0][1:] == (12, np.inf)
    assert told[-1][2] == tuning.chosen.mean and told[2][2] == tuning.trials[0].mean
    found, whole = tuning.fit(TASKS), fit(TASKS, model(*best), options=FAST)
    np.testing.assert_array_equal(found.W, whole.W)
    assert found.certificate.passes and "the least of 4 points on 3 folds" in tuning.sentence()


def test_rounds_cost_one_fit_and_are_those_of_fits_that_stop_there(monkeypatch: pytest.MonkeyPatch) -> None:
    splits, fits = Splits.folds(TASKS, 2), []
    once = engines._fitted
    monkeypatch.setattr(engines, "_fitted", lambda *asked: fits.append(asked) or once(*asked))
    grid = {"rounds": "1:4", "mu": MUS, "coupling": COUPLINGS}
    tuning = tune(TASKS, "amtl", grid, splits=splits, widen=0)
    assert len(fits) == 2 * 4 and len(tuning.trials) == 4 * 4
    assert {(bench.warm, bench.options.judged, start) for bench, _, _, start in fits} == {
        (False, False, None)
    }
    for rounds in (1, 2, 4):
        expected = looped(splits, lambda found, held: pooled(found.W, held), max_rounds=rounds, refine=False)
        for trial in tuning.trials:
            if trial.parameters["rounds"] == rounds:
                point = trial.parameters["mu"], trial.parameters["coupling"]
                np.testing.assert_allclose(trial.errors, expected[point], rtol=1e-11)
    early = next(trial for trial in tuning.trials if trial.parameters["rounds"] == 2)
    found = replace(tuning, chosen=early).fit(TASKS)
    assert (found.certificate.kind, found.certificate.passes) == ("stopped after 2 rounds", False)


def test_no_point_of_a_grid_compiles_anything_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    for kind in (WeightProblem, ColumnProblem):
        begin = kind.__init__

        def counted(self: Any, *, begin: Any = begin, **shape: Any) -> None:
            made.append(type(self).__name__)
            begin(self, **shape)

        monkeypatch.setattr(kind, "__init__", counted)
    grid = {"mu": (0.05, 0.2, 0.5), "coupling": (0.1, 1.0), "rounds": [2]}
    tune(TASKS, "amtl", grid, splits=2, widen=1, engine="cvxpy")
    assert sorted(made) == ["ColumnProblem", "WeightProblem"]


class Ended(Exception):
    """What ends a tuning here."""


def test_a_tuning_that_was_ended_goes_on_to_the_same_table(tmp_path: Path) -> None:
    grid = {"mu": MUS, "coupling": (1.0, 10.0), "rounds": [1, 3]}
    settings: dict[str, Any] = {"splits": 2, "widen": 2, "journal": tmp_path / "journal"}
    whole = tune(TASKS, "amtl", grid, **{**settings, "journal": None})
    assert whole.widened  # it is ended before and after that
    for jobs, cut in ((1, 0), (5, 1), (9, 17)):

        def ends(done: int, total: int, least: float, jobs: int = jobs) -> None:
            if done == jobs:
                raise Ended

        with pytest.raises(Ended):
            tune(TASKS, "amtl", grid, observe=ends, **settings)
        written = settings["journal"].read_bytes()
        assert written.count(b"\n") == 1 + jobs
        settings["journal"].write_bytes(written[: len(written) - cut])
        seen: list[int] = []
        found = tune(
            TASKS, "amtl", grid, observe=lambda done, *rest, seen=seen: seen.append(done), **settings
        )
        assert table(found) == table(whole) and found.sentence() == whole.sentence()
        assert len(seen) == len(whole.trials) // 2 * 2 - jobs + (cut > 0)
        tune(TASKS, "amtl", grid, observe=lambda *told: pytest.fail("done again"), **settings)
        settings["journal"].unlink()


@pytest.mark.sampled(2)
def test_a_journal_of_something_else_is_refused_and_left(tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    grid = {"mu": [0.1], "coupling": COUPLINGS}
    tune(TASKS, "amtl", grid, splits=2, widen=0, journal=journal)
    before = journal.read_bytes()
    for change in ({"splits": 3}, {"grid": {"mu": [0.2], "coupling": COUPLINGS}}, {"measure": "rmse"}):
        with pytest.raises(DataError, match="journal of another tuning"):
            tune(TASKS, "amtl", **{"grid": grid, "splits": 2, "widen": 0, **change}, journal=journal)
    assert journal.read_bytes() == before
    for torn in (0, 20):  # it was ended while the first line was written
        journal.write_bytes(before[:torn])
        tune(TASKS, "amtl", grid, splits=2, widen=0, journal=journal)
        first, *jobs = journal.read_bytes().splitlines()
        assert first == before.splitlines()[0] and len(jobs) == 4
    journal.write_text("important\n")
    with pytest.raises(DataError):
        tune(TASKS, "amtl", grid, splits=2, widen=0, journal=journal)
    assert journal.read_text() == "important\n"


@pytest.mark.sampled(2)
@pytest.mark.parametrize("kind", [ThreadPoolExecutor, ProcessPoolExecutor])
def test_any_executor_gives_the_serial_table(kind: type) -> None:
    grid = {"mu": MUS, "coupling": COUPLINGS, "rounds": [1, 2]}
    with kind(2) as executor:
        spread = tune(TASKS, "amtl", grid, splits=2, widen=1, executor=executor)
    assert table(spread) == table(tune(TASKS, "amtl", grid, splits=2, widen=1))


KILLED = """
import sys
from tuned_tasks import alike
from amtl_cvx import tune
grid = {"mu": [0.05, 0.5], "coupling": [1.0, 10.0], "rounds": range(1, 4)}
tune(alike(), "amtl", grid, splits=3, widen=2, journal=sys.argv[1])
"""


@pytest.mark.slow
def test_a_tuning_that_was_killed_goes_on_to_the_same_table(tmp_path: Path, rng: np.random.Generator) -> None:
    """Killed without a word, again and again, at moments of chance after its first job."""
    grid = {"mu": [0.05, 0.5], "coupling": [1.0, 10.0], "rounds": range(1, 4)}
    whole = tune(TASKS, "amtl", grid, splits=3, widen=2)
    journal, kills = tmp_path / "journal", 0
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    for _ in range(2):
        lines = journal.read_bytes().count(b"\n") if journal.exists() else 1
        with subprocess.Popen([sys.executable, "-c", KILLED, str(journal)], env=environment) as run:
            while run.poll() is None and not (journal.exists() and journal.read_bytes().count(b"\n") > lines):
                time.sleep(0.001)
            time.sleep(rng.uniform(0.0, 0.05))
            kills += run.poll() is None
            run.kill()
    assert kills
    found = tune(TASKS, "amtl", grid, splits=3, widen=2, journal=journal)
    assert table(found) == table(whole) and found.sentence() == whole.sentence()


@pytest.mark.slow
def test_a_cluster_of_dask_gives_the_serial_table() -> None:
    distributed = pytest.importorskip("distributed", reason="dask.distributed is not installed")
    grid = {"mu": MUS, "coupling": COUPLINGS, "rounds": [1, 2]}
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0", silence_logs=50
        ) as cluster,
        workers(scheduler=cluster.scheduler_address) as executor,
    ):
        spread = tune(TASKS, "amtl", grid, splits=2, widen=1, executor=executor)
    assert table(spread) == table(tune(TASKS, "amtl", grid, splits=2, widen=1))
