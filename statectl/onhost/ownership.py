"""Owner, group and mode of a path: read in the form they were wanted in, and made so.

Only what is wanted is looked up: a name service may be slow, and what nobody declared is nobody's business.
"""

import stat


class Lookups(object):
    """Stands in for a Host where one reading asks for the same few names many thousand times."""

    def __init__(self, host):
        self._host = host
        self._known = {}

    def user_id(self, user):
        return self._ask("user_id", user)

    def group_id(self, group):
        return self._ask("group_id", group)

    def user_name(self, uid):
        return self._ask("user_name", uid)

    def group_name(self, gid):
        return self._ask("group_name", gid)

    def _ask(self, question, about):
        key = (question, about)
        if key not in self._known:
            self._known[key] = getattr(self._host, question)(about)
        return self._known[key]


def owner_as_wanted(host, wanted, uid):
    """uid -> the wanted text when it names this user, else the user's name. A wanted user need not exist yet."""
    if wanted is None:
        return None
    return wanted if host.user_id(wanted) == uid else host.user_name(uid)


def group_as_wanted(host, wanted, gid):
    if wanted is None:
        return None
    return wanted if host.group_id(wanted) == gid else host.group_name(gid)


def mode_text(status):
    """-> "0644", as the controller writes modes."""
    return "%04o" % stat.S_IMODE(status.st_mode)


def found_metadata(host, want, status):
    """-> dict of owner, group and mode, each None where it is not wanted."""
    return {
        "owner": owner_as_wanted(host, want.owner, status.st_uid),
        "group": group_as_wanted(host, want.group, status.st_gid),
        "mode": None if want.mode is None else mode_text(status),
    }


def apply_metadata(host, want, differing):
    """Owner and group, then mode: in the other order a change of owner would take setuid bits away again."""
    if "owner" in differing or "group" in differing:
        host.set_owner(
            want.name,
            want.owner if "owner" in differing else None,
            want.group if "group" in differing else None,
        )
    if "mode" in differing:
        host.set_mode(want.name, want.mode)
