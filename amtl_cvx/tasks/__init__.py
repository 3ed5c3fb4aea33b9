"""Tasks: the data of T related prediction problems, as a snapshot of the users' arrays.

Task t has n_t rows: `X` (n_t, d), `y` (n_t,). All tasks share the d features. A `TaskSet` is the ordered
collection; column t of W and row/column t of B belong to its task t.

    >>> tasks = TaskSet.from_arrays([X0, X1], [y0, y1], names=["school 0", "school 1"])
    >>> tasks.T, tasks.d, tasks.counts

Everything downstream trusts what it gets from here: float64, two dimensions, finite, equal d, read-only, in
memory that nobody else writes (`arrays`). Tasks that are given the same array keep sharing one copy of it.
Labels of a classification loss are checked by the loss itself (`Loss.check`), because only it knows which are
legal.
"""

from amtl_cvx.arrays import Array, Indices, Mask
from amtl_cvx.tasks.counts import distinct_rows, row_words, size_words
from amtl_cvx.tasks.given import task_index
from amtl_cvx.tasks.pool import LINKS, Links, Pool, groups, links_from, links_without, same_bits
from amtl_cvx.tasks.task import Stack, Task, feature_lengths, stack_of, triangular_factor
from amtl_cvx.tasks.task_set import TaskSet, check_tasks

__all__ = [
    "LINKS",
    "Array",
    "Indices",
    "Links",
    "Mask",
    "Pool",
    "Stack",
    "Task",
    "TaskSet",
    "check_tasks",
    "distinct_rows",
    "feature_lengths",
    "groups",
    "links_from",
    "links_without",
    "row_words",
    "same_bits",
    "size_words",
    "stack_of",
    "task_index",
    "triangular_factor",
]
