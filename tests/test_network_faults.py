"""The network and its judge under faults: every one is found out, by a check that passes without it."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import pytest
from checks.network import drawn
from checks.network_judge import stationary
from checks.network_solver import beside
from faults import Fault, planted
from network_faults import NETWORK_FAULTS

from amtl_cvx.errors import AMTLError
from amtl_cvx.limits import limited

CHECKS = tuple(dict.fromkeys(fault.caught_by for fault in NETWORK_FAULTS))
CAUGHT = (AssertionError, AMTLError, np.linalg.LinAlgError)


@pytest.fixture(autouse=True)
def points() -> None:
    """Those of the sound code, before any fault is planted."""
    for deep in (False, True):
        drawn(deep), stationary(deep), beside(deep)


@pytest.mark.sampled(2)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_every_check_passes_without_a_fault(check: Callable[[], None]) -> None:
    check()


@pytest.mark.sampled(3)
@pytest.mark.parametrize("fault", NETWORK_FAULTS, ids=lambda fault: fault.name)
def test_every_planted_fault_is_caught(fault: Fault, monkeypatch: pytest.MonkeyPatch) -> None:
    planted(fault, monkeypatch)
    with warnings.catch_warnings(), np.errstate(all="ignore"), pytest.raises(CAUGHT), limited(5.0):
        warnings.simplefilter("ignore")
        fault.caught_by()


def test_faults_have_names_of_their_own() -> None:
    assert len({fault.name for fault in NETWORK_FAULTS}) == len(NETWORK_FAULTS) >= 15
