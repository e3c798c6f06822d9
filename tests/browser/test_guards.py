"""Without the token the lab tells nothing, and it answers no other machine."""

import socket
import urllib.error
import urllib.request

import psutil
import pytest

pytestmark = pytest.mark.browser


def status(jupyter, path: str, headers: dict | None = None, method: str = "GET") -> int:
    """What the server answers to somebody with these headers."""
    request = urllib.request.Request(
        f"{jupyter.address}/{path}", headers=headers or {}, method=method
    )
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(request, timeout=30) as reply:
            return reply.status
    except urllib.error.HTTPError as error:
        return error.code


@pytest.mark.parametrize("path", ["api/contents", "api/kernels", "api/sessions", "api/terminals"])
def test_nothing_is_told_without_the_token(jupyter, path):
    assert status(jupyter, path) == 403
    assert status(jupyter, path, {"Authorization": "token 0123456789"}) == 403
    assert status(jupyter, path, {"Authorization": f"token {jupyter.token}"}) == 200


def test_no_kernel_is_started_without_the_token(jupyter):
    before = jupyter.ask("api/kernels")
    assert status(jupyter, "api/kernels", method="POST") == 403
    assert jupyter.ask("api/kernels") == before


def test_it_listens_to_this_machine_alone(jupyter):
    port = int(jupyter.address.rpartition(":")[2])
    own = [
        address.address
        for addresses in psutil.net_if_addrs().values()
        for address in addresses
        if address.family == socket.AF_INET and not address.address.startswith("127.")
    ]
    for address in own:
        with pytest.raises(OSError):
            socket.create_connection((address, port), timeout=5).close()
    with socket.create_connection(("127.0.0.1", port), timeout=5) as there:
        assert there.getpeername()[1] == port
