"""A page of gaps as JSON."""

import orjson

from api.gaps.completeness import Completeness, count_by_day
from api.gaps.page import GapsPage
from shared.instant import to_text


def encode_gaps(page: GapsPage) -> bytes:
    """Return the answer: the page's gaps, and how complete each of its days is."""
    days = count_by_day(page.covered, page.gaps, page.paged.record_until)
    total = Completeness.of(days)
    return orjson.dumps(
        {
            "symbol": page.paged.symbol,
            "start": to_text(page.covered.start),
            "end": to_text(page.covered.end),
            "expected": total.expected,
            "count": total.count,
            "missing": total.expected - total.count,
            "completeness": total.share,
            "gaps": [
                {"start": to_text(gap.start), "end": to_text(gap.end), "minutes": gap.minutes, "cause": gap.cause}
                for gap in page.gaps
            ],
            "days": [
                {"day": to_text(day), "count": found.count, "expected": found.expected, "completeness": found.share}
                for day, found in days.items()
            ],
            "next_cursor": page.rest.cursor() if page.rest else None,
        }
    )
