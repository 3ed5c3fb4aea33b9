r"""The footprint: how much memory a fit or a certificate will take, known before it begins.

With n = T d unknowns in W, G = T d^2 entries of the losses' Hessians, C = T^2 d of the coupling, K = G + C
and E edges, in bytes, the largest of what is held at one time:

    compile     CVXPY's tensors of the W-problem                        195 K
    W-step      what of them is kept, and Clarabel's factor             100 to 125 K + 52 G + 8.5 n^2 fill
    B-step      beside these, up to `COLUMN_SIZE` tasks, its own        200 T^3 + 5 T^4
    Newton      H (n, n), factored in place, and its edges              9 n^2 + 18 n E + 40 E^2
    L-BFGS-B    beyond `DENSE_LIMIT` unknowns, in place of Newton       65 vectors of T d + T^2
    NumPy       the losses' Hessians, their batches and inverses        2 to 4 times 8 G
    rows        of losses with kinks, and of definitions                1 kB an entry of X

fill is how dense (I - B)(I - B)' and its factor are: 1 for up to `_HUBS` tasks, _HUBS / T beyond, for in
learned graphs few tasks teach many. E is the number of edges a Newton step moves, about 7 a task. What the
problems of the alternation leave behind stays in the allocator's hands, up to `_KEPT`. The coefficients are
measured (reports/scale/memory.md); a fit that needs no refinement, or whose graph is empty, takes less.

It is what a process takes beyond the interpreter and its libraries: the rows of the tasks are in it, and
what is free must hold the rest.
"""

from __future__ import annotations

import logging
from dataclasses import replace

from amtl_cvx.certificate.w_step import DENSE_LIMIT
from amtl_cvx.memory import available, check, size
from amtl_cvx.options import Options
from amtl_cvx.problem import Model
from amtl_cvx.refine import WORKING_LIMIT, can_refine
from amtl_cvx.subproblems.transfer import COLUMN_SIZE
from amtl_cvx.tasks import TaskSet

log = logging.getLogger("amtl_cvx.memory")

_BASE = 14 * 2**20  # what any fit takes: libraries that are loaded late, the history
_HUBS = 100
_KEPT = 100 * 2**20
_SMALL = 2 * 10**6  # entries up to which what was used to compile goes back to the allocator only
_VECTORS = 65  # of L-BFGS-B with 30 corrections
_EDGES = 7
_ENTRY = 1000
_MOVES = 4  # square matrices of moves of W, where a penalty on it has kinks
_LAYOUTS = 3  # of the rows of one task, while they are factored or weighted


def fit_bytes(tasks: TaskSet, model: Model, options: Options, *, method: str = "alternating") -> int:
    """About how many bytes a fit takes at its peak; `tasks` in the coordinates in which they are fitted."""
    learns = method == "alternating"
    numpy = _numpy(tasks.T, tasks.d, refines=learns and options.refine and can_refine(model, tasks.T))
    kept = _BASE + data_bytes(tasks) + _factors(tasks, model)
    if model.prox_omega is not None and tasks.T * tasks.d <= DENSE_LIMIT:
        numpy += _MOVES * 8 * (tasks.T * tasks.d) ** 2
    passing = max(_LAYOUTS * 8 * task.X.size for task in tasks)
    if learns and options.engine == "fast":
        return kept + max(numpy, passing)
    if not model.loss.smooth or options.definition:
        tensors = _ENTRY * sum(task.X.size for task in tasks)
        return kept + numpy + tensors
    tensors = _tensors(tasks.T if options.sweep == "joint" else 1, tasks.d, graph=learns)
    columns = 200 * tasks.T**3 + 5 * tasks.T**4 if learns and 1 < tasks.T < COLUMN_SIZE else 0
    steps = tensors + max(columns, 4 * 8 * tasks.T * tasks.d**2)
    return kept + max(steps, numpy + min(tensors, _KEPT), passing)


def certificate_bytes(tasks: TaskSet, model: Model) -> int:
    """About how many bytes a certificate takes at its peak."""
    basis = tasks.row_basis if model.rotation_invariant else None
    d = tasks.d if basis is None else min(basis.shape[1] + tasks.T + 1, tasks.d)
    return _BASE + data_bytes(tasks) + _numpy(tasks.T, d, refines=False)


def data_bytes(tasks: TaskSet) -> int:
    """The rows of the tasks, each array once, and the basis of coordinates."""
    rows = {id(task.X): task.X.nbytes for task in tasks}
    return sum(rows.values()) + (0 if tasks.basis is None else tasks.basis.nbytes)


def check_fit(tasks: TaskSet, model: Model, options: Options, *, method: str) -> None:
    """Say how much memory a fit will take; `DataError` where that is more than is free."""
    need = fit_bytes(tasks, model, options, method=method)
    _check("the fit", need, data_bytes(tasks), _cure(tasks, model, options, method=method))


def check_certificate(tasks: TaskSet, model: Model) -> None:
    """Say how much memory a certificate will take; `DataError` where that is more than is free."""
    need = certificate_bytes(tasks, model)
    _check("the certificate", need, data_bytes(tasks), "take fewer features or tasks")


def _check(what: str, need: int, data: int, cure: str) -> None:
    """Tell and, where what is not there yet does not fit, refuse."""
    if log.isEnabledFor(logging.INFO):
        words = "%s needs about %s of memory, %s of it for the data; %s are free"
        log.info(words, what, size(need), size(data), size(available()))
    check(need - data, what, cure)


def _tensors(T: int, d: int, *, graph: bool) -> int:
    """The compiled W-problem with its solver; B is 0 without a `graph`."""
    G, C = T * d * d, T * T * d
    fill = min(1.0, _HUBS / T) if graph else 0.0
    K = G + C
    held = 100 * K + 25 * min(K, _SMALL)
    return int(max(195 * K, held + 52 * G + 8.5 * fill * (T * d) ** 2))


def _numpy(T: int, d: int, *, refines: bool) -> int:
    """Refinement, the steps of the fast engine, and the certificate."""
    n, hessians = T * d, 8 * T * d * d
    if n > DENSE_LIMIT:
        return 3 * hessians + (_VECTORS * 8 * (n + T * T) if refines else 0)
    edges = min(_EDGES * T, T * (T - 1), WORKING_LIMIT) if refines else 0
    return 9 * n * n + 18 * n * edges + 40 * edges**2 + 2 * hessians


def _factors(tasks: TaskSet, model: Model) -> int:
    """The triangular factors that stand for the rows of a quadratic loss."""
    longer = sum(len(task.y) > tasks.d + 1 for task in tasks) if model.loss.quadratic else 0
    return 8 * longer * (tasks.d + 1) * tasks.d


def _cure(tasks: TaskSet, model: Model, options: Options, *, method: str) -> str:
    """What would make the fit smaller."""
    cures = ["fewer features or tasks"]
    possible = method == "alternating" and can_refine(model, tasks.T) and model.loss.smooth
    if possible and options.engine == "cvxpy" and options.sweep == "joint" and not options.definition:
        less = fit_bytes(tasks, model, replace(options, engine="fast", solver="auto", gpu="auto"))
        cures.append(f"the fast engine (--engine fast), which needs about {size(less)}")
    return f"take {' or '.join(cures)}"
