"""The checks of the judge as tests of a back end's own test suite.

    from mine import Mine

    from amtl_cvx.reference import checks

    test_amtl = checks.of(Mine())

makes a test of every check that suits the back end, to be chosen with ``pytest -k gradient-W`` as any other.
A failed test says what is off and which mistake gives the same numbers. What the back end announces in its
`expected_failures` is an xfail, strict: where it passes the test fails, and an announcement that no check has
the name of fails as well. Nothing of the back end is called before its test runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from amtl_cvx.errors import ModelError
from amtl_cvx.reference.judge.backends import backend_of
from amtl_cvx.reference.judge.choice import chosen
from amtl_cvx.reference.judge.plan import Planned, planned, unused
from amtl_cvx.reference.judge.summary import figures
from amtl_cvx.reference.judge.verdict import Result


def of(
    backend: Any, *, packs: Iterable[Any] | None = None, levels: Sequence[str] | None = None
) -> Callable[..., None]:
    """A test with a case for every check.

    Parameters
    ----------
    backend
        As of `judge`: an object, its class, or an `Executable`.
    packs, levels
        As of `judge`; what suits the back end, and all levels, if not given.

    Returns
    -------
    callable
        To be bound to a name that pytest collects, ``test_amtl``.

    Raises
    ------
    ModelError
        Where pytest is not installed, and as of `judge`.

    Examples
    --------
    >>> import numpy as np
    >>> from amtl_cvx.reference import checks
    >>> class Mine:
    ...     def evaluate(self, asked):
    ...         return {"losses": np.full(asked.T, -1.0)}
    >>> test_amtl = checks.of(Mine(), levels=["L0"])
    """
    try:
        import pytest
    except ImportError as error:
        raise ModelError("the checks are tests of pytest, it is not installed: pip install pytest") from error
    asked = backend_of(backend)
    plans = list(planned(asked, chosen(asked, packs), levels))
    cases = [
        pytest.param(
            plan,
            id=plan.id,
            marks=[pytest.mark.xfail(reason=plan.reason, strict=True)] if plan.reason else [],
        )
        for plan in plans
    ]
    if packs is None and levels is None:
        cases += [pytest.param(None, id=name) for name in unused(asked, [plan.id for plan in plans])]

    @pytest.mark.parametrize("check", cases)
    def test(check: Planned | None) -> None:
        if check is None:
            pytest.fail("an announced failure, and no check has this name", pytrace=False)
        result = check.result()
        if result.status == "skipped":
            pytest.skip(result.words)
        if result.status in ("failed", "expected"):
            pytest.fail(_said(result), pytrace=False)

    return test


def _said(result: Result) -> str:
    """What a failed test says."""
    lines = [result.words, figures(result)]
    for cause in result.causes:
        lines += [f"likely cause, {cause.name}: {cause.sentence}", f"do: {cause.fix}" if cause.fix else ""]
    return "\n".join(line for line in lines if line)
