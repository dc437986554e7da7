"""W201: names that exist nowhere and did no harm yet, because they stand in a branch that was not taken."""

from collections.abc import Iterable

from statectl.catalogue.render import Renderer
from statectl.catalogue.rendered import RESERVED, Failure, Job
from statectl.catalogue.template_errors import Explainer
from statectl.problems import Note, Problem, did_you_mean

# what jinja itself gives to every template
GLOBALS = frozenset(
    {"range", "dict", "cycler", "joiner", "namespace", "loop", "self", "super", "varargs", "kwargs", "caller"}
)


def _nowhere(_: str) -> Note | None:
    return None


class Doubts:
    """Looks at each source once for each set of names that it meets."""

    def __init__(self, renderer: Renderer, explainer: Explainer) -> None:
        self._renderer = renderer
        self._explainer = explainer
        self._sets: dict[frozenset[str], int] = {}
        self._known: dict[tuple[int, int], list[Problem]] = {}

    def of(self, jobs: Iterable[Job]) -> list[Problem]:
        """For jobs of one scope that have run."""
        found: list[Problem] = []
        names: frozenset[str] = frozenset()
        place = -1
        for job in jobs:
            if place < 0:
                names = frozenset(job.scope.names) | frozenset(job.scope.probes)
                place = self._sets.setdefault(names, len(self._sets))
            for source, outcome in zip(job.sources, job.outcomes, strict=False):
                problems = self._known.get((source, place))
                if problems is None:
                    problems = self._known[source, place] = (
                        [] if isinstance(outcome, Failure) else self._look(source, names)
                    )
                found += problems
        return found

    def _look(self, source: int, names: frozenset[str]) -> list[Problem]:
        free = self._renderer.free_names(source)
        if free is None:
            return []
        doubtful = set(free["names"]) - set(free["soft"]) - names - RESERVED - GLOBALS
        return [self._problem(source, name, names) for name in sorted(doubtful)]

    def _problem(self, source: int, name: str, names: frozenset[str]) -> Problem:
        report = {
            "code": "W201",
            "eid": source,
            "summary": f"`{name}` is defined nowhere",
            "label": did_you_mean(name, names),
            "hint": f"it stands in a branch that is not taken now; if it may be missing, ask `{name} is defined`",
            "find": [name],
        }
        return self._explainer.problem(Failure(report), _nowhere)
