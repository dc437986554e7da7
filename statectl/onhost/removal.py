"""What is in the ledger but no longer declared: orphans, and how they are removed, released or kept.

The catalogue always holds the whole host, so an address that is missing from it is declared by nobody. A new owner, a renamed
association or a moved file leaves the address where it is, and an empty ledger lists nothing: none of them removes anything.

situation                                                       what happens
no prune, no release                                            kept, shown as orphan
owned by an association that is declared but not selected       not touched, not shown
its path is declared as another type now                        forgotten: what is there is the other's
declared by another project that manages this host too          not touched, not shown; --prune and --release let go of our part
the way to it leads elsewhere now: somebody put a link in it    kept, shown as orphan
what was declared was its absence, or a command                 forgotten: nothing on the machine is ours
--release                                                       forgotten, the machine stays as it is
--prune, on_removal: leave                                      forgotten, the machine stays as it is
--prune, on_removal: delete                                     removed, also what was adopted
--prune, protect: true                                          the whole run is refused
--prune, more than limits.max_removals                          the whole run is refused
--prune, the catalogue declares nothing at all                  the whole run is refused: an empty render
--prune, otherwise                                              removed (created) or put back (adopted), last declared first
"""

from statectl.onhost import compare
from statectl.onhost.failure import Failed
from statectl.onhost.protocol import ProtocolError
from statectl.onhost.records import PATHS, leads_elsewhere, leads_to, of_projects
from statectl.onhost.wanted import Item, load_type

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List, Optional, Sequence, Tuple

    from statectl.onhost.engine import Engine
    from statectl.onhost.shapes import JSON, Address, LedgerEntry


