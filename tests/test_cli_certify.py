"""`amtl-cvx certify`: it accepts a stored run and rejects whatever was changed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import GIVEN, Run, arrays, assert_error, point


def changed(W: np.ndarray, B: np.ndarray, kind: str) -> dict[str, Any]:
    W, B = W.copy(), B.copy()
    if kind == "nan in W":
        W[0, 0] = np.nan
    elif kind == "a column short":
        W = W[:, :-1]
    elif kind == "a row short":
        W = W[:-1]
    elif kind == "objects":
        return {"W": W.astype(object), "B": B}
    elif kind == "no B":
        return {"W": W}
    elif kind == "negative B":
        B[0, 1] = -1e-12
    elif kind == "diagonal":
        B[1, 1] = 1e-12
    elif kind == "moved W":
        W[0, 0] *= 1.0 + 1e-6
    elif kind == "moved B":
        B[B > 0] *= 1.0 + 1e-6
    elif kind == "transposed B":
        B = B.T
    return {"W": W, "B": B}


@pytest.mark.parametrize("kind", ["nan in W", "a column short", "a row short", "objects", "no B"])
def test_certify_refuses_what_is_no_point(run: Run, fitted: Path, kind: str) -> None:
    np.savez("point.npz", **changed(**point(), kind=kind))
    assert_error(run("certify", "a.npz", "point.npz", *GIVEN, "--standardize", "--intercept"))


@pytest.mark.parametrize("kind", ["negative B", "diagonal", "moved W", "moved B", "transposed B"])
def test_certify_rejects_a_point_that_is_none(run: Run, fitted: Path, kind: str) -> None:
    assert np.count_nonzero(point()["B"]) > 0
    np.savez("point.npz", **changed(**point(), kind=kind))
    answer = run("certify", "a.npz", "point.npz", *GIVEN, "--standardize", "--intercept")
    assert answer.code == 1 and "next: " in answer.out and answer.err == ""
    word = "not feasible" if kind in ("negative B", "diagonal") else "does not pass"
    assert word in answer.out


def test_certify_accepts_the_folder_the_file_and_a_bare_point(run: Run, fitted: Path) -> None:
    for solution in ("run", "run/solution.npz"):
        assert run("certify", "a.npz", solution).code == 0
    np.savez("bare.npz", **point())
    assert_error(run("certify", "a.npz", "bare.npz", "--standardize", "--intercept"), "coupling")
    assert_error(run("certify", "a.npz", "bare.npz", *GIVEN), "shape")  # without the intercept
    assert run("certify", "a.npz", "bare.npz", *GIVEN, "--standardize", "--intercept").code == 0
    assert run("certify", "a.npz", "run", "--mu", "0.02").code == 1  # another model
    answer = run("certify", "a.npz", "run", "--json")
    assert answer.code == 0
    assert json.loads(answer.out) == json.loads(Path("run/certificate.json").read_text())
    assert_error(run("certify", "a.npz", "run", "--level", "C9"), "C2")
    assert_error(run("certify", "a.npz", "run", "--loss", "hinge"), "squared")
    assert_error(run("certify", "a.npz", "run/graph.png"), ".npz")
    assert_error(run("certify", "a.npz", "nowhere"), "nowhere")


def test_certify_keeps_one_flag_of_the_run_when_the_other_is_given(run: Run, fitted: Path) -> None:
    assert run("certify", "a.npz", "run", "--intercept").code == 0
    assert_error(run("certify", "a.npz", "run", "--no-intercept"), "shape")


def test_certify_says_when_the_data_are_others(run: Run, fitted: Path) -> None:
    np.savez("b.npz", **arrays(y=arrays()["y"] + 1.0))
    answer = run("certify", "b.npz", "run")
    assert answer.code == 1 and "not the data of the run" in answer.out
    assert "not the data" not in run("certify", "a.npz", "run").out


def test_single_task_learning_has_no_graph_and_the_hint_says_so(run: Run, fitted: Path) -> None:
    answer = run("certify", "a.npz", "run", "--method", "stl")
    assert answer.code == 1 and answer.err == ""
    assert answer.out.splitlines()[-1] == "next: judge it with --method alternating, or set B to 0"
