"""A stored problem comes back bit for bit, and whatever else lies in its folder is refused in one line."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from cases import random_tasks

from amtl_cvx.data import export, read
from amtl_cvx.errors import AMTLError, DataError
from amtl_cvx.losses import Huber, Logistic, Squared
from amtl_cvx.problem import Model, Problem
from amtl_cvx.tasks import Task, TaskSet
from amtl_cvx.transfer import ElasticNet, Forbidden, LossWeightedL1, RowBudget

ODD = np.array([[5e-324, -0.0], [1.0 + 2.0**-52, 1e300], [0.1, -1.0 / 3.0]])
"""Doubles that a decimal of fifteen digits, or a comparison by value, would lose."""


def problem() -> Problem:
    tasks = TaskSet.from_arrays(
        [ODD[:2, :] * 1e-200, ODD * 1e-200], [[0.1, 0.2], [1 / 3, 2 / 3, 1e-310]],
        names=["\N{SNOWMAN}, a", 'b"'], feature_names=["u", "v w"],
    )  # fmt: skip
    return Problem(
        tasks, Model(loss=Huber(threshold=0.1), transfer=ElasticNet(mu=0.1, rho=0.7), coupling=1 / 3)
    )


def same(one: Problem, other: Problem) -> None:
    """The very same numbers: every array by its bytes, the rest by what it shows."""
    for a, b in zip(one.tasks, other.tasks, strict=True):
        for name in ("X", "y", "ones"):
            first, second = getattr(a, name), getattr(b, name)
            assert (first is None) is (second is None)
            assert first is None or (first.shape, first.tobytes()) == (second.shape, second.tobytes())
        assert (a.name, a.n) == (b.name, b.n)
    assert one.tasks.fingerprint() == other.tasks.fingerprint()
    assert (one.tasks.feature_names, one.tasks.labels) == (other.tasks.feature_names, other.tasks.labels)
    assert (one.tasks.basis is None) is (other.tasks.basis is None)
    assert one.model.to_dict() == other.model.to_dict()
    assert one.model.transfer.description() == other.model.transfer.description()


def test_every_bit_comes_back(tmp_path: Path) -> None:
    stored = problem()
    stored.save(tmp_path / "deep" / "p")
    same(stored, Problem.load(tmp_path / "deep" / "p"))
    assert sorted(path.name for path in (tmp_path / "deep").iterdir()) == ["p"]  # no trace of the writing


@pytest.mark.parametrize("kind", ["factors", "ones", "coordinates", "shared", "edges", "weights", "budget"])
def test_problems_of_every_kind_come_back(tmp_path: Path, rng: np.random.Generator, kind: str) -> None:
    tasks, model = random_tasks(rng), Model(transfer=LossWeightedL1(mu=0.1), coupling=0.3)
    if kind == "factors":
        tasks = replace(model.compress(tasks), digest=tasks.fingerprint())
        assert any(task.compressed for task in tasks)
    elif kind == "ones":
        whole = (Task(X=np.eye(2), y=np.ones(2), name="b"),)
        tasks = TaskSet(tasks=(Task(X=np.eye(2), y=np.ones(2), count=7, ones=np.array([1.0, 2.0])), *whole))
    elif kind == "coordinates":
        tasks = tasks.in_basis(np.linalg.qr(rng.normal(size=(tasks.d, 2)))[0])
    elif kind == "shared":
        tasks = TaskSet.one_vs_rest(rng.normal(size=(6, 2)), ["a", "b", "c", "a", "b", "c"])
        model = replace(model, loss=Logistic())
    elif kind == "edges":
        model = replace(model, transfer=Forbidden(mu=0.1, edges=((0, 1),)))
    elif kind == "weights":
        model = replace(model, loss=Squared(reduction="sum"), task_weights=tuple(rng.uniform(size=tasks.T)))
    else:
        model = replace(model, transfer=RowBudget(mu=0.1, budget=0.25))
    stored = Problem(tasks, model)
    stored.save(tmp_path / "p")
    back = Problem.load(tmp_path / "p")
    same(stored, back)
    if kind == "shared":
        assert back.tasks[2].X is back.tasks[0].X
    if kind == "factors":
        with pytest.raises(DataError, match="factors"):  # they are no rows
            read(tmp_path / "p")


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-9])


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-9] ^= 1
    path.write_bytes(content)


def _other_mu(path: Path) -> None:
    path.write_text(path.read_text().replace('"mu": 0.1', '"mu": 0.2'))


def _objects(path: Path) -> None:
    np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)


def _unlisted(path: Path) -> None:
    """As a folder of another program's making: no digests, so the arrays must be right by themselves."""
    about = json.loads((path.parent / "problem.json").read_text())
    del about["files"], about["sha256"]
    (path.parent / "problem.json").write_text(json.dumps(about))


