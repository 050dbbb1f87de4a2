"""A fourth level is one more number in shared/levels.py, from the fit to the answer."""

import asyncio
import csv
import json
import sys

from tests.integration.four_levels import LEVELS
from tests.postgres import Database

NAMES = [str(level) for level in LEVELS]


async def test_a_fourth_level_is_one_more_number(database: Database) -> None:
    """Its intervals are calibrated, stored, scored and served, beside forecasts that were made without it."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.integration.four_levels",
        *(database.owner_url, database.predictor_url, database.api_url),
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0
    found = json.loads(output)

    assert list(found["coverage"]) == NAMES
    assert found["coverage"]["80"] < found["coverage"]["90"] < found["coverage"]["95"]
    assert abs(found["coverage"]["90"] - 0.9) < 0.05
    assert all(0.5 < ratio < 1.5 for ratio in found["ratios"])

    before, stored = found["stored"]
    assert (before["levels"], stored["levels"]) == ([50, 80, 95], list(LEVELS))
    assert stored["lower_bounds"] == sorted(stored["lower_bounds"], reverse=True)
    assert stored["lower_bounds"][1] > stored["lower_bounds"][2] > stored["lower_bounds"][3]
    assert len(stored["covered"]) == len(stored["winkler"]) == len(LEVELS)
    bounds = [list(pair) for pair in zip(stored["lower_bounds"], stored["upper_bounds"], strict=True)]

    assert found["fresh"] == dict(zip(NAMES, bounds, strict=True))
    old, new = found["history"]
    assert old["intervals"]["90"] == [None, None]
    assert old["outcome"]["covered"]["90"] is None
    assert new["intervals"] == found["fresh"]
    assert new["outcome"]["covered"] == dict(zip(NAMES, stored["covered"], strict=True))
    assert new["outcome"]["winkler"] == dict(zip(NAMES, stored["winkler"], strict=True))

    rows = list(csv.DictReader(found["csv"]))
    assert rows[0]["lower_90"] == rows[0]["covered_90"] == ""
    assert float(rows[1]["lower_90"]) == stored["lower_bounds"][2]

    assert found["score"]["n"] == 2
    assert found["score"]["coverage"]["90"] == stored["covered"][2]
    assert found["score"]["winkler"]["90"] == stored["winkler"][2]

    documented = found["documented"]
    assert "with 50, 80, 90 and 95 %." in documented["predict"]
    assert "the quantiles 2.5, 5, 10, 25, 50, 75, 90, 95 and 97.5 %," in documented["pinball"]
    assert documented["intervals"] == NAMES
