"""Keeps what the manager knows equal to what the API server has: list, watch, and list again when that is not enough.

https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from typing import Final, Literal, TypeVar

import msgspec
import structlog
from msgspec import Raw

from agent_manager.background import Background
from agent_manager.cluster.api import ApiFailed, ApiStatus, ApiUnreachable, ClusterApi
from agent_manager.cluster.collection import Collection, Mirror
from agent_manager.cluster.objects import (
    AGENT_LABEL,
    UNREADABLE,
    AnyObject,
    Bookmark,
    Metadata,
    ObjectList,
    WatchEvent,
)
from agent_manager.cluster.pace import Pace, Pauses
from agent_manager.cluster.watch_health import Ending, Watch, ending_of, explained

PAGE: Final = 500
"""Objects of a list's page: some megabytes, read in a few milliseconds."""
LIST_SECONDS: Final = 60.0
"""For a page: an API server under load answers late, and to ask again would not help it."""
_SLICE_SECONDS: Final = 0.002
"""How long objects are taken before others on the event loop have their turn: calls are forwarded meanwhile."""
_KEEPS_VERSION: Final[frozenset[Ending]] = frozenset(("closed", "unreachable", "throttled"))
"""After these the watch goes on where it was. After silence too a new list: an API server that was restored from a
backup has fewer versions than we know, and would say nothing for long."""
_NO_CODE: Final = 500
"""Of an ERROR event that does not say what it is."""
_LIST: Final = msgspec.json.Decoder(ObjectList)
_EVENT: Final = msgspec.json.Decoder(WatchEvent)
_BOOKMARK: Final = msgspec.json.Decoder(Bookmark)
_STATUS: Final = msgspec.json.Decoder(ApiStatus)
_ANY: Final = msgspec.json.Decoder(AnyObject)

log = structlog.stdlib.get_logger(__name__)
T = TypeVar("T")


