"""A family of three blocks in the tests goes through the same fit, run folder, report, plots and commands."""

from __future__ import annotations

import ast
import itertools
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import toy_family
from command_line import Run
from toy_family import Sweeping, ToyModel

from amtl_cvx import families, run
from amtl_cvx.data import read
from amtl_cvx.errors import DataError, ModelError, SolveError
from amtl_cvx.experiment.jobs import Job, _judged, fit_many
from amtl_cvx.families import family_named, family_of
from amtl_cvx.methods import fit
from amtl_cvx.options import Options
from amtl_cvx.plotting import convergence_figure
from amtl_cvx.problem import Problem, stored
from amtl_cvx.runfolder import read_history, read_run, read_state, save
from amtl_cvx.solution import Record, Solution, Status
from amtl_cvx.subproblems import HalfStep
from amtl_cvx.tasks import TaskSet

BLOCKS = ("L", "S", "b")


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one line that makes it known."""
    monkeypatch.setitem(families.FAMILIES, "toy", "toy_family:TOY")


def problem() -> tuple[TaskSet, ToyModel, np.ndarray]:
    """X'X / n = I and X'1 = 0, so that with A = X'Y / n the loss of W, b is ||W - A||^2 + ||b - ybar||^2."""
    rng = np.random.default_rng(4)
    X = np.linalg.qr(np.column_stack([np.ones(12), rng.normal(size=(12, 3))]))[0][:, 1:] * np.sqrt(12)
    Y = X @ rng.normal(size=(3, 4)) + rng.normal(size=(12, 4)) + 2.0
    return TaskSet.from_matrix(X, Y), ToyModel(k=3, decay=0.3), X.T @ Y / 12


def least() -> float:
    """min J: 2 sqrt(uv) <= u + v makes the decay 2 decay ||W||_*, whose prox shrinks singular values."""
    tasks, model, A = problem()
    sigma, decay = np.linalg.svd(A, compute_uv=False), model.decay
    kept = np.where(sigma > decay, decay**2 + 2 * decay * (sigma - decay), sigma**2)
    rest = sum(float(np.var(task.y)) for task in tasks) - float((A**2).sum())
    return float(kept.sum()) + rest


def fitted(**options: object) -> Solution:
    tasks, model, _ = problem()
    return fit(tasks, model, options=Options(**options))  # type: ignore[arg-type]


def test_the_coordinator_finds_the_known_minimum_of_three_blocks() -> None:
    tasks, _, A = problem()
    found = fitted()
    assert found.status is Status.CERTIFIED and tuple(found.blocks) == BLOCKS
    assert found.objective == pytest.approx(least(), rel=1e-12)
    np.testing.assert_allclose(found.b[0], [task.y.mean() for task in tasks], atol=1e-9)
    U, sigma, V = np.linalg.svd(A, full_matrices=False)
    np.testing.assert_allclose(found.predictors, U * np.maximum(sigma - 0.3, 0) @ V, atol=1e-6)
    J = [record.objective for record in found.history]
    assert all(b <= a + 1e-12 * a for a, b in itertools.pairwise(J))
    assert [record.step for record in found.history[:4]] == [*BLOCKS, "L"]
    with pytest.raises(AttributeError, match="W"):
        _ = found.W


def test_its_run_folder_is_read_back_and_drawn(tmp_path: Path) -> None:
    tasks, model, _ = problem()
    found = fitted()
    save(found, tmp_path / "run", tasks=tasks)
    names = {path.name for path in (tmp_path / "run").iterdir()}
    assert names == {"solution.npz", "certificate.json", "history.csv", "report.html", "run.json"}
    back = read_run(tmp_path / "run")
    assert back.family.name == "toy" and back.model == model
    for name in BLOCKS:
        np.testing.assert_array_equal(back.blocks[name], found.blocks[name])
    history = read_history(tmp_path / "run")
    assert [record.columns() for record in history] == [record.columns() for record in found.history]
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert "The certificate passes" in page and "J(L, S, b)" in page and "learned graph" not in page
    labels = {line.get_label() for line in convergence_figure(history, tol=1e-8).axes[1].get_lines()}
    assert {f"stationarity_{name}" for name in BLOCKS} <= labels
    run_json = json.loads((tmp_path / "run" / "run.json").read_text())
    assert run_json["family"] == "toy" and run_json["model"]["decay"] == 0.3
    with np.load(tmp_path / "run" / "solution.npz") as arrays:
        damaged = {**arrays, "S": arrays["S"][:, :2]}
    np.savez(tmp_path / "damaged.npz", **damaged)
    (tmp_path / "run.json").write_text((tmp_path / "run" / "run.json").read_text())
    with pytest.raises(DataError, match="fit each other"):
        read_run(tmp_path / "damaged.npz")


