"""What a collector has done since its process started."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from collector.klines import Refusal
from collector.store import Stored

_REMEMBERED_REFUSALS = 10_000


@dataclass
class Counts:
    """Minutes and refused rows, for the heartbeat."""

    inserted: int = 0
    corrected: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    _seen: dict[tuple[str, str], None] = field(default_factory=dict)

    def add(self, stored: Stored) -> None:
        """Add what one write stored."""
        self.inserted += stored.inserted
        self.corrected += stored.corrected

    def add_refused(self, symbol: str, refused: Sequence[Refusal]) -> list[Refusal]:
        """Add refused rows and return those that are new: a bad row comes again with every answer that has it."""
        new = {(symbol, refusal.row): refusal for refusal in refused if (symbol, refusal.row) not in self._seen}
        self._seen |= dict.fromkeys(new)
        while len(self._seen) > _REMEMBERED_REFUSALS:
            del self._seen[next(iter(self._seen))]
        self.refused.update(refusal.reason.split(":")[0] for refusal in new.values())
        return list(new.values())
