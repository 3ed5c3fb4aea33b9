# More than 300 lines: the tests of one command.
"""`amtl-cvx certify`: it accepts a stored run and rejects whatever was changed."""

from __future__ import annotations

import json
import sys
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from command_line import GIVEN, Run, arrays, assert_error, point, states, write_csv

import amtl_cvx.enclosure


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


def test_the_ladder_is_printed_rung_by_rung(run: Run, fitted: Path) -> None:
    expected = dict.fromkeys(("C0", "C1", "C2"), "reached") | dict.fromkeys(("C3", "C4", "C5"), "not tried")
    answer = run("certify", "a.npz", "run")
    assert answer.code == 0 and states(answer) == expected
    answer = run("certify", "a.npz", "run", "--level", "C3")
    assert answer.code == 0 and answer.err == "" and states(answer) == {**expected, "C3": "reached"}
    assert "strict local minimum" in answer.out
    answer = run("certify", "a.npz", "run", "--level", "C4")
    assert answer.code == 0 and states(answer) == {**expected, "C3": "reached", "C4": "reached"}
    assert (
        "C4 digits-proven" in answer.out
        and "Exactly one first-order point lies within" in answer.out
        and "known to" in answer.out
    )


def test_a_level_that_is_not_reached_is_exit_1(
    run: Run, fitted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "flint", None)
    answer = run("certify", "a.npz", "run", "--level", "C4")
    assert answer.code == 1 and states(answer)["C4"] == "cannot be had" and "pip install" in answer.out
    answer = run("certify", "a.npz", "run", "--level", "C4", "--json")
    found = json.loads(answer.out)
    assert answer.code == 1 and found["level"] == "C3" and found["refused"] == ["C4"]
    assert found["proven_radius"] is None and "verify" in found["reasons"]["C4"]
    np.savez("point.npz", **changed(**point(), kind="moved W"))
    answer = run("certify", "a.npz", "point.npz", *GIVEN, "--standardize", "--intercept", "--level", "C3")
    assert answer.code == 1 and states(answer)["C2"] == "not reached" and "next: " in answer.out
    assert states(answer)["C3"] == "not tried" and "Needs C2." in answer.out
    assert run("certify", "a.npz", "run", "--level", "C3", "--method", "stl").code == 1


def test_proven_digits_are_printed_and_round_to_the_stored_point(run: Run, fitted: Path) -> None:
    answer = run("certify", "a.npz", "run", "--level", "C4", "--digits", "25")
    assert answer.code == 0
    shown = dict(
        line.split(" = ") for line in answer.out.splitlines() if line.startswith(("W[", "B[", "J ="))
    )
    W, B = point()["W"], point()["B"]
    digits = shown["J"].replace(".", "").lstrip("0")
    assert len(digits) == 25
    for j, t in np.ndindex(W.shape):
        assert float(shown[f"W[feature {j}, task {t}]"]) == pytest.approx(W[j, t], rel=1e-9, abs=1e-12)
    edges = {key for key in shown if key.startswith("B")}
    assert edges == {f"B[task {s}, task {t}]" for s, t in zip(*np.nonzero(B), strict=True)} and edges
    found = json.loads(run("certify", "a.npz", "run", "--level", "C4", "--digits", "25", "--json").out)
    assert found["digits"]["objective"] == shown["J"] and found["level"] == "C4"
    assert "digits" not in json.loads(run("certify", "a.npz", "run", "--level", "C4", "--json").out)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--level", "C7"), "C5"),
        (("--digits", "10"), "C4"),
        (("--level", "C4", "--digits", "0"), "40"),
        (("--level", "C4", "--digits", "41"), "40"),
        (("--level", "C4", "--digits", "many"), "digits"),
        (("--level", "C4", "--proof", "p.json"), "C5"),
        (("--level", "C5", "--proof", "nowhere/p.json"), "nowhere"),
    ],
)
def test_options_that_make_no_sense_are_refused(
    run: Run, fitted: Path, words: tuple[str, ...], told: str
) -> None:
    assert_error(run("certify", "a.npz", "run", *words), told)


