"""Proofs of global minima as files: what they say they prove, and whether it is the problem at hand."""

from __future__ import annotations

import copy
import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
import pytest
from cases import random_tasks

from amtl_cvx import Logistic, LossWeightedL1, Model, Squared, TaskSet
from amtl_cvx.enclosure import Enclosure, checked_bounds, checker, enclose, read_proof, stored_enclosure
from amtl_cvx.enclosure.exact import task_weights
from amtl_cvx.enclosure.stored import difference, problem_in
from amtl_cvx.errors import DataError, ModelError
from amtl_cvx.ladder import climb
from amtl_cvx.methods import fit
from amtl_cvx.problem import Problem

STORED = Path(__file__).parents[1] / "reports" / "enclosure"
Proof = dict[str, Any]
ROOTED = Model(
    loss=Squared(reduction="sum"),
    transfer=LossWeightedL1(mu=0.1),
    coupling=1.0,
    task_weights="inverse-sqrt",
)


@pytest.fixture(scope="module")
def tasks() -> TaskSet:
    return random_tasks(np.random.default_rng(4), d=1, counts=(5, 9))


@pytest.fixture(scope="module")
def found(tasks: TaskSet) -> Enclosure:
    """T = 2, d = 1, task weights 1/sqrt(5), which is irrational, and 1/3."""
    return enclose(tasks, ROOTED, np.zeros((1, 2)), np.zeros((2, 2)), starts=3)


@pytest.fixture
def proof(found: Enclosure) -> Proof:
    loaded: Proof = json.loads(json.dumps(found.proof))
    return loaded


# --- one meaning of 1/sqrt(n) -----------------------------------------------------------------------------


def test_a_weight_lies_between_its_ends() -> None:
    for n in (2, 3, 5, 7, 10**6 + 3, 2**61 - 1):
        low, high = checker.ends(f"1/sqrt({n})")
        assert low**2 * n < 1 < high**2 * n and high - low == Fraction(1, 2**128)
    data = random_tasks(np.random.default_rng(0), d=1, counts=(4, 7))
    rational, root = task_weights(data, ROOTED)
    assert rational == ("1/2", Fraction(1, 2), Fraction(1, 2))
    assert root.name == "1/sqrt(7)" and root[1:] == checker.ends(root.name)
    assert [c.low for c in task_weights(data, replace(ROOTED, task_weights=(0.1, 3.0)))] == [Fraction(0.1), 3]


@pytest.mark.parametrize(
    "text", ["1/sqrt(0)", "1/sqrt(-4)", "1/sqrt(7/2)", "1/sqrt(07)", "1/sqrt(7) ", "1/sqrt()", "1/sqrt(0x7)"]
)
def test_nothing_else_is_a_root(text: str, proof: Proof) -> None:
    with pytest.raises(ValueError, match=r"."):
        checker.check({**proof, "task_weights": [text, "1/3"]})


def real_J(tasks: TaskSet, model: Model, W: Any, B: Any) -> Any:
    """J of the real 1/sqrt(n), in 60 digits."""
    with mpmath.workdps(60):
        w = [mpmath.mpf(v.numerator) / v.denominator for v in W[0]]
        b = [[mpmath.mpf(v.numerator) / v.denominator for v in row] for row in B]
        total = mpmath.mpf(0)
        for t, task in enumerate(tasks):
            rows = zip(task.X[:, 0].tolist(), task.y.tolist(), strict=True)
            loss = mpmath.fsum((mpmath.mpf(y) - mpmath.mpf(x) * w[t]) ** 2 for x, y in rows)
            total += (1 + mpmath.mpf(model.mu) * sum(b[t])) * loss / mpmath.sqrt(task.n)
            total += mpmath.mpf(model.coupling) * (w[t] - sum(w[s] * b[s][t] for s in range(2))) ** 2
        return total


def test_the_enclosure_is_that_of_the_real_root(found: Enclosure, tasks: TaskSet) -> None:
    """J at the best point, in 60 digits, lies in it and at its upper end."""
    J = real_J(tasks, ROOTED, found.W, found.B)
    with mpmath.workdps(60):
        low, high = (mpmath.mpf(end.numerator) / end.denominator for end in (found.lower, found.upper))
        assert low <= J <= high and high - J < 1e-36 and (high - low) / high < 1e-16
    assert checker.check(json.loads(json.dumps(found.proof))) == (found.lower, found.upper)


def test_c4_and_c5_prove_the_same_number(tasks: TaskSet) -> None:
    """The proven digits of J lie in the enclosure: before, they lay below its lower end."""
    pytest.importorskip("flint", reason="the extra [verify] is not installed")
    point = fit(tasks, ROOTED)
    climbed = climb(point.certificate, tasks, ROOTED, point.W, point.B)
    assert climbed.certificate.level == "C5" and climbed.proven is not None and climbed.bounds is not None
    J = Fraction(climbed.proven.objective)
    slack = J / 10**39  # its 40 digits are rounded to nearest
    assert climbed.bounds.lower <= J + slack and J - slack <= climbed.bounds.upper
    assert climbed.certificate.global_lower is not None
    assert Fraction(climbed.certificate.global_lower) <= J + slack


