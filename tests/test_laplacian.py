"""The Laplacian of a graph of the user's: how it is given, by number or by name, what it makes of a fit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases import Array, random_tasks

from amtl_cvx import (
    Laplacian,
    LossWeightedL1,
    MeanRegularised,
    Model,
    Options,
    Problem,
    TaskSet,
    certify,
    fit,
)
from amtl_cvx.cli import main
from amtl_cvx.errors import DataError, ModelError
from amtl_cvx.weights import make_omega

FAST = Options(engine="fast")


def three(rng: np.random.Generator) -> TaskSet:
    tasks = random_tasks(rng, d=3, counts=(9, 14, 20))
    return replace(tasks, tasks=tuple(replace(t, name=n) for t, n in zip(tasks, "abc", strict=True)))


def graph_of(omega: Laplacian, tasks: TaskSet) -> Array:
    return omega.bind(tasks).gram(tasks.T)


def test_edges_are_given_as_triples_an_array_or_a_file_by_name(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    tasks, path = three(rng), tmp_path / "edges.csv"
    path.write_text("source,target,value\na,b,0.3\n c , b ,2\n")
    expected = np.array([[0.3, -0.3, 0.0], [-0.3, 2.3, -2.0], [0.0, -2.0, 2.0]])
    A = np.diag(np.diag(expected)) - expected
    for omega in (
        Laplacian(rho=0.5, edges=((1, 0, 0.3), (1, 2, 2.0))),
        Laplacian(rho=0.5, edges=(("a", "b", 0.3), ("b", "c", 2.0), ("a", "c", 0.0))),
        Laplacian(rho=0.5, edges=A),  # type: ignore[arg-type]
        make_omega(f"laplacian:file={path},rho=0.5"),
    ):
        assert isinstance(omega, Laplacian)
        assert np.abs(graph_of(omega, tasks) - expected).max() <= 1e-15
        turned = replace(tasks, tasks=tasks.tasks[::-1])  # by name, whatever the order of the tasks
        assert np.abs(graph_of(omega.bind(tasks), turned) - expected[::-1, ::-1]).max() <= 1e-15


@pytest.mark.parametrize(
    "edges, words",
    [
        ([("a", "b", 1.0), ("b", "a", 2.0)], "'b' and 'a' stand there twice|'a' and 'b' stand there twice"),
        ([("a", "b", 1.0), ("a", "b", 1.0)], "twice"),
        ([(0, "b", 1.0), ("a", "b", 1.0)], "twice"),
        ([("a", "a", 1.0)], "'a' cannot"),
        ([("a", "b", -1.0)], "must be a number >= 0: -1.0"),
        ([("a", "b", np.nan)], "must be a number >= 0"),
        ([("a", "b")], "triples"),
        ([("a", "d", 1.0)], "no task 'd': the names are a, b, c"),
        ([(0, 3, 1.0)], "no task 3 of 3"),
        ([], "no edge has a weight"),
        ([("a", "b", 0.0)], "no edge has a weight"),
        (np.array([[0.0, 1.0], [2.0, 0.0]]), "symmetric array with a zero diagonal"),
        (np.eye(3), "zero diagonal"),
        (np.array([[0.0, -1.0], [-1.0, 0.0]]), ">= 0"),
        (np.ones((2, 3)), "array of weights"),
    ],
)
def test_edges_that_are_none_are_refused(edges: Any, words: str, rng: np.random.Generator) -> None:
    with pytest.raises(ModelError, match=words) as caught:
        Problem(three(rng), Model(coupling=0, omega=Laplacian(rho=1.0, edges=edges)))
    assert "\n" not in str(caught.value)


def test_all_pairs_alike_are_the_mean(rng: np.random.Generator) -> None:
    """sum over pairs ||w_s - w_t||^2 / T = sum_t ||w_t - mean||^2: the same fit to C3."""
    tasks = three(rng)
    everyone = Laplacian(rho=0.6, edges=(np.ones((3, 3)) - np.eye(3)) / 3)  # type: ignore[arg-type]
    found = [
        fit(tasks, Model(transfer=LossWeightedL1(mu=0.05), coupling=0.5, omega=omega), options=FAST)
        for omega in (everyone, MeanRegularised(rho=0.6))
    ]
    assert all(each.certificate.passes for each in found)
    assert np.abs(found[0].W - found[1].W).max() <= 1e-9 and np.abs(found[0].B - found[1].B).max() <= 1e-9


def test_a_chain_by_itself_is_its_normal_equations(rng: np.random.Generator) -> None:
    """Two parts, a - b and c: their W is that of the system written out, the bound is J's."""
    tasks = three(rng)
    model = Model(coupling=0, omega=Laplacian(rho=0.5, edges=(("a", "b", 2.0),)))
    found = fit(tasks, model, method="stl")
    H = np.kron(np.array([[1.0, -1.0, 0.0], [-1.0, 1.0, 0.0], [0.0, 0.0, 0.0]]), np.eye(3))
    right = np.zeros(9)
    for t, task in enumerate(tasks):
        at = slice(3 * t, 3 * t + 3)
        H[at, at] += task.X.T @ task.X / task.n
        right[at] = task.X.T @ task.y / task.n
    assert np.abs(found.W - np.linalg.solve(H, right).reshape(3, 3).T).max() <= 1e-12
    assert found.certificate.level == "C5"


