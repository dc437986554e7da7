"""Generated histories of what is in git, each state applied by the real compiler and executor: does ever anything go that must stay?

    python -m tests.sweeps.removal --histories 1000      prints `1000 histories, N steps, M removals, 0 wrong`

A history is some states of two projects that manage one directory. In between, people edit what is there. The judge knows
nothing of ledgers: it keeps of every path who declared it and whether it was there before, and says after every apply which paths
may be gone and which contents may be others.
"""

import argparse
import os
import random
import shutil
import stat
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from statectl.catalogue.compile import Compiler
from statectl.catalogue.render import Renderer
from statectl.onhost import convergence, facts, protocol, runner, walk
from statectl.project import yaml_tree
from statectl.project.types import resource_types
from statectl.sections import load
from statectl.targets.inventory import load_inventory

PROJECTS = ("one", "two")
ASSOCIATIONS = ("base", "web", "app")
NAMES = ("a", "b", "c", "d/x", "d/y", "e/x")
EXECUTOR = (convergence, walk)  # loaded once, here: every child has them
TYPES = {kind.name: kind for kind in resource_types().values()}
HANDMADE = ("by-hand", "d/by-hand", "e/by-hand")


class Wrong(AssertionError):
    """Something went that must stay, or became what nobody asked for."""


@dataclass
class Declared:
    """One resource as one project has it in its files."""

    kind: str  # file | link | directory
    association: str
    state: str = "present"
    text: str = ""
    on_removal: str = ""
    protect: bool = False
    loop: bool = False  # one of a for_each, whose list may become empty


@dataclass
class Project:
    """The files of one project: what is declared, and how it is spread over files."""

    name: str
    resources: dict[str, Declared] = field(default_factory=dict)
    layout: int = 0
    max_removals: int | None = None
    targets: str = "all"

    def files(self, root: Path) -> dict[str, str]:
        limit = "" if self.max_removals is None else f"limits: {{max_removals: {self.max_removals}}}\n"
        files = {"statectl.yml": f"project: {self.name}\ninventory: inventories/prod\n{limit}"}
        files["inventories/prod/hosts.yml"] = "hosts: {h: {}}\n"
        used = sorted({one.association for one in self.resources.values()}) or ["base"]
        for number, association in enumerate(used):
            lines = [f"  {association}:", f"    targets: {self.targets}"]
            looped = [name for name, one in self.resources.items() if one.association == association and one.loop]
            lines += [f"    vars: {{many: [{', '.join(looped)}]}}"]
            for section, kind in (("files", "file"), ("links", "link"), ("directories", "directory")):
                entries = [
                    f"      {root}/{name}: {self._body(one)}"
                    for name, one in self.resources.items()
                    if one.association == association and one.kind == kind and not one.loop
                ]
                if kind == "file" and any(one.loop for one in self.resources.values()):
                    entries.append(f'      "{root}/{{{{ item }}}}": {{for_each: "{{{{ many }}}}", content: loop}}')
                if entries:
                    lines += [f"    {section}:", *entries]
            path = f"states/{'all' if self.layout == 0 else association if self.layout == 1 else f'sub/{number}'}.yml"
            files[path] = files.get(path, "associations:\n") + "\n".join(lines) + "\n"
        return files

    def _body(self, one: Declared) -> str:
        if one.state == "absent":
            return "absent"
        fields = []
        if one.kind == "file":
            fields.append(f"content: '{one.text}'")
        if one.kind == "link":
            fields.append(f"to: {one.text or 'nowhere'}")
        if one.on_removal:
            fields.append(f"on_removal: {one.on_removal}")
        if one.protect:
            fields.append("protect: true")
        return "{" + ", ".join(fields) + "}"


# -- the machine


def look(root: Path) -> dict[str, tuple[str, bytes]]:
    """{path below root: (kind, content or target)}"""
    found: dict[str, tuple[str, bytes]] = {}
    for directory, names, files in os.walk(root):
        for name in [*names, *files]:
            path = os.path.join(directory, name)
            status, relative = os.lstat(path), os.path.relpath(path, root)
            if stat.S_ISLNK(status.st_mode):
                found[relative] = ("link", os.readlink(path).encode())
            elif stat.S_ISDIR(status.st_mode):
                found[relative] = ("directory", b"")
            else:
                found[relative] = ("file", Path(path).read_bytes())
    return found


