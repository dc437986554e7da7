"""Valid catalogues of the universe, made by hypothesis: which resources, in how many associations, with which ties between them."""

import copy
import json
import re
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.truth.universe import BREAKING, COMPANIONS, TREES, TYPES, UNIVERSE
from tests.unit.compiling import Compiled

Associations = dict[str, dict[str, Any]]
KEYS = [(section, key) for section, keys in UNIVERSE.items() for key in keys]
HOST = "web1"  # the host that the fields `targets` and `where` of a generated association name
FACTS = {"os": {"family": "debian", "id": "debian"}, "package_manager": "apt", "service_manager": "systemd"}


@dataclass(frozen=True)
class Generated:
    """`breaking`: shell lines that come before it. `prune`: what the one before declared and this does not, goes."""

    associations: Associations
    breaking: tuple[str, ...]
    prune: bool

    def states(self, host: str) -> str:
        """As a file below states/, for one host of the lab; names of associations are the host's own."""
        made = {}
        for name, body in self.associations.items():
            mine = json.loads(json.dumps(body).replace(f'"{HOST}"', f'"{host}"'))
            mine["requires"] = [f"{other}-{host}" for other in mine.get("requires", [])]
            made[f"{name}-{host}"] = mine
        return json.dumps({"associations": made}, indent=1)

    def without(self, addresses: set[str]) -> "Generated":
        """The same, less these resources and every tie to them."""
        kept: Associations = copy.deepcopy(self.associations)
        for body in kept.values():
            for section in list(UNIVERSE):
                for key in list(body.get(section, ())):
                    value = body[section][key]
                    ties = _ties(value)
                    if address(section, key) in addresses or ties.get("when_changed") in addresses:
                        del body[section][key]
                        continue
                    for word in ("after", "notify"):
                        if ties.get(word) in addresses:
                            del value[word]
                if section in body and not body[section]:
                    del body[section]
        return Generated(kept, self.breaking, self.prune)


def address(section: str, key: str) -> str:
    return f"{TYPES.get(section) or section.removesuffix('s')}:{key}"


def _ties(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


@st.composite
def catalogues(draw: Callable[[Any], Any]) -> Generated:
    chosen = draw(st.permutations(KEYS))[: draw(st.integers(4, 16))]
    if draw(st.integers(0, 15)):
        chosen = _complete(chosen)
    names = [f"part{number}" for number in range(draw(st.integers(1, 3)))]
    associations: Associations = {name: {"targets": HOST} for name in names}
    addresses = [address(section, key) for section, key in chosen]
    services = [one for one in addresses if one.startswith("service:")]
    for section, key in chosen:
        value = copy.deepcopy(draw(UNIVERSE[section][key]))
        triggers = [one for one in addresses if not one.startswith("command:")]
        if isinstance(value, dict):
            if value.get("when_changed") == "*":
                value["when_changed"] = draw(st.sampled_from(triggers)) if triggers else "file:/etc/t.conf"
            if draw(st.integers(0, 9)) == 0:
                value["after"] = draw(st.sampled_from(addresses))
            if services and section not in ("services", "commands") and draw(st.integers(0, 2)) == 0:
                value["notify"] = draw(st.sampled_from(services))
            if draw(st.integers(0, 14)) == 0:
                value["when"] = draw(st.sampled_from(["facts.os.family == 'debian'", "facts.os.family == 'redhat'"]))
        associations[draw(st.sampled_from(names))].setdefault(section, {})[key] = value
    if len(names) > 1 and draw(st.integers(0, 3)) == 0:
        associations[names[-1]]["requires"] = [names[0]]
    if draw(st.integers(0, 7)) == 0:
        associations[names[-1]]["where"] = [{"targets": HOST, "mode": "audit"}]
    breaking = draw(st.lists(st.sampled_from(BREAKING), unique=True, min_size=3, max_size=12))
    return Generated(associations, tuple(breaking), draw(st.integers(0, 2)) == 0)


def _complete(chosen: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """With what people declare beside: the package of a service, the directory of a file."""
    whole = list(chosen)
    for entry in whole:  # it grows while it is gone through
        whole += [other for other in COMPANIONS.get(entry, ()) if other not in whole]
    return whole


def mistakes(generated: Generated) -> list[str]:
    """Why these files are no valid catalogue; [] when they are."""
    files = {f"states/{path}": text for path, text in TREES.items()}
    with tempfile.TemporaryDirectory() as place:
        try:
            with Compiled(Path(place), {"states/it.yml": generated.states(HOST), **files}) as compiled:
                return [f"{problem.code} {problem.summary}" for problem in compiled.host(HOST, FACTS).problems]
        except AssertionError as error:  # problems of the files themselves
            return re.findall(r"code='(E\d+)'", str(error)) or [str(error)[:200]]


def generate(count: int, number: int = 0) -> list[Generated]:
    """`count` valid catalogues, the same ones for the same `number`."""
    found: list[Generated] = []

    @seed(number)
    @settings(
        max_examples=count * 4,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(catalogues())
    def collect(made: Generated) -> None:
        if len(found) < count and made not in found and not mistakes(made):
            found.append(made)

    collect()
    if len(found) < count:
        raise AssertionError(f"only {len(found)} of {count} catalogues are valid")
    Random(number).shuffle(found)  # hypothesis varies one example into the next
    return found
