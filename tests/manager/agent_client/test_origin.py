"""Service URLs: the few forms that are taken, and the many that are not."""

import pytest
from agent_manager.agent_client import Origin


@pytest.mark.parametrize(
    ("url", "origin", "authority"),
    [
        ("http://127.0.0.1:8100", Origin("127.0.0.1", 8100), "127.0.0.1:8100"),
        ("https://10.1.2.3:443", Origin("10.1.2.3", 443, tls=True), "10.1.2.3:443"),
        ("http://[::1]:8100", Origin("::1", 8100), "[::1]:8100"),
        ("http://[FE80:0:0::1]:1", Origin("fe80::1", 1), "[fe80::1]:1"),
        ("http://planner:65535", Origin("planner", 65535), "planner:65535"),
        ("http://Planner-2.my_agents.svc:80", Origin("planner-2.my_agents.svc", 80), "planner-2.my_agents.svc:80"),
        ("http://1st.example:80", Origin("1st.example", 80), "1st.example:80"),
    ],
)
def test_service_url_is_read(url: str, origin: Origin, authority: str) -> None:
    """An address or a name with a port is taken, and written in one way."""
    assert Origin.parse(url) == origin
    assert hash(Origin.parse(url)) == hash(origin)
    assert origin.authority == authority
    assert Origin.parse(str(origin)) == origin


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http",
        "http://",
        "http:///",
        "//127.0.0.1:80",
        "127.0.0.1:80",
        "ftp://127.0.0.1:80",
        "HTTP://127.0.0.1:80",
        " http://127.0.0.1:80",
        "http://127.0.0.1",
        "http://127.0.0.1:",
        "http://127.0.0.1:0",
        "http://127.0.0.1:65536",
        "http://127.0.0.1:080",
        "http://127.0.0.1:+80",
        "http://127.0.0.1: 80",
        "http://127.0.0.1:80 ",
        "http://127.0.0.1:80\n",
        "http://127.0.0.1:\u0668\u0660",
        "http://127.0.0.1:80/",
        "http://127.0.0.1:80/path",
        "http://127.0.0.1:80?q",
        "http://127.0.0.1:80#f",
        "http://user@127.0.0.1:80",
        "http://user:pass@127.0.0.1:80",
        "http://127.0.0.1#@elsewhere:80",
        "http://127.0.0.1/?:80",
        "http://127.0.0.1\\@elsewhere:80",
        "http://127.1:80",
        "http://0x7f.0.0.1:80",
        "http://0x7f000001:80",
        "http://127.0.0.0x1:80",
        "http://2130706433:80",
        "http://0:80",
        "http://017700000001:80",
        "http://0177.0.0.1:80",
        "http://127.0.0.01:80",
        "http://127.0.0.1.:80",
        "http://1.2.3.4.5:80",
        "http://256.0.0.1:80",
        "http://\uff11\uff12\uff17.0.0.1:80",
        "http://::1:80",
        "http://[::1:80",
        "http://[::1]80",
        "http://[127.0.0.1]:80",
        "http://[fe80::1%eth0]:80",
        "http://[fe80::1%25eth0]:80",
        "http://[]:80",
        "http://a..b:80",
        "http://.a:80",
        "http://-a:80",
        "http://a-:80",
        "http://a b:80",
        "http://a%00b:80",
        "http://a\0b:80",
        "http://a\r\nb:80",
        "http://*.a:80",
        "http://ä.example:80",
        "http://" + "a" * 64 + ":80",
        "http://" + "a." * 127 + "a:80",
    ],
)
def test_other_service_url_is_refused(url: str) -> None:
    """Anything else is refused, with the text that was refused."""
    with pytest.raises(ValueError, match="cannot use ") as caught:
        Origin.parse(url)
    assert repr(url) in str(caught.value)
