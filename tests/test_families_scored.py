"""A family whose blocks are those of its model, whose scores are not X W, and which names its residuals."""

from __future__ import annotations

import csv
import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import toy_family
from command_line import Run
from sklearn.metrics import root_mean_squared_error
from toy_family import LeastSquares, Sweeping, ToyFamily, ToyModel, ToyPoint, ToyProblem, gap

from amtl_cvx import families
from amtl_cvx.arrays import Array
from amtl_cvx.coordinator import Part, alternate
from amtl_cvx.data import read
from amtl_cvx.errors import DataError, ModelError
from amtl_cvx.families import Evidence
from amtl_cvx.families.settings import Setting
from amtl_cvx.methods import fit
from amtl_cvx.options import Options
from amtl_cvx.preparation import Preparation
from amtl_cvx.report import write_report
from amtl_cvx.runfolder import read_history, read_run, read_state, save
from amtl_cvx.solution import Record, Solution
from amtl_cvx.tasks import TaskSet


@dataclass(frozen=True, kw_only=True)
class BentModel(ToyModel):
    family = "bent"
    biased: bool = False

    def to_dict(self) -> dict[str, Any]:
        return {**super().to_dict(), "biased": self.biased}


class BentPoint(ToyPoint):
    """That of the toy, where b is 0 unless the model has it."""

    def at(self, **some: Array) -> BentPoint:
        return BentPoint(self.problem, {**self.blocks, **some})

    def residuals(self) -> list[Array]:
        b = self.blocks.get("b", np.zeros((1, self.problem.tasks.T)))
        return ToyPoint(self.problem, {**self.blocks, "b": b}).residuals()

    def gradients(self) -> dict[str, Array]:
        b = self.blocks.get("b", np.zeros((1, self.problem.tasks.T)))
        found = ToyPoint(self.problem, {**self.blocks, "b": b}).gradients()
        return {name: found[name] for name in self.blocks}


class BentProblem(ToyProblem):
    def at(self, **blocks: Array) -> BentPoint:
        return BentPoint(self, blocks)


@dataclass(frozen=True, kw_only=True)
class Bending(Sweeping):
    name = "bent"

    def run(self, tasks: TaskSet, model: Any, options: Options) -> Solution:
        names = ("L", "S", "b") if model.biased else ("L", "S")
        parts = [
            Part(block=each, step=LeastSquares(each), gap=lambda at, each=each: gap(each, at))
            for each in names
        ]
        return alternate(BentProblem(tasks, model), options, method=self, parts=parts)

    def judge(self, tasks: TaskSet, model: Any, point: Any, tol: float) -> Any:
        return toy_family.judged(BentProblem(tasks, model).at(**point), tol=tol)


class BentFamily(ToyFamily):
    name = "bent"
    blocks = ("L", "S")
    optional = ("b",)
    residuals_of = ("slopes", "rest")
    linear = False
    methods = {"bent": Bending}  # noqa: RUF012
    predictors = families.Family.predictors

    def model_from(self, stored: Mapping[str, Any]) -> BentModel:
        return BentModel(k=stored["k"], decay=stored["decay"], biased=stored["biased"])

    def problem(self, tasks: Any, model: Any) -> BentProblem:
        return BentProblem(tasks, model)

    def start(self, problem: Any) -> Mapping[str, Array]:
        found = super().start(problem)
        return {name: found[name] for name in (("L", "S", "b") if problem.model.biased else ("L", "S"))}

    def checked(self, blocks: Mapping[str, Any], *, tasks: TaskSet | None = None) -> dict[str, Array]:
        T = np.shape(blocks["S"])[1]
        found = toy_family.TOY.checked({"b": np.zeros((1, T)), **blocks}, tasks=tasks)
        return {name: found[name] for name in blocks}

    def scores(self, blocks: Mapping[str, Array], X: Array) -> Array:
        SEEN.append(len(X))
        found: Array = X @ blocks["L"] @ blocks["S"] + blocks.get("b", 0.0)
        return found

    def shape(self, blocks: Mapping[str, Array]) -> tuple[int, int]:
        return len(blocks["L"]), blocks["S"].shape[1]

    def evidence(self, point: Any) -> Evidence:
        found = toy_family.TOY.evidence(point)
        rest = max(size for name, size in found.stationarity.items() if name != "L")
        return Evidence({"slopes": found.stationarity["L"], "rest": rest}, found.relative)

    def losses(self, tasks: TaskSet, model: Any, blocks: Mapping[str, Array]) -> Array:
        return np.array([float((r**2).mean()) for r in BentProblem(tasks, model).at(**blocks).residuals()])


