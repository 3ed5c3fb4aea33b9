"""What a run says of itself, held against what is here: its data, and the rules that certified it."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

from amtl_cvx.certificate import Certificate
from amtl_cvx.data import Dataset
from amtl_cvx.errors import DataError
from amtl_cvx.problem import Model
from amtl_cvx.runfolder import StoredRun


def other_data(stored: StoredRun, was: Mapping[str, Any], dataset: Dataset) -> tuple[str, bool]:
    """That the data are not those of the run, where it says which they were, and whether that is certain.

    `was` is the certificate.json of the run: rows that were read as a stream, which have another hash than
    the same rows in memory, are told from it.
    """
    then, train = stored.data.get("fingerprint"), dataset.train
    pool = stored.family.pooled
    if then is None or then == train.fingerprint(pool=pool):
        return "", False
    with contextlib.suppress(DataError):  # other names: other data
        if then == train.in_order(stored.task_names, stored.feature_names).fingerprint(pool=pool):
            return "", False
    reasons = was.get("reasons")
    streamed = isinstance(reasons, dict) and "rows" in reasons
    if streamed != (train.digest is not None):
        once, now = ("as a stream", "into memory") if streamed else ("into memory", "as a stream")
        return (
            "these are not the data of the run, or they are and their hash differs because it read them"
            f" {once} and they were read {now} here",
            False,
        )
    blocks = " and ".join(stored.blocks)
    return (
        "these are not the data of the run (their hash differs): the point is judged on them, the run is not,"
        f" and the exit code is 1; next: give the data of the run, or a copy of its {blocks} without the"
        " run.json",
        True,
    )


def changed_rules(stored: StoredRun, was: Mapping[str, Any], model: Model, found: Certificate) -> str:
    """Which rule changed since an earlier version certified this run, where it no longer passes; else ""."""
    same = (was.get("kind"), was.get("tol"), stored.run.get("model"))
    if same != (found.kind, found.tol, model.to_dict()):
        return ""
    rule = stored.family.rule_that_changed(was, found)
    return rule and (
        f"an earlier version certified this run, and a rule changed since: {rule}; fit it again (fit DATA"
        " --start RUN), its certificate.json is left as it was written"
    )
