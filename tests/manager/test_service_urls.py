"""Which URLs an adapter may register."""

import socket

import pytest
from agent_contract.loading import ConfigurationError
from agent_contract.problems import Problem
from agent_manager.agent_client import Origin
from agent_manager.service_urls import ServiceUrls, is_name

MALFORMED = [
    "",
    "8100",
    "127.0.0.1:8100",
    "//127.0.0.1:8100",
    "ftp://127.0.0.1:8100",
    "file:///etc/passwd",
    "gopher://127.0.0.1:8100",
    "HTTP://127.0.0.1:8100",
    "http:/127.0.0.1:8100",
    "http:127.0.0.1:8100",
    " http://127.0.0.1:8100",
    "http://127.0.0.1:8100 ",
    "http://127.0.0.1 :8100",
    "http://127.0.0.1\t:8100",
    "http://127.0.0.1\r\nHost: x:8100",
    "http://127.0.0.1\0:8100",
    "http://",
    "http://:8100",
    "http://127.0.0.1",
    "http://127.0.0.1:",
    "http://127.0.0.1:0",
    "http://127.0.0.1:65536",
    "http://127.0.0.1:99999999",
    "http://127.0.0.1:-1",
    "http://127.0.0.1:+80",
    "http://127.0.0.1:8 0",
    "http://127.0.0.1:080",
    "http://127.0.0.1:8100/",
    "http://127.0.0.1:8100/admin",
    "http://127.0.0.1:8100?x=1",
    "http://127.0.0.1:8100#x",
    "http://127.0.0.1:8100/a/../../x#",
    "http://127.0.0.1:8100\\@10.0.0.1:80",
    "http://user@127.0.0.1:8100",
    "http://user:word@127.0.0.1:8100",
    "http://127.0.0.1:8100@10.0.0.1:80",
    "http://@127.0.0.1:8100",
    "http://::1:8100",
    "http://[::1]",
    "http://[::1:8100",
    "http://[::1]x:8100",
    "http://[127.0.0.1]:8100",
    "http://[::g]:8100",
    "http://[v1.x]:8100",
    "http://127.0.0.1:٨٠",  # digits of another script
]
"""400: not scheme, host and port alone."""

FORBIDDEN = [
    "http://127.1:8100",
    "http://127.0.1:8100",
    "http://0:8100",
    "http://0.0.0.0:8100",
    "http://0x7f.0.0.1:8100",
    "http://0x7f000001:8100",
    "http://0X7F000001:8100",
    "http://0x7f.1:8100",
    "http://2130706433:8100",
    "http://017700000001:8100",
    "http://0177.0.0.1:8100",
    "http://127.0.0.01:8100",
    "http://127.000.000.001:8100",
    "http://127.0.0.1.:8100",
    "http://127.0.0.1..:8100",
    "http://127.0.0.256:8100",
    "http://127.0.0.1.1:8100",
    "http://127.0.0.1%00:8100",
    "http://%31%32%37.0.0.1:8100",
    "http://127%2e0%2e0%2e1:8100",
    "http://①②⑦.⓪.⓪.①:8100",
    "http://127。0。0。1:8100",
    "http://１２７.0.0.1:8100",  # noqa: RUF001  # full-width digits are the point
    "http://127.0.0.2:8100",
    "http://127.255.255.254:8100",
    "http://[::ffff:127.0.0.1]:8100",
    "http://[::ffff:7f00:1]:8100",
    "http://[::FFFF:7F00:1]:8100",
    "http://[::ffff:0:127.0.0.1]:8100",
    "http://[::127.0.0.1]:8100",
    "http://[::7f00:1]:8100",
    "http://[64:ff9b::7f00:1]:8100",
    "http://[64:ff9b::127.0.0.1]:8100",
    "http://[64:ff9b:1::7f00:1]:8100",
    "http://[2002:7f00:1::]:8100",
    "http://[2001:0:7f00:1::]:8100",
    "http://[0:0:0:0:0:0:0:1]:8100",
    "http://[0000::1]:8100",
    "http://[::0001]:8100",
    "http://[::]:8100",
    "http://[::1%25lo]:8100",
    "http://[fe80::1]:8100",
    "http://[fe80::1%25eth0]:8100",
    "http://[febf::1]:8100",
    "http://[fec0::1]:8100",
    "http://[ff02::1]:8100",
    "http://[fd00:ec2::254]:80",
    "http://[fd20:ce::254]:80",
    "http://[::ffff:169.254.169.254]:80",
    "http://[64:ff9b::a9fe:a9fe]:80",
    "http://169.254.169.254:80",
    "http://169.254.0.1:8100",
    "http://2852039166:80",
    "http://0xa9fea9fe:80",
    "http://0251.0376.0251.0376:80",
    "http://100.100.100.200:80",
    "http://168.63.129.16:80",
    "http://192.0.0.192:80",
    "http://224.0.0.1:8100",
    "http://255.255.255.255:8100",
    "http://10.0.0.1:8100",
    "http://192.168.1.1:80",
    "http://172.17.0.1:2375",
    "http://8.8.8.8:53",
    "http://[2001:db8::1]:8100",
    "http://[fd00::1]:8100",
    "http://localhost:8100",
    "http://LOCALHOST:8100",
    "http://localhost.:8100",
    "http://localhost.localdomain:8100",
    "http://127.0.0.1.nip.io:8100",
    "http://metadata.google.internal:80",
    "http://kubernetes.default.svc:443",
    "http://planner:8100",
    "http://-planner:8100",
    "http://pla_nner.:8100",
    "http://0x:8100",
    "http://1.2.3.0x4:8100",
    "http://ⓛocalhost:8100",
]
"""403: another spelling, or an address or name that is neither the caller's own nor allowed."""

NEVER = [
    "http://169.254.169.254:80",
    "http://169.254.7.7:8100",
    "http://[fe80::1]:8100",
    "http://[fd00:ec2::254]:80",
    "http://[::ffff:169.254.169.254]:80",
    "http://[64:ff9b::a9fe:a9fe]:80",
    "http://[2002:a9fe:a9fe::]:80",
    "http://100.100.100.200:80",
    "http://0.0.0.0:8100",
    "http://[::]:8100",
    "http://224.0.0.1:8100",
]
"""403 whatever is allowed and whoever asks."""


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
    """Where to connect is the address that was checked; over TLS the name stays, for the certificate proves it."""
    urls = ServiceUrls(["LocalHost"])
    assert (await urls.origin("http://localhost:8100", "198.51.100.7")).host in ("127.0.0.1", "::1")
    assert await urls.origin("https://LOCALHOST:8100", None) == Origin("localhost", 8100, tls=True)


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