def execute(catalogue: dict[str, Any], blobs: Any, state: Path, limits: dict[str, Any]) -> str:
    """A real executor, one apply of this catalogue -> the outcome of its last word."""
    theirs_in, to = os.pipe()
    source, theirs_out = os.pipe()
    pid = os.fork()
    if pid == 0:
        code = 70
        try:
            os.close(to)
            os.close(source)
            facts.gather = lambda _: {}  # not looked at here, and slow
            os.fsync = lambda _: None  # nobody cuts the power
            code = runner.serve(theirs_in, theirs_out, b"")
        finally:
            os._exit(code)
    os.close(theirs_in)
    os.close(theirs_out)

    def say(message: dict[str, Any]) -> None:
        os.write(to, protocol.encode(message))

    decoder, ended = protocol.Decoder(), ""
    try:
        order = {
            "type": "order",
            "run": "R1",
            "host": "h",
            "kind": "apply",
            "state_dir": str(state),
            "controller": "me",
        }
        say({**order, "limits": limits})
        while not ended:
            data = os.read(source, 65536)
            if not data:
                raise Wrong("the executor died")
            for _, payload in decoder.feed(data):
                message = protocol.decode_json(payload)
                if message["type"] == "ready":
                    say(catalogue)
                elif message["type"] == "need":
                    for sha256 in message["blobs"]:
                        content = blobs[sha256]
                        content = content if isinstance(content, bytes) else content.read_bytes()
                        say({"type": "blob", "sha256": sha256, "size": len(content)})
                        if content:
                            os.write(to, protocol.encode_blob(content))
                elif message["type"] == "planned":
                    say({"type": "go", "plan_id": None, "observed": {}})
                elif message["type"] == "end":
                    ended = message["outcome"]
        say({"type": "ack", "runs": ["R1"]})
    finally:
        os.close(to)
        os.close(source)
        os.waitpid(pid, 0)
    return ended


# -- the judge


@dataclass
class Known:
    """What the judge knows of a path."""

    projects: dict[str, Declared] = field(default_factory=dict)  # who had it, as it was applied last
    ours: bool = False  # it was not there when it was declared first
    first: tuple[str, bytes] | None = None  # what was there instead


class Judge:
    """Of every path: who declares it, and what was there when that began."""

    def __init__(self) -> None:
        self.known: dict[str, Known] = {}
        self.seen: dict[str, set[tuple[str, bytes]]] = {}  # all that was ever at a path before an apply

    def forget(self) -> None:
        """The ledger is lost: what is there is as if it had always been there."""
        self.known.clear()

    def may_go(self, path: str, project: Project, options: dict[str, Any], here: set[str]) -> bool:
        """May this path be gone after the apply?"""
        declared = project.resources.get(path)
        if declared is not None:
            return declared.state == "absent" and declared.association in here
        known = self.known.get(path)
        if known is None or not options["prune"] or project.name not in known.projects:
            return False
        last = known.projects[project.name]
        if set(known.projects) - {project.name} or last.protect or last.on_removal == "leave" or last.state == "absent":
            return False
        there = {one.association for one in project.resources.values()}
        if last.association not in here and last.association in there:
            return False  # of an association that this run is not about
        if not project.resources or project.targets != "all":
            return False  # an empty render
        return known.ours or last.on_removal == "delete"

    @staticmethod
    def through_link(path: str, project: Project, before: dict[str, tuple[str, bytes]]) -> Declared | None:
        """What is declared under a path whose directory is a link to this one's: then this file is what is declared."""
        for name, one in project.resources.items():
            directory, _, last = name.rpartition("/")
            kind, to = before.get(directory, ("", b""))
            if kind == "link" and f"{to.decode()}/{last}" == path:
                return one
        return None

    def after(
        self,
        project: Project,
        options: dict[str, Any],
        here: set[str],
        before: dict[str, tuple[str, bytes]],
        now: dict[str, tuple[str, bytes]],
    ) -> int:
        """Raises Wrong. -> how many paths are gone."""
        gone = [path for path in before if path not in now]
        links = {to.decode() for kind, to in before.values() if kind == "link"}
        for path, was in before.items():
            self.seen.setdefault(path, set()).add(was)
        for path in gone:
            through = self.through_link(path, project, before)
            if through is not None and through.state == "absent":
                continue
            if not self.may_go(path, project, options, here):
                raise Wrong(f"{path} is gone; known of it: {self.known.get(path)}")
        pruned = [path for path in gone if path not in project.resources]
        if project.max_removals is not None and len(pruned) > project.max_removals:
            raise Wrong(f"{len(pruned)} removals, {project.max_removals} allowed: {pruned}")
        for path, was in before.items():
            if path in gone or now[path] == was:
                continue
            known = self.known.get(path)
            declared = project.resources.get(path) or self.through_link(path, project, before)
            if declared is not None and declared.association in here:
                continue
            if known is not None and known.first == now[path] and options["prune"] and project.name in known.projects:
                continue  # put back as it was found
            if options["prune"] and path.rpartition("/")[0] in links and now[path] in self.seen[path]:
                continue  # the same, of what was declared under a link
            raise Wrong(f"{path} was {was}, is {now[path]}; known of it: {known}")
        return len(gone)

    def learn(
        self, project: Project, options: dict[str, Any], here: set[str], before: dict[str, tuple[str, bytes]], now: Any
    ) -> None:
        """What this apply did is what the next is judged by."""
        shown = project.targets == "all"
        for path, declared in project.resources.items():
            if not shown or declared.association not in here:
                continue
            if declared.state == "present" and now.get(path, (declared.kind,))[0] != declared.kind:
                continue  # something else is in its way: it did not come about
            known = self.known.setdefault(path, Known())
            if not known.projects or all(one.state == "absent" for one in known.projects.values()):
                known.ours, known.first = path not in before, before.get(path)
            known.projects[project.name] = replace(declared)
        for path, known in list(self.known.items()):
            declared = project.resources.get(path) if shown else None
            there = {one.association for one in project.resources.values()}
            mine = known.projects.get(project.name)
            if declared is None and mine is not None and (mine.association in here or mine.association not in there):
                if options["prune"] and len(known.projects) > 1:
                    del known.projects[project.name]  # the other has it alone now
                elif options["release"] or mine.state == "absent" or (options["prune"] and shown and project.resources):
                    # let go, or removed; a removal that was refused leaves it as it was, and is not held against anybody later
                    if (
                        options["prune"]
                        and path in now
                        and now[path] == before.get(path)
                        and mine.on_removal != "leave"
                    ):
                        continue
                    del known.projects[project.name]
            if not known.projects:
                del self.known[path]


