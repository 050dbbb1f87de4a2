"""Statistics as JSON."""

from collections.abc import Mapping
from decimal import Decimal

import orjson

from api.fields import read_row
from api.statistics.fields import PERCENTILES, STATISTICS, TOTAL_FIELDS
from api.statistics.summary import Summary
from shared.database.connection import Record


def encode_statistics(head: Mapping[str, str], expected: int, totals: Record, summary: Summary) -> bytes:
    """Return the answer; `head` names the symbol and the range, of which `expected` minutes are past."""
    count = summary.count
    values = {
        **head,
        **read_row(TOTAL_FIELDS, totals),
        "count": count,
        "expected": expected,
        "completeness": count / expected if expected else None,
        "mean": summary.mean,
        "median": _number(summary.median),
        "std": summary.std,
        "percentiles": {
            str(percent): _number(value) for percent, value in zip(PERCENTILES, summary.percentiles, strict=True)
        },
        "realised_volatility": summary.realised_volatility,
        "max_drawdown": summary.max_drawdown,
    }
    return orjson.dumps({each.name: values[each.name] for each in STATISTICS.fields})


def _number(value: Decimal | None) -> orjson.Fragment | None:
    # `normalize` drops trailing zeros, and "f" keeps its exponent out.
    return None if value is None else orjson.Fragment(format(value.normalize(), "f"))
