"""Which URLs an adapter may register."""

import socket

import pytest
from agent_contract.loading import ConfigurationError
from agent_contract.problems import Problem
from agent_manager.agent_client import Origin
from agent_manager.service_urls import ServiceUrls, is_name

from tests.manager.service_url_forms import FORBIDDEN, MALFORMED, NEVER


@pytest.mark.parametrize("url", MALFORMED)
async def test_malformed_url_is_400(url: str) -> None:
    """A URL that is more or less than scheme, host and port is a bad request, with the field."""
    with pytest.raises(Problem) as caught:
        await ServiceUrls([]).origin(url, "127.0.0.1")
    assert (caught.value.status, caught.value.code) == (400, "bad-request")
    assert caught.value.extra == {"field": "serviceUrl"}


@pytest.mark.parametrize("url", FORBIDDEN)
async def test_forbidden_url_is_403(url: str) -> None:
    """Another spelling of an address, or one that is nobody's here, is forbidden, also to a caller on loopback."""
    assert len(FORBIDDEN) >= 60
    for peer in ("127.0.0.1", "::1", "198.51.100.7", None):
        with pytest.raises(Problem) as caught:
            await ServiceUrls([]).origin(url, peer)
        assert (caught.value.status, caught.value.code) == (403, "forbidden-service-url")


@pytest.mark.parametrize("url", NEVER)
async def test_some_addresses_are_never_used(url: str) -> None:
    """Link-local and metadata addresses stay forbidden though everything is allowed and the caller has them."""
    host = url.partition("//")[2].rpartition(":")[0].strip("[]")
    with pytest.raises(Problem) as caught:
        await ServiceUrls(["0.0.0.0/0", "::/0", host]).origin(url, host)
    assert caught.value.code == "forbidden-service-url"


@pytest.mark.parametrize(
    ("url", "peer"),
    [
        ("http://127.0.0.1:8100", "127.0.0.1"),
        ("http://127.0.0.1:8100", "::1"),
        ("http://[::1]:8100", "127.0.0.1"),
        ("http://127.0.0.5:8100", "127.0.0.5"),
        ("https://10.0.0.7:8443", "10.0.0.7"),
        ("http://10.0.0.7:8100", "::ffff:10.0.0.7"),
        ("http://[2001:db8::7]:1", "2001:db8::7"),
        ("http://[2001:db8::7]:65535", "2001:DB8:0::7"),
    ],
)
async def test_own_address_may_be_registered(url: str, peer: str) -> None:
    """The caller's own address in its usual spelling; loopback is one address to a caller on loopback."""
    origin = await ServiceUrls([]).origin(url, peer)
    assert str(origin) == url


@pytest.mark.parametrize("peer", ["10.0.0.8", "198.51.100.7", None, "", "testclient"])
async def test_address_of_another_may_not(peer: str | None) -> None:
    """A caller may not send the manager to another machine, and nobody from afar to loopback."""
    for url in ("http://10.0.0.7:8100", "http://127.0.0.1:8100", "http://[::1]:8100"):
        with pytest.raises(Problem):
            await ServiceUrls([]).origin(url, peer)


@pytest.mark.parametrize(
    ("allowed", "url"),
    [
        ("10.0.0.7", "http://10.0.0.7:8100"),
        ("10.0.0.0/8", "http://10.255.0.7:8100"),
        ("fd00::/8", "http://[fd12::7]:8100"),
    ],
)
async def test_allowed_addresses_and_networks(allowed: str, url: str) -> None:
    """What the configuration lists may be registered by everyone."""
    assert str(await ServiceUrls([allowed]).origin(url, "198.51.100.7")) == url
    with pytest.raises(Problem):
        await ServiceUrls([allowed]).origin("http://172.16.0.1:8100", "198.51.100.7")


async def test_listed_name_is_looked_up_once_and_pinned() -> None:
    """Where to connect is the address that was checked; over TLS the name is what the certificate must prove."""
    urls = ServiceUrls(["LocalHost"])
    assert (await urls.origin("http://localhost:8100", "198.51.100.7")).host in ("127.0.0.1", "::1")
    assert await urls.origin("https://LOCALHOST:8100", "127.0.0.1") == Origin("127.0.0.1", 8100, True, "localhost")


async def test_listed_name_that_means_a_forbidden_address_is_403(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name is no way round: every address that it has is checked."""

    def resolve(*_: object, **__: object) -> list[object]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, 80)) for host in ("10.0.0.7", "169.254.169.254")]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    with pytest.raises(Problem, match=r"169\.254\.169\.254 is never used"):
        await ServiceUrls(["agent.test"]).origin("http://agent.test:80", "127.0.0.1")


async def test_listed_name_that_cannot_be_looked_up_is_403(monkeypatch: pytest.MonkeyPatch) -> None:
    """The adapter asks again; the manager does not."""

    def resolve(*_: object, **__: object) -> list[object]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    with pytest.raises(Problem, match="cannot be looked up"):
        await ServiceUrls(["agent.test"]).origin("http://agent.test:80", "127.0.0.1")


@pytest.mark.parametrize("text", ["10.0.0.0/33", "http://x", "a b", "10.0.0.1/8", "-x", "1.2.3"])
def test_bad_entry_of_allowed_hosts_stops_the_start(text: str) -> None:
    """It is neither name, address nor network: the place in the file is named."""
    with pytest.raises(ConfigurationError) as caught:
        ServiceUrls(["good", text])
    assert caught.value.path == "runtime.allowedServiceHosts[1]"


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("a", True),
        ("a.b-c.d_e", True),
        ("a" * 63, True),
        ("a" * 64, False),
        ("a..b", False),
        ("1.2", False),
        ("", False),
    ],
)
def test_names(text: str, fits: object) -> None:
    """DNS labels, the last of which no resolver takes for a number."""
    assert is_name(text) is fits
