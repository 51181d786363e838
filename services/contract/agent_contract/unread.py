"""How much of what a peer sent still lies in the kernel."""

import array
import asyncio
import fcntl
import sys
import termios


def unread_bytes(transport: asyncio.BaseTransport) -> int:
    """Give the bytes that arrived and were not read; 0 where that cannot be known."""
    opened = transport.get_extra_info("socket")
    if opened is None or opened.fileno() < 0 or sys.platform == "win32":
        return 0
    waiting = array.array("i", [0])
    fcntl.ioctl(opened.fileno(), termios.FIONREAD, waiting)
    return waiting[0]
