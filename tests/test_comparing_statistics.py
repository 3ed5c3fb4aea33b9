"""Statistics of comparisons, against tables of Student's t, SciPy's own tests and plain counts."""

from __future__ import annotations

import json
import math
from itertools import combinations, product

import numpy as np
import pytest
from compared import by_hand
from scipy import stats

from amtl_cvx.errors import DataError, ModelError
from amtl_cvx.experiment.comparing import Stability, interval, mcnemar, paired, standard_error
from amtl_cvx.experiment.comparing.tables import contender_rows, describe, to_dict

T_975 = {1: 12.7062, 2: 4.30265, 4: 2.77645, 9: 2.26216}
"""The quantiles of the tables in textbooks, by degrees of freedom."""


@pytest.mark.parametrize("n", [each + 1 for each in T_975])
def test_an_interval_is_that_of_the_tables(n: int) -> None:
    values = np.arange(n) ** 1.5
    mean = sum(values) / n
    sd = math.sqrt(sum((value - mean) ** 2 for value in values) / (n - 1))
    found = interval(values)
    assert found.mean == pytest.approx(mean) and found.se == pytest.approx(sd / math.sqrt(n))
    half = T_975[n - 1] * sd / math.sqrt(n)
    assert found.low == pytest.approx(mean - half, rel=1e-4) and found.high == pytest.approx(
        mean + half, rel=1e-4
    )
    corrected = interval(values, overlap=0.25)
    assert corrected.se == pytest.approx(sd * math.sqrt(1 / n + 0.25))
    assert corrected.high - corrected.mean == pytest.approx(T_975[n - 1] * corrected.se, rel=1e-4)


def test_a_paired_difference_is_scipys(rng: np.random.Generator) -> None:
    a, b = rng.normal(size=(2, 7)) + [[1.0], [0.0]]
    other = stats.ttest_rel(a, b)
    bounds = other.confidence_interval(0.9)
    found = paired(a, b, level=0.9)
    assert found.p == pytest.approx(other.pvalue)
    assert (found.low, found.high) == pytest.approx((bounds.low, bounds.high))
    assert paired(b, a, level=0.9).mean == -found.mean


def test_few_values_and_equal_ones() -> None:
    assert interval([2.0]) == (2.0, 1, None, None, None, None) and standard_error([2.0]) is None
    assert interval([2.0, np.nan]).n == 1
    same = interval([0.25, 0.25, 0.25])
    assert (same.low, same.high, same.p, same.side) == (0.25, 0.25, 0.0, 1)
    assert paired([1.0, 2.0], [1.0, 2.0]).p == 1.0 and paired([1.0, 2.0], [1.0, 2.0]).side == 0
    for wrong in ({"level": 1.0}, {"overlap": -0.1}):
        with pytest.raises(DataError):
            interval([1.0, 2.0], **wrong)
    with pytest.raises(DataError, match="pair by pair"):
        paired([1.0], [1.0, 2.0])
    with pytest.raises(DataError, match="no values"):
        interval([np.nan])


def test_mcnemar_is_the_binomial_law_of_who_alone_is_right() -> None:
    for first, second in product(range(6), repeat=2):
        a = [True] * first + [False] * second + [True, True, False]
        b = [False] * first + [True] * second + [True, True, False]
        n, k = first + second, min(first, second)
        exact = min(1.0, 2 * sum(math.comb(n, j) for j in range(k + 1)) / 2**n)
        assert mcnemar(a, b)[:4] == (2, first, second, 1)
        assert mcnemar(a, b).p == pytest.approx(1.0 if 2 * k == n else exact)
    with pytest.raises(DataError, match="same rows"):
        mcnemar([True], [True, False])


def test_stability_counts_edges(rng: np.random.Generator) -> None:
    graphs = np.where(rng.random((3, 4, 4)) < 0.5, rng.random((3, 4, 4)), 0.0)
    sets = [{(s, t) for s in range(4) for t in range(4) if B[s, t] > 0} for B in graphs]
    pairs = list(combinations(sets, 2))
    found = Stability(graphs)
    assert found.agreement == pytest.approx(np.mean([len(a & b) / len(a | b) for a, b in pairs]))
    assert found.always == len(sets[0] & sets[1] & sets[2]) and found.ever == len(sets[0] | sets[1] | sets[2])
    assert found.share[1, 2] == pytest.approx(sum((1, 2) in each for each in sets) / 3)
    assert Stability(graphs[[0, 0]]).likeness == 1.0 and Stability(np.zeros((2, 3, 3))).agreement == 1.0
    assert Stability(np.array([[[0, 1.0], [0, 0]], [[0, 0.5], [0.5, 0]]])).likeness == pytest.approx(
        0.5 / 1.5
    )
    assert Stability(graphs[:1]).agreement is None and "one part" in Stability(graphs[:1]).words