# --- what the checker prints ------------------------------------------------------------------------------


def small_proofs() -> list[Path]:
    files = [path for folder in ("instances", "proofs") for path in (STORED / folder).glob("*.json")]
    return sorted(path for path in files if path.stat().st_size < 25_000)


def test_printed_bounds_hold(capsys: pytest.CaptureFixture[str]) -> None:
    """Stored proofs of format 1, their printed bounds against the exact ones of the file."""
    assert len(small_proofs()) >= 8
    for path in small_proofs():
        content = json.loads(path.read_text())
        lower, upper = Fraction(content["lower"]), Fraction(content["upper"])
        assert content["format"].endswith(" 1") and checker.main([str(path)]) == 0
        said = capsys.readouterr().out
        shown = re.match(r"proved: (\S+) <= min J <= (\S+), relative width (\S+)\n", said)
        assert shown is not None
        low, high, width = map(Fraction, shown.groups())
        assert low <= lower and upper <= high and width >= 1 - lower / upper
        assert high - low <= upper - lower + 2 * upper / 10**16


@pytest.mark.parametrize(
    ("value", "digits", "down", "up"),
    [
        (Fraction(1, 3), 3, "3.33e-1", "3.34e-1"),
        (Fraction(999999, 1000), 3, "9.99e2", "10.00e2"),
        (Fraction(-1, 3), 3, "-3.34e-1", "-3.33e-1"),
        (Fraction(5, 4), 3, "1.25e0", "1.25e0"),
        (Fraction(1, 10**30 + 1), 2, ".9e-30", "1.0e-30"),
    ],
)
def test_figures_of_the_checker_are_rounded_outward(value: Fraction, digits: int, down: str, up: str) -> None:
    assert (checker.figure(value, digits, 1), checker.figure(value, digits, -1)) == (down, up)
    for text, side in ((down, 1), (up, -1)):
        assert side * (value - Fraction(text)) >= 0


