"""Who takes part: one line each. An entrant is a command that keeps to peers/protocol.py."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path

import environments

from amtl_cvx import Options

PEERS = Path(__file__).with_name("peers")
Command = list[str]


@dataclass(frozen=True, kw_only=True)
class Entrant:
    """A competitor.

    Parameters
    ----------
    name, what : str
        What tables call it, and what it does.
    command : callable(Path) -> list of str
        The command without problem, folder and limit, given the cache folder; raises
        `environments.Unavailable` with the reason where it cannot run.
    rounds : str
        What one of its rounds is.
    colour, line : str
        Of its curve.
    """

    name: str
    what: str
    command: Callable[[Path], Command]
    rounds: str = "W-step and B-step"
    colour: str
    line: str = "-"


def _ours(*options: str) -> Callable[[Path], Command]:
    return lambda cache: [sys.executable, str(PEERS / "run_amtl_cvx.py"), *options]


def _engine(name: str) -> Callable[[Path], Command]:
    def command(cache: Path) -> Command:
        if "engine" not in {field.name for field in fields(Options)}:
            raise environments.Unavailable("Options has no field 'engine' in this version")
        return _ours("--engine", name)(cache)

    return command


def _compiled(*options: str) -> Callable[[Path], Command]:
    def command(cache: Path) -> Command:
        library = str(environments.library(cache))
        return [sys.executable, str(PEERS / "run_compiled.py"), "--library", library, *options]

    return command


def _dbcp(weight: float) -> Callable[[Path], Command]:
    return lambda cache: [environments.dbcp(cache), str(PEERS / "run_dbcp.py"), "--lbd", str(weight)]


def _uno(seed: int) -> Callable[[Path], Command]:
    return lambda cache: [environments.uno(cache), str(PEERS / "run_uno.py"), "--seed", str(seed)]


ENTRANTS = (
    Entrant(
        name="amtl-cvx",
        what="`fit` as it comes: alternation with compiled CVXPY steps, then refinement",
        command=_ours(),
        colour="tab:blue",
    ),
    Entrant(
        name="amtl-cvx-alternation",
        what="`fit` with `refine=False`: the alternation alone",
        command=_ours("--refine", "0"),
        colour="tab:blue",
        line="--",
    ),
    Entrant(
        name="amtl-cvx-fast",
        what='`fit` with `engine="fast"`: NumPy steps, then refinement',
        command=_engine("fast"),
        colour="tab:cyan",
    ),
    Entrant(
        name="cvxpy-rebuilt",
        what="the same alternation written naively in CVXPY, both problems built anew every round, Clarabel",
        command=lambda cache: [sys.executable, str(PEERS / "run_rebuilt.py")],
        colour="tab:orange",
    ),
    Entrant(
        name="dbcp-0.1",
        what="dbcp 1.0.1, Clarabel, its default proximal weight 0.1",
        command=_dbcp(0.1),
        rounds="proximal W-step and B-step",
        colour="tab:red",
    ),
    Entrant(
        name="dbcp-0",
        what="dbcp 1.0.1, Clarabel, proximal weight 0",
        command=_dbcp(0.0),
        colour="tab:red",
        line="--",
    ),
    Entrant(
        name="uno-zero",
        what="CVXPY's DNLP with UNO (filter SQP), W and B jointly from W = 0, B = 0",
        command=_uno(-1),
        rounds="an iteration of UNO",
        colour="tab:purple",
    ),
    Entrant(
        name="uno-gaussian",
        what="the same from Gaussian W (seed 0), B = 0",
        command=_uno(0),
        rounds="an iteration of UNO",
        colour="tab:purple",
        line="--",
    ),
    Entrant(
        name="compiled-cholesky",
        what="hand-written C++ alternation, W-step by dense Cholesky",
        command=_compiled("--wstep", "cholesky"),
        colour="tab:green",
        line=":",
    ),
    Entrant(
        name="compiled-pcg",
        what="hand-written C++ alternation, W-step by preconditioned conjugate gradients",
        command=_compiled("--wstep", "pcg"),
        colour="tab:green",
        line="--",
    ),
    Entrant(
        name="compiled-newton",
        what="20 such rounds, then compiled Newton on the free variables",
        command=_compiled("--newton", "20"),
        colour="tab:green",
    ),
    Entrant(
        name="compiled-late-newton",
        what="such rounds to a residual of 1e-3, then compiled Newton",
        command=_compiled("--newton", "20", "--handover", "1e-3"),
        colour="tab:olive",
    ),
)
