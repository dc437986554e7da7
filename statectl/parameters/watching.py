"""Following what happens below a path, from the audit: nothing can happen and not be told."""

import json
from typing import Any

from statectl.parameters.context import Context
from statectl.parameters.model import Change, Changes
from statectl.parameters.names import below, check_path, place_of

LAST = 2**62
MOST = 1000  # rows of the audit at once


def watch(context: Context, path: str, since: int | None) -> Changes:
    """What happened after the cursor `since`, oldest first, at most MOST rows of it; None: nothing but the cursor of now.

    Only what may be listed. Follow with the cursor that comes back.
    """
    first, behind = below(check_path(path))
    with context.database.reading() as connection:
        if since is None:
            row = connection.execute("SELECT max(sequence) AS last FROM audit").fetchone()
            return Changes([], row["last"] or 0)
        found = connection.execute(
            f"SELECT sequence, at, who, action, detail FROM audit WHERE sequence > ? ORDER BY sequence LIMIT {MOST}",  # noqa: S608
            (min(since, LAST),),
        ).fetchall()
    changes = []
    for row in found:
        if not row["action"].startswith("parameter."):
            continue
        detail: dict[str, Any] = json.loads(row["detail"])
        for name in _names(detail):
            place = place_of(name)
            if (first <= place < behind or place == first[:-1]) and context.rights.may("list", name):
                changes.append(
                    Change(
                        row["sequence"],
                        row["at"],
                        row["who"],
                        row["action"].removeprefix("parameter."),
                        name,
                        detail.get("version"),
                        detail.get("why", ""),
                    )
                )
    return Changes(changes, found[-1]["sequence"] if found else since)


def _names(detail: dict[str, Any]) -> list[str]:
    """A move tells of two."""
    return [detail[key] for key in ("name", "to") if key in detail]
