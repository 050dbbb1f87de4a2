# A streaming replica: copies the database the first time, then follows its log. Its slot keeps what it has not read yet.
set -euo pipefail

primary=(--host postgres --username replication --no-password)
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    # An unfinished copy is of no use, nor is the slot of one that is gone.
    rm -rf "${PGDATA:?}" "$PGDATA.copy"
    mkdir -p "$PGDATA"
    chmod 700 "$PGDATA"
    psql "host=postgres user=replication dbname=postgres replication=database" --no-psqlrc --quiet \
        --command "DROP_REPLICATION_SLOT replica" 2>/dev/null || true
    # In the background, so that the shell hears SIGTERM meanwhile.
    trap 'kill $! ; exit 143' TERM
    pg_basebackup "${primary[@]}" --pgdata "$PGDATA.copy" --wal-method stream --checkpoint fast \
        --create-slot --slot replica --write-recovery-conf &
    wait $!
    mv -T "$PGDATA.copy" "$PGDATA"
fi
# A long question is answered from old rows rather than cancelled. The password is the environment's, which may have changed
# since the copy was made, and not the one that was written down then.
exec postgres -c jit=off -c max_connections=200 -c shared_buffers=256MB -c listen_addresses='*' -c hot_standby_feedback=on \
    -c primary_conninfo='host=postgres user=replication application_name=replica'
