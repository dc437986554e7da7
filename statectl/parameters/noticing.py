"""What policies ask for at a moment: who sends it comes for it, and says afterwards that it was sent."""

import datetime as dt
import json
from collections.abc import Sequence
from typing import Any

from statectl.parameters import policies, rows
from statectl.parameters.context import Context
from statectl.parameters.model import Event
from statectl.parameters.names import place_of

PENDING, IN_PROGRESS, FINISHED = "Pending", "InProgress", "Finished"


def due(context: Context, now: dt.datetime | None = None) -> list[Event]:
    """Events whose moment has come and that were not sent, in the order of their names. Reading changes nothing."""
    at = (now or context.moment()).astimezone(dt.UTC)
    found = []
    with context.database.reading() as connection:
        candidates = connection.execute(
            f"SELECT {rows.EVERYTHING} FROM parameter_versions WHERE is_current = 1 AND policies <> '[]' ORDER BY place"  # noqa: S608
        ).fetchall()
        sent = {
            (bytes(row["place"]), row["life"], row["policy"], row["due"])
            for row in connection.execute("SELECT place, life, policy, due FROM parameter_notices").fetchall()
        }
    for row in candidates:
        if not context.rights.may("list", row["name"]):
            continue
        for policy, moment, text in policies.due(json.loads(row["policies"]), row["modified"]):
            key = (bytes(row["place"]), row["life"], policy, policies.stamp(moment))
            if moment <= at and key not in sent:
                found.append(Event(row["name"], row["version"], policy, policies.stamp(moment), text))
    return found


def sent(context: Context, events: Sequence[Event]) -> None:
    """These were sent: they are due no more. Of a parameter that is gone meanwhile nothing is kept."""
    with context.database.transaction() as connection:
        there = rows.current(connection, (place_of(event.name) for event in events))
        connection.executemany(
            "INSERT INTO parameter_notices (place, life, policy, due, sent) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT (place, life, policy, due) DO NOTHING",
            [
                (place_of(event.name), there[place_of(event.name)]["life"], event.policy, event.due, context.now())
                for event in events
                if place_of(event.name) in there
            ],
        )


def status(context: Context, name: str) -> list[dict[str, Any]]:
    """[{policy, due, text, status}] of one parameter that may be listed; [] for one without policies."""
    with context.database.reading() as connection:
        row = rows.current_one(connection, place_of(name))
        if row is None or not context.rights.may("list", name):
            return []
        done = {
            (one["policy"], one["due"])
            for one in connection.execute(
                "SELECT policy, due FROM parameter_notices WHERE place = ? AND life = ?", (row["place"], row["life"])
            ).fetchall()
        }
    told = []
    for policy, moment, text in policies.due(json.loads(row["policies"]), row["modified"]):
        key = (policy, policies.stamp(moment))
        state = FINISHED if key in done else IN_PROGRESS if moment <= context.moment() else PENDING
        told.append({"policy": policy, "due": key[1], "text": text, "status": state})
    return told
