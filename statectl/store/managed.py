"""What manages which hosts, by the records: for groups of everything that an association, a project or a commit manages."""

import json

from statectl.store.database import Database, repeatable


class Managed:
    def __init__(self, database: Database) -> None:
        self._database = database

    @repeatable
    def hosts(self, kind: str, name: str, *, asking: str) -> set[str]:
        """kind: association, project, or commit, of which `name` is the beginning of the hash.

        The outcomes are those of hosts that an apply began on, or may have. A host counts while it has anything of an association on record and an apply of that association has come to it; that of a
        commit, when the latest one was. Runs of which no project was noted are those of the project that is `asking`.
        """
        with self._database.reading() as connection:
            owned = connection.execute("SELECT DISTINCT host, association FROM current_states").fetchall()
            applied = connection.execute(
                "SELECT host_runs.host AS host, git_commit, scope, project, max(host_runs.sequence) AS latest FROM host_runs"
                " JOIN runs ON runs.id = host_runs.run_id WHERE verb = 'apply' AND host_runs.outcome IN ('ok', 'changed', 'failed', 'stopped', 'unknown')"
                " GROUP BY host_runs.host, git_commit, scope, project ORDER BY latest DESC"
            ).fetchall()
        about = {
            text: frozenset(json.loads(text).get("associations") or ()) for text in {row["scope"] for row in applied}
        }
        by_host: dict[str, list[tuple[frozenset[str], str, str]]] = {}
        for row in applied:
            entry = (about[row["scope"]], row["git_commit"], row["project"] or asking)
            by_host.setdefault(row["host"], []).append(entry)
        found = set()
        for row in owned:
            association = row["association"]
            if kind == "association" and association != name:
                continue
            latest = next((one for one in by_host.get(row["host"], ()) if not one[0] or association in one[0]), None)
            if latest is None:
                continue
            _, commit, project = latest
            fits = commit.lower().startswith(name) if kind == "commit" else project == name
            if kind == "association" or fits:
                found.add(row["host"])
        return found