BENT = BentFamily()
SETTINGS = replace(
    toy_family.SETTINGS,
    family="bent",
    methods=("bent",),
    model=(
        *toy_family.SETTINGS.model,
        Setting(name="biased", words="with a bias", default=False, switch=True),
    ),
)
SEEN: list[int] = []
"""How many rows each forward pass had."""


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(families.FAMILIES, "bent", f"{__name__}:BENT")
    monkeypatch.setitem(families.SETTINGS, "bent", f"{__name__}:SETTINGS")
    SEEN.clear()


def made(*, biased: bool, **options: Any) -> tuple[TaskSet, Solution]:
    rng = np.random.default_rng(5)
    X = rng.normal(size=(14, 3))
    tasks = TaskSet.from_matrix(X, X @ rng.normal(size=(3, 4)) + rng.normal(size=(14, 4)) + 2.0)
    return tasks, fit(tasks, BentModel(k=2, decay=0.3, biased=biased), options=Options(**options))


def by_hand(found: Any, X: Array) -> Array:
    scores: Array = X @ found.L @ found.S + found.blocks.get("b", 0.0)
    return scores


@pytest.mark.parametrize("biased", [False, True])
def test_scores_are_those_of_the_family_and_shared_rows_go_through_it_once(biased: bool) -> None:
    tasks, found = made(biased=biased)
    assert tuple(found.blocks) == (("L", "S", "b") if biased else ("L", "S")) and found.shape == (3, 4)
    assert "4 tasks, 3 features" in repr(found)
    new = np.random.default_rng(0).normal(size=(5, 3))
    np.testing.assert_array_equal(found.scores(new), by_hand(found, new))
    np.testing.assert_array_equal(found.predict("task 2", new), by_hand(found, new)[:, 2])
    SEEN.clear()
    errors = [root_mean_squared_error(task.y, by_hand(found, task.X)[:, t]) for t, task in enumerate(tasks)]
    assert found.score(tasks)["rmse"] == pytest.approx(np.mean(errors), rel=1e-12)
    assert SEEN == [14]
    own = TaskSet.from_arrays(
        [task.X.copy() for task in tasks], [task.y for task in tasks], names=tasks.names
    )
    turned = replace(own, tasks=own.tasks[::-1])
    assert found.score(turned)["rmse"] == pytest.approx(np.mean(errors), rel=1e-12)
    assert SEEN == [14] * 5
    some = replace(own, tasks=own.tasks[2:])
    assert found.score(some)["rmse"] == pytest.approx(np.mean(errors[2:]), rel=1e-12)
    with pytest.raises(ModelError, match="'bent' has no linear predictors"):
        _ = found.predictors