def test_the_checker_says_which_problem_it_proved(
    proof: Proof, tasks: TaskSet, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The hash of the lines "x y" as p/q, taken here from the arrays."""
    (tmp_path / "proof.json").write_text(json.dumps(proof))
    assert checker.main([str(tmp_path / "proof.json")]) == 0
    said = capsys.readouterr().out
    blocks = [
        "".join(
            f"{Fraction(x)} {Fraction(y)}\n"
            for x, y in zip(task.X[:, 0].tolist(), task.y.tolist(), strict=True)
        )
        for task in tasks
    ]
    assert hashlib.sha256("\n".join(blocks).encode()).hexdigest() in said
    for words in ("T 2, d 1, n [5, 9]", "mu 0.1,", "coupling 1.0,", "task weights 1/sqrt(5), 1/3", "sum"):
        assert words in said


# --- a proof and the problem at hand ----------------------------------------------------------------------


def _moved(task: int) -> Callable[[TaskSet], TaskSet]:
    def change(tasks: TaskSet) -> TaskSet:
        y = [each.y.copy() for each in tasks]
        y[task][0] = np.nextafter(y[task][0], np.inf)
        return TaskSet.from_arrays([each.X for each in tasks], y)

    return change


def _shorter(tasks: TaskSet) -> TaskSet:
    return TaskSet.from_arrays([each.X[1:] for each in tasks], [each.y[1:] for each in tasks])


def _swapped(tasks: TaskSet) -> TaskSet:
    return TaskSet.from_arrays([each.X for each in tasks][::-1], [each.y for each in tasks][::-1])


OTHERS: dict[str, tuple[Callable[[TaskSet], TaskSet], Callable[[Model], Model], str]] = {
    "mu": (
        lambda tasks: tasks,
        lambda model: replace(model, transfer=LossWeightedL1(mu=np.nextafter(0.1, 1.0))),
        "mu is 0.1 there and 0.1000000",
    ),
    "coupling": (
        lambda tasks: tasks,
        lambda model: replace(model, coupling=2.0),
        "coupling is 1.0 there and 2.0",
    ),
    "mean": (
        lambda tasks: tasks,
        lambda model: replace(model, loss=Squared()),
        "reduction is sum there and mean",
    ),
    "weights": (
        lambda tasks: tasks,
        lambda model: replace(model, task_weights=(5**-0.5, 1 / 3)),
        "1/sqrt(5) there and 0x",
    ),
    "loss": (lambda tasks: tasks, lambda model: replace(model, loss=Logistic()), "squared there"),
    "a target by one ulp": (_moved(1), lambda model: model, "the rows of task 'task 1'"),
    "fewer rows": (_shorter, lambda model: replace(model, task_weights=(1.0, 1.0)), "weight of task"),
    "swapped": (_swapped, lambda model: replace(model, task_weights=(1.0, 1.0)), "weight of task"),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_a_proof_of_another_problem_is_refused(kind: str, proof: Proof, tasks: TaskSet) -> None:
    data, model, words = OTHERS[kind]
    with pytest.raises(DataError, match=r"about another problem, .*" + re.escape(words)):
        checked_bounds(proof, data(tasks), model(ROOTED))


def test_rows_that_are_missing_or_more_are_noticed(tasks: TaskSet) -> None:
    """With equal weights the number of rows alone tells."""
    model = replace(ROOTED, task_weights="equal")
    W, B = np.zeros((1, 2)), np.zeros((2, 2))
    stored = json.loads(json.dumps(enclose(tasks, model, W, B, starts=1).proof))
    assert checked_bounds(stored, tasks, model)[0] > 0
    with pytest.raises(DataError, match="another shape"):
        checked_bounds(stored, _shorter(tasks), model)
    three = random_tasks(np.random.default_rng(4), d=1, counts=(5, 9, 4))
    with pytest.raises(DataError, match="2 tasks there and 3 here"):
        checked_bounds(stored, three, model)


def test_the_problem_of_a_proof_is_read_as_a_stored_problem_is(proof: Proof, tasks: TaskSet) -> None:
    """Bit for bit, with the hash of the data; one of an earlier version holds the numbers alone."""
    found = problem_in(proof)
    assert found is not None and found.model == ROOTED and found.tasks.names == tasks.names
    assert found.tasks.fingerprint() == tasks.fingerprint() == proof["problem"]["fingerprint"]
    for there, here in zip(found.tasks, tasks, strict=True):
        assert (there.X.tobytes(), there.y.tobytes()) == (here.X.tobytes(), here.y.tobytes())
    earlier = {key: value for key, value in proof.items() if key != "problem"}
    assert problem_in(earlier) is None and difference(earlier, tasks, ROOTED) == ""
    named = TaskSet.from_arrays([t.X for t in tasks], [t.y for t in tasks], names=["a", "b"])
    assert difference(proof, named, ROOTED) == ""  # other names, the same numbers
    proof["tasks"][1]["y"][0] = str(Fraction(float(tasks[1].y[0])) + Fraction(1, 10**40))  # no double
    with pytest.raises(DataError, match="describes another.* the rows of task 'task 1'"):
        problem_in(proof)


@pytest.mark.parametrize(
    ("key", "lie"),
    [("mu", 0.2), ("coupling", 3.0), ("reduction", "mean"), ("task_weights", "equal"), ("rows", [9, 5]),
     ("fingerprint", "0" * 64), ("transfer", "os:system"), ("loss", 7), ("task_names", ["a"])],
)  # fmt: skip
def test_a_description_of_another_problem_than_is_proved_is_refused(
    key: str, lie: Any, proof: Proof, tasks: TaskSet
) -> None:
    changed = {**proof, "problem": {**proof["problem"], key: lie}}
    assert checker.check(changed)  # of the exact numbers, which are as they were
    with pytest.raises((DataError, ModelError)) as error:
        checked_bounds(changed, tasks, ROOTED)
    assert "\n" not in str(error.value) and len(str(error.value)) < 300


def test_a_stored_proof_takes_the_place_of_a_search(
    proof: Proof, found: Enclosure, tasks: TaskSet, tmp_path: Path
) -> None:
    path = tmp_path / "proof.json"
    path.write_text(json.dumps(proof))
    W, B = np.full((1, 2), 0.5), np.array([[0.0, 0.25], [0.0, 0.0]])
    again = stored_enclosure(read_proof(path), Problem(tasks, ROOTED).at(W, B))
    assert (again.lower, again.upper, again.W, again.B) == (found.lower, found.upper, found.W, found.B)
    point = [[Fraction(1, 2)] * 2], [[Fraction(0), Fraction(1, 4)], [Fraction(0)] * 2]
    J = real_J(tasks, ROOTED, *point)
    with mpmath.workdps(60):
        assert J <= mpmath.mpf(again.at.numerator) / again.at.denominator <= J * (1 + mpmath.mpf(10) ** -36)


@pytest.mark.parametrize("name", ["lower", "level", "radius", "blocks", "tasks", "mu"])
@pytest.mark.parametrize("junk", [None, "7", [["1"]], {}])
def test_a_hostile_file_is_one_line(name: str, junk: Any, proof: Proof, tasks: TaskSet) -> None:
    changed = copy.deepcopy(proof)
    changed[name] = junk
    with pytest.raises(DataError) as error:
        checked_bounds(changed, tasks, ROOTED)
    assert "\n" not in str(error.value) and len(str(error.value)) < 500


@pytest.mark.parametrize("text", ["", "[]", "{}", "[" * 100_000, '{"format": "another"}', "\0"])
def test_what_is_no_proof_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "proof.json").write_text(text)
    with pytest.raises(DataError, match="is no proof of ours"):
        read_proof(tmp_path / "proof.json")
