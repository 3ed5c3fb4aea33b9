"""The checks of the judge as tests of a back end's own suite: three lines, one test a check, strict."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from amtl_cvx.errors import ModelError
from amtl_cvx.reference import checks, pack_names, read_pack
from amtl_cvx.reference.judge import judge

ROOT = Path(__file__).resolve().parents[1]
PACK = next(
    name
    for name in pack_names()
    if (about := read_pack(name, files=False).about)["ask"] == "joint"
    and about["loss"] == "squared"
    and (about["transfer"], about["omega"]) == ("loss-weighted-l1", None)
    and 1 < about["T"] <= 3
)
MINE = """
class Mine:
    losses = ("squared",)
    row_weights = True
    def evaluate(self, asked):
        ones = [np.ones(len(y)) for y in asked.y]
        weights = asked.sample_weight or ones
        weights = [w / w.sum() if asked.reduction == "mean" else w for w in weights]
        errors = [X @ w - y for X, y, w in zip(asked.X, asked.y, asked.W.T)]
        losses = np.array([v @ e**2 for v, e in zip(weights, errors)])
        R = asked.W - asked.W @ asked.B
        prices = asked.mu * asked.task_weights * losses
        return {"losses": losses, "gradient_B": prices[:, None] - 2 * asked.coupling * asked.W.T @ R}
"""
names: dict[str, Any] = {"np": np}
exec(MINE, names)
Mine: type = names["Mine"]


class Doubled(Mine):  # type: ignore[misc]
    """The loss of every task twice."""

    def evaluate(self, asked: Any) -> dict[str, Any]:
        return {"losses": 2.0 * super().evaluate(asked)["losses"]}


def cases(test: Callable[..., None]) -> dict[str, Any]:
    (mark,) = test.pytestmark  # type: ignore[attr-defined]
    return {each.id: each for each in mark.args[1]}


def outcome(test: Callable[..., None], case: Any) -> tuple[str, str]:
    """What a case comes to, before pytest looks at its marks, and what it says."""
    try:
        test(case.values[0])
    except pytest.fail.Exception as error:
        return "failed", str(error)
    except pytest.skip.Exception as error:
        return "skipped", str(error)
    return "passed", ""


@pytest.mark.parametrize("backend", [Mine(), Doubled()], ids=["right", "doubled"])
def test_every_check_is_a_test_with_the_judges_outcome(backend: Any) -> None:
    test = checks.of(backend, packs=[PACK], levels=["L0", "L1"])
    found = {name: outcome(test, case) for name, case in cases(test).items()}
    verdict = judge(backend, packs=[PACK], levels=["L0", "L1"])
    assert {name: state for name, (state, _) in found.items()} == {
        result.check.id: result.status for result in verdict.results
    }
    for result in verdict.results:
        assert result.words in found[result.check.id][1] or result.status == "passed"


def test_a_failed_test_says_what_is_off_and_why() -> None:
    test = checks.of(Doubled(), packs=[PACK], levels=["L0"])
    failed = [
        said for state, said in (outcome(test, case) for case in cases(test).values()) if state == "failed"
    ]
    assert failed and all("losses" in said and "off" in said for said in failed)


def test_the_mistaken_numbers_are_left_for_the_picture() -> None:
    class Incoming(Mine):  # type: ignore[misc]
        def evaluate(self, asked: Any) -> dict[str, Any]:
            losses = super().evaluate(asked)["losses"]
            weights = asked.task_weights * (1.0 + asked.mu * asked.B.sum(axis=0))
            return {
                "objective": weights @ losses + asked.coupling * np.sum((asked.W - asked.W @ asked.B) ** 2)
            }

    explained = [
        result
        for result in judge(Incoming(), packs=[PACK], levels=["L0"]).failed
        if [cause.name for cause in result.causes] == ["incoming for outgoing"]
    ]
    assert explained
    for result in explained:
        evidence = result.evidence
        np.testing.assert_allclose(evidence["mistaken"], evidence["answer"], rtol=1e-12)
        assert abs(evidence["mistaken"] - evidence["right"]) > evidence["limit"]


def test_nothing_is_called_before_a_test_runs() -> None:
    class Silent(Mine):  # type: ignore[misc]
        def evaluate(self, asked: Any) -> dict[str, Any]:
            raise AssertionError("asked too early")

    assert cases(checks.of(Silent(), packs=[PACK]))


def test_an_announced_failure_is_strict() -> None:
    class Announced(Doubled):
        expected_failures = {"L0": "counts twice", "L0/no-such-check": "gone"}

    marked = cases(checks.of(Announced(), packs=[PACK], levels=["L0"]))
    (mark,) = next(iter(marked.values())).marks
    assert mark.name == "xfail" and mark.kwargs == {"reason": "counts twice", "strict": True}
    everything = checks.of(Announced())
    stale = cases(everything)["L0/no-such-check"]
    assert outcome(everything, stale) == ("failed", "an announced failure, and no check has this name")
    assert not any(case.marks for case in cases(checks.of(Mine(), packs=[PACK])).values())


def test_an_unknown_level_is_refused() -> None:
    with pytest.raises(ModelError, match="unknown level L7"):
        checks.of(Mine(), levels=["L7"])


@pytest.mark.slow
def test_three_lines_in_a_suite_of_its_own(tmp_path: Path) -> None:
    """Collected and run by pytest itself: passes, an xfail, one that passes and should not."""
    (tmp_path / "mine.py").write_text(f"import numpy as np\n{MINE}")
    (tmp_path / "test_mine.py").write_text(
        "from mine import Mine\nfrom amtl_cvx.reference import checks\n"
        f"test_amtl = checks.of(Mine(), packs=[{PACK!r}], levels=['L0'])\n"
        "class Wrong(Mine):\n"
        "    expected_failures = {'L0/losses-*': 'off', 'L0/gradient-B-*': 'is right'}\n"
        "    def evaluate(self, asked):\n"
        "        return super().evaluate(asked) | {'losses': -asked.task_weights}\n"
        f"test_wrong = checks.of(Wrong(), packs=[{PACK!r}], levels=['L0'])\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_mine.py"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    ended = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert ended.returncode == 1, ended.stdout + ended.stderr
    counts = {word: int(n) for n, word in re.findall(r"(\d+) (passed|failed|xfailed|skipped)", ended.stdout)}
    assert counts["passed"] > 0 and counts["xfailed"] > 0
    failed = re.findall(r"^FAILED test_mine.py::(\S+)", ended.stdout, flags=re.MULTILINE)
    assert failed and all(re.match(r"test_wrong\[L0/gradient-B-", name) for name in failed)
    assert "[XPASS(strict)] is right" in ended.stdout
