"""Fits of a shared dictionary: certified, resumed, stopped, by both engines, on the command line, drawn."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import Run, assert_error, write_csv
from dictionary_cases import LOSSES, drawn_problem, drawn_tasks, objective

from amtl_cvx.dictionary import SC_MTL, DictionaryModel, ScMtl
from amtl_cvx.dictionary.starts import revived, start_of
from amtl_cvx.errors import DataError
from amtl_cvx.experiment.candidate import Candidate
from amtl_cvx.families.settings.named import named
from amtl_cvx.methods import fit
from amtl_cvx.options import Options
from amtl_cvx.runfolder import read_run, save
from amtl_cvx.solution import Record, Solution, Status
from amtl_cvx.tasks import TaskSet

SC = ("--method", "sc-mtl", "--features", "2", "--radius", "1.5")


def fitted(problem: Any, how: ScMtl | None = None, **options: Any) -> Solution:
    return fit(problem.tasks, problem.model, method=how, options=Options(engine="fast", **options))


def gaps(problem: Any, D: np.ndarray, G: np.ndarray) -> float:
    """Both gaps of Frank and Wolfe of the squared loss, by loops over tasks and columns."""
    slopes = [
        2.0 / len(task.y) * task.X.T @ (task.X @ (D @ G[:, t]) - task.y)
        for t, task in enumerate(problem.tasks)
    ]
    of_D = [sum(slope * G[k, t] for t, slope in enumerate(slopes)) for k in range(D.shape[1])]
    total = sum(float(s @ D[:, k] + np.linalg.norm(s)) for k, s in enumerate(of_D))
    for t, slope in enumerate(slopes):
        q = D.T @ slope
        total += float(q @ G[:, t]) + problem.model.radius * float(np.abs(q).max())
    return total


@pytest.mark.parametrize("loss", LOSSES)
def test_a_fit_is_certified_and_J_never_rises(loss: str) -> None:
    problem = drawn_problem(loss)
    found = fitted(problem, tol=1e-10)
    assert found.status is Status.CERTIFIED and found.certificate.relative <= 1e-10
    assert found.objective == pytest.approx(objective(problem, found.D, found.G), rel=1e-12)
    J = [record.objective for record in found.history]
    assert all(after <= before * (1.0 + 1e-12) for before, after in itertools.pairwise(J))
    assert [record.step for record in found.history[:2]] == ["D", "G"]
    assert found.history[-1].step == "refine" and found.certificate.live_features == 3
    assert np.linalg.norm(found.D, axis=0) == pytest.approx(1.0, rel=1e-14)
    if loss == "squared":
        assert gaps(problem, found.D, found.G) <= 1e-8 * found.objective


def test_twelve_tasks_of_twenty_features_in_two_groups() -> None:
    """The size of the paper's synthetic data; first-order at 1e-8 by the test's own loops."""
    rng = np.random.default_rng(0)
    means = [np.r_[rng.normal(0.0, 5.0, 10), np.zeros(10)], rng.normal(0.0, 5.0, 20)]
    X = [rng.normal(size=(30, 20)) for _ in range(12)]
    y = [x @ (means[t // 6] + rng.normal(size=20)) + 5.0 * rng.normal(size=30) for t, x in enumerate(X)]
    tasks = TaskSet.from_arrays(X, y)
    for features, radius in ((2, 15.0), (4, 30.0)):
        model = DictionaryModel(features=features, radius=radius)
        found = fit(tasks, model, options=Options(engine="fast"))
        problem = SC_MTL.problem(tasks, model)
        assert found.status is Status.CERTIFIED and found.certificate.relative <= 1e-8
        assert gaps(problem, found.D, found.G) <= 1e-8 * found.objective
        steps = [record.step for record in found.history].count("refine")
        assert steps <= (8 if features == 2 else 60)  # quadratic where no code changes its support
        assert np.linalg.norm(found.D, axis=0).max() <= 1.0 + 1e-12
        assert np.abs(found.G).sum(axis=0).max() <= radius * (1.0 + 1e-12)


def test_both_engines_lead_to_one_point_and_rounds_alone_come_near_it() -> None:
    problem = drawn_problem(features=2, T=3)
    fast, slow = fitted(problem), fit(problem.tasks, problem.model)
    assert slow.objective == pytest.approx(fast.objective, rel=1e-12)
    assert {record.solver for record in slow.history[:4]} == {"CLARABEL"}
    np.testing.assert_allclose(slow.predictors, fast.predictors, atol=1e-9)
    alone = fitted(problem, ScMtl(refine=False, engine="fast"), max_rounds=3000)
    assert alone.certificate.passes and alone.objective == pytest.approx(fast.objective, rel=1e-6)


@pytest.mark.parametrize("count", [1, 4, 11, 13])
def test_an_interrupted_fit_goes_on_as_if_it_had_not(count: int) -> None:
    problem, seen = drawn_problem(seed=3), itertools.count(1)
    whole = fitted(problem)

    def stop(record: Record) -> None:
        if next(seen) == count:
            raise KeyboardInterrupt

    stopped = fitted(problem, callback=stop)
    assert stopped.status is Status.INTERRUPTED and len(stopped.history) == count
    again = fitted(problem, start=stopped.state)
    told = [[replace(r, seconds=0.0, solver_seconds=0.0) for r in s.history] for s in (whole, again)]
    assert told[0] == told[1] and again.objective == whole.objective


def test_a_candidate_is_stopped_after_its_rounds_and_a_trial_is_not_judged() -> None:
    tasks, seen = drawn_tasks(), []
    parameters = {"features": 2, "radius": 1.5}
    stopped = Candidate(method=named("sc-mtl"), parameters={**parameters, "rounds": 2}).fit(
        tasks, Options(engine="fast", iterate=lambda r, step, blocks: seen.append((r, step, blocks["G"])))
    )
    assert [each[:2] for each in seen] == [(1, "D"), (1, "G"), (2, "D"), (2, "G")]
    np.testing.assert_array_equal(seen[-1][2], stopped.G)
    assert stopped.certificate.kind == "stopped after 2 rounds" and stopped.certificate.level == "C0"
    assert "stopped after 2 rounds" in stopped.certificate.headline().lower()
    trial = fit(
        tasks,
        DictionaryModel(**parameters),
        options=Options(engine="fast", refine=False, max_rounds=2, judged=False),
    )
    assert trial.certificate.gap_D is None and not trial.certificate.passes


def test_features_without_use_are_turned_to_where_they_are_of_use() -> None:
    problem = drawn_problem(features=3)
    point = start_of(problem, "random", seed=2)
    G = point.G.copy()
    G[1:] = 0.0
    alone = point.at(G=G)
    turned = revived(alone)
    assert turned.live.all() and turned.objective < alone.objective
    assert turned.beyond <= 1e-14
    same = point.at(D=np.column_stack([point.D[:, 0], point.D[:, 0], point.D[:, 2]]))
    assert revived(same).objective < same.objective * (1.0 - 1e-9)


def test_results_are_one_point_whatever_the_order_and_the_signs_of_features() -> None:
    problem = drawn_problem()
    found = fitted(problem)
    order, signs = [2, 0, 1], np.array([1.0, -1.0, 1.0])
    other = replace(found, blocks={"D": found.D[:, order] * signs, "G": found.G[order] * signs[:, None]})
    assert SC_MTL.exploration.distance(found, other) <= 1e-14
    moved = replace(found, blocks={"D": found.D, "G": 1.1 * found.G})
    assert SC_MTL.exploration.distance(found, moved) >= 0.05


def test_the_commands_know_it(run: Run) -> None:
    tasks = drawn_tasks(T=3, d=4)
    data = {"X": np.vstack([t.X for t in tasks]), "y": np.hstack([t.y for t in tasks])}
    write_csv(Path("a.csv"), {**data, "task": np.repeat(np.arange(3), tasks.rows)})
    table = ("a.csv", "--task", "kind", "--target", "price")
    answer = run("fit", *table, *SC, "--engine", "fast", "--out", "run")
    assert answer.code == 0 and "2 learned features, radius 1.5" in answer.out, answer
    described = json.loads(Path("run/run.json").read_text())
    assert (described["family"], described["model"]["radius"]) == ("sc-mtl", 1.5)
    assert not {"coupling", "mu", "decay"} & set(described["arguments"])
    stored = read_run("run")
    judged = run("certify", *table[:1], "run", *table[1:], "--json")
    assert judged.code == 0 and json.loads(judged.out)["objective"] == pytest.approx(
        objective(SC_MTL.problem(tasks, stored.model), stored.D, stored.G), rel=1e-10
    )
    assert run("plot", "run", "--kind", "heatmap", "--out", "p.png").code == 0
    assert_error(run("plot", "run", "--kind", "feedback", "--out", "p.png"), "has no feedback to draw")
    assert_error(run("fit", *table, *SC[:4], "--out", "x"), "--method sc-mtl needs --radius")
    assert_error(
        run("fit", *table, *SC, "--mu", "1", "--out", "x"), "--mu is of AMTL", "--features, --radius"
    )
    np.savez("w.npz", D=2.0 * stored.D, G=stored.G)
    bad = run("certify", *table[:1], "w.npz", *table[1:], *SC)
    assert bad.code == 1 and "not feasible" in bad.out
    assert_error(run("fit", *table, *SC, "--start", "w.npz", "--out", "x"), "the start is not feasible")
    with pytest.raises(DataError, match="transpose it"):
        SC_MTL.checked({"D": stored.D, "G": stored.G.T}, tasks=tasks)


@pytest.mark.slow
def test_its_report_and_its_pictures_call_the_blocks_by_their_names(tmp_path: Path) -> None:
    problem = drawn_problem(features=2, T=3)
    save(fitted(problem), tmp_path / "run", tasks=problem.tasks)
    names = {"features.png", "features.graphml", "report.html"}
    assert names <= {path.name for path in (tmp_path / "run").iterdir()}
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert "The shared dictionary" in page and "use G[j, t]" in page and "use S" not in page


@pytest.mark.slow
def test_ten_one_vs_rest_tasks_over_a_thousand_rows() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(1000, 87)) * np.exp(-np.arange(87) / 40.0)
    S = X @ rng.normal(size=(87, 10)) + rng.normal(size=(1000, 10))
    tasks = TaskSet.from_matrix(X, np.where(S.argmax(axis=1)[:, None] == np.arange(10), 1.0, -1.0))
    model = DictionaryModel(features=4, radius=3.0, loss="logistic")
    found = fit(tasks, model, options=Options(engine="fast"))
    assert found.status is Status.CERTIFIED and found.certificate.relative <= 1e-8
    assert found.certificate.gap_D + found.certificate.gap_G <= 1e-8 * found.objective
