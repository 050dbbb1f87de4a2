"""That the tables can be spread by symbol: every key carries it, and every statement names it.

Citus itself is in no test: what it needs of us is checked in a plain Postgres.
"""

import ast
import json
import re
from collections.abc import Iterator
from typing import Any

import asyncpg

from api import bars, forecast_history
from tests.postgres import Database
from tests.processes import ROOT

CITUS = (ROOT / "deploy" / "citus.sql").read_text(encoding="utf-8")
DISTRIBUTED = set(re.findall(r"create_distributed_table\('(\w+)', 'symbol'", CITUS))
ELSEWHERE = set(re.findall(r"(?:create_reference_table|citus_add_local_table_to_metadata)\('(\w+)'", CITUS))
# What a service must know of all symbols, and what an operator recomputes of all of them (docs/scaling.md).
ABOUT_ALL = {
    ("api/catalog.py", "daily_rollups"),
    ("api/outlook.py", "models"),
    ("shared/database/rollups.py", "daily_rollups"),
    ("shared/database/rollups.py", "hourly_rollups"),
    ("shared/database/rollups.py", "ticks"),
}


def statements() -> Iterator[tuple[str, str]]:
    """Yield every literal of the services' code that is a statement, with its place."""
    for folder in ("api", "collector", "predictor", "shared"):
        for file in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if not isinstance(node, ast.Constant) or not isinstance(node.value, str):
                    continue
                is_statement = re.match(r"\s*(SELECT|INSERT|UPDATE|DELETE|WITH)\b", node.value)
                # A template is no statement yet; what is made of them follows.
                if is_statement and not re.search(r"\{\w+\}", node.value):
                    yield f"{file.relative_to(ROOT)}:{node.lineno}", node.value
    for made in (bars._PAGE_STATEMENTS, bars._WINDOW_STATEMENTS, forecast_history._STATEMENTS):
        for key, text in made.items():
            yield f"{key}", text


def scans(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the nodes of a plan that read or write a table."""
    if "Relation Name" in plan:
        yield plan
    for child in plan.get("Plans", ()):
        yield from scans(child)


def names_symbol(node: dict[str, Any]) -> bool:
    """Whether the rows of a table are looked for by their symbol."""
    return any(re.search(r"\bsymbol\)? = ", str(node.get(key, ""))) for key in node if key.endswith(("Cond", "Filter")))


async def test_each_table_has_its_place(database: Database) -> None:
    """Spread, copied or local: a table that is added has to be thought of."""
    connection = await asyncpg.connect(database.owner_url, statement_cache_size=0)
    try:
        tables = await connection.fetch(
            "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
        )
    finally:
        await connection.close()
    assert {row["relname"] for row in tables} == DISTRIBUTED | ELSEWHERE
    assert not DISTRIBUTED & ELSEWHERE


async def test_every_key_of_a_spread_table_begins_with_symbol(database: Database) -> None:
    """Primary, unique and foreign keys, and every index: Citus can hold no other kind of key."""
    connection = await asyncpg.connect(database.owner_url, statement_cache_size=0)
    try:
        keys = await connection.fetch(
            """
            SELECT relname, attname
            FROM pg_index
            JOIN pg_class ON pg_class.oid = indrelid
            JOIN pg_attribute ON attrelid = indrelid AND attnum = indkey[0]
            WHERE relnamespace = 'public'::regnamespace
            UNION ALL
            SELECT relname, attname
            FROM pg_constraint
            JOIN pg_class ON pg_class.oid = conrelid
            JOIN pg_attribute ON attrelid = conrelid AND attnum = conkey[1]
            WHERE contype = 'f'
            """
        )
    finally:
        await connection.close()
    assert {(row["relname"], row["attname"]) for row in keys if row["relname"] in DISTRIBUTED} == {
        (table, "symbol") for table in DISTRIBUTED
    }


async def test_every_statement_names_its_symbol(database: Database) -> None:
    """As Postgres plans it, for every table that is spread; but for the few that are about all symbols."""
    strangers: set[tuple[str, str]] = set()
    scanned: set[str] = set()
    # Prepared as text, so that parameters need neither values nor types of ours.
    connection = await asyncpg.connect(database.owner_url, statement_cache_size=0)
    try:
        await connection.execute("SET plan_cache_mode = force_generic_plan")
        for place, text in statements():
            await connection.execute(f"PREPARE asked AS {text}")
            count = max(map(int, re.findall(r"\$(\d+)", text)), default=0)
            values = f"({', '.join(['NULL'] * count)})" if count else ""
            [plan] = json.loads(await connection.fetchval(f"EXPLAIN (FORMAT JSON) EXECUTE asked{values}"))
            await connection.execute("DEALLOCATE asked")
            for node in scans(plan["Plan"]):
                table = node["Relation Name"]
                if table in DISTRIBUTED and node["Node Type"] != "ModifyTable":
                    scanned.add(table)
                    if not names_symbol(node):
                        strangers.add((place.partition(":")[0], table))
    finally:
        await connection.close()
    assert strangers == ABOUT_ALL
    assert scanned == DISTRIBUTED
