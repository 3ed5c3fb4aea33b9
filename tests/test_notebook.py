"""What objects show of themselves, and what they say to the wrong types."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from cases import random_tasks

from amtl_cvx import Dataset, Model, Preparation, Squared, TaskSet, certify, fit
from amtl_cvx.arrays import numbers
from amtl_cvx.errors import AMTLError
from amtl_cvx.explore import draw_starts, explore
from amtl_cvx.graph import TransferGraph
from amtl_cvx.losses import Huber
from amtl_cvx.solution import Solution
from amtl_cvx.transfer import LossWeightedL1

TASKS = random_tasks(np.random.default_rng(1), d=3, counts=[8, 9, 10])
MODEL = Model(loss=Squared(), transfer=LossWeightedL1(mu=0.1), coupling=1.0)


@pytest.fixture(scope="module")
def solution() -> Solution:
    return fit(TASKS, MODEL)


def test_everything_shows_itself_in_a_few_lines(solution: Solution) -> None:
    many = TaskSet.from_arrays([np.eye(2)] * 900, [np.ones(2)] * 900)
    weighted = Model(transfer=LossWeightedL1(mu=0.1), coupling=1.0, task_weights=(1.0,) * 900)
    wide = TaskSet.from_arrays([np.ones((2, 900))], [[0.0, 1.0]])
    prepared = Preparation.learn(wide, standardize=True, intercept=True)
    shown = (TASKS, TASKS[0], many, MODEL, weighted, solution, solution.certificate, solution.graph, prepared)
    for each in shown:
        lines = repr(each).splitlines()
        assert 1 <= len(lines) <= 4 and max(map(len, lines)) < 300, lines
        assert lines[0].startswith(type(each).__name__)
    assert "3 tasks, 3 features, 27 rows: 'task 0', 'task 1', 'task 2'" in repr(TASKS)
    assert solution.certificate.verdict() in repr(solution) and solution.graph.describe() in repr(solution)
    why = dataclasses.replace(solution.certificate, reasons={"minimum": "J may have no minimum here"})
    assert "J may have no minimum" in repr(dataclasses.replace(solution, certificate=why))


def test_a_notebook_sees_the_graph_and_the_verdict(
    solution: Solution, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TransferGraph, "png", lambda graph: b"picture")
    page = solution._repr_html_()
    assert solution.certificate.verdict() in page
    assert re.search(r'<img alt="[^"<>]+" [^>]*src="data:image/png;base64,cGljdHVyZQ=="', page)
    named = TaskSet.from_arrays([np.eye(2)], [np.ones(2)], names=["<b>&"])
    for each in (named, MODEL, solution.certificate, solution.graph):
        assert each._repr_html_().startswith("<p>") and "<b>" not in each._repr_html_()


@pytest.mark.slow
def test_the_picture_of_a_notebook_is_one(solution: Solution) -> None:
    assert solution.graph.png().startswith(b"\x89PNG")


X, Y = np.eye(4), np.arange(4.0)
WRONG: dict[str, tuple[Callable[[], object], str]] = {
    "fit(X, y)": (lambda: fit(X, Y), "TaskSet.from_arrays"),
    "fit of lists": (lambda: fit([X], MODEL), "TaskSet.from_arrays"),
    "fit of a data set": (lambda: fit(Dataset(name="a", train=TASKS), MODEL), ".train"),
    "no model": (lambda: fit(TASKS), "Model\\(loss="),
    "a loss for a model": (lambda: fit(TASKS, Squared()), "Model\\(loss="),
    "options": (lambda: fit(TASKS, MODEL, options={"tol": 1e-3}), "Options\\("),
    "certify(X, y)": (lambda: certify(X, MODEL, X, X), "TaskSet.from_arrays"),
    "certify without a model": (lambda: certify(TASKS, None, X, X), "Model\\(loss="),
    "prepare": (lambda: Preparation.learn(X, standardize=True, intercept=True), "TaskSet"),
    "starts": (lambda: draw_starts(X, MODEL, 2, rng=np.random.default_rng()), "TaskSet"),
    "explore": (lambda: explore(TASKS, "squared", ()), "Model\\(loss="),
    "penalty by name": (lambda: Model(transfer="l1", coupling=1.0), "LossWeightedL1"),
    "penalty as a number": (lambda: Model(transfer=0.1, coupling=1.0), "LossWeightedL1"),
    "a class": (lambda: Model(loss=Squared, transfer=MODEL.transfer, coupling=1.0), "the class Squared"),
    "another loss": (lambda: Model(loss="sqared", transfer=MODEL.transfer, coupling=1.0), "choose one of"),
    "weights": (lambda: Model(transfer=MODEL.transfer, coupling=1.0, task_weights=3), "T numbers"),
    "tasks of pairs": (lambda: TaskSet(tasks=((X, Y),)), "from_stacked"),
    "from_arrays(X, y)": (lambda: TaskSet.from_arrays(X, Y), "from_stacked"),
    "from_arrays(None)": (lambda: TaskSet.from_arrays(None, None), "list of one X"),
    "from_frame(X)": (lambda: TaskSet.from_frame(X, task="a", target="b"), "from_stacked"),
    "a solution for W": (lambda: numbers(MODEL, "W"), "it is a Model"),
}


@pytest.mark.parametrize("call", WRONG)
def test_wrong_types_are_told_what_would_be_right(call: str) -> None:
    wrong, said = WRONG[call]
    with pytest.raises(AMTLError, match=said) as caught:
        wrong()
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


def test_a_model_takes_its_loss_by_name() -> None:
    by_name: Any = Model(loss="huber:1.5", transfer=MODEL.transfer, coupling=1.0)
    assert by_name == Model(loss=Huber(threshold=1.5), transfer=MODEL.transfer, coupling=1.0)
