"""Random problems of shared features: J, its gradients, prices, proofs and verdicts against the oracle."""

from __future__ import annotations

import numpy as np
import pytest
from feature_instances import rounded
from feature_oracle import MANY, Blocks
from feature_random import anywhere, drawn

from amtl_cvx import Options, fit
from amtl_cvx.errors import NotCertifiable
from amtl_cvx.features import FEATURES, GO_MTL, certify
from amtl_cvx.features.proven import prove_features


def check_values(seed: int) -> None:
    found = drawn(seed)
    problem, oracle, _ = found
    at = anywhere(found)
    point, (J, G) = rounded(problem, at), oracle.derivatives(*at)
    assert abs(point.objective - float(J)) <= 1e-12 * float(J)
    assert abs(rounded(problem.compressed(), at).objective - float(J)) <= 1e-12 * float(J)
    for name in point.blocks:
        slope, true = getattr(point, f"gradient_{name}"), getattr(G, name).astype(float)
        assert np.abs(slope - true).max() <= 1e-11 * max(np.abs(true).max(), 1.0)
    prices = np.array(oracle.prices(oracle.exact(at.L), oracle.exact(at.S)), dtype=float)
    assert np.allclose(point.prices, prices, rtol=1e-12)
    residuals, off = certify(point), oracle.violations(*at)
    for name in point.blocks:
        true = float(getattr(off, name).max())
        assert abs(getattr(residuals, f"stationarity_{name}") - true) <= 1e-11 * max(true, 1.0)


@pytest.mark.parametrize(("first", "last"), [(0, 3), pytest.param(3, 103, marks=pytest.mark.slow)])
def test_values_are_those_of_the_definition(first: int, last: int) -> None:
    for seed in range(first, last):
        check_values(seed)


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, 60, 20))
def test_points_of_the_oracle_pass_and_are_proved_and_others_are_not(first: int) -> None:
    proved = 0
    for seed in range(first, first + 20):
        problem, oracle, rng = drawn(seed)
        try:
            at = oracle.first_order_point(seed)
        except (AssertionError, np.linalg.LinAlgError):
            continue  # the oracle's own Newton steps, which have no safeguard
        if oracle.residual(*at) > 1e-40:
            continue  # other entries would have been free
        point = rounded(problem, at)
        assert certify(point).passes == (at.S != 0).any()
        try:
            found = prove_features(point)
        except NotCertifiable:
            assert not at.S.any() or oracle.slack(*at) < 1e-9 or problem.model.alpha == 0.0
            continue
        proved += 1
        J = oracle.objective(*at)
        assert abs(MANY.mpf(found.objective) - J) <= MANY.mpf(10) ** -38 * J
        for name in point.blocks:
            block = point.blocks[name]
            size = float(10.0 ** rng.uniform(-6, -1)) * np.abs(block).max()
            move = size * rng.choice([-1.0, 1.0], size=block.shape)
            moved = block + (move if name != "A" or oracle.signed else abs(move))
            assert not size or not certify(point.at(**{name: moved})).passes
    assert proved >= 10


def check_fit(seed: int) -> None:
    """Certified to 1e-10 or at 0, with the oracle's J and residual; C4 where feedback has a price."""
    problem, oracle, _ = drawn(seed)
    family, method = (FEATURES, "amtfl-linear") if problem.model.has_feedback else (GO_MTL, "go-mtl")
    found = fit(problem.tasks, problem.model, method=method, options=Options(tol=1e-10))
    at = Blocks(**{"A": np.zeros((oracle.T, oracle.k)), **found.blocks})
    assert found.certificate.passes == at.S.any()
    J = float(oracle.objective(*at))
    assert abs(found.objective - J) <= 1e-12 * J and oracle.residual(*at) <= 1e-8 * max(J, 1.0)
    if found.certificate.passes and (problem.model.alpha > 0.0 or not problem.model.has_feedback):
        climbed = family.climb(found.certificate, problem, found.blocks, level="C4", limit=60.0)
        assert climbed.certificate.level == "C4"
        proved = MANY.mpf(climbed.proven.objective)
        assert abs(proved - oracle.objective(*at)) <= 1e-13 * J


@pytest.mark.parametrize("seed", [186, pytest.param(269, marks=pytest.mark.slow)])
def test_newton_steps_end_at_the_last_digit(seed: int) -> None:
    """Where any trust term raises the residual of a block that is exact, the whole step is taken."""
    check_fit(seed)


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, 100, 50))
def test_random_fits_are_certified_and_their_digits_proved(first: int) -> None:
    for seed in range(first, first + 50):
        check_fit(seed)
