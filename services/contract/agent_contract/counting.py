"""Numbers of things, in words for people."""


def counted(number: int, thing: str) -> str:
    """Give `1 task`, `3 tasks`; `thing` is a noun that takes an s."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"
