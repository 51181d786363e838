"""Who a process is, and the URL under which it can be reached."""

import pytest
from agent_adapter.identity import Identity, resolve, service_url
from agent_contract.identity import is_uuid

MANAGER = ("127.0.0.1", 8080)


def test_every_process_has_an_id_of_its_own() -> None:
    """A UUID, new each time."""
    first, second = Identity("a"), Identity("a")
    assert is_uuid(first.instance_id)
    assert first.instance_id != second.instance_id


def test_it_can_be_renewed_once() -> None:
    """A process that is told twice that another has its place believes it; its log lines follow the id."""
    identity = Identity("a")
    before, facts = identity.instance_id, identity.facts
    assert identity.renew()
    assert before != identity.instance_id == facts["instance_id"]
    again = identity.instance_id
    assert not identity.renew()
    assert identity.instance_id == again


@pytest.mark.parametrize(
    ("configured", "host", "url"),
    [
        ("http://agent.example:9000/", "0.0.0.0", "http://agent.example:9000"),
        (None, "127.0.0.2", "http://127.0.0.2:9000"),
        (None, "0.0.0.0", "http://127.0.0.1:9000"),
        (None, "::", "http://127.0.0.1:9000"),
        (None, "localhost", "http://127.0.0.1:9000"),
        (None, "::1", "http://[::1]:9000"),
    ],
)
def test_the_url_is_the_configured_one_or_the_address(configured: str | None, host: str, url: str) -> None:
    """For a wildcard: the local address of the way to the manager."""
    assert service_url(configured, host, 9000, MANAGER) == url


def test_a_name_has_all_its_addresses() -> None:
    """Each with the URL's port, or its scheme's."""
    assert resolve("http://127.0.0.1:9000") == [("127.0.0.1", 9000)]
    assert resolve("https://127.0.0.1") == [("127.0.0.1", 443)]
    assert ("127.0.0.1", 80) in resolve("http://localhost")
    with pytest.raises(OSError, match="not known"):
        resolve("http://no-such-name.invalid")