def test_its_problem_is_stored_and_read_by_its_family(tmp_path: Path) -> None:
    tasks, model, _ = problem()
    stored.write(tasks, model, tmp_path / "p", source="here")
    about = json.loads((tmp_path / "p" / "problem.json").read_text())
    assert about["family"] == "toy" and not (tmp_path / "p" / "task_weights.npy").exists()
    rows, again = stored.read(tmp_path / "p")
    assert again == model and rows.fingerprint() == tasks.fingerprint() == about["fingerprint"]
    assert fit(rows, again).objective == fitted().objective
    with pytest.raises(DataError, match="of the family 'toy'"):
        Problem.load(tmp_path / "p")
    data = read(str(tmp_path / "p"), keep_rows=True)
    assert "mu" not in data.settings and data.train.fingerprint() == tasks.fingerprint()  # data to anyone
    for said, words in ((7, "unknown family"), ("nobody", "choose one of amtl"), ("amtl", "not describe")):
        with pytest.raises((DataError, ModelError), match=words):
            stored.model_from({**about, "family": said})


@pytest.mark.sampled(2)
@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_an_interrupted_fit_goes_on_in_the_middle_of_a_round(count: int, tmp_path: Path) -> None:
    tasks, model, _ = problem()
    whole = fitted(max_rounds=4)
    seen = itertools.count(1)

    def stop(record: Record) -> None:
        if next(seen) == count:
            raise KeyboardInterrupt

    stopped = fitted(max_rounds=4, callback=stop)
    assert stopped.status is Status.INTERRUPTED and len(stopped.history) == count
    save(stopped, tmp_path / "run", tasks=tasks)
    again = fitted(max_rounds=4, start=read_state(tmp_path / "run"))
    told = [[replace(r, seconds=0.0) for r in s.history] for s in (whole, again)]
    assert told[0] == told[1] and whole.status is again.status is Status.ROUND_LIMIT


def test_a_rise_within_the_gap_is_not_taken_and_one_beyond_it_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    solve, calls = toy_family.LeastSquares.solve, itertools.count(1)

    def inexact(self: toy_family.LeastSquares, point: toy_family.ToyPoint) -> HalfStep:
        value, told = solve(self, point)
        return HalfStep(value + (1e-3 * next(calls) if self.block == "b" else 0.0), told)

    monkeypatch.setattr(toy_family.LeastSquares, "solve", inexact)
    told = [record.solver_status for record in fitted(max_rounds=3).history if record.step == "b"]
    assert told == ["optimal", *["optimal, not taken"] * 2]  # each is further off than the last
    monkeypatch.setattr(toy_family, "gap", lambda block, point: 0.0)
    with pytest.raises(SolveError, match="round 2: the b-step raised the objective by"):
        fitted()


@pytest.mark.usefixtures("pictures")
def test_its_runs_are_plotted_by_the_command_and_a_graph_is_refused(run: Run, tmp_path: Path) -> None:
    tasks, _, _ = problem()
    save(fitted(), "out", tasks=tasks)
    assert run("plot", "out", "--kind", "convergence", "--out", "c.png").code == 0
    assert Path("c.png").stat().st_size > 1000
    refused = run("plot", "out", "--kind", "graph", "--out", "g.png")
    assert refused.code == 2 and "learns no graph" in refused.err


def test_the_commands_judge_its_runs_and_say_what_is_of_amtl(run: Run, tmp_path: Path) -> None:
    tasks, model, _ = problem()
    found = fitted()
    save(found, "out", tasks=tasks)
    stored.write(tasks, model, "rows", source="here")
    judged = run("certify", "rows", "out", "--json")
    content = json.loads(judged.out)
    assert judged.code == 0 and content["level"] == "C2" and content["objective"] == found.objective
    said = run("certify", "rows", "out", "--level", "C3", "--figures")
    assert said.code == 1 and "J(L, S, b)" in said.out and "columns of the predictors: tasks" in said.out
    predicted = run("predict", "out", "rows")
    assert predicted.code == 0 and len(predicted.out.splitlines()) == 1 + 48
    assert run("export", "rows", "out", "--out", "copy").code == 0
    assert stored.read("copy")[1] == model
    for words in (("--mu", "0.1"), ("--standardize",), ("--proof", "p.json", "--level", "C5")):
        refused = run("certify", "rows", "out", *words)
        assert refused.code == 2 and f"{words[0]} is of AMTL" in refused.err, refused
    refused = run("fit", "rows", "--start", "out", "--out", "new")
    assert refused.code == 2 and "family 'toy'" in refused.err and not Path("new").exists()