class Reflector:
    """Mirrors the agents' objects of one collection, for ever."""

    def __init__(
        self,
        api: ClusterApi,
        collection: Collection,
        mirror: Mirror,
        watch: Watch,
        background: Background,
        *,
        pace: Pace,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self._api = api
        self._collection = collection
        self._mirror = mirror
        self._watch = watch
        self._background = background
        self._pace = pace
        self._pauses = Pauses(pace)
        self._clock = clock
        self._sleep = sleep
        self._version: str | None = None
        """From where to watch; None: list first."""
        self._at: str | None = None
        """Up to where everything was told."""
        self._known: dict[str, str] = {}
        """The version in which each object was told of, by uid: never by name, for names come again."""
        self._verb: Literal["list", "watch"] = "list"
        self._opened_at: float | None = None
        self._warned = False
        self._slice_began = 0.0

    async def run(self) -> None:
        """Mirror, for ever."""
        while True:
            self._pauses.failed()  # until it is known better
            await self._background.step("kubernetes-watch", self._turn)
            await self._sleep(self._pauses.next_seconds())

    async def _turn(self) -> None:
        """List where that is needed, then watch until that ends."""
        self._at, self._version = self._version, None  # what goes wrong as nobody foresaw is mended by a new list
        self._opened_at = None
        ended_by: ApiFailed | ApiUnreachable | None = None
        try:
            if self._at is None:
                self._at = await self._list()
            await self._follow(self._at)
        except (ApiFailed, ApiUnreachable) as error:
            ended_by = error
        self._conclude(ended_by)

    def _conclude(self, error: ApiFailed | ApiUnreachable | None) -> None:
        """Draw the consequences of an end, in order (None) or not."""
        why: Ending = "closed" if error is None else ending_of(error)
        if why in _KEEPS_VERSION:
            self._version = self._at
        if isinstance(error, ApiFailed):
            self._pauses.want(error.retry_after_seconds or 0.0)
        was_steady = self._opened_at is not None and self._clock() - self._opened_at >= self._pace.steady
        if was_steady:
            self._pauses.succeeded()
            self._watch.proved_steady()
        if error is None and was_steady:
            self._watch.closed()
        elif error is None:
            self._watch.ended(why, "it was closed as soon as it was opened")
        else:
            self._watch.ended(why, explained(error, self._verb, self._collection.resource, self._collection.namespace))

    async def _list(self) -> str:
        """Tell of everything that is there, and of what vanished meanwhile; gives the version that this is of."""
        self._verb = "list"
        query = {"labelSelector": AGENT_LABEL, "limit": str(PAGE)}
        present: set[str] = set()
        while True:
            text = await self._api.request("GET", self._collection.path, query=query, timeout_seconds=LIST_SECONDS)
            page = _decoded(text, _LIST, "list")
            if not page.metadata.resource_version:
                raise ApiUnreachable("cannot use a list without a version: no API server gives one")
            self._watch.heard()
            for thing in page.items or ():
                metadata = self._metadata(thing)
                if metadata is not None:
                    present.add(metadata.uid)
                    self._take(metadata, thing)
                await self._let_others_run()
            if not page.metadata.continue_:
                break
            query["continue"] = page.metadata.continue_
        for uid in self._known.keys() - present:
            self._drop(uid)
        self._mirror.listed()
        return page.metadata.resource_version

    async def _follow(self, version: str) -> None:
        """Tell of every change after a version, until the watch ends."""
        self._verb = "watch"
        query = {
            "labelSelector": AGENT_LABEL,
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": version,
            "timeoutSeconds": str(self._pace.watch_seconds()),
        }
        lines = self._api.watch(
            self._collection.path, query, inactivity_seconds=self._pace.inactivity, on_open=self._opened
        )
        async with contextlib.aclosing(lines):
            async for line in lines:
                self._watch.heard()
                self._take_event(_decoded(line, _EVENT, "watch"))
                await self._let_others_run()

    def _opened(self) -> None:
        self._opened_at = self._clock()
        self._watch.opened()

    def _take_event(self, event: WatchEvent) -> None:
        if event.type == "ERROR":
            raise _decoded(event.object, _STATUS, "watch").failure(_NO_CODE)
        if event.type == "BOOKMARK":
            self._at = _decoded(event.object, _BOOKMARK, "watch").metadata.resource_version or self._at
        else:
            metadata = self._metadata(event.object)
            if metadata is None:
                return
            if event.type == "DELETED":
                self._drop(metadata.uid)
            else:
                self._take(metadata, event.object)
            self._at = metadata.resource_version

    def _take(self, metadata: Metadata, thing: Raw) -> None:
        """Tell of an object, unless this very version was told of."""
        if self._known.get(metadata.uid) != metadata.resource_version:
            self._mirror.seen(metadata, thing)
            self._known[metadata.uid] = metadata.resource_version

    def _drop(self, uid: str) -> None:
        if self._known.pop(uid, None) is not None:
            self._mirror.gone(uid)

    def _metadata(self, thing: Raw) -> Metadata | None:
        """Give what every object has; None, with one line in the log, for one that has not."""
        try:
            return _ANY.decode(thing).metadata
        except UNREADABLE as error:
            if not self._warned:
                self._warned = True
                log.warning("object ignored: it has no sound metadata", path=self._collection.path, reason=str(error))
            return None

    async def _let_others_run(self) -> None:
        """Yield to the event loop when this slice is used up."""
        now = time.perf_counter()
        if now - self._slice_began >= _SLICE_SECONDS:
            await asyncio.sleep(0)
            self._slice_began = time.perf_counter()


def _decoded(text: bytes | Raw, decoder: msgspec.json.Decoder[T], verb: str) -> T:
    try:
        return decoder.decode(text)
    except UNREADABLE as error:
        raise ApiUnreachable(f"cannot {verb}: what came is not of the API ({error})") from error
