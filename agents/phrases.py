"""What the planner understands: a table of phrases, each with the steps it stands for. Rules, no language model."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Step = dict[str, Any]

NUMBERS = {
    "half a": 0.5,
    "a": 1,
    "an": 1,
    "one": 1,
    "two": 2,
    "three": 3,
    "five": 5,
    "ten": 10,
    "twenty": 20,
    "thirty": 30,
}
UNITS = {"ms": 0.001, "milli": 0.001, "m": 60, "h": 3600}  # by how the word begins; else seconds
SIGNS = {
    "multiplied by": "*",
    "divided by": "/",
    "to the power of": "**",
    "plus": "+",
    "minus": "-",
    "times": "*",
    "^": "**",
}

AMOUNT = rf"(?P<amount>\d{{1,6}}(?:\.\d{{1,6}})?|{'|'.join(sorted(NUMBERS, key=len, reverse=True))})"
UNIT = r"(?P<unit>ms|milliseconds?|s|secs?|seconds?|m|mins?|minutes?|h|hours?)?"
WHOLE_DOCUMENT = r"(?:the )?(?:file )?(?P<path>\S+\.(?:md|txt)|readme)"
WORDS_OR_LINES = r"(?:all )?(?:the |its |their )?(?:words|lines)(?: and (?:the )?(?:words|lines))?(?: are)?(?: there)?"

WAIT = rf"(?:wait|sleep|pause)(?: for)? {AMOUNT} ?{UNIT}"
CALCULATE = r"(?:calculate|compute|evaluate|work out|what is|what's|how much is) (?P<expression>.*\d.*)"
COUNT = rf"(?:count|how many(?= (?:words|lines)\b))(?: {WORDS_OR_LINES})?(?: (?:of|in))?(?: (?P<object>.+))?"
SUM_UP = r"(?:summari[sz]e|sum up|sum (?:it|that|them) up)"
SUMMARISE = rf"{SUM_UP}(?: (?!in \d)(?P<object>.+?))?(?: in (?P<sentences>\d+) sentences?)?"
READ = rf"(?:read|open|show|print) {WHOLE_DOCUMENT}"
RETRIEVE = (
    r"(?:find|search|look (?:up|for)|retrieve)(?: (?:the )?(?:best |top )?(?P<limit>\d+) passages?)? (?P<subject>.+)"
)

DOCS = r"(?:docs?|documents|documentation|manual)"
EARLIER = (
    r"it|that|this|them|those|all|everything|what (?:was|you) found|"
    r"(?:the|its|their) (?:results?|answers?|passages?|text|summary|page|words|lines|value)"
)
LEADS = [
    re.compile(lead, re.IGNORECASE)
    for lead in (
        r"^(?:(?:tell me|explain|describe|for|out|about|on)\b\s*)+",
        rf"^(?:what )?(?:do |does )?(?:the |our |its )?{DOCS} (?:says?|tells?|knows?) (?:about|on|of) ",
        r"^(?:everything|anything|something|information|passages|more) (?:about|on) ",
    )
]
TAIL = re.compile(rf" (?:in|from) (?:the|our) {DOCS}$", re.IGNORECASE)


class PlanError(Exception):
    """A goal that no steps can be made of. Its message says which part."""


@dataclass(slots=True)
class Draft:
    """The steps so far, and which of them gave a text last: what "it" means."""

    steps: list[Step] = field(default_factory=list)
    text_step: int | None = None

    def add(self, **step: Any) -> None:  # noqa: ANN401  # a step's members are of many types
        """Append a step. All but a wait give a text."""
        self.steps.append(step)
        if "wait" not in step:
            self.text_step = len(self.steps) - 1

    def source(self, words: str, verb: str) -> str | dict[str, int]:
        """Give what `words` stand for: a quoted text, an earlier step, or a new one that fetches what they name."""
        if len(words) > 1 and words[0] == words[-1] == '"':
            return words[1:-1]
        if document := re.fullmatch(WHOLE_DOCUMENT, words, re.IGNORECASE):
            self.add(read=_path(document["path"]))
        elif not re.fullmatch(EARLIER, words, re.IGNORECASE):
            self.add(retrieve=subject_of(words))
        if self.text_step is None:
            raise PlanError(f"cannot plan to {verb} {words!r}: nothing before it gives a text")
        return {"from": self.text_step}


def _wait(draft: Draft, found: re.Match[str]) -> None:
    amount, unit = found["amount"].lower(), (found["unit"] or "s").lower()
    factor = next((UNITS[key] for key in UNITS if unit.startswith(key)), 1)
    seconds = (NUMBERS[amount] if amount in NUMBERS else float(amount)) * factor
    draft.add(wait=int(seconds) if seconds == int(seconds) else round(seconds, 3))


def _calculate(draft: Draft, found: re.Match[str]) -> None:
    draft.add(calculate=_arithmetic(found["expression"]))


def _count(draft: Draft, found: re.Match[str]) -> None:
    draft.add(count=draft.source(found["object"] or "it", "count"))


def _summarise(draft: Draft, found: re.Match[str]) -> None:
    source = draft.source(found["object"] or "it", "summarise")
    options = {"sentences": int(found["sentences"])} if found["sentences"] else {}
    draft.add(summarise=source, **options)


def _read(draft: Draft, found: re.Match[str]) -> None:
    draft.add(read=_path(found["path"]))


def _retrieve(draft: Draft, found: re.Match[str]) -> None:
    options = {"limit": int(found["limit"])} if found["limit"] else {}
    draft.add(retrieve=subject_of(found["subject"]), **options)


Rule = Callable[[Draft, re.Match[str]], None]

RULES: list[tuple[str, Rule]] = [
    (WAIT, _wait),
    (CALCULATE, _calculate),
    (COUNT, _count),
    (SUMMARISE, _summarise),
    (READ, _read),
    (RETRIEVE, _retrieve),
]


def understand(clause: str) -> tuple[Rule, re.Match[str]] | None:
    """Give the rule for `clause` and what it found in it; None for a clause that names nothing known."""
    words = " ".join(clause.split())
    for phrase, rule in RULES:
        found = re.fullmatch(phrase, words, re.IGNORECASE)
        if found and not (rule is _calculate and not _arithmetic(found["expression"])):
            return rule, found
    return None


def subject_of(words: str) -> str:
    """Give what is to be looked for: `words` without phrases such as "what the docs say about"."""
    subject = words
    for lead in LEADS:
        subject = lead.sub("", subject)
    return TAIL.sub("", subject).strip(' "?') or words


def _arithmetic(words: str) -> str:
    """Give an expression in the executor's signs, or nothing where `words` are no arithmetic."""
    for name, sign in SIGNS.items():
        words = words.lower().replace(name, sign)
    return words.strip(" =?") if re.fullmatch(r"[0-9.+\-*/%() =?]*", words) else ""


def _path(name: str) -> str:
    return "README.md" if name.lower() in {"readme", "readme.md"} else name