# -- a history


class History:
    def __init__(self, seed: int, top: Path) -> None:
        self.random = random.Random(seed)
        self.top, self.root, self.state = top, top / "machine", top / "state"
        self.root.mkdir()
        self.projects = {name: Project(name) for name in PROJECTS}
        self.judge = Judge()
        self.told: list[str] = []
        self.counts: Counter[str] = Counter()
        for name in HANDMADE:
            if self.random.random() < 0.6:
                self.by_hand(name, "hand\n")
        for name in NAMES:
            if self.random.random() < 0.25:
                self.by_hand(name, f"was {name}\n")

    def by_hand(self, name: str, text: str) -> None:
        path = self.root / name
        if path.parent.is_symlink() or path.is_symlink() or path.is_dir():
            return
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)

    def play(self, steps: int) -> None:
        for _ in range(steps):
            project = self.projects[self.random.choice(PROJECTS)]
            for _ in range(self.random.randint(1, 3)):
                self.edit(project if self.random.random() < 0.8 else self.projects[self.random.choice(PROJECTS)])
            self.apply(project)

    def edit(self, project: Project) -> None:
        """Somebody commits, or does something on the machine."""
        pick = self.random
        name = pick.choice(NAMES)
        what = pick.choice(
            ["declare"] * (2 if project.resources else 20)
            + ["drop"] * 8
            + ["absent", "link", "directory", "rename association", "move file", "empty text", "loop", "empty loop"]
            + [
                "policy",
                "limit",
                "no targets",
                "nothing declared",
                "both",
                "hand edit",
                "hand remove",
                "swap",
                "lose ledger",
            ]
        )
        self.told.append(f"{project.name}: {what} {name}")
        new = Declared("file", pick.choice(ASSOCIATIONS), text=f"{project.name} {pick.randint(1, 3)}\\n")
        if what == "declare":
            for each in {name, *pick.sample(NAMES, 2)}:
                project.resources[each] = replace(new, association=pick.choice(ASSOCIATIONS))
        elif what == "drop":
            project.resources.pop(pick.choice(list(project.resources) or [name]), None)
        elif what == "absent":
            project.resources[name] = Declared("file", pick.choice(ASSOCIATIONS), state="absent")
        elif what == "link":
            project.resources[name] = Declared(
                "link", pick.choice(ASSOCIATIONS), text=pick.choice(["by-hand", "d", "a"])
            )
        elif what == "directory":
            project.resources[pick.choice(["d", "e"])] = Declared("directory", pick.choice(ASSOCIATIONS))
        elif what == "rename association":
            old, other = pick.choice(ASSOCIATIONS), pick.choice(ASSOCIATIONS)
            for one in project.resources.values():
                one.association = other if one.association == old else one.association
        elif what == "move file":
            project.layout = (project.layout + 1) % 3
        elif what == "empty text" and name in project.resources:
            project.resources[name].text = ""
        elif what == "loop":
            project.resources[name] = Declared("file", "web", loop=True)
        elif what == "empty loop":
            project.resources = {key: one for key, one in project.resources.items() if not one.loop}
        elif what == "policy" and project.resources:
            one = project.resources[pick.choice(list(project.resources))]
            if not one.loop:
                one.on_removal = pick.choice(["", "delete", "restore", "leave"])
                one.protect = pick.random() < 0.3
        elif what == "limit":
            project.max_removals = pick.choice([None, None, None, 1, 2])
        elif what == "no targets":
            project.targets = pick.choice(["all", "all", "all", "not h"])
        elif what == "nothing declared" and pick.random() < 0.3:
            project.resources.clear()
        elif what == "both":
            for each in self.projects.values():
                each.resources[name] = Declared("file", pick.choice(ASSOCIATIONS), text="shared\\n")
        elif what == "hand edit":
            self.by_hand(name, f"hand {pick.randint(1, 9)}\n")
        elif what == "hand remove":
            path = self.root / name
            if path.is_symlink() or path.is_file():
                path.unlink()
        elif what == "swap" and (self.root / "d").is_dir() and not (self.root / "d").is_symlink():
            # the directory becomes a link to one of somebody else, with files of the same names
            (self.root / "d").rename(self.root / f"d.old{len(self.told)}")
            other = self.root / "other"
            other.mkdir(exist_ok=True)
            for each in ("x", "y"):
                (other / each).write_text(f"of other {each}\n")
            (self.root / "d").symlink_to("other")
        elif what == "lose ledger" and pick.random() < 0.5:
            shutil.rmtree(self.state, ignore_errors=True)
            self.judge.forget()

    def apply(self, project: Project) -> None:
        options = {"prune": self.random.random() < 0.6, "release": False}
        if not options["prune"]:
            options["release"] = self.random.random() < 0.15
        declared = sorted({one.association for one in project.resources.values()}) or ["base"]
        selected = [self.random.choice(declared)] if self.random.random() < 0.2 else None
        self.told.append(f"apply {project.name} {options} {selected or 'all'} {project}")
        catalogue = self.compiled(project, selected, options)
        self.counts["steps"] += 1
        if catalogue is None:
            self.counts["not compiled"] += 1
            return
        before = look(self.root)
        limits = {"paths": [], "deny": [], "max_removals": project.max_removals, "become": None}
        outcome = execute(catalogue.catalogue, catalogue.blobs, self.state, limits)
        now = look(self.root)
        here = set(selected or declared)
        self.told.append(f"-> {outcome}")
        self.counts[outcome] += 1
        if outcome == "refused":
            if before != now:
                raise Wrong("refused, and something changed")
            return
        self.counts["removals"] += self.judge.after(project, options, here, before, now)
        self.judge.learn(project, options, here, before, now)

    def compiled(self, project: Project, selected: list[str] | None, options: dict[str, Any]) -> Any:
        directory = self.top / "git"
        shutil.rmtree(directory, ignore_errors=True)
        for name, text in project.files(self.root).items():
            (directory / name).parent.mkdir(parents=True, exist_ok=True)
            (directory / name).write_text(text)
        loaded = load(directory, env={})
        if any(not problem.is_warning for problem in loaded.problems):
            raise RuntimeError([problem.summary for problem in loaded.problems])
        inventory, _ = load_inventory(directory / "inventories/prod", root=directory, yaml=yaml_tree)
        with Renderer(directory) as renderer:
            made = Compiler(loaded, inventory, renderer, TYPES, selected=selected, **options).host("h", {}, {})
        if any(not problem.is_warning for problem in made.problems):
            self.told.append(f"not compiled: {[problem.summary for problem in made.problems]}")
            return None
        return made


def one_history(seed: int, steps: int = 6) -> Counter[str]:
    """Raises Wrong with the whole history."""
    top = Path(tempfile.mkdtemp(prefix="removal-", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None))
    try:
        history = History(seed, top)
        try:
            history.play(steps)
        except Wrong as wrong:
            raise Wrong(f"seed {seed}: {wrong}\n  " + "\n  ".join(history.told)) from None
        return history.counts
    finally:
        shutil.rmtree(top, ignore_errors=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--histories", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0, help="seed of the first")
    given = parser.parse_args()
    counts: Counter[str] = Counter()
    wrong = 0
    for seed in range(given.first, given.first + given.histories):
        try:
            counts += one_history(seed)
        except Wrong as error:
            wrong += 1
            print(error, file=sys.stderr)
    rest = ", ".join(f"{count} {word}" for word, count in sorted(counts.items()) if word not in ("steps", "removals"))
    print(
        f"{given.histories} histories, {counts['steps']} steps, {counts['removals']} removals, {wrong} wrong ({rest})"
    )
    return min(1, wrong)


if __name__ == "__main__":
    sys.exit(main())