def _turned(path: Path) -> None:
    _unlisted(path)
    np.save(path, np.load(path)[::-1])


def _single(path: Path) -> None:
    _unlisted(path)
    with np.errstate(over="ignore", under="ignore"):
        np.save(path, np.load(path).astype(np.float32))


def _removed(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize(
    ("name", "damage", "word"),
    [
        ("problem.json", _cut, "damaged"),
        ("problem.json", _other_mu, "changed"),
        ("problem.json", _removed, "problem.json"),
        ("X.npy", _cut, "changed"),
        ("X.npy", _flip, "changed"),
        ("X.npy", _removed, "X.npy"),
        ("X.npy", _single, "float64"),
        ("y.npy", _objects, "changed"),
        ("task.npy", _turned, "fit each other"),
        ("names.json", _flip, "names.json"),
    ],
)
def test_a_damaged_folder_is_refused_in_one_line(
    tmp_path: Path, name: str, damage: Callable[[Path], None], word: str
) -> None:
    problem().save(tmp_path / "p")
    damage(tmp_path / "p" / name)
    with pytest.raises(DataError, match=word) as refused:
        Problem.load(tmp_path / "p")
    assert "\n" not in str(refused.value)


def test_objects_are_refused_without_digests_too(tmp_path: Path) -> None:
    problem().save(tmp_path / "p")
    _unlisted(tmp_path / "p" / "y.npy")
    same(problem(), Problem.load(tmp_path / "p"))
    _objects(tmp_path / "p" / "y.npy")
    with pytest.raises(DataError, match="Python objects"):
        Problem.load(tmp_path / "p")


def test_a_class_of_somebody_else_is_named_and_not_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    problem().save(tmp_path / "p")
    (tmp_path / "trap.py").write_text("raise SystemExit('imported')\n")
    monkeypatch.syspath_prepend(tmp_path)
    about = json.loads((tmp_path / "p" / "problem.json").read_text())
    del about["sha256"]
    for key in ("transfer", "loss"):
        (tmp_path / "p" / "problem.json").write_text(json.dumps({**about, key: "trap:Trap"}))
        with pytest.raises(AMTLError, match="trap:Trap"):
            Problem.load(tmp_path / "p")
    assert "trap" not in sys.modules


def test_what_is_there_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "notes").touch()
    with pytest.raises(DataError, match="not empty"):
        problem().save(tmp_path / "p")
    assert [path.name for path in tmp_path.rglob("*")] == ["p", "notes"]


def test_an_exported_folder_is_a_stored_problem_and_keeps_the_second_number_of_a_penalty(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    model = Model(transfer=ElasticNet(mu=0.1, rho=0.7), coupling=0.3)
    tasks = random_tasks(rng)
    export(tasks, model, tmp_path / "p")
    same(Problem(tasks, model), Problem.load(tmp_path / "p"))
    assert read(tmp_path / "p").settings["transfer_parameters"] == {"rho": 0.7}


def test_an_export_of_the_version_before_is_read(tmp_path: Path) -> None:
    """Its problem.json had neither schema nor digests; typed off here."""
    (tmp_path / "problem.json").write_text(
        '{"program": "amtl_cvx", "source": "file a.npz", "loss": "logistic", "reduction": "sum",'
        ' "transfer": "loss-weighted-l1", "mu": 0.05, "coupling": 0.5, "task_weights": "inverse-sqrt",'
        ' "labels": [0, 1], "T": 2, "d": 1, "rows": [2, 2], "fingerprint": "9f"}'
    )
    (tmp_path / "names.json").write_text('{"task_names": ["a", "b"]}')
    for name, array in (
        ("X", [[1.0], [2.0], [3.0], [4.0]]),
        ("y", [1.0, -1.0, 1.0, -1.0]),
        ("task", [0, 0, 1, 1]),
        ("task_weights", [2**-0.5, 2**-0.5]),
    ):
        np.save(tmp_path / f"{name}.npy", np.array(array))
    found = Problem.load(tmp_path)
    assert found.tasks.names == ("a", "b") and found.tasks.labels == (0, 1)
    assert found.tasks[0].X.tolist() == [[1.0], [2.0]] and found.tasks[1].y.tolist() == [1.0, -1.0]
    assert (found.model.coupling, found.model.mu, found.model.loss.name) == (0.5, 0.05, "logistic")
