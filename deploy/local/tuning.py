"""How an embedded Postgres is set: for one machine that does other things too, and for tests."""

from deploy.local.ports import LOOPBACK

EMBEDDED = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    "jit": "off",
    "shared_buffers": "128MB",
    "work_mem": "8MB",
    "maintenance_work_mem": "64MB",
    "max_connections": "60",
    "max_wal_size": "1GB",
    "io_method": "sync",
    "huge_pages": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
    # The server's log is for the server's own troubles; a client is told of its statement's itself.
    "log_min_messages": "log",
    "log_min_error_statement": "panic",
}
# For tests, whose data need not outlive the machine. A commit then outlives a crash of the server only with
# `synchronous_commit` set back to `on`.
NOT_DURABLE = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "shared_buffers": "32MB",
    # Its workers would be in the way of copying a template.
    "autovacuum": "off",
}
