"""Ports: free ones, and taken ones."""

import socket

import pytest

from deploy.local.errors import LocalError, PortTakenError
from deploy.local.ports import check_port_is_free, find_free_port
from deploy.local.status_reporter import make_base_url


def test_free_port_can_be_listened_on_and_is_no_clients() -> None:
    """It lies below the range from which systems give ports to clients."""
    port = find_free_port()
    assert port < 32_768
    check_port_is_free("127.0.0.1", port, "API_PORT")
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", port))


def test_taken_port_is_named_with_its_setting() -> None:
    """And with a way out."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        with pytest.raises(PortTakenError, match=rf"Port {port} on 127\.0\.0\.1 is taken.*set API_PORT to a free port"):
            check_port_is_free("127.0.0.1", port, "API_PORT")


@pytest.mark.parametrize("host", ["192.0.2.1", "no.such.host.invalid"])
def test_address_that_is_not_ours_is_refused(host: str) -> None:
    """With the system's reason."""
    with pytest.raises(LocalError, match=f"on {host} cannot be listened on"):
        check_port_is_free(host, 8000, "API_PORT")


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8000"),
        ("0.0.0.0", "http://127.0.0.1:8000"),
        ("::", "http://[::1]:8000"),
        ("::1", "http://[::1]:8000"),
        ("box.example", "http://box.example:8000"),
    ],
)
def test_url_can_be_opened_on_this_machine(host: str, url: str) -> None:
    """An address that means every one is reached on loopback."""
    assert make_base_url(host, 8000) == url
