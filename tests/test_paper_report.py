"""The report on the paper: test rows are read once, at the end; errors by plain loops; its journal."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from amtl_cvx import TaskSet

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT / "reports"))

from paper import cells, errors, tables  # noqa: E402
from paper.choice import Contender  # noqa: E402
from paper.data import Part, Sealed, part  # noqa: E402
from paper.page import page  # noqa: E402
from paper.promises import binomial, promises  # noqa: E402
from paper.protocols import PARTS, contenders  # noqa: E402


def small(rng: np.random.Generator) -> Part:
    """Two tasks of three features in three parts."""

    def rows(n: int) -> TaskSet:
        X = rng.standard_normal((2, n, 3))
        return TaskSet.from_arrays(list(X), [x @ [1.0, 2.0, -1.0] + rng.standard_normal(n) for x in X])

    train, judge, test = rows(8), rows(6), rows(7)
    return Part("synthetic", "small", train, judge, train, Sealed(lambda: test))


def test_test_rows_are_read_once_and_at_the_end(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    of, seen, fits = small(rng), [], []
    opening = of.test.open
    monkeypatch.setattr(of.test, "open", lambda: seen.append(len(fits)) or opening())
    for name in ("choose", "fitted"):
        step = getattr(cells, name)

        def noted(*given: Any, step: Any = step, name: str = name, **more: Any) -> Any:
            assert not of.test.opened
            found = step(*given, **more)
            assert not of.test.opened
            fits.append(name)
            return found

        monkeypatch.setattr(cells, name, noted)
    contender = Contender(
        "amtl", "amtl", {"coupling": (0.1, 1.0), "mu": (0.1,)}, {"loss": "squared"}, rounds=2
    )
    figures = cells.measured(contender, of)
    assert fits == ["choose", "fitted"] and seen == [2]
    assert len(figures["test_by_round"]) == figures["parameters"]["rounds"]
    assert figures["test"] == pytest.approx(figures["test_by_round"][-1], abs=1e-6)
    with pytest.raises(RuntimeError, match="read before"):
        opening()


def test_errors_are_those_of_plain_loops(rng: np.random.Generator) -> None:
    tasks = TaskSet.from_arrays([np.eye(2), np.eye(3)[:, :2]], [[1.0, 2.0], [0.0, 1.0, 5.0]])
    z = [rng.standard_normal(2), rng.standard_normal(3)]
    squares = [
        [(y - s) ** 2 for y, s in zip(task.y, each, strict=True)] for task, each in zip(tasks, z, strict=True)
    ]
    own = [math.sqrt(sum(each) / len(each)) for each in squares]
    found = errors.errors(z, tasks, "rmse")
    assert found.error == pytest.approx(sum(own) / 2) and found.tasks == pytest.approx(own)
    pooled = math.sqrt(sum(map(sum, squares)) / 5)
    assert errors.errors(z, tasks, "pooled rmse").error == pytest.approx(pooled)
    classes = TaskSet.one_vs_rest(rng.standard_normal((5, 2)), np.array([0, 1, 2, 1, 0]))
    scores = list(rng.standard_normal((3, 5)))
    wrong = [i for i, c in enumerate([0, 1, 2, 1, 0]) if max(range(3), key=lambda t: scores[t][i]) != c]
    found = errors.errors(scores, classes, "class error")
    assert found.wrong == wrong and found.error == pytest.approx(20.0 * len(wrong))
    assert errors.errors([np.array([np.nan, 0.0]), z[1]], tasks, "rmse").error == np.inf


def test_mcnemar_and_the_interval_of_a_share_are_the_binomial_ones() -> None:
    found = errors.mcnemar([1, 2, 3, 4, 9], [4, 5])
    assert (found["first"], found["second"]) == (4, 1)
    assert found["p"] == pytest.approx(2 * sum(math.comb(5, k) for k in range(2)) / 2**5)
    assert errors.mcnemar([1], [1])["p"] == 1.0
    low, high = binomial(10.0, 20)  # 2 of 20: each end leaves 2.5 % beyond it

    def tail(share: float, counts: range) -> float:
        return sum(math.comb(20, k) * share**k * (1 - share) ** (20 - k) for k in counts)

    assert tail(low / 100, range(2, 21)) == pytest.approx(0.025)
    assert tail(high / 100, range(3)) == pytest.approx(0.025)


def test_a_cell_is_kept_whole_and_for_its_protocol_alone(tmp_path: Path) -> None:
    contender = contenders("synthetic")["stl"]
    mark = cells.fingerprint(contender, "synthetic", "0")
    assert mark != cells.fingerprint(contender, "synthetic", "1")
    assert mark != cells.fingerprint(contender._replace(grid={"coupling": (1.0,)}), "synthetic", "0")
    journal = cells.Journal(tmp_path, {"synthetic/stl/1": {"protocol": "x", "test": 2.0}})
    assert journal.get("synthetic/stl/0", mark) is None
    journal.put("synthetic/stl/0", mark, {"test": 1.5})
    assert journal.get("synthetic/stl/0", mark) == {"protocol": mark, "test": 1.5}
    assert journal.get("synthetic/stl/0", "another") is None
    assert journal.get("synthetic/stl/1", "x") == {"protocol": "x", "test": 2.0}
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["0.json"]


def _cell(test: float, **more: Any) -> dict[str, Any]:
    verdict = {"level": "C0", "kind": "stopped after 2 rounds"}
    times = {"tune_seconds": 1.0, "fit_seconds": 1.0, "at_edge": [], "parameters": {"coupling": 1.0}}
    return {"test": test, "validation": test, "certificate": verdict, "tasks": [test] * 12, **times, **more}


def test_a_quick_run_keeps_to_its_grids_and_is_another_protocol() -> None:
    for data in PARTS:
        whole, quick = contenders(data), contenders(data, quick=True)
        assert list(whole) == list(quick) and not any(each.widen for each in quick.values())
        for name, each in whole.items():
            assert quick[name].grid == each.grid
            marks = {cells.fingerprint(one[name], data, "1") for one in (whole, quick)}
            assert len(marks) == (1 if data == "school" else 2)


def test_gains_are_paired_and_their_interval_is_students(rng: np.random.Generator) -> None:
    alone, ours = rng.normal(54.0, 2.0, 5), rng.normal(53.0, 2.0, 5)
    measured = {f"imbalanced/stl/{n}": _cell(e) for n, e in enumerate(alone, start=1)}
    measured |= {f"imbalanced/amtl-imbalanced/{n}": _cell(e) for n, e in enumerate(ours, start=1)}
    row = tables.row(measured, "imbalanced", "amtl-imbalanced", range(1, 6))
    assert row is not None and row.gains == pytest.approx(list(alone - ours))
    bounds = tables.interval(row.gains)
    half = 2.7764451 * np.std(alone - ours, ddof=1) / math.sqrt(5)  # t of 4 degrees of freedom, tables
    assert bounds == pytest.approx((np.mean(alone - ours) - half, np.mean(alone - ours) + half), rel=1e-6)
    assert tables.row(measured, "imbalanced", "mean", range(1, 6)) is None


def test_the_page_says_what_was_not_run_and_what_does_not_hold() -> None:
    assert all(holds is None for *_, holds in promises({}))
    text = page({}, {}, "a machine")
    assert text.count("not run yet") > sum(len(contenders(data)) for data in PARTS)
    measured = {f"imbalanced/{m}/{n}": _cell(54.05) for m in ("stl", "amtl-imbalanced") for n in range(1, 6)}
    held = {what: holds for what, *_, holds in promises(measured)}
    assert held["Imbalanced: STL (sum)"] is True
    assert held["AMTL-imbalanced, chosen on validation rows"] is False
    text = page(measured, {}, "a machine")
    assert "| 54.050 | **no** |" in text and "54.050 ± 0.000" in text
    json.dumps(measured)


def test_a_draw_has_the_rows_of_the_protocol() -> None:
    of = part("synthetic", 3)
    assert {int(n) for tasks in (of.learn, of.judge) for n in tasks.counts} == {30}
    assert of.train is of.learn and of.learn.T == 12 and of.learn.d == 20
    assert not np.array_equal(of.learn[0].X, of.test.open()[0].X)