def test_its_fits_stand_side_by_side_and_a_workers_claim_is_judged_again() -> None:
    tasks, model, _ = problem()
    jobs = [Job(tasks=tasks, model=replace(model, decay=decay)) for decay in (0.3, 0.5)]
    one, other = fit_many(jobs)
    assert one.objective == fitted().objective < other.objective
    again = _judged(jobs[0], one)
    assert again is not None and again.certificate.to_dict() == one.certificate.to_dict()
    np.testing.assert_array_equal(again.losses, one.losses)
    assert _judged(jobs[1], one) is None  # of another model it is no minimum


def test_its_certificate_fails_with_what_is_missed(run: Run) -> None:
    """A bias that is one off; and tasks in another order, which no one can bring into that of the data."""
    tasks, model, _ = problem()
    found = fitted()
    off = replace(found, blocks={**found.blocks, "b": found.b + 1.0})
    save(off, "out", tasks=tasks)
    stored.write(tasks, model, "rows", source="here")
    judged = run("certify", "rows", "out")
    assert judged.code == 1 and "next: check the model" in judged.out
    stored.write(TaskSet(tasks=tasks.tasks[::-1]), model, "other", source="here")
    refused = run("certify", "other", "out")
    assert refused.code == 2 and "cannot be taken in another order" in refused.err


def test_names_of_families_and_methods(monkeypatch: pytest.MonkeyPatch) -> None:
    tasks, model, _ = problem()
    assert family_of(model) is family_named("toy") is toy_family.TOY
    with pytest.raises(ModelError, match="amtl"):
        family_named("nobody")
    with pytest.raises(ModelError, match="unknown method 'curriculum'"):
        fit(tasks, model, method="curriculum")
    assert fit(tasks, model, method=Sweeping()).status is Status.CERTIFIED
    for start in ({"L": np.eye(3)}, ToyModel(k=3, decay=0.3)):
        with pytest.raises(DataError, match="a start has L and S and b, this one lacks"):
            fitted(start=start)
    from amtl_cvx.amtl import Curriculum

    with pytest.raises(ModelError, match="no method of the family 'toy'"):
        fit(tasks, model, method=Curriculum())


ROOMS = {
    "adaptation", "amtl", "alignment", "certificate", "curriculum", "digits", "enclosure", "estimators",
    "graph", "ladder", "dictionary", "features", "network", "problem", "refine", "rowspace", "subproblems",
    "transfer", "weights",
    "arrays/gate", "tasks/task_set",  # what checks a W and B that a user gives
    "data/stream",  # W is a keyword of `data.evaluate`
    "experiment/scales", "experiment/tune", "experiment/path", "experiment/tuning/units",  # coupling and mu
    "experiment/comparing/comparison", "experiment/comparing/outcomes",  # learned graphs side by side
    "plotting/comparing/graphs",
    "known",  # the table of its figures
    "plotting/graphs", "plotting/matrix", "plotting/truth",  # pictures of its graph
    "reference", "commands/reference/answer",  # single steps of AMTL, and the judge of its back ends
    "solvers/compiled", "solvers/gpu", "solvers/inventory",  # which solver takes which of its steps
}  # fmt: skip
"""Where AMTL's own mathematics and pictures live, and learned features, whose predictors are W."""


def names_blocks_of_amtl(text: str) -> bool:
    """Whether an array, an attribute, an argument or a key is called W or B in the code of a module."""
    for node in ast.walk(ast.parse(text)) if re.search(r"\b[WB]\b", text) else ():
        named = {getattr(node, name, "") for name in ("id", "attr", "arg")}
        if named & {"W", "B"} or (isinstance(node, ast.Constant) and node.value in ("W", "B")):
            return True
    return False


def test_nothing_that_speaks_of_blocks_names_those_of_amtl() -> None:
    """Of all modules of the package only those in AMTL's rooms, each of which does."""
    package, naming = Path(run.__file__).parent, set()
    for place in package.rglob("*.py"):
        name = place.relative_to(package).with_suffix("").as_posix()
        room = name if name in {*ROOMS, "problem/stored"} else name.partition("/")[0]
        if room not in naming and names_blocks_of_amtl(place.read_text(encoding="utf-8")):
            naming.add(room)
    assert naming == ROOMS, naming ^ ROOMS
