"""The resource groups that hosts are in, as far as that is known. Contacts nothing, and makes no store."""

from typing import TYPE_CHECKING, Any

from statectl.errors import ConfigError, Refused

if TYPE_CHECKING:
    from statectl.cli.fleet import Opened
    from statectl.targets.matching import CollectedOf, FactsOf, Selection


def known_of(opened: "Opened") -> "tuple[FactsOf, CollectedOf]":
    """What is stored of hosts, for targets; where there is no store, nothing is known."""
    from statectl.targets.matching import no_facts, not_asked

    return (opened.facts_of, opened.collected) if opened.has_records() else (no_facts, not_asked)


def members(opened: "Opened", group: str) -> "Selection":
    from statectl.targets.matching import evaluate
    from statectl.targets.selector import parse_selector

    selector, _ = parse_selector(f"group:{group}")
    assert selector is not None  # names of groups are words of the language
    return evaluate(selector, opened.inventory, *known_of(opened))


def groups_of(opened: "Opened", host: str) -> dict[str, Any]:
    """{resource_groups: names, resource_groups_unknown: those of which it is not known}; {} when they cannot be read."""
    try:
        opened.read_groups()
        found = {name: members(opened, name) for name in opened.inventory.resource_groups.named}
    except (
        ConfigError,
        Refused,
    ):  # `statectl group list` says what is wrong; what the inventory says is true all the same
        return {}
    return {
        "resource_groups": [name for name, one in found.items() if host in one.hosts],
        "resource_groups_unknown": [
            name for name, one in found.items() if host in one.unknown or host in one.uncollected
        ],
    }


def group_lines(page: dict[str, Any]) -> list[str]:
    """The same in words."""
    if "resource_groups" not in page:
        return ["  in       resource groups that cannot be read (statectl group list)"]
    lines = [f"  in       {', '.join(page['resource_groups'])}"] * bool(page["resource_groups"])
    return lines + [f"  perhaps  {', '.join(page['resource_groups_unknown'])}"] * bool(page["resource_groups_unknown"])
