"""An inventory source of EC2: instances are hosts, their tags are tags, and stack, region and network are groups.

`{source: ec2, regions: [eu-north-1, eu-west-1], filters: {"tag:env": prod}, user: admin}` is the content of such a file.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from statectl.problems import Span, did_you_mean, nearest
from statectl.targets.draft import Draft, closer
from statectl.targets.ec2_api import Question, instances
from statectl.targets.hosts import Connection, Variable
from statectl.targets.names import host_name_problem, user_name_problem
from statectl.targets.ranges import compress
from statectl.targets.sources import Keeping, Source
from statectl.targets.values import Places, Yaml

FIELDS: Mapping[str, str] = {
    "source": "ec2",
    "regions": "List of regions, such as [eu-north-1, eu-west-1] (required); their instances are one inventory",
    "filters": "Map of filters of EC2's DescribeInstances to a value or a list of values, such as tag:env: prod",
    "states": "List of the states that count, such as [running, stopped] (default [running])",
    "address": "How hosts are reached: private (default), public, private_dns or public_dns",
    "hostname": "What hosts are called: tag:Name (default) or another tag, id, or private_dns; an instance without it by its id",
    "user": "User to log in as",
    "profile": "Profile of your AWS configuration; only where your own configuration trusts the project",
    "endpoint_url": "Another address than Amazon's; only where your own configuration trusts the project",
}
STATES = ("pending", "running", "shutting-down", "stopping", "stopped", "terminated")
ADDRESSES = {"private": "private_ip", "public": "public_ip", "private_dns": "private_dns", "public_dns": "public_dns"}
STACK = "aws:cloudformation:stack-name"
_TOLD = ("id", "region", "zone", "state", "type", "image", "vpc", "private_ip", "public_ip")
_TRUSTED_ONLY = ("profile", "endpoint_url")
_REGION = re.compile(r"[a-z]{2,4}(?:-[a-z]+){1,3}-[0-9]{1,2}")


class Ec2Source:
    """Adds what one file asks for to a draft."""

    def __init__(self, draft: Draft, file: str, yaml: Yaml, places: Places, *, trusted: bool | None) -> None:
        """`trusted` None: only the files are checked."""
        self.draft = draft
        self.file = file
        self.yaml = yaml
        self.places = places
        self.trusted = trusted
        self.span = Span(file, 1, 1)

    def read(self, tree: Mapping[Any, Any], keeping: Keeping) -> None:
        before = len(self.draft.problems)
        asked, address, hostname, user = self._form(tree)
        if len(self.draft.problems) > before:
            return
        about = [asked.regions, sorted(asked.filters.items()), asked.states, asked.profile, asked.endpoint_url]
        source = Source(self.file, "ec2", json.dumps(about))

        def use(answer: Any) -> None:
            self._use(answer, address, hostname, user)

        if not source.read(self.draft, keeping, lambda: instances(asked), use):
            self.draft.problem("W157", "EC2: not asked, its hosts are unknown here", self.span)

    # the file

    def _form(self, tree: Mapping[Any, Any]) -> tuple[Question, str, str, str]:
        for key in tree:
            name = str(getattr(key, "source", key))
            if name not in FIELDS:
                self.draft.problem(
                    "E101", f"unknown key `{name}` in an inventory source", self.places.key((name,)),
                    label=did_you_mean(name, FIELDS), hint="" if nearest(name, FIELDS) else f"known: {', '.join(FIELDS)}",
                    replacement=nearest(name, FIELDS) or None,
                )  # fmt: skip
        self._text(tree, "source", lambda text: "" if text == "ec2" else "expected ec2, the only kind there is")
        if "regions" not in tree:
            hint = "regions: [eu-north-1]"
            self.draft.problem(
                "E109", "an inventory source of EC2 needs `regions`", self.places.key(("source",)), hint=hint
            )
        regions = self._texts(tree.get("regions"), ("regions",), _region_problem)
        if "regions" in tree and not regions and tree["regions"] == []:
            self._wrong(("regions",), "expected at least one region")
        states = self._texts(tree.get("states"), ("states",), lambda text: "" if text in STATES else _one_of(STATES))
        filters = {}
        given = tree.get("filters")
        if given is not None and not isinstance(given, Mapping) and given is not self.yaml.BROKEN:
            self._wrong(("filters",), "expected a map of names and values")
        elif isinstance(given, Mapping):
            for name, value in given.items():
                path = ("filters", str(getattr(name, "source", name)))
                filters[str(name)] = tuple(self._texts(value, path, _anything))
        address = self._text(tree, "address", lambda text: "" if text in ADDRESSES else _one_of(ADDRESSES))
        hostname = self._text(
            tree,
            "hostname",
            lambda text: "" if re.fullmatch(r"id|private_dns|tag:.+", text) else "expected tag:KEY, id or private_dns",
        )
        user = self._text(tree, "user", user_name_problem)
        profile, endpoint = (self._text(tree, key, _anything) for key in _TRUSTED_ONLY)
        if endpoint and not re.match(r"https?://[^/\s]", endpoint):
            self._wrong(("endpoint_url",), "expected an address that begins with https:// or http://")
        for key in _TRUSTED_ONLY:
            if key in tree and self.trusted is False:
                self.draft.problem(
                    "E165", f"`{key}` decides what your credentials are used for: not asked", self.places.key((key,)),
                    hint="trust the project in your own configuration, or take it out and use AWS_PROFILE and its like",
                )  # fmt: skip
        asked = Question(tuple(dict.fromkeys(regions)), filters, tuple(states) or ("running",), profile, endpoint)
        return asked, address or "private", hostname or "tag:Name", user

    def _text(self, tree: Mapping[Any, Any], key: str, check: Callable[[str], str]) -> str:
        value = tree.get(key)
        if key not in tree or value is self.yaml.BROKEN:
            return ""
        if not isinstance(value, str) or not value:
            self._wrong((key,), "expected text without expressions")
            return ""
        wrong = check(str.__str__(value))
        if wrong:
            self._wrong((key,), wrong)
        return "" if wrong else str.__str__(value)

    def _texts(self, value: Any, path: tuple[str, ...], check: Callable[[str], str]) -> list[str]:
        """A list of texts; one text stands for a list of one."""
        if value is None or value is self.yaml.BROKEN:
            return []
        found = []
        for index, item in enumerate(value if isinstance(value, list) else [value]):
            place: tuple[str | int, ...] = (*path, index) if isinstance(value, list) else path
            if not isinstance(item, str) or not item:
                self._wrong(place, "expected text without expressions")
            elif check(str.__str__(item)):
                self._wrong(place, check(str.__str__(item)))
            else:
                found.append(str.__str__(item))
        return found

    def _wrong(self, path: tuple[str | int, ...], summary: str) -> None:
        self.draft.problem("E108", f"`{path[0]}`: {summary}", self.places.value(path))

    # the answer

    def _use(self, answer: Any, address: str, hostname: str, user: str) -> None:
        if not isinstance(answer, list) or not all(map(_is_instance, answer)):
            self.draft.problem("E168", "what is kept of EC2's answer is none", self.span)
            return
        names = self._names(answer, hostname)
        reached_otherwise = []
        for one, name in sorted(zip(answer, names, strict=True), key=lambda pair: pair[1]):
            among = (one["tags"].get(STACK), one["region"], one["vpc"])
            groups = [group for group in among if group and self.draft.group(group, self.span) is not None]
            host = self.draft.host(name, self.span, groups)
            if host is None:
                continue
            at = one[ADDRESSES[address]]
            if not at and one["private_ip"]:
                at = one["private_ip"]
                reached_otherwise.append(name)
            host.tags = {**host.tags, **one["tags"]}
            host.tag_spans = {**host.tag_spans, **dict.fromkeys(one["tags"], self.span)}
            host.connection = closer(host.connection, Connection(address=at or None, user=user or None))
            origin = f"host {name}"
            host.layers.append({f"ec2_{key}": Variable(one[key], self.span, origin) for key in _TOLD})
        if reached_otherwise:
            what = f"no {address} address of {compress(reached_otherwise)}: the private one is used"
            self.draft.problem("W162", f"EC2: {what}", self.span)

    def _names(self, answer: list[Mapping[str, Any]], hostname: str) -> list[str]:
        """One for each instance. Those that two have get the id behind them; what is no name of a host gives way to the id."""
        wanted, unfit = [], []
        for one in answer:
            kind, _, key = hostname.partition(":")
            name = one["tags"].get(key, "") if kind == "tag" else one[kind]
            if name and host_name_problem(name):
                unfit.append(f"{name} ({one['id']})")
                name = ""
            wanted.append(name or one["id"])
        if unfit:
            more = f" and {len(unfit) - 3} more" if len(unfit) > 3 else ""
            what = f"not valid as names of hosts, their ids are used: {', '.join(unfit[:3])}{more}"
            self.draft.problem("W162", f"EC2: {what}", self.span)
        counts = Counter(wanted)
        twice = sorted(name for name, count in counts.items() if count > 1)
        if twice:
            what = f"several instances are called {compress(twice)}: their ids are behind the name"
            self.draft.problem("W162", f"EC2: {what}", self.span)
        return [f"{name}-{one['id']}" if counts[name] > 1 else name for name, one in zip(wanted, answer, strict=True)]


def _is_instance(one: Any) -> bool:
    """As `ec2_api.instances` tells one: what was kept in a file may be anything."""
    if not isinstance(one, Mapping) or not isinstance(one.get("tags"), Mapping):
        return False
    texts = [*(one.get(key) for key in (*_TOLD, "private_dns", "public_dns")), *one["tags"].values()]
    return all(isinstance(text, str) for text in texts)


def _region_problem(text: str) -> str:
    return "" if _REGION.fullmatch(text) else "expected a region such as eu-north-1"


def _anything(_text: str) -> str:
    return ""


def _one_of(words: Any) -> str:
    return f"expected one of {', '.join(words)}"
