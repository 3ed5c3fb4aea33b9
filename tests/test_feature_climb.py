"""The ladder of shared features: C3 and C4 on top of C2, figures of the proof, C5 refused."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checks.feature_digits import saddle
from feature_instances import rounded, solved
from feature_oracle import MANY

from amtl_cvx.features import FEATURES, GO_MTL, FeaturePoint
from amtl_cvx.features.certificate import certify
from amtl_cvx.features.proven import prove_features
from amtl_cvx.ladder import Climb
from amtl_cvx.runfolder.proofs import write_proofs


def climbed(point: FeaturePoint, level: str = "C5", **options: Any) -> Climb:
    family = FEATURES if point.model.has_feedback else GO_MTL
    certificate = certify(point)
    found: Climb = family.climb(certificate, point.problem, point.blocks, level=level, limit=60.0, **options)
    return found


@pytest.mark.parametrize(("seed", "go_mtl"), [(2, False), (0, True)])
def test_the_ladder_ends_at_proven_digits(seed: int, go_mtl: bool) -> None:
    problem, _, at = solved(seed, go_mtl=go_mtl)
    found, proven = climbed(rounded(problem, at)), prove_features(rounded(problem, at))
    certificate = found.certificate
    assert certificate.level == "C4" and certificate.has("C3") and not certificate.has("C5")
    assert found.proven.S == proven.S and found.proven.objective == proven.objective
    assert (certificate.proven_radius, certificate.proven_distance) == (proven.radius, proven.distance)
    assert certificate.proven_isolation == proven.room and certificate.refused == ("C5",)
    assert [rung.state for rung in certificate.rungs()] == ["reached"] * 5 + ["cannot be had"]


def test_a_level_is_climbed_only_where_it_is_asked_for() -> None:
    point = rounded(*solved(2)[::2])
    assert climbed(point, "C2").certificate == certify(point)
    third = climbed(point, "C3")
    assert third.certificate.level == "C3" and third.proven is None
    assert len(climbed(point, "C4", digits=12).proven.objective) < 20


def test_no_rung_stands_on_a_point_that_does_not_pass() -> None:
    problem, _, at = solved(2)
    for point in (problem.zero, rounded(problem, at, L=1.001 * at.L)):
        found = climbed(point, "C4")
        assert not found.certificate.passes and found.certificate.level <= "C1" and found.proven is None
        assert found.certificate.reasons["C4"] == "needs C3"


def test_a_saddle_stays_at_its_first_order() -> None:
    found = climbed(saddle(), "C4")
    assert found.certificate.level == "C2" and "saddle" in found.certificate.reasons["C3"]


def test_without_flint_the_rung_cannot_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "flint", None)
    found = climbed(rounded(*solved(2)[::2]), "C4").certificate
    assert found.level == "C3" and "C4" in found.refused and "python-flint" in found.reasons["C4"]


def test_factors_have_no_digits() -> None:
    problem, _, at = solved(4)
    found = climbed(rounded(problem.compressed(), at), "C4").certificate
    assert found.level == "C3" and "C4" in found.refused and np.isfinite(found.reduced_hessian_min)


def test_the_run_folder_keeps_the_digits(tmp_path: Path) -> None:
    problem, _, at = solved(2)
    found = climbed(rounded(problem, at), "C4")
    write_proofs(tmp_path, found, problem)
    kept = json.loads((tmp_path / "digits.json").read_text())
    assert kept["problem"]["family"] == "features" and kept["problem"]["gamma"] == problem.model.gamma
    assert kept["task_names"] == list(problem.tasks.names) and kept["feature_names"] is None
    for name, block in at._asdict().items():
        stored = np.array([[MANY.mpf(entry) for entry in row] for row in kept[name]])
        assert stored.shape == block.shape and abs(stored - block).max() < MANY.mpf(10) ** -38
    assert not (tmp_path / "proof.json").exists()
    lines = found.proven.lines(problem.tasks)
    assert len(lines) == 1 + at.L.size + np.count_nonzero(at.S) + np.count_nonzero(at.A)
