"""`amtl-cvx reference judge`: a back end as an object or a program."""

from __future__ import annotations

import json
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from command_line import Run, assert_error

MINE = '''
"""J of the squared loss, and its gradient in W."""
import numpy as np


class Mine:
    name = "mine"
    losses = ("squared",)
    factor = 1.0

    def evaluate(self, asked):
        R, J = asked.W - asked.W @ asked.B, 0.0
        G, losses = 2 * asked.coupling * R @ (np.eye(asked.T) - asked.B).T, np.zeros(asked.T)
        for t, (X, y) in enumerate(zip(asked.X, asked.y)):
            r, n = X @ asked.W[:, t] - y, len(y) if asked.reduction == "mean" else 1
            losses[t] = r @ r / n
            a = asked.task_weights[t] * (1 + asked.mu * asked.B[t].sum())
            J, G[:, t] = J + a * losses[t], G[:, t] + 2 * a * X.T @ r / n
        J, G = J + asked.coupling * (R * R).sum(), self.factor * G
        return {"objective": J, "losses": losses, "gradient_W": G}


class Half(Mine):
    name, factor = "half", 0.5


class Known(Half):
    expected_failures = {"L0/gradient_W*": "a factor of 2 by convention", "L0/gradient-W*": "the same"}


twice = Mine()
twice.factor = 2.0
nothing = object()
'''
PROGRAM = """#!{python}
import sys
import numpy as np
given, taken = sys.argv[1:]
words = dict(line.split(" ", 1) for line in open(given + "/ask.txt").read().splitlines())
if words["ask"] != "evaluate":
    sys.exit(64)
X, y, task, c, W, B = (np.load(f"{{given}}/{{n}}.npy") for n in ("X", "y", "task", "task_weights", "W", "B"))
T, mu, coupling = int(words["T"]), float(words["mu"]), float(words["coupling"])
rows = [task == t for t in range(T)]
power = 1 if words["reduction"] == "mean" else 0
losses = [((X[i] @ W[:, t] - y[i]) ** 2).sum() / i.sum() ** power for t, i in enumerate(rows)]
J = sum(c[t] * (1 + mu * B[t].sum()) * losses[t] for t in range(T)) + coupling * ((W - W @ B) ** 2).sum()
np.save(taken + "/objective.npy", {factor} * J)
"""
ONE = ("--packs", "tiny-t2-d1-mean", "--levels", "L0", "--loss", "squared")


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """A file with back ends, in the current folder."""
    (tmp_path / "mine.py").write_text(MINE)
    return tmp_path / "mine.py"


@pytest.fixture(autouse=True)
def forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a command imports is gone after it."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "mine", raising=False)


def program(place: Path, factor: float = 1.0) -> Path:
    place.write_text(PROGRAM.format(python=sys.executable, factor=factor))
    place.chmod(0o755)
    return place


def test_an_object_that_is_right_is_green(run: Run, mine: Path) -> None:
    answer = run("reference", "judge", "mine.py:Mine", *ONE)
    assert answer.code == 0, answer
    for target in ("./mine.py:Mine", "mine:Mine"):
        assert run("reference", "judge", target, *ONE, "--quiet") == (0, "", "")


def test_one_that_is_wrong_is_red_and_told_why(run: Run, mine: Path) -> None:
    answer = run("reference", "judge", "mine.py:Half", *ONE)
    assert answer.code == 1 and "gradient without its factor 2" in answer.out
    answer = run("reference", "judge", "mine.py:twice", *ONE, "--json")
    content = json.loads(answer.out)
    assert answer.code == 1 and content["passes"] is False and content["backend"] == "mine"
    bad = [each for each in content["results"] if each["status"] == "failed"]
    assert bad and all("gradient" in each["id"] for each in bad)


def test_files_for_a_ci_and_for_people(run: Run, mine: Path) -> None:
    answer = run(
        "reference", "judge", "mine.py:Half", *ONE, "--junit", "out.xml", "--html", "out.html", "--quiet"
    )
    assert answer == (1, "", "")
    root = ET.parse("out.xml").getroot()
    assert int(root.get("failures", "0")) >= 1
    page = Path("out.html").read_text()
    assert page.startswith("<!DOCTYPE html>") and "half" in page
    assert_error(run("reference", "judge", "mine.py:Half", "--junit", "no/out.xml"), "choose another --junit")


@pytest.mark.slow
def test_a_program_is_judged(run: Run, tmp_path: Path) -> None:
    program(tmp_path / "solve")
    assert run("reference", "judge", "./solve", *ONE).code == 0
    program(tmp_path / "wrong", factor=0.5)
    assert run("reference", "judge", f"{sys.executable} wrong", *ONE, "--quiet") == (1, "", "")


def test_a_program_that_hangs_or_crashes_fails_its_checks(run: Run, tmp_path: Path) -> None:
    for name, code in (("hang", "import time; time.sleep(60)"), ("crash", "import os; os.abort()")):
        (tmp_path / name).write_text(f"#!{sys.executable}\n{code}\n")
        (tmp_path / name).chmod(0o755)
        answer = run("reference", "judge", f"./{name}", *ONE, "--timeout", "0.5", "--json")
        content = json.loads(answer.out)
        assert answer.code == 1 and not content["passes"]
        assert any(name in cause for each in content["results"] for cause in map(str, each["causes"]))


@pytest.mark.parametrize(
    "words, said",
    [
        ((), "a TARGET or --solution"),
        (("mine.py:Nobody",), "mine.py has no Nobody"),
        (("nowhere.py:Mine",), "there is none"),
        (("nowhere.at.all:Mine",), "cannot be imported"),
        (("mine.py:nothing",), "at least one of the methods"),
        (("./no-program",), "is not there"),
        (("json:JSONDecoder", "more"), "see amtl-cvx reference judge --help"),
        (("mine.py",), "say mine.py:Object"),
        (("mine.py:Mine", "--levels", "L7"), "L7"),
        (("mine.py:Mine", "--packs", "tiny-t2-d1-maen"), "did you mean tiny-t2-d1-mean"),
        (("mine.py:Mine", "--loss", "cubic"), "cubic"),
        (("mine.py:Mine", "--timeout", "0"), "--timeout"),
        (("mine.py:Mine", "--memory", "100"), "--memory"),
        (("mine.py:Mine", "--solution", "a.npz"), "not both"),
        (("--solution", "a.npz"), "--pack"),
        (("--solution", "a.npz", "--pack", "tiny-t2-d1-mean"), "a.npz"),
    ],
)
def test_wrong_input_is_one_line(run: Run, mine: Path, words: tuple[str, ...], said: str) -> None:
    assert_error(run("reference", "judge", *words), said)
