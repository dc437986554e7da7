"""Generated histories of a parameter store against a plain dictionary: two connections, crashes in the middle of a write, reopening."""

import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from statectl.errors import Refused, UsageError
from statectl.parameters.model import NewVersion
from statectl.secrets import Secret
from tests.unit.parameter_stores import Place

KEPT = 4
NAMES = ("a", "b", "t/a", "t/b", "t/u/a")
LABELS = ("prod", "stage")
_TREES = itertools.count(1)

names = st.sampled_from(NAMES)
texts = st.sampled_from(["1", "two", "three\nlines", "ü", "x" * 500])
which = st.sampled_from([0, 1])


class Crash(BaseException):
    """The process dies here."""


class Model:
    """name -> (type, {version: value}, latest version, {label: version})."""

    def __init__(self) -> None:
        self.living: dict[str, tuple[str, dict[int, str], int, dict[str, int]]] = {}
        self.deleted: dict[str, tuple[str, dict[int, str], int, dict[str, int]]] = {}

    def put(self, name: str, kind: str, value: str) -> int | None:
        """The version, or None when the oldest version may not go."""
        before = self.living.get(name)
        versions, latest, labels = (dict(before[1]), before[2], before[3]) if before else ({}, 0, {})
        if latest + 1 > KEPT and any(of <= latest + 1 - KEPT for of in labels.values()):
            return None
        versions[latest + 1] = value
        self.living[name] = (
            kind,
            {number: text for number, text in versions.items() if number > latest + 1 - KEPT},
            latest + 1,
            labels,
        )
        return latest + 1

    def delete(self, name: str) -> None:
        self.deleted[name] = self.living.pop(name)


