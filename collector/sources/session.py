"""The HTTP session that all requests to one exchange share."""

import aiohttp

CONNECTIONS_MAX = 16
DNS_CACHE_SECONDS = 60


def open_session() -> aiohttp.ClientSession:
    """Open a session; the caller closes it."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            limit=CONNECTIONS_MAX, ttl_dns_cache=DNS_CACHE_SECONDS, enable_cleanup_closed=False
        ),
        headers={"User-Agent": "minutebook"},
        trust_env=True,
    )
