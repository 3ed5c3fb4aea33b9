"""The judge: every check on every pack that suits a back end, each a `Result`, all of them a `Verdict`.

Whatever a back end does is a result: an exception, a crash, a call that does not end, an answer that is
none. What is bounded of its time and memory is said in `Verdict.bounds` (`backends`, `executable`). The
judge itself computes in NumPy, in double precision, and calls no solver. A program is asked about two packs
at once, a Python object in one thread after the other.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from amtl_cvx.reference.judge.backends import backend_of
from amtl_cvx.reference.judge.choice import chosen
from amtl_cvx.reference.judge.plan import Planned, planned, unused
from amtl_cvx.reference.judge.verdict import Result, Verdict


def judge(
    backend: Any,
    *,
    packs: Iterable[Any] | None = None,
    levels: Sequence[str] | None = None,
    observe: Callable[[Result], None] | None = None,
) -> Verdict:
    """Judge a back end.

    Parameters
    ----------
    backend
        An object with methods `evaluate`, `w_step`, `one_task`, `b_step`, `rounds`, `fit` (at least one), its
        class, or an `Executable`.
    packs : sequence of Pack, name or folder, optional
        What it is asked about; else what suits it (`choice`).
    levels : sequence of str, optional
        Those of ``("L0", ..., "L5")`` that are tried; all of them if not given.
    observe : callable(Result), optional
        Is told each result as it comes.

    Returns
    -------
    Verdict

    Raises
    ------
    ModelError
        For an object without any of the methods, an unknown level, or a pack that does not suit.
    DataError
        For a pack that is not there or was changed.

    Examples
    --------
    >>> import numpy as np
    >>> from amtl_cvx.reference.judge import judge
    >>> class Mine:
    ...     def evaluate(self, asked):
    ...         return {"losses": np.full(asked.T, -1.0)}
    >>> judge(Mine(), levels=["L0"]).passes
    False
    """
    started = time.perf_counter()
    asked_of = backend_of(backend)
    found = chosen(asked_of, packs)
    results: list[tuple[tuple[int, int], Result]] = []
    asked_of.begin()
    try:
        for place, result in _made(list(planned(asked_of, found, levels)), asked_of.at_once):
            results.append((place, result))
            if observe is not None:
                observe(result)
    except BaseException:
        asked_of.stop()
        raise
    results.sort(key=lambda each: each[0])
    return Verdict(
        backend=asked_of.name,
        dtype=asked_of.dtype,
        results=tuple(result for _, result in results),
        packs=tuple(pack.name for pack in found),
        seconds=time.perf_counter() - started,
        bounds=asked_of.bounds,
        unused=unused(asked_of, [result.check.id for _, result in results]),
    )


def _made(plans: Sequence[Planned], at_once: int) -> Iterator[tuple[tuple[int, int], Result]]:
    """Place and result of each check in their order, those of so many packs being made at once."""
    if at_once == 1:
        yield from ((plan.place, plan.result()) for plan in plans)
        return
    packs = [list(group) for _, group in itertools.groupby(plans, key=lambda plan: plan.case.name)]
    workers = ThreadPoolExecutor(at_once, thread_name_prefix="amtl_cvx judge")
    try:
        yield from itertools.chain.from_iterable(workers.map(_of_a_pack, packs))
    except BaseException:  # Ctrl-C: what runs is ended, and what would follow is not asked
        plans[0].case.backend.stop()
        raise
    finally:
        workers.shutdown(cancel_futures=True)


def _of_a_pack(plans: Sequence[Planned]) -> list[tuple[tuple[int, int], Result]]:
    return [(plan.place, plan.result()) for plan in plans]
