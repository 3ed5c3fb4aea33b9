"""Arrays: the one gate through which the users' numbers, names and labels enter.

Lists, arrays, and the frames of pandas and polars are taken (neither package is imported for it). What would
be read as something other than its owner means is refused in one line: a masked entry, a sparse matrix,
complex numbers, text, None, NaN and infinity, rows of different lengths. Names of columns are honoured: the
frames of one set of tasks are put into one order, and rows to predict on must come in that of the fit. Two
names that show the same text are the same (`clean`), however their umlauts are encoded.

    numbers(y, "y")                  finite float64, perhaps in the caller's memory: to use and let go
    snapshot(y, "y")                 the same, read-only, in memory that the caller cannot write: to keep
    check_features(X, names=names)   rows (N, d), columns in the order of `names`
    group(task, "task")              labels of rows as numbers 0..T-1, and their names
    targets([(y, "y")])              targets as numbers, and the two labels where they are text or bool

A frame whose columns only count (0, 1, 2, ... as pandas gives them, column_0, ... as polars does) is taken by
position, like an array.
"""

from amtl_cvx.arrays.frames import (
    check_aligned,
    check_complete,
    check_distinct,
    clean,
    column_names,
    column_order,
    frame_numbers,
    is_frame,
    is_series,
    nameless,
    order_of,
    storable,
)
from amtl_cvx.arrays.gate import (
    Array,
    Indices,
    Mask,
    as_array,
    check_features,
    check_finite,
    check_weights,
    counters,
    described,
    frozen,
    in_named_order,
    is_number,
    numbers,
    one_row,
    snapshot,
)
from amtl_cvx.arrays.labels import (
    MANY,
    Labels,
    check_gaps,
    class_labels,
    group,
    in_labels,
    label_pair,
    names_of,
    names_or_numbers,
    numbers_for_classes,
    sorted_names,
    targets,
    two_labels,
    whole_numbers,
)
from amtl_cvx.arrays.missing import DROP, check_missing, labelled, target_matrix

__all__ = [
    "DROP",
    "Array",
    "Indices",
    "MANY",
    "Labels",
    "Mask",
    "as_array",
    "check_aligned",
    "check_complete",
    "check_distinct",
    "check_features",
    "check_finite",
    "check_gaps",
    "check_missing",
    "check_weights",
    "class_labels",
    "clean",
    "column_names",
    "column_order",
    "counters",
    "described",
    "frame_numbers",
    "frozen",
    "group",
    "is_frame",
    "is_number",
    "is_series",
    "in_labels",
    "in_named_order",
    "label_pair",
    "labelled",
    "nameless",
    "names_of",
    "names_or_numbers",
    "numbers",
    "numbers_for_classes",
    "one_row",
    "order_of",
    "snapshot",
    "sorted_names",
    "storable",
    "target_matrix",
    "targets",
    "two_labels",
    "whole_numbers",
]
