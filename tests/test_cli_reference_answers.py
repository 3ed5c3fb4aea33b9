"""`amtl-cvx reference judge --solution`: one answer from any file, by its names, gaps and tolerances."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import Run, assert_error
from reference_samples import about

from amtl_cvx import LossWeightedL1, Model, Problem, TaskSet
from amtl_cvx.reference import Pack, pack_names, read_pack, write_pack
from amtl_cvx.reference.claims import claims_of
from amtl_cvx.reference.formats import FOLDERS, export_pack


def pair() -> Problem:
    """Two tasks of two named features."""
    X = [np.array([[1.0, 0.5], [0.25, 2.0], [1.5, -1.0]]), np.array([[2.0, 1.0], [0.5, -0.75], [1.0, 1.0]])]
    y = [np.array([1.0, 0.5, 2.0]), np.array([2.5, 0.25, 1.0])]
    tasks = TaskSet.from_arrays(X, y, names=["ash", "birch"], feature_names=["rain", "sun"])
    return Problem(tasks, Model(transfer=LossWeightedL1(mu=0.25), coupling=0.5))


def answers(problem: Problem) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """W and B as given; the best W for that B by its normal equations, the best B for that W by hand."""
    given, W = np.array([[0.0, 0.75], [0.5, 0.0]]), np.array([[1.0, 0.75], [0.25, 0.5]])
    M, coupling, mu = np.eye(2) - given, 0.5, 0.25
    a = 1 + mu * given.sum(axis=1)
    A = np.kron(M @ M.T, coupling * np.eye(2))
    b = np.zeros(4)
    for t, task in enumerate(problem.tasks):
        A[2 * t : 2 * t + 2, 2 * t : 2 * t + 2] += a[t] * task.X.T @ task.X / 3
        b[2 * t : 2 * t + 2] = a[t] * task.X.T @ task.y / 3
    best_W = np.linalg.solve(A, b).reshape(2, 2).T
    best_B = np.zeros((2, 2))
    for s, t in ((0, 1), (1, 0)):
        price = mu * np.mean((problem.tasks.tasks[s].X @ W[:, s] - problem.tasks.tasks[s].y) ** 2)
        best_B[s, t] = max(0.0, (W[:, s] @ W[:, t] - price / (2 * coupling)) / (W[:, s] @ W[:, s]))
    return W, given, best_W, best_B


def written(folder: Path, ask: str) -> Pack:
    """A pack of one of the steps of the pair."""
    problem = pair()
    W, B, best_W, best_B = answers(problem)
    solution: dict[str, Any] = {"w-step": {"W": best_W}, "b-step": {"B": best_B}}[ask]
    given: dict[str, Any] = {"w-step": {"B": B}, "b-step": {"W": W}}[ask]
    claims = claims_of(problem, ask, solution, given=given, extras=False)
    said = {**about("joint"), "name": ask}
    return write_pack(
        folder / ask, problem=problem, ask=ask, solution=solution, given=given, claims=claims, about=said
    )


@pytest.mark.parametrize("ask, block", [("w-step", "W"), ("b-step", "B")])
def test_the_answer_to_a_step_is_judged_by_its_gap(run: Run, tmp_path: Path, ask: str, block: str) -> None:
    pack = written(tmp_path, ask)
    right = pack.solution[block]
    swapped = right[:, ::-1] if block == "W" else right[::-1, ::-1]
    np.savez("right.npz", **{block: right})
    np.savez("named.npz", **{block: swapped, "task_names": ["birch", "ash"]})
    np.savez("swapped.npz", **{block: swapped})
    np.savez("off.npz", **{block: right * (1 + 1e-6)})
    np.save("alone.npy", right)
    header = ["feature" if block == "W" else "task", "birch", "ash"]
    names = ["rain", "sun"] if block == "W" else ["birch", "ash"]
    Path("tables").mkdir()
    rows = [header, *([name, *map(repr, row)] for name, row in zip(names, swapped.tolist(), strict=True))]
    Path(f"tables/{block}.csv").write_text("\n".join(map(",".join, rows)))
    for name in ("right.npz", "named.npz", "tables"):
        answer = run("reference", "judge", "--solution", name, "--pack", ask)
        assert answer.code == 0 and f"{ask} of {ask} passes in float64" in answer.out, name
    for name in ("swapped.npz", "off.npz"):
        answer = run("reference", "judge", "--solution", name, "--pack", ask)
        assert answer.code == 1 and "does not pass" in answer.out, name
    np.savez("single.npz", **{block: right.astype(np.float32)})
    assert run("reference", "judge", "--solution", "single.npz", "--pack", ask).code == 1
    assert (
        run("reference", "judge", "--solution", "single.npz", "--pack", ask, "--dtype", "float32").code == 0
    )
    np.savez("wrong.npz", **{block: right[:1]})
    assert_error(run("reference", "judge", "--solution", "wrong.npz", "--pack", ask), "shape (2, 2)")
    np.savez("nan.npz", **{block: right * np.nan})
    assert_error(run("reference", "judge", "--solution", "nan.npz", "--pack", ask), "finite")
    np.savez("other.npz", **{block: right, "task_names": ["oak", "ash"]})
    assert_error(run("reference", "judge", "--solution", "other.npz", "--pack", ask), "task_names")


FORMS = ("npz", "mat", "json", "csv", "npy")
OTHERS = ("curriculum", "features", "go-mtl", "network")


def exported(name: str, form: str, folder: Path) -> Path:
    suffix = "" if form in FOLDERS else f".{form}"
    return export_pack(read_pack(name), folder / f"{name}{suffix}", kind=form)


def test_the_answer_of_a_pack_of_another_kind_passes(run: Run, tmp_path: Path) -> None:
    """The smallest of each, from a table."""
    found = json.loads(run("reference", "list", "--json").out)
    for other in OTHERS:
        fitting = [each for each in found if other in (each["ask"], each["family"])]
        name = min(fitting, key=lambda each: each["T"] * each["d"])["name"]
        answer = run("reference", "judge", "--solution", exported(name, "csv", tmp_path), "--pack", name)
        assert answer.code == 0 and "(passes)" in answer.out, answer


@pytest.mark.slow
@pytest.mark.parametrize("k", range(len(FORMS)))
def test_the_answers_of_all_packs_pass(run: Run, tmp_path: Path, k: int) -> None:
    for name in pack_names()[k :: len(FORMS)]:
        answer = run("reference", "judge", "--solution", exported(name, FORMS[k], tmp_path), "--pack", name)
        assert answer.code == 0, (name, answer)


@pytest.mark.slow
def test_an_answer_that_was_moved_fails(run: Run) -> None:
    """The largest entry of a block by a thousandth of itself, in one pack of fourteen."""
    for name in pack_names()[3::14]:
        pack = read_pack(name)
        for block, numbers in pack.solution.items():
            if block != "order" and np.abs(numbers).max(initial=0.0) > 0.0:
                moved = numbers.copy()
                moved.flat[np.abs(moved).argmax()] *= 1.001
                np.savez("moved.npz", **{**pack.solution, block: moved})
                answer = run("reference", "judge", "--solution", "moved.npz", "--pack", name)
                assert answer.code == 1, (name, block, answer)


def test_an_answer_in_another_order_is_named(run: Run) -> None:
    """Whatever layout it is in; with names it passes."""
    name = "tiny-t3-d1-mean"
    assert name in pack_names()
    assert run("reference", "export", name, "--out", "right.json").code == 0
    answer = run("reference", "judge", "--solution", "right.json", "--pack", name)
    assert answer.code == 0 and "nearest is the answer of the pack" in answer.out
    content = json.loads(Path("right.json").read_text())
    W, B, names = np.array(content["W"]), np.array(content["B"]), content["task_names"]
    order = [1, 2, 0]
    moved = {"W": W[:, order].tolist(), "B": B[np.ix_(order, order)].tolist()}
    Path("moved.json").write_text(json.dumps(moved))
    Path("named.json").write_text(json.dumps({**moved, "task_names": [names[t] for t in order]}))
    np.savez("turned.npz", W=W, B=B.T)
    answer = run("reference", "judge", "--solution", "moved.json", "--pack", name)
    assert answer.code == 1 and "reorder columns of W and rows and columns of B to [2, 0, 1]" in answer.out
    assert run("reference", "judge", "--solution", "named.json", "--pack", name).code == 0
    answer = run("reference", "judge", "--solution", "turned.npz", "--pack", name, "--json")
    assert answer.code == 1 and "transpose B" in answer.out
    assert json.loads(answer.out)["passes"] is False