def machine(place: Place) -> type[RuleBasedStateMachine]:
    class Histories(RuleBasedStateMachine):
        @initialize()
        def begin(self) -> None:
            self.root = f"/h{next(_TREES)}/"
            self.model = Model()
            self.stores = [place.store("ana", versions=KEPT), place.store("olaf", versions=KEPT)]
            self.cursor = self.stores[0].watch("/").cursor
            self.writes = 0

        def kind(self, name: str) -> str:
            return "SecureString" if name.endswith("b") else "String"

        def value(self, name: str, text: str) -> str | Secret:
            return Secret(text) if name.endswith("b") else text

        @rule(name=names, text=texts, who=which)
        def put(self, name: str, text: str, who: int) -> None:
            expected = self.model.put(name, self.kind(name), text)
            arguments = (self.root + name, self.value(name, text))
            if expected is None:
                with pytest.raises(Refused, match="has the label"):
                    self.stores[who].put(*arguments, type=self.kind(name), overwrite=True)
            else:
                assert self.stores[who].put(*arguments, type=self.kind(name), overwrite=True).version == expected
                self.writes += 1

        @rule(name=names, text=texts, who=which, expected=st.integers(0, 6))
        def put_on_top(self, name: str, text: str, who: int, expected: int) -> None:
            there = self.model.living.get(name)
            latest = there[2] if there else 0
            arguments = (self.root + name, self.value(name, text))
            if expected != latest:
                with pytest.raises(Refused, match=f"expected version {expected}"):
                    self.stores[who].put(*arguments, type=self.kind(name), expected_version=expected)
            elif self.model.put(name, self.kind(name), text) is not None:
                assert (
                    self.stores[who].put(*arguments, type=self.kind(name), expected_version=expected).version
                    == latest + 1
                )
                self.writes += 1

        @rule(some=st.lists(names, min_size=2, max_size=4, unique=True), text=texts, who=which)
        def put_many_of_which_one_is_wrong(self, some: list[str], text: str, who: int) -> None:
            news = [
                NewVersion(self.root + name, self.value(name, text), type=self.kind(name), overwrite=True)
                for name in some
            ]
            with pytest.raises((Refused, UsageError)):
                self.stores[who].put_many(
                    [*news, NewVersion(self.root + "new", "x", type="String", expected_version=9)]
                )

        @rule(name=names, label=st.sampled_from(LABELS), data=st.data(), who=which)
        def label(self, name: str, label: str, data: st.DataObject, who: int) -> None:
            there = self.model.living.get(name)
            version = data.draw(st.sampled_from([*(there[1] if there else ()), 99]))
            if there is None or version not in there[1]:
                with pytest.raises(Refused):
                    self.stores[who].label(self.root + name, version, [label])
            else:
                self.stores[who].label(self.root + name, version, [label])
                there[3][label] = version
                self.writes += 1

        @precondition(lambda self: any(there[3] and len(there[1]) > 1 for there in self.model.living.values()))
        @rule(data=st.data(), who=which)
        def move_label(self, data: st.DataObject, who: int) -> None:
            name = data.draw(
                st.sampled_from(sorted(n for n, there in self.model.living.items() if there[3] and len(there[1]) > 1))
            )
            _, versions, _, labels = self.model.living[name]
            label = data.draw(st.sampled_from(sorted(labels)))
            labels[label] = data.draw(st.sampled_from(sorted(set(versions) - {labels[label]})))
            assert self.stores[who].label(self.root + name, labels[label], [label]).labels == (label,)
            self.writes += 1

        @precondition(lambda self: any(there[3] for there in self.model.living.values()))
        @rule(data=st.data(), who=which)
        def unlabel(self, data: st.DataObject, who: int) -> None:
            name = data.draw(st.sampled_from(sorted(n for n, there in self.model.living.items() if there[3])))
            labels = self.model.living[name][3]
            label = data.draw(st.sampled_from(sorted(labels)))
            assert self.stores[who].unlabel(self.root + name, labels.pop(label), [label]).labels == (label,)
            self.writes += 1

        @rule(name=names, who=which)
        def delete(self, name: str, who: int) -> None:
            if name in self.model.living:
                self.stores[who].delete(self.root + name)
                self.model.delete(name)
                self.writes += 1
            else:
                with pytest.raises(Refused, match="not found"):
                    self.stores[who].delete(self.root + name)

        @rule(who=which)
        def delete_tree(self, who: int) -> None:
            below = sorted(name for name in self.model.living if name.startswith("t/"))
            if below:
                assert self.stores[who].delete_tree(self.root + "t") == [self.root + name for name in below]
                for name in below:
                    self.model.delete(name)
                self.writes += len(below)

        @rule(name=names, who=which)
        def restore(self, name: str, who: int) -> None:
            if name in self.model.living or name not in self.model.deleted:
                with pytest.raises(Refused):
                    self.stores[who].restore(self.root + name)
                return
            (done,) = self.stores[who].restore(self.root + name)
            if name.endswith("b"):
                assert done.outcome == "gone"
                return
            assert done.outcome == "revived"
            self.model.living[name] = self.model.deleted.pop(name)
            self.writes += 1

        @rule(name=names, text=texts, who=which, at=st.integers(1, 6), many=st.booleans())
        def crash_in_a_write(self, name: str, text: str, who: int, at: int, many: bool) -> None:
            """At some statement of it the process dies: nothing of it is there, for the other one and for the next."""
            with dies_at(place, at):
                try:
                    if many:
                        self.stores[who].delete_tree(self.root + "t")
                    else:
                        self.stores[who].put(
                            self.root + name, self.value(name, text), type=self.kind(name), overwrite=True
                        )
                except (Crash, Refused):
                    self.stores[who] = place.store("ana", versions=KEPT)
                    return
            if many:
                for below in sorted(n for n in self.model.living if n.startswith("t/")):
                    self.model.delete(below)
                    self.writes += 1
            else:
                self.model.put(name, self.kind(name), text)
                self.writes += 1

        @rule()
        def reopen(self) -> None:
            place.close()
            self.stores = [place.store("ana", versions=KEPT), place.store("olaf", versions=KEPT)]

        @invariant()
        def everything_is_as_in_the_model(self) -> None:
            for store in self.stores:
                found = store.by_path(self.root, recursive=True).parameters
                assert {one.name.removeprefix(self.root): (one.type, one.version) for one in found} == {
                    name: (there[0], there[2]) for name, there in self.model.living.items()
                }
            for name, (_, versions, _, labels) in self.model.living.items():
                told = self.stores[0].history(self.root + name, decrypt=name.endswith("b"))
                values = {
                    one.version: one.value.reveal() if isinstance(one.value, Secret) else one.value for one in told
                }
                assert values == versions
                assert {label: one.version for one in told for label in one.labels} == labels
                for label, version in labels.items():
                    assert self.stores[1].get(f"{self.root}{name}:{label}").version == version

        def teardown(self) -> None:
            """Every write that was acknowledged, and no other, is in the audit."""
            told, cursor = [], self.cursor
            while True:
                changes = self.stores[0].watch(self.root, cursor)
                told += [one for one in changes.changes if one.action != "decrypt"]
                if changes.cursor == cursor:
                    break
                cursor = changes.cursor
            assert len(told) == self.writes
            place.close()

    return Histories


