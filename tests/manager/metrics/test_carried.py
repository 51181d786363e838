"""What instances' own pages add to the manager's, and what is left out."""

import pytest
import structlog
from agent_contract.adapter_families import ADAPTER_FAMILIES
from agent_manager.metrics import carried as module
from agent_manager.metrics.carried import MOST_SERIES, Carried, Refusal
from agent_manager.metrics.reading import Reader


class Collection:
    """What is carried, and why something was not."""

    def __init__(self) -> None:
        self.refused: list[Refusal] = []
        self.carried = Carried(self.refused.append)

    def put(self, instance_id: str, *families: str) -> bool:
        """Take a page: each family is `name kind series...`, a series being its labels or its suffix."""
        page = ""
        for family in families:
            name, kind, *series = family.split(" ")
            page += f"# HELP {name} {name} of {instance_id}.\n# TYPE {name} {kind}\n"
            page += "".join(f"{name}{one} 1\n" for one in series)
        reader = Reader(f"{page}# EOF\n".encode(), instance_id[:1], instance_id)
        for _ in reader.slices():
            pass
        return self.carried.put(instance_id[:1], instance_id, reader.families.values())

    def page(self) -> str:
        """Give all there is but the heads of the product's own families."""
        return "".join(
            (family.head(rich=False) if family.name not in ADAPTER_FAMILIES else b"").decode()
            + b"".join(block.text(rich=False) for block in family.blocks()).decode()
            for family in self.carried.families()
        )


@pytest.fixture
def collection() -> Collection:
    """Give an empty collection."""
    return Collection()


def test_the_products_families_are_there_from_the_start(collection: Collection) -> None:
    """In the order of the promise, with HELP and TYPE, before any instance is."""
    assert [family.name for family in collection.carried.families()] == list(ADAPTER_FAMILIES)
    assert collection.page() == ""


def test_a_familys_series_stand_together(collection: Collection) -> None:
    """Under one HELP and TYPE, whoever brings them; the text is that of the first."""
    assert collection.put("a1", 'documents gauge {kind="x"}', "agent_task_running gauge ")
    assert collection.put("b1", "documents gauge ")
    assert collection.page() == (
        'agent_task_running{agent="a",instance_id="a1"} 1\n'
        "# HELP documents documents of a1.\n# TYPE documents gauge\n"
        'documents{agent="a",instance_id="a1",kind="x"} 1\ndocuments{agent="b",instance_id="b1"} 1\n'
    )
    assert collection.refused == []


def test_a_page_takes_the_place_of_the_one_before(collection: Collection) -> None:
    """A family that is not on it any more goes, with its head if nobody else has it."""
    collection.put("a1", "documents gauge ", "pages gauge ")
    collection.put("a1", 'pages gauge {n="2"}')
    assert "documents" not in collection.page()
    assert 'pages{agent="a",instance_id="a1",n="2"} 1\n' in collection.page()


def test_who_left_leaves_nothing(collection: Collection) -> None:
    """Not a series, and not the name: another kind may take it then."""
    collection.put("a1", "documents gauge ", "agent_task_running gauge ")
    collection.carried.drop("a1")
    collection.carried.drop("a1")
    assert collection.page() == ""
    assert collection.put("b1", "documents counter _total")


def test_the_first_kind_wins(collection: Collection) -> None:
    """The other's family is left out, counted and said once; the rest of its page is there."""
    collection.put("a1", "documents gauge ")
    with structlog.testing.capture_logs() as logs:
        for _ in range(2):
            assert not collection.put("b1", "documents counter _total", "pages gauge ")
    assert collection.refused == ["type-conflict"] * 2
    assert [(line["agent"], line["reason"], line["detail"]) for line in logs] == [("b", "type-conflict", "documents")]
    assert 'documents_total{agent="b"' not in collection.page()
    assert 'pages{agent="b"' in collection.page()
    collection.carried.drop("a1")
    assert collection.put("b1", "documents counter _total")


@pytest.mark.parametrize(
    ("family", "reason"),
    [
        ("agent_task_running counter _total", "type-conflict"),
        ("agent_tasks_total gauge ", "name-taken"),
        ("agent_task_duration_seconds_bucket gauge ", "name-taken"),
        ("agent_manager_leader gauge ", "reserved-name"),
        ("agent_manager_anything gauge ", "reserved-name"),
        ("took_count gauge ", "name-taken"),
        ('documents gauge {pod="a"} {pod="b"}', "duplicate-series"),
    ],
)
def test_a_family_that_stands_in_anothers_way_is_left_out(collection: Collection, family: str, reason: Refusal) -> None:
    """A page must not answer one question twice."""
    collection.put("a1", "took summary _sum _count")
    assert not collection.put("b1", family, "pages gauge ")
    assert collection.refused == [reason]
    assert 'agent="b"' in collection.page()
    assert collection.page().count('agent="b"') == 1


def test_an_instance_has_so_many_series(collection: Collection) -> None:
    """The family that is too much is left out; the product's, which come first, are not."""
    many = " ".join(f'{{n="{number}"}}' for number in range(MOST_SERIES - 1))
    assert collection.put("a1", "agent_task_running gauge ", f"documents gauge {many}")
    assert not collection.put("a2", "agent_task_running gauge ", f"documents gauge {many} ", "pages gauge ")
    assert collection.refused == ["too-many-series"]
    assert 'agent_task_running{agent="a",instance_id="a2"}' in collection.page()
    assert 'pages{agent="a",instance_id="a2"}' in collection.page()


def test_all_instances_have_so_many_series(collection: Collection, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of those that agents registered; who leaves makes room."""
    monkeypatch.setattr(module, "MOST_SERIES_OF_ALL", 3)
    for instance_id in ("a1", "a2", "a3"):
        assert collection.put(instance_id, "documents gauge ", "agent_task_running gauge ")
        assert collection.put(instance_id, "documents gauge ", "agent_task_running gauge ")
    assert not collection.put("a4", "documents gauge ", "agent_task_running gauge ")
    assert collection.refused == ["too-many-series"]
    collection.carried.drop("a1")
    assert collection.put("a4", "documents gauge ", "agent_task_running gauge ")


def test_a_kind_that_changes_is_a_new_family(collection: Collection) -> None:
    """At the page after the one that says so: an agent that was updated is not kept out for ever."""
    collection.put("a1", "documents gauge ")
    assert not collection.put("a1", "documents counter _total")
    assert collection.page() == ""
    assert collection.put("a1", "documents counter _total")