ERRORS = {"stl": [[2.0, 1.0, 1.0], [2.2, 1.0, 1.2]], "amtl": [[1.0, 1.5, 1.0], [1.1, 1.6, 1.2]]}


def test_who_gains_and_who_loses() -> None:
    found = by_hand(ERRORS)
    gains = found.gains("amtl")
    assert [gain.side for gain in gains.tasks] == [1, -1, 0]
    assert [gain.interval.mean for gain in gains.tasks] == pytest.approx([1.05, -0.55, 0.0])
    assert (gains.gained, gains.lost) == (1, 1) and "1 gained, 1 lost, 1 as before" in gains.words
    expected = paired([4 / 3, 4.4 / 3], [3.5 / 3, 3.9 / 3])
    assert found.gain("amtl") == pytest.approx(expected) and found.better("amtl") == 2
    assert found.gains("amtl", over="amtl").lost == 0 and found.gains("stl", over="amtl").lost == 1
    assert found.gain("amtl").mean == -found.gain("stl", over="amtl").mean
    wider = by_hand(ERRORS, overlap=0.5).gain("amtl")
    assert wider.se == pytest.approx(expected.se * math.sqrt(2))  # 1/2 + 1/2 for 1/2
    with pytest.raises(ModelError, match="no contender 'mtfl': there are stl, amtl"):
        found.errors("mtfl")
    with pytest.raises(ModelError, match="no baseline"):
        by_hand({"amtl": ERRORS["amtl"]}).gain("amtl")


def test_tasks_without_test_rows_have_no_gain() -> None:
    nan = float("nan")
    errors = {"stl": [[2.0, nan, 1.0], [2.0, nan, nan]], "amtl": [[1.0, nan, 1.5], [1.0, nan, nan]]}
    gains = by_hand(errors).gains("amtl").tasks
    assert [(gain.task, gain.interval.n) for gain in gains] == [("ash", 2), ("cedar", 1)]


def test_tables_say_what_the_comparison_says() -> None:
    right = {"stl": [True, False, False, False], "amtl": [True, True, True, True]}
    one = by_hand({name: each[:1] for name, each in ERRORS.items()}, right=right)
    row = contender_rows(one)[1]
    assert (row["mcnemar_first"], row["mcnemar_second"], row["mcnemar_p"]) == (3, 0, 0.25)
    assert row["se"] is None and row["gain_low"] is None and row["gain"] == pytest.approx(0.5 / 3)
    assert "McNemar p 0.25" in describe(one)[2] and "one part: no interval" in "\n".join(describe(one))
    several = by_hand(ERRORS, overlap=0.5)
    assert several.mcnemar("amtl") is None
    assert "Nadeau-Bengio" in "\n".join(describe(several)) and "1 up 1 down" in describe(several)[2]
    stored = to_dict(several)
    assert [each["error"] for each in stored["contenders"]] == pytest.approx(
        [several.error(n).mean for n in ERRORS]
    )
    assert stored["outcomes"][1]["by_task"] == ERRORS["amtl"][0]


def test_a_fit_that_went_astray_is_infinite_and_nothing_else() -> None:
    inf = float("inf")
    found = by_hand({"stl": [[1.0] * 3, [2.0] * 3], "amtl": [[0.5] * 3, [inf] * 3]})
    assert found.error("amtl") == (inf, 2, None, None, None, None) and found.gain("amtl").mean == -inf
    assert found.gains("amtl").lost == 3 and found.error("stl").se == pytest.approx(0.5)
    stored = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert stored["contenders"][1]["error"] is None and stored["outcomes"][3]["by_task"] == [None] * 3
    assert "inf" in found.describe() and "-inf" in found._repr_html_()
