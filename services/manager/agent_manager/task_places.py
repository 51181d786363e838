"""Where the tasks went that somebody may ask for: those answered 202, and those whose answer was lost."""

from typing import Final

MAX_PLACES: Final = 100_000
"""Some 25 MB; a task whose place is forgotten is asked for at every instance."""


class TaskPlaces:
    """Remembers the instance of each task, the oldest forgotten first."""

    def __init__(self, max_places: int = MAX_PLACES) -> None:
        self._max_places = max_places
        self._places: dict[str, str] = {}

    def remember(self, task_id: str, instance_id: str) -> None:
        """Keep where a task went."""
        self._places.pop(task_id, None)
        self._places[task_id] = instance_id
        if len(self._places) > self._max_places:
            del self._places[next(iter(self._places))]

    def find(self, task_id: str) -> str | None:
        """Give the instance that a task went to, or None."""
        return self._places.get(task_id)
