"""J of a network and its derivatives are those of plain loops in sixty digits, at kinks and off them."""

from __future__ import annotations

import numpy as np
import pytest
from checks.network import derivatives_agree, pieces_agree, slopes_agree
from network_draws import CASES, rich
from network_oracle import Oracle, exact

either = pytest.mark.parametrize("deep", [False, True], ids=["one layer", "deep"])


def test_the_oracle_on_paper() -> None:
    """Rows (1, 0) and (0, 1), w = (1, -1), s = 2, a = 1/4, targets 1 and 0: z = (1, 0), R = (1/2, 0)."""
    paper = Oracle(
        X=[[[1.0, 0.0], [0.0, 1.0]]], y=[[1.0, 0.0]], layers=(1,), mu=1.0, alpha=0.5, gamma=2.0, decay=0.25
    )
    assert [float(term) for term in paper.terms(exact([1.0, -1.0, 2.0, 0.25]))] == [
        0.5,
        0.0625,
        2.0,
        0.5,
        0.5,
    ]


@pytest.mark.parametrize("case", CASES)
def test_J_and_its_derivatives_away_from_kinks(case: str, rng: np.random.Generator) -> None:
    derivatives_agree(case, rng)


@pytest.mark.parametrize("number", [150, pytest.param(1000, marks=pytest.mark.slow)])
@either
def test_one_sided_slopes_at_kinks_are_the_formula(deep: bool, number: int, rng: np.random.Generator) -> None:
    slopes_agree(*rich(rng, deep=deep), number, rng)


@either
def test_masks_and_signs_name_a_piece_of_J(deep: bool, rng: np.random.Generator) -> None:
    pieces_agree(*rich(rng, deep=deep), rng)