@pytest.mark.sampled(2)
@pytest.mark.parametrize("biased", [False, True])
def test_its_run_is_stored_read_and_reported(biased: bool, tmp_path: Path) -> None:
    tasks, found = made(biased=biased)
    save(found, tmp_path / "run", tasks=tasks)
    back = read_run(tmp_path / "run")
    assert back.shape == (3, 4) and back.task_names == tasks.names and set(back.blocks) == set(found.blocks)
    assert [r.columns() for r in read_history(tmp_path / "run")] == [r.columns() for r in found.history]
    with (tmp_path / "run" / "history.csv").open() as file:
        columns = next(csv.reader(file))
    assert columns[2:6] == ["objective", "stationarity_slopes", "stationarity_rest", "relative"]
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert "<h2>Scores" not in page and "<h2>Predictors" not in page and "<h2>Run" in page
    data = {"name": "made", "rows": 14}
    write_report(
        tmp_path / "r.html", solution=found, arguments={}, versions={}, data=data, scores={"bent": 1}
    )
    assert ">4</b><span>tasks<" in (tmp_path / "r.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("biased", [False, True])
def test_an_interrupted_fit_goes_on_with_the_blocks_of_its_model(biased: bool, tmp_path: Path) -> None:
    _, whole = made(biased=biased, max_rounds=3)
    seen = itertools.count(1)

    def stop(record: Record) -> None:
        if next(seen) == 3:
            raise KeyboardInterrupt

    tasks, stopped = made(biased=biased, max_rounds=3, callback=stop)
    save(stopped, tmp_path / "run", tasks=tasks)
    state = read_state(tmp_path / "run")
    assert state is not None and set(state.blocks) == set(whole.blocks)
    _, again = made(biased=biased, max_rounds=3, start=state)
    told = [[replace(r, seconds=0.0) for r in each.history] for each in (whole, again)]
    assert told[0] == told[1]


def test_a_start_has_the_blocks_it_must_have_and_those_of_its_own() -> None:
    _, found = made(biased=True)
    blocks = dict(found.blocks)
    _, again = made(biased=True, start=blocks, max_rounds=1)
    assert again.objective <= found.objective * (1 + 1e-12) and len(again.history) <= 3
    _, again = made(biased=True, start=found, max_rounds=1)  # by attribute
    assert again.objective <= found.objective * (1 + 1e-12)
    with pytest.raises(DataError, match="a start has L and S, this one lacks S"):
        made(biased=True, start={name: blocks[name] for name in ("L", "b")})


def test_the_commands_predict_score_and_go_on(run: Run, tmp_path: Path) -> None:
    rng = np.random.default_rng(6)
    X, task = 3.0 + 2.0 * rng.normal(size=(60, 3)), np.repeat(np.arange(3), 20)
    y = X @ rng.normal(size=3) + task
    np.savez("a.npz", X=X, y=y, task=task)
    options = ("--method", "bent", "--k", "2", "--decay", "0.3", "--tol", "1e-6", "--biased")
    answer = run("fit", "a.npz", *options, "--standardize", "--test", "0.25", "--out", "out")
    assert answer.code == 0 and "test, bent: rmse" in answer.out, answer
    stored = read_run("out")
    prepared = stored.preparation
    assert prepared is not None and prepared.center.min() > 1.0
    assert run("predict", "out", "a.npz", "--out", "p.csv").code == 0
    expected = by_hand(stored, prepared.apply(X))
    told = np.genfromtxt("p.csv", delimiter=",", names=True, usecols=(0, 3))["score"]
    np.testing.assert_array_equal(told, expected[np.arange(60), task])
    scores = json.loads(Path("out/run.json").read_text())["scores"]["bent"]
    train = read("a.npz", keep_rows=True).train
    assert scores["pooled rmse"] > 0.0 and prepared.d == train.d
    assert run("certify", "a.npz", "out").code == 0
    answer = run("fit", "a.npz", "--start", "out", "--out", "next")
    assert answer.code == 0 and "begins at L and S and b of out" in answer.out
    plain = Preparation.learn(train, standardize=True, intercept=False).apply_tasks(train)
    beside = ("--k", "2", "--decay", "0.3", "--standardize", "--method", "bent")
    start = fit(plain, BentModel(k=2, decay=0.3))
    np.savez("w.npz", **start.blocks)  # without a bias, and of a model without one
    assert run("certify", "a.npz", "w.npz", *beside).code == 0