def test_digits_of_a_fit_with_a_graph_are_proved(tmp_path: Path, rng: np.random.Generator) -> None:
    """C4 needs Gamma in rationals, and weights as the doubles they are; stored and read back with it."""
    pytest.importorskip("flint")
    tasks = TaskSet(tasks=three(rng).tasks[:2])
    omega = Laplacian(rho=0.3, edges=(("a", "b", 0.1),))
    model = Model(transfer=LossWeightedL1(mu=0.05), coupling=0.5, omega=omega)
    found = fit(tasks, model)
    assert certify(tasks, model, found.W, found.B, level="C4").level == "C4"
    problem = Problem(tasks, model)
    problem.save(tmp_path / "p")
    back = Problem.load(tmp_path / "p")
    assert back.model == problem.model and back.model.omega_words == ", omega laplacian:rho=0.3, 1 edges"


def test_a_graph_on_the_command_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    rng: np.random.Generator,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("amtl_cvx.runfolder.content.draw", lambda path, write: None)  # seconds of matplotlib
    X = rng.normal(size=(15, 2))
    np.savez("d.npz", X=X, y=rng.normal(size=15), task=np.repeat([0, 1, 2], 5), task_names=["a", "b", "c"])
    Path("edges.csv").write_text("source,target,value\na,b,1\nb,c,2\n")
    words = (
        "fit",
        "d.npz",
        "--method",
        "stl",
        "--coupling",
        "0",
        "--omega",
        "laplacian:file=edges.csv,rho=1",
    )
    assert main([*words, "--out", "run"]) == 0 and main(["certify", "d.npz", "run", "--level", "C5"]) == 0
    assert "convex-duality" in capsys.readouterr().out
    for wrong, says in (
        ("source,target,value\na,d,1\n", "no task 'd'"),
        ("source,target\na,b\n", "header source,target,value"),
        ("source,target,value\na,b,1\nb,a,1\n", "twice"),
        ("source,target,value\na,b,-1\n", ">= 0"),
        ("source,target,value\na,b,x\n", "must be a number"),
    ):
        Path("edges.csv").write_text(wrong)
        assert main([*words, "--out", "other"]) == 2
        error = capsys.readouterr().err
        assert says in error and error.startswith("error: ") and error.count("\n") == 1
    assert main([*words[:-1], "laplacian:rho=1", "--out", "other"]) == 2
    assert "file=edges.csv" in capsys.readouterr().err
    with pytest.raises(DataError, match="cannot read"):
        make_omega("laplacian:file=nowhere.csv,rho=1")
