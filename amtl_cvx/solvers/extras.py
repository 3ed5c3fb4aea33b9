"""What else can be installed, and what it gives: the optional packages, by the extras of this package."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from dataclasses import dataclass

_EXTRAS = (
    ("python-flint", "flint", "verify", "proven digits: certify --level C4, --digits"),
    ("mpmath", "mpmath", "verify", "a second, slower arithmetic for the same proofs, in tests and reports"),
    ("sdpa-multiprecision", "sdpap", "global", "lower bounds beyond double precision: --level C5"),
    ("pyscipopt", "pyscipopt", "global", "global bounds by SCIP, claimed by the solver: --level C5"),
    ("dask", "distributed", "distributed", "work on a cluster: fit --scheduler, explore --scheduler"),
    ("pyarrow", "pyarrow", "parquet", ".parquet files"),
    ("openpyxl", "openpyxl", "excel", ".xlsx files"),
    ("h5py", "h5py", "hdf5", "reference packs as HDF5: reference export --format hdf5"),
    ("shtab", "shtab", "completion", "completion in a shell: --print-completion"),
)
"""Distribution, module, extra, what it gives."""


@dataclass(frozen=True, kw_only=True)
class ExtraInfo:
    """One row of `amtl-cvx solvers`: a package that is optional."""

    name: str
    usable: bool
    version: str
    extra: str
    gives: str
    reason: str = ""


def extras() -> tuple[ExtraInfo, ...]:
    """The optional packages, and for what is missing, how to install it."""
    rows = []
    for name, module, extra, gives in _EXTRAS:
        found = importlib.util.find_spec(module) is not None
        why = "" if found else f'not installed: pip install "amtl-cvx[{extra}]"'
        rows.append(
            ExtraInfo(
                name=name,
                usable=found,
                version=_version(name) if found else "",
                extra=extra,
                gives=gives,
                reason=why,
            )
        )
    return tuple(rows)


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:  # a module without its records
        return "unknown"
