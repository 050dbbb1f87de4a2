"""The settings of an embedded Postgres: for a machine that does other things too, and for tests."""

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
    # The server's log holds the server's own errors; each client receives the errors of its statements.
    "log_min_messages": "log",
    "log_min_error_statement": "panic",
}
# For tests, whose data need not survive a crash of the machine. A test of a server's crash sets `synchronous_commit`
# to `on`, so that commits survive it.
NOT_DURABLE = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "shared_buffers": "32MB",
    # A worker in the template database would block copying it.
    "autovacuum": "off",
}
