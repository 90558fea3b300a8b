"""The rows of every family, by topic."""

from __future__ import annotations

from index_rows import INDEX_ROWS
from mask_rows import MASK_ROWS
from norm_rows import NORM_ROWS
from optimizer_rows import OPTIMIZER_ROWS
from promotion_rows import PROMOTION_ROWS
from recurrent_rows import RECURRENT_ROWS
from value_rows import VALUE_ROWS
from window_rows import WINDOW_ROWS

ROWS = {
    row.topic: row
    for family in (
        WINDOW_ROWS,
        NORM_ROWS,
        VALUE_ROWS,
        PROMOTION_ROWS,
        INDEX_ROWS,
        MASK_ROWS,
        RECURRENT_ROWS,
        OPTIMIZER_ROWS,
    )
    for row in family
}