class Orphans(object):
    """addresses: of the orphans this run is about, last declared first; then what `read` made of them:

    removals   items to converge, in order
    kept       [(address, reason)] shown as orphans
    forgotten  addresses to take out of the ledger, the machine as it is
    handed_over  addresses that another project declares as well: we let go of our part
    """

    def __init__(self, engine: "Engine") -> None:
        self._engine = engine
        ledger = engine.memory.ledger
        found = [address for address in ledger if address not in engine.declared and self._concerned(address)]
        self.addresses = sorted(found, key=lambda address: (-ledger[address]["position"], address))
        self.prune = engine.catalogue.get("prune", False)
        self.release = engine.catalogue.get("release", False)
        self.removals: "List[Item]" = []
        self.kept: "List[Tuple[Address, str]]" = []
        self.forgotten: "List[Address]" = []
        self.handed_over: "List[Address]" = []

    def _concerned(self, address: "Address") -> bool:
        engine = self._engine
        if engine.only is not None and address not in engine.only:
            return False
        theirs, ours = of_projects(engine.memory.ledger[address]), engine.catalogue.get("project")
        if theirs and ours and ours not in theirs:
            return False
        owners = self._engine.memory.ledger[address].get("owners") or [engine.memory.ledger[address]["association"]]
        # an association that is declared nowhere any more cannot be selected
        return any(owner in engine.selected for owner in owners) or not any(
            owner in engine.associations for owner in owners
        )

    def _declared_otherwise(self, address: "Address") -> bool:
        """Is this path declared as something else now: a file that became a link? By this project, or by another here."""
        kind, _, name = address.partition(":")
        if kind not in PATHS:
            return False
        for other in ("%s:%s" % (one, name) for one in PATHS if one != kind):
            entry = self._engine.memory.ledger.get(other)
            theirs = (
                entry is not None and other not in self.addresses and entry["want"].get("state") not in compare.GONE
            )
            if theirs or other in self._engine.declared:
                return True
        return False

    def _shared_with(self, entry: "LedgerEntry") -> "List[str]":
        """The other projects that declare it."""
        ours = self._engine.catalogue.get("project")
        return [project for project in of_projects(entry) if ours and project != ours]

    def without_us(self, address: "Address") -> "LedgerEntry":
        """The entry as it stays when this project lets go of it."""
        entry = self._engine.memory.ledger[address]
        others = self._shared_with(entry)
        return dict(entry, projects=others, project=others[0])

    def read(self) -> None:
        """Sort the orphans, and read those that would be removed."""
        for address in self.addresses:
            entry = self._engine.memory.ledger[address]
            if entry["want"].get("state") in compare.GONE or entry.get("command"):
                self.forgotten.append(address)
            elif self._declared_otherwise(address):
                # what is there is the other's: removing it would undo what this very run makes
                self.forgotten.append(address)
            elif self._shared_with(entry):
                # nothing of it goes as long as somebody declares it
                if self.prune or self.release:
                    self.handed_over.append(address)
            elif self.release or (self.prune and entry.get("on_removal") == "leave"):
                self.forgotten.append(address)
                self.kept.append((address, "released: the machine stays as it is"))
            elif not self.prune:
                self.kept.append((address, "no longer declared; kept"))
            else:
                self._sort(address, entry)
        self._engine.read(self.removals)

    def _sort(self, address: "Address", entry: "LedgerEntry") -> None:
        try:
            item = self._item(address, entry)
        except (Failed, ProtocolError) as error:
            self.kept.append((address, "no longer declared; kept: %s" % error))
            return
        if item is None:
            self.forgotten.append(address)
            self.kept.append((address, "released: nothing can be put back"))
        elif leads_elsewhere(entry, leads_to(self._engine.host, address)):
            self.kept.append(
                (address, "no longer declared; kept: its directory leads elsewhere now; --release forgets it")
            )
        else:
            self.removals.append(item)

    def _item(self, address: "Address", entry: "LedgerEntry") -> "Optional[Item]":
        """-> Item whose want is what the machine should be without the resource, or None: nothing to do."""
        module = load_type(address.partition(":")[0])
        name = address.partition(":")[2]
        created = entry["created"] or entry.get("on_removal") == "delete"
        before = {} if created else self._before(entry["before"] or {})
        back = getattr(module, "removal", None)
        want = back and back({"name": name, "created": created, "before": before, "want": entry["want"]})
        if want is None:
            return None
        if not isinstance(want, module.Desired):
            want = module.Desired(**dict(want, name=name))
        item = Item(address, entry["association"], -1, module, want, entry["position"])
        item.owners = entry.get("owners") or [entry["association"]]
        item.notify = [target for target in entry.get("notify", ()) if target in self._engine.declared]
        item.sensitive = bool(entry.get("sensitive"))
        item.protect = bool(entry.get("protect"))
        item.removes = entry
        return item

    def _before(self, value: "JSON") -> "JSON":
        """What was found at first, contents from where they were kept. Raises Failed when one is gone."""
        if isinstance(value, dict):
            if "$preimage" in value:
                content = self._engine.memory.preimages.get(value["$preimage"], bool(value.get("secret")))
                if content is None:
                    raise Failed("what was there before is no longer stored on this host; --release forgets it")
                return content
            if "$lost" in value:
                raise Failed("what was there before was not stored (%s); --release forgets it" % value["$lost"])
            if "$keyed" in value:
                return None
            return {key: self._before(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self._before(item) for item in value]
        return value

    def judge(self) -> "List[str]":
        """Verdicts on the removals -> reasons to refuse the whole run."""
        engine = self._engine
        already = [item for item in self.removals if item.unknown is None and not item.fields]
        self.forgotten.extend(item.address for item in already)
        self.removals = [item for item in self.removals if item not in already]
        for item in [item for item in self.removals if compare.want_gone(item.want)]:
            needed = engine.prerequisites.needed(item)
            if needed:
                self.removals.remove(item)
                self.kept.append((item.address, "no longer declared; kept: %s needs it" % needed))
        self._keep_full_directories()
        self._keep_what_packages_need()
        for item in self.removals:
            if item.unknown is not None:
                engine.refuse(item, item.unknown.reason)
                continue
            item.verdict = "change"
            engine.describe(item)
            item.kind, item.reason = "intended", "no longer declared"
            refusal = engine.refusal(item)
            if refusal:
                engine.refuse(item, refusal)
        return self._refusals() if self.prune else []

    def _keep_full_directories(self) -> None:
        """A directory that is not empty when all else has gone stays: seen from the deepest up, with what this plan puts in."""
        paths = {item.want.name for item in self.removals if item.type in PATHS and compare.want_gone(item.want)}
        coming = [item for item in self._engine.items if item.type in PATHS and not compare.want_gone(item.want)]
        written = [item.want.name for item in coming if item.verdict in ("change", "unknown")]
        ours = [item for item in self.removals if item.type == "directory" and compare.want_gone(item.want)]
        for item in sorted(ours, key=lambda item: -item.want.name.count("/")):
            top = item.want.name.rstrip("/") + "/"
            left = {name for name in self._engine.host.listdir(item.want.name) if top + name not in paths}
            left |= {path[len(top) :].partition("/")[0] for path in written if path.startswith(top)}
            if left and item.want.recurse is False:
                paths.discard(item.want.name)
                self.removals.remove(item)
                self.kept.append((item.address, "no longer declared; kept: it holds %s" % shown(sorted(left), 5)))

    def _keep_what_packages_need(self) -> None:
        """A package that one of those needs which this plan installs stays: it goes after they have come."""
        coming = [item for item in self._engine.items if item.type == "package" and item.verdict == "change"]
        coming = [item for item in coming if not compare.want_gone(item.want) and self._engine.enforced(item)]
        # each value of `recommends` is a transaction of its own
        together = [[one.want for one in coming if one.want.recommends is value] for value in (None, True, False)]
        for item in [item for item in self.removals if item.type == "package" and compare.want_gone(item.want)]:
            for wanted in together if item.unknown is None else ():
                found = self._engine.read_type(item.module, [*wanted, item.want], item.module.read) if wanted else {}
                refusal = getattr(found.get(item.want.name), "refusal", "")
                if refusal:
                    self.removals.remove(item)
                    self.kept.append((item.address, "no longer declared; kept: %s" % refusal))
                    break

    def _refusals(self) -> "List[str]":
        engine, reasons = self._engine, []
        limit = engine.limits.get("max_removals")
        if not engine.declared and engine.memory.ledger:
            reasons.append(
                "the catalogue declares nothing at all, and %d resources of this host are managed: an empty render removes "
                "nothing; use --release to let go of them" % len(engine.memory.ledger)
            )
        protected = [item.address for item in self.removals if item.protect]
        if protected:
            reasons.append("protected from removal: %s; use --release, or declare them again" % ", ".join(protected))
        if limit is not None and len(self.removals) > limit:
            reasons.append(
                "%d removals are more than limits.max_removals allows (%d): %s"
                % (len(self.removals), limit, shown([item.address for item in self.removals]))
            )
        return reasons


def shown(addresses: "Sequence[Address]", most: int = 10) -> str:
    """-> 'a, b, c and 7 more'"""
    if len(addresses) <= most:
        return ", ".join(addresses)
    return "%s and %d more" % (", ".join(addresses[:most]), len(addresses) - most)
