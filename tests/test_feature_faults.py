"""The judge of shared features under faults: every one is found out, by a check that passes without it."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import pytest
from checks.feature_certificate import feature_gaps_are_no_less_than_gains
from faults import Fault, planted
from feature_faults import FEATURE_FAULTS
from feature_points import first_order

from amtl_cvx.errors import AMTLError

CAUGHT = (AssertionError, AMTLError, np.linalg.LinAlgError)
CHECKS = tuple(
    dict.fromkeys([*(fault.caught_by for fault in FEATURE_FAULTS), feature_gaps_are_no_less_than_gains])
)


@pytest.fixture(autouse=True)
def points() -> None:
    """Those of the sound code, before any fault is planted."""
    for options in ({}, {"loss": "logistic", "feedback": "nonnegative"}, {"go_mtl": True}):
        first_order(**options)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_every_check_passes_without_a_fault(check: Callable[[], None]) -> None:
    check()


@pytest.mark.parametrize("fault", FEATURE_FAULTS, ids=lambda fault: fault.name)
def test_every_planted_fault_is_caught(fault: Fault, monkeypatch: pytest.MonkeyPatch) -> None:
    planted(fault, monkeypatch)
    with warnings.catch_warnings(), np.errstate(all="ignore"), pytest.raises(CAUGHT):
        warnings.simplefilter("ignore")
        fault.caught_by()


def test_faults_have_names_of_their_own() -> None:
    assert len({fault.name for fault in FEATURE_FAULTS}) == len(FEATURE_FAULTS) >= 20
