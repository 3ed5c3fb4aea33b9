"""Where we differ: experiments beside the tables, each a cell of the journal too.

    rounds/DATA            the alternation at the chosen coupling and mu goes on: test error and residual by
                           round, and the first-order point that refinement reaches
    protocol/DATA          digits: a bias column of 10 instead of ones, the chosen point learned from training
                           and validation rows, and chosen by folds of both
    halves/DATA            digits, chosen on one half of the test rows, scored on the other
    closed/DATA            GO-MTL at the chosen parameters, taken to a first-order point
    exact/released, usps   exact steps beside a saved run of the authors' code (`paper.exact`)

They look at test rows after everything was chosen; nothing of the tables depends on them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from itertools import product
from typing import Any

import numpy as np
from paper.cells import Figures, certificate, graph, measured
from paper.choice import ROUNDS, Contender, at_point
from paper.data import Part, digits, part
from paper.errors import MEASURES, errors, mcnemar, scores
from paper.exact import released, saved_digits
from paper.protocols import contenders
from paper.tables import key
from scipy.stats import fisher_exact

from amtl_cvx import TaskSet
from amtl_cvx.history import Record
from amtl_cvx.tasks import Array

CURVES = {
    "synthetic": ("amtl", range(5), 60),
    "imbalanced": ("amtl-imbalanced", range(1, 6), 60),
    "usps": ("amtl", range(1), 30),
    "mnist": ("amtl", range(1), 30),
    "school": ("amtl", range(1, 3), 30),
}
"""Whose rounds are followed, on which parts, how far."""
REFINED = ("synthetic", "imbalanced", "usps", "mnist")
"""Where the fit is taken to its end too; J of AMTL has no minimum on School."""


def curves(cells: Mapping[str, Any], data: str) -> Figures | None:
    """Error and residual by round; None until the method is measured on all its parts."""
    method, numbers, most = CURVES[data]
    own = [cells.get(key(data, method, n)) for n in numbers]
    if any(each is None for each in own):
        return None
    found = [
        curve(contenders(data)[method], part(data, n), each["parameters"], most, refined=data in REFINED)
        for n, each in zip(numbers, own, strict=True)
        if each is not None
    ]
    return {"curves": found}


def curve(contender: Contender, of: Part, chosen: Mapping[str, Any], most: int, *, refined: bool) -> Figures:
    """One of them."""
    blocks: dict[int, Mapping[str, Array]] = {}
    residuals: dict[int, float] = {}

    def seen(number: int, step: str, values: Mapping[str, Array]) -> None:
        blocks[number] = dict(values)

    def told(record: Record) -> None:
        residuals[record.round] = float(record.relative)

    point = {**chosen, ROUNDS: most}
    solution = at_point(contender, point, of.train, iterate=seen, callback=told, judged=False)
    family, measure, test = solution.family, MEASURES[of.data], of.test.open()
    with np.errstate(all="ignore"):
        by_round = [errors(scores(family, blocks[n], test), test, measure).error for n in sorted(blocks) if n]
    found: Figures = {
        "chosen": int(chosen[ROUNDS]),
        "test": by_round,
        "relative": [residuals[n] for n in sorted(residuals) if n],
    }
    if refined:
        point.pop(ROUNDS)
        end = at_point(contender, point, of.train)
        with np.errstate(all="ignore"):
            error = errors(scores(family, end.blocks, test), test, measure).error
        found["converged"] = {"test": error, "certificate": certificate(end), **graph(end)}
        found["converged"].pop("B", None)
    return found


def closed(cells: Mapping[str, Any], data: str) -> Figures | None:
    """GO-MTL on the first part at what was chosen, without a last round; None until it is measured."""
    number = CURVES[data][1][0]
    own = cells.get(key(data, "go-mtl", number))
    if own is None:
        return None
    point = {name: value for name, value in own["parameters"].items() if name != ROUNDS}
    started = time.process_time()
    solution = at_point(contenders(data)["go-mtl"], point, part(data, number).train)
    return {
        "certificate": certificate(solution),
        "parameters": point,
        "seconds": time.process_time() - started,
    }


FOLDS = 5
"""Of training and validation rows together."""


def protocol(data: str) -> Figures:
    """STL and AMTL on digits, otherwise prepared and otherwise fitted."""
    found: Figures = {}
    makers: dict[str, Callable[[], Part]] = {
        "as in the table": lambda: part(data, 0),
        "bias column of 10": lambda: _biased(part(data, 0)),
        "learned from training and validation rows": lambda: _joined(part(data, 0)),
        "chosen by 5 folds of both, learned from both": lambda: _joined(part(data, 0))._replace(folds=FOLDS),
    }
    for words, make in makers.items():
        both = {}
        for method in ("stl", "mean", "amtl"):
            figures = measured(contenders(data)[method], make())
            both[method] = {name: figures[name] for name in ("test", "validation", "parameters", "at_edge")}
            both[method]["wrong"] = figures.get("wrong", [])
        test = mcnemar(both["stl"]["wrong"], both["amtl"]["wrong"])
        found[words] = {**both, "mcnemar": test}
    return found


def _labelled(tasks: TaskSet) -> tuple[Array, Array]:
    return tasks[0].X[:, :-1], np.argmax([task.y for task in tasks], axis=0)


def _biased(of: Part) -> Part:
    parts = [_labelled(tasks) for tasks in (of.train, of.judge, of.test.open())]
    return digits(of.data, parts, bias=10.0)


def _joined(of: Part) -> Part:
    (X, label), (more, also) = _labelled(of.train), _labelled(of.judge)
    both = np.vstack([X, more])
    train = TaskSet.one_vs_rest(np.hstack([both, np.ones((len(both), 1))]), np.concatenate([label, also]))
    return of._replace(train=train)


HALVINGS = 200
"""Times that the test rows are halved."""


def halves(data: str) -> Figures:
    """Digits, chosen on one half of the test rows, scored on the other: what the rows that choose cost.

    Beside it the errors of STL on the rows that choose in the table and on the test rows, and how likely so
    large a difference is if both came from one source (Fisher's exact test).
    """
    of = part(data, 0)
    test, rng = of.test.open(), np.random.default_rng(0)
    n, splits = len(test[0].y), [rng.permutation(len(test[0].y)) for _ in range(HALVINGS)]
    found: Figures = {}
    for method in ("stl", "mean", "amtl", "amtl-curriculum"):
        trials = [_wrong(z, test) for z in _grid_scores(contenders(data)[method], of, test)]
        both = np.array(trials)
        picked = [(both[:, half[: n // 2]].sum(axis=1).argmin(), half[n // 2 :]) for half in splits]
        errors_of = [100.0 * both[point, rest].mean() for point, rest in picked]
        found[method] = {"halves": float(np.mean(errors_of)), "least": 100.0 * float(both.mean(axis=1).min())}
    alone = measured(contenders(data)["stl"], part(data, 0))
    rows = (len(of.judge[0].y), n)
    shares = (alone["validation"], alone["test"])
    wrong = [round(share * few / 100.0) for share, few in zip(shares, rows, strict=True)]
    table = [[bad, few - bad] for bad, few in zip(wrong, rows, strict=True)]
    return found | {
        "validation": alone["validation"],
        "test": alone["test"],
        "p": float(fisher_exact(table)[1]),
    }


def _grid_scores(contender: Contender, of: Part, rows: TaskSet) -> list[list[Array]]:
    """Scores of every point of the grid after every round."""
    found: list[list[Array]] = []
    for values in product(*contender.grid.values()):
        point = dict(zip(contender.grid, values, strict=True))
        blocks: dict[int, Mapping[str, Array]] = {}

        def seen(number: int, step: str, own: Mapping[str, Array], kept: Any = blocks) -> None:
            kept[number] = dict(own)

        if contender.rounds:
            point[ROUNDS] = contender.rounds
        solution = at_point(contender, point, of.train, judged=False, iterate=seen)
        ends = [blocks[k] for k in sorted(blocks) if k] if contender.rounds else [solution.blocks]
        found += [scores(solution.family, each, rows) for each in ends]
    return found


def _wrong(z: list[Array], tasks: TaskSet) -> Array:
    """Which rows are of another class than the largest score says."""
    return np.array(z).argmax(axis=0) != np.array([task.y for task in tasks]).argmax(axis=0)


def experiments(cells: Mapping[str, Any]) -> dict[str, Callable[[], Figures | None]]:
    """By their names in the journal."""
    found: dict[str, Callable[[], Figures | None]] = {
        f"rounds/{data}": lambda data=data: curves(cells, data)
        for data in CURVES  # type: ignore[misc]
    }
    found |= {f"protocol/{data}": lambda data=data: protocol(data) for data in ("usps", "mnist")}  # type: ignore[misc]
    found |= {f"halves/{data}": lambda data=data: halves(data) for data in ("usps", "mnist")}  # type: ignore[misc]
    found |= {f"closed/{data}": lambda data=data: closed(cells, data) for data in CURVES}  # type: ignore[misc]
    return found | {"exact/released": released, "exact/usps": lambda: saved_digits(cells)}