def test_the_proof_of_c5_is_written_whole(run: Run, fitted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    J = Fraction(json.loads(Path("run/certificate.json").read_text())["objective"])
    found = SimpleNamespace(
        lower=J * (1 - Fraction(1, 10**5)),
        upper=J,
        at=J,
        width=1e-5,
        stopped="",
        method="exact",
        proof={"lower": "1/3"},
    )
    monkeypatch.setattr(amtl_cvx.enclosure, "enclose", lambda *_, **__: found)
    answer = run("certify", "a.npz", "run", "--level", "C5", "--proof", "proof.json")
    assert answer.code == 0 and states(answer) == dict.fromkeys(
        ("C0", "C1", "C2", "C3", "C4", "C5"), "reached"
    )
    assert json.loads(Path("proof.json").read_text()) == {"lower": "1/3"} and "proof.json" in answer.out
    content = json.loads(run("certify", "a.npz", "run", "--level", "C5", "--json").out)
    assert content["global_upper"] == float(J) and content["global_method"] == "exact"
    wide = SimpleNamespace(
        lower=J / 2, upper=J, at=J, width=0.5, stopped="", method="solver-claimed", proof=None
    )
    monkeypatch.setattr(amtl_cvx.enclosure, "enclose", lambda *_, **__: wide)
    answer = run("certify", "a.npz", "run", "--level", "C5", "--proof", "other.json")
    assert answer.code == 1 and "was not written" in answer.out and not Path("other.json").exists()


def assert_digits(folder: Path) -> None:
    """digits.json tells the point of the run in decimals, and the names of all tasks."""
    kept, stored = json.loads((folder / "digits.json").read_text()), point(folder)
    for key in ("W", "B"):
        numbers = np.array([[float(text) for text in row] for row in kept[key]])
        np.testing.assert_allclose(numbers, stored[key], rtol=1e-9, atol=1e-12)
    assert len(kept["objective"].replace(".", "").lstrip("0")) == 40 and kept["radius"] <= 1e-30
    assert kept["task_names"] == ["task 0", "task 1", "task 2"]
    assert "digits.json" in json.loads((folder / "run.json").read_text())["files"]


def test_fit_keeps_the_proof_of_c5(run: Run, fitted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    J = Fraction(json.loads(Path("run/certificate.json").read_text())["objective"])
    found = SimpleNamespace(
        lower=J * (1 - Fraction(1, 10**5)),
        upper=J * 2,
        at=J,
        stopped="",
        width=1e-5,
        method="exact",
        proof={"lower": "1/3"},
    )
    monkeypatch.setattr(amtl_cvx.enclosure, "enclose", lambda *_, **__: found)
    assert run("fit", "a.npz", "--out", "up", *GIVEN, "--level", "C5").code == 0
    assert json.loads(Path("up/proof.json").read_text()) == {"lower": "1/3"}
    assert_digits(Path("up"))
    assert run("fit", "a.npz", "--out", "up", *GIVEN).code == 0  # a run without proofs leaves none
    assert not Path("up/proof.json").exists() and not Path("up/digits.json").exists()


def test_fit_goes_up_the_ladder_too(run: Run, fitted: Path) -> None:
    answer = run("fit", "a.npz", "--out", "up", *GIVEN, "--level", "C4")
    stored = json.loads(Path("up/certificate.json").read_text())
    assert answer.code == 0 and stored["level"] == "C4" and stored["proven_radius"] <= 1e-30
    assert states(answer)["C4"] == "reached" and "up/digits.json" in answer.out
    assert_digits(Path("up"))
    answer = run("fit", "a.npz", "--out", "learned", *GIVEN, "--method", "curriculum", "--level", "C3")
    assert answer.code == 1 and states(answer)["C3"] == "cannot be had"
    assert_error(run("fit", "a.npz", "--out", "x", *GIVEN, "--level", "C1"), "C2")


ORDER = np.array([2, 0, 1])
"""Column k of a foreign file is task ORDER[k] of the data."""


def foreign(path: str, **names: Any) -> None:
    found = point()
    np.savez(path, W=found["W"][:, ORDER], B=found["B"][np.ix_(ORDER, ORDER)], **names)


def test_tasks_in_another_order_are_told_and_the_line_repairs_them(run: Run, fitted: Path) -> None:
    options = (*GIVEN, "--standardize", "--intercept")
    foreign("foreign.npz")
    answer = run("certify", "a.npz", "foreign.npz", *options)
    last = answer.out.splitlines()[-1]
    assert answer.code == 1 and "does not pass" in answer.out and answer.err == ""
    assert last.startswith("next: the tasks of the file are in another order") and "passes" in last
    order = json.loads(last[last.index("to [") + 3 : last.index("]") + 1])
    with np.load("foreign.npz") as file:
        np.savez("repaired.npz", W=file["W"][:, order], B=file["B"][np.ix_(order, order)])
    assert run("certify", "a.npz", "repaired.npz", *options).code == 0
    content = json.loads(run("certify", "a.npz", "foreign.npz", *options, "--json").out)
    assert content["notes"] == [last] and content["passes"] is False


def test_names_in_the_solution_put_it_in_the_order_of_the_data(run: Run, fitted: Path) -> None:
    options = (*GIVEN, "--standardize", "--intercept")
    foreign("named.npz", task_names=[f"task {t}" for t in ORDER])
    answer = run("certify", "a.npz", "named.npz", *options)
    assert answer.code == 0
    assert "tasks task 0, task 1, task 2 (by the names of the solution)" in answer.out
    foreign("others.npz", task_names=["ash", "birch", "cedar"])
    assert_error(run("certify", "a.npz", "others.npz", *options), "task_names", "ash", "task 0")
    np.savez("b.npz", **arrays(feature_names=["u", "v", "w", "x"]))
    W, rows = point()["W"], [4, 2, 0, 1, 3]
    names = np.array(["u", "v", "w", "x", "intercept"])[rows]
    np.savez("rows.npz", W=W[rows], B=point()["B"], feature_names=names)
    answer = run("certify", "b.npz", "rows.npz", *options)
    assert answer.code == 0
    assert "features u, v, w, x, intercept (by the names of the solution)" in answer.out
    np.savez("rows.npz", W=W[rows], B=point()["B"])
    answer = run("certify", "b.npz", "rows.npz", *options)
    assert answer.code == 1 and f"reorder rows of W to {np.argsort(rows).tolist()}" in answer.out


def test_the_order_that_is_assumed_is_printed(run: Run, fitted: Path) -> None:
    line = run("certify", "a.npz", "run").out.splitlines()[-1]
    assert line.startswith("order: columns of W") and "task 0, task 1, task 2 (" in line


def test_json_says_too_when_the_data_are_others(run: Run, fitted: Path) -> None:
    np.savez("b.npz", **arrays(y=arrays()["y"] + 1.0))
    content = json.loads(run("certify", "b.npz", "run", "--json").out)
    assert any("not the data of the run" in note for note in content["notes"])


def test_a_transpose_that_fits_is_named_where_the_shape_is_wrong(run: Run, fitted: Path) -> None:
    np.savez("t.npz", W=point()["W"].T, B=point()["B"])
    assert_error(run("certify", "a.npz", "t.npz", *GIVEN, "--standardize", "--intercept"), "transpose")


def test_columns_in_another_order_are_prepared_by_their_names(run: Run) -> None:
    data = arrays()
    data["X"] = data["X"] * [1.0, 10.0, 100.0, 1000.0] + [0.0, 5.0, 0.0, -5.0]
    write_csv(Path("a.csv"), data)
    columns = ("--task", "kind", "--target", "price")
    assert run("fit", "a.csv", *columns, "--out", "run", *GIVEN, "--standardize", "--quiet").code == 0
    header, *lines = [line.split(",") for line in Path("a.csv").read_text().splitlines()]
    order = [3, 0, 5, 1, 4, 2]
    moved = [",".join(row[j] for j in order) for row in (header, *lines)]
    Path("b.csv").write_text("\n".join(moved) + "\n")
    first, second = (run("certify", name, "run", "--json") for name in ("a.csv", "b.csv"))
    assert first.code == second.code == 0
    assert json.loads(second.out)["objective"] == pytest.approx(json.loads(first.out)["objective"], rel=1e-12)