@contextmanager
def dies_at(place: Place, at: int):
    """The at-th writing statement of any connection of this place raises Crash instead of being done."""
    from statectl.parameters import rows
    from statectl.store import audit

    counted = itertools.count(1)
    originals = (rows.insert, audit.append_audits)

    def dying(original):
        def step(connection, *arguments, **named):
            if next(counted) * 2 >= at:
                original(connection, *arguments, **named)
                raise Crash
            return original(connection, *arguments, **named)

        return step

    from statectl.parameters import context

    rows.insert, context.append_audits = dying(originals[0]), dying(originals[1])
    try:
        yield
    finally:
        rows.insert, context.append_audits = originals


def test_histories(tmp_path, store_url):
    """Put, get, label, delete, restore, crash, reopen, by two connections: the store is what a dictionary would be."""
    place = Place(tmp_path, store_url)
    place.root.joinpath(".statectl").mkdir(exist_ok=True)
    try:
        run_state_machine_as_test(
            machine(place), settings=settings(max_examples=EXAMPLES, stateful_step_count=30, deadline=None)
        )
    finally:
        place.close()


EXAMPLES = int(os.environ.get("STATECTL_PARAMETER_EXAMPLES", "15"))

WRITER = """
import sys, itertools
sys.path.insert(0, sys.argv[4])
from pathlib import Path
from tests.unit.parameter_stores import Place
from statectl.secrets import Secret
store = Place(Path(sys.argv[1]), sys.argv[2]).store(sys.argv[3])
for number in itertools.count(1):
    put = store.put(f"/k/{sys.argv[3]}/{number % 3}", Secret(f"{sys.argv[3]} {number}"), type="SecureString", overwrite=True)
    print(number, put.version, flush=True)
"""


def test_killed_writers_lose_nothing(tmp_path, store_url):
    """kill -9 at any moment of two writers: what they were told is written is there and opens, and nothing is half there."""
    place = Place(tmp_path, store_url)
    store = place.store()
    store.put("/k/first", Secret("x"), type="SecureString")  # the key file
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    for round_ in range(3):
        children = [
            subprocess.Popen(
                [sys.executable, "-c", WRITER, str(tmp_path), store_url, f"w{round_}{which}", root],
                stdout=subprocess.PIPE,
                text=True,
            )
            for which in range(2)
        ]
        for child in children:
            child.stdout.readline()
        time.sleep(0.1 + 0.13 * round_)
        for child in children:
            child.send_signal(signal.SIGKILL)
        for which, child in enumerate(children):
            said = child.stdout.read().splitlines()
            child.wait()
            child.stdout.close()
            latest = {}
            for line in said:
                if len(line.split()) == 2:
                    number, version = map(int, line.split())
                    latest[number % 3] = (number, version)
            for slot, (number, version) in latest.items():
                name = f"/k/w{round_}{which}/{slot}"
                assert store.get(f"{name}:{version}", decrypt=True).value.reveal() == f"w{round_}{which} {number}"
                assert store.get(name).version in (version, version + 1)
    for one in store.by_path("/k", recursive=True, decrypt=True).parameters:
        assert one.value.reveal()
    place.close()


def test_two_writers_at_once(tmp_path, store_url):
    """Two connections that race for the same version: one of them writes it, the other learns that, and no number is given twice."""
    place = Place(tmp_path, store_url)
    place.store().put("/r", "0", type="String")
    stores = [place.store(name) for name in ("ana", "olaf")]
    won: list[list[int]] = [[], []]
    refusals: list[str] = []

    def race(which: int) -> None:
        for _ in range(20):
            while True:
                version = stores[which].get("/r").version
                try:
                    won[which].append(stores[which].put("/r", f"{which}", expected_version=version).version)
                    break
                except Refused as error:
                    refusals.append(error.code)

    threads = [threading.Thread(target=race, args=(which,)) for which in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(refusals) <= {"E618"}
    assert sorted(won[0] + won[1]) == list(range(2, 42))
    written = {one.version: one.value for one in stores[0].history("/r")}
    assert all(written[version] == str(which) for which in range(2) for version in won[which])
    place.close()
