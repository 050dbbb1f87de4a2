"""Everything that a database's schema is made of, by name, as Postgres' own catalogue tells it."""

from shared.database.connection import Connection

# Each yields an object's name and what it is; objects of Postgres itself and of its extensions are left out.
_OWN = "pg_namespace.nspname NOT IN ('pg_catalog', 'information_schema') AND pg_namespace.nspname NOT LIKE 'pg_t%'"
_RIGHTS = """
    (
        SELECT string_agg(
            format(
                '%s %s%s from %s',
                CASE WHEN grantee = 0 THEN 'PUBLIC' ELSE grantee::regrole::text END,
                privilege_type,
                CASE WHEN is_grantable THEN ' with grant option' END,
                grantor::regrole
            ),
            ', ' ORDER BY grantee::regrole::text, privilege_type
        )
        FROM aclexplode({rights})
    )
"""
_QUERIES = {
    "schema": f"""
        SELECT nspname AS name,
               concat_ws(' ', nspowner::regrole, {_RIGHTS.format(rights="coalesce(nspacl, acldefault('n', nspowner))")})
        FROM pg_namespace
        WHERE {_OWN}
    """,
    "relation": f"""
        SELECT concat_ws('.', nspname, relname) AS name,
               concat_ws(
                   ' ', relkind, relpersistence, relowner::regrole, relrowsecurity, relforcerowsecurity, reloptions,
                   {_RIGHTS.format(rights="relacl")}
               )
        FROM pg_class
        JOIN pg_namespace ON pg_namespace.oid = relnamespace
        WHERE {_OWN}
    """,
    "column": f"""
        SELECT concat_ws('.', nspname, relname, attname) AS name,
               concat_ws(
                   ' ', format_type(atttypid, atttypmod), CASE WHEN attnotnull THEN 'not null' END,
                   'default ' || pg_get_expr(adbin, adrelid), attidentity, attgenerated, attcollation::regcollation,
                   attstorage, attcompression, {_RIGHTS.format(rights="attacl")}
               )
        FROM pg_attribute
        JOIN pg_class ON pg_class.oid = attrelid
        JOIN pg_namespace ON pg_namespace.oid = relnamespace
        LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
        WHERE attnum > 0 AND NOT attisdropped AND {_OWN}
    """,
    "constraint": f"""
        SELECT concat_ws('.', nspname, coalesce(conrelid::regclass::text, contypid::regtype::text), conname) AS name,
               concat_ws(' ', contype, pg_get_constraintdef(pg_constraint.oid), convalidated, conenforced)
        FROM pg_constraint
        JOIN pg_namespace ON pg_namespace.oid = connamespace
        WHERE {_OWN}
    """,
    "index": f"""
        SELECT concat_ws('.', nspname, relname) AS name,
               concat_ws(' ', pg_get_indexdef(indexrelid), indisvalid, indisclustered, indisreplident)
        FROM pg_index
        JOIN pg_class ON pg_class.oid = indexrelid
        JOIN pg_namespace ON pg_namespace.oid = relnamespace
        WHERE {_OWN}
    """,
    "function": f"""
        SELECT format('%s.%s', nspname, pg_proc.oid::regprocedure) AS name,
               concat_ws(
                   ' ', pg_get_functiondef(pg_proc.oid), proowner::regrole,
                   {_RIGHTS.format(rights="coalesce(proacl, acldefault('f', proowner))")}
               )
        FROM pg_proc
        JOIN pg_namespace ON pg_namespace.oid = pronamespace
        WHERE prokind <> 'a' AND {_OWN}
    """,
    "trigger": f"""
        SELECT concat_ws('.', nspname, relname, tgname) AS name,
               concat_ws(' ', pg_get_triggerdef(pg_trigger.oid), tgenabled)
        FROM pg_trigger
        JOIN pg_class ON pg_class.oid = tgrelid
        JOIN pg_namespace ON pg_namespace.oid = relnamespace
        -- A foreign key's own triggers are numbered by the server.
        WHERE NOT tgisinternal AND {_OWN}
    """,
    "policy": """
        SELECT concat_ws('.', schemaname, tablename, policyname) AS name,
               concat_ws(' ', permissive, roles, cmd, qual, 'check', with_check)
        FROM pg_policies
    """,
    "type": f"""
        SELECT concat_ws('.', nspname, typname) AS name, concat_ws(' ', typtype, typowner::regrole)
        FROM pg_type
        JOIN pg_namespace ON pg_namespace.oid = typnamespace
        WHERE {_OWN}
    """,
    "database": f"SELECT 'rights' AS name, {_RIGHTS.format(rights='datacl')} FROM pg_database"
    " WHERE datname = current_database()",
    "default rights": f"SELECT defaclobjtype::text AS name, {_RIGHTS.format(rights='defaclacl')} FROM pg_default_acl",
}


async def select_objects(connection: Connection) -> dict[str, str]:
    """Return what each object of the schema is, by its kind and name; the order of columns is none of it."""
    return {
        f"{kind} {name}": definition
        for kind, query in _QUERIES.items()
        for name, definition in await connection.fetch(query)
    }
