"""Local users, read from /etc/passwd, /etc/group and /etc/shadow, written by useradd, usermod, chpasswd and userdel.

Order inside one user: made or changed first, its password last, so that a user never has a password but no groups yet.
A password hash is compared here and goes to chpasswd through stdin: it stands in no argv and in no message.
"""

import re
from typing import TYPE_CHECKING, Any, NamedTuple, Optional, Sequence

from statectl.onhost import accounts
from statectl.onhost.content import SecretText

if TYPE_CHECKING:
    from typing import Dict, List

    from statectl.onhost.host import Host
    from statectl.onhost.shapes import Removal

OPTIONS = ("append", "system", "remove_home")
NOT = "-"  # in front of a group of an `append` list: the user must not be in it. Only removal() says that
_FLAGS = (
    ("uid", "--uid"),
    ("group", "--gid"),
    ("home", "--home-dir"),
    ("shell", "--shell"),
    ("comment", "--comment"),
    ("expires", "--expiredate"),
)
_HASH = re.compile(r"([!*]{0,2}\$[A-Za-z0-9./$=,_-]{8,250}|[!*]{1,2}|[A-Za-z0-9./]{13})\Z")
_DAY = 86400


class Desired(NamedTuple):
    """groups: sorted names; expires: 2027-06-30 or 'never'. A found one under `append` has only those of the wanted groups that it is in."""

    name: str
    state: Optional[str] = None
    uid: Optional[int] = None
    group: Optional[str] = None
    groups: Optional[Sequence[str]] = None
    append: Optional[bool] = None
    home: Optional[str] = None
    shell: Optional[str] = None
    comment: Optional[str] = None
    system: Optional[bool] = None
    password_hash: Any = None
    expires: Optional[str] = None
    remove_home: Optional[bool] = None


def read(host: "Host", wanted: "Sequence[Desired]") -> "Dict[str, Desired]":
    users, groups = accounts.users(host), accounts.groups(host)
    shadow = {}
    if any(want.password_hash is not None or want.expires is not None for want in wanted):
        shadow = accounts.shadow(host)
    return {want.name: _found(want, users.get(want.name), groups, shadow) for want in wanted}


def _found(
    want: "Desired",
    user: "Optional[accounts.User]",
    groups: "Dict[str, accounts.Group]",
    shadow: "Dict[str, accounts.Shadow]",
) -> "Desired":
    if user is None:
        return Desired(want.name, state="absent")
    member_of = sorted(name for name, group in groups.items() if want.name in group.members)
    if want.append and want.groups is not None:
        member_of = [name for name in want.groups if (name.lstrip(NOT) in member_of) != name.startswith(NOT)]
    primary = sorted(name for name, group in groups.items() if group.gid == user.gid)
    if want.group is not None and (want.group in primary or want.group == str(user.gid)):
        primary = [want.group]  # a number says the same as a name
    secret = shadow.get(want.name)
    return Desired(
        want.name,
        state="present",
        uid=user.uid,
        group=primary[0] if primary else str(user.gid),
        groups=member_of,
        home=user.home,
        shell=user.shell,
        comment=user.comment,
        password_hash=SecretText(secret.password_hash) if secret and want.password_hash is not None else None,
        expires=_date(secret.expires) if secret else None,
    )


def _date(days: str) -> str:
    if not days.lstrip("-").isdigit() or int(days) < 0:
        return "never"
    import time

    return time.strftime("%Y-%m-%d", time.gmtime(int(days) * _DAY))


def same(field: str, wanted: "Any", found: "Any") -> bool:
    """A list of groups is the same in any order."""
    return sorted(wanted) == sorted(found or ()) if field == "groups" else wanted == found


def validate(host: "Host", want: "Desired", found: "Desired") -> str:
    """A number or a name that somebody else has, told before anything is written. '' : nothing."""
    if want.state != "present":
        return ""
    if found.state == "absent" and host.user_id(want.name) is not None and not host.root:
        return "user %s comes from a directory service, not from /etc/passwd; it cannot be managed here" % want.name
    if want.uid is not None and want.uid != found.uid:
        for name, user in accounts.users(host).items():
            if user.uid == want.uid and name != want.name:
                return "uid %d belongs to user %s already" % (want.uid, name)
    # what is only remembered of a secret is compared and never written; it has no form to look at
    if type(want.password_hash) in (str, SecretText) and not _HASH.match(want.password_hash):
        return "password_hash is not a hash as crypt(5) writes it ($6$...), nor ! for no password"
    return ""


def apply(host: "Host", want: "Desired", found: "Desired", differing: "Sequence[str]") -> None:
    if want.state == "absent":
        if want.name in accounts.users(host):
            host.run(["userdel"] + (["--remove"] if want.remove_home else []) + ["--", want.name])
        return
    if found.state == "absent" and want.name not in accounts.users(host):
        _add(host, want)
    else:
        _modify(host, want, [field for field in differing if field not in ("state", "password_hash")])
    if want.password_hash is not None and ("password_hash" in differing or found.state == "absent"):
        line = "%s:%s\n" % (want.name, "".join(want.password_hash))
        host.run(["chpasswd", "--encrypted"], input=line.encode("utf-8", "surrogateescape"))


def _add(host: "Host", want: "Desired") -> None:
    argv = ["useradd", *_settings(want, ("uid", "home", "shell", "comment", "expires"))]
    if want.group is not None:
        argv += ["--gid", want.group]
    elif want.name in accounts.groups(host):
        argv += ["--gid", want.name]  # useradd refuses to make a user whose own group exists
    else:
        argv += ["--user-group"]
    if want.groups:
        argv += ["--groups", ",".join(want.groups)]
    argv += ["--system", "--no-create-home"] if want.system else ["--create-home"]
    host.run([*argv, "--", want.name])


def _modify(host: "Host", want: "Desired", differing: "Sequence[str]") -> None:
    argv = _settings(want, [field for field in differing if field != "groups"])
    if "groups" in differing:
        argv += ["--groups", ",".join(_memberships(host, want))]
    if argv:
        host.run(["usermod", *argv, "--", want.name])


def _memberships(host: "Host", want: "Desired") -> "List[str]":
    """Every further group the user must be in afterwards, for usermod knows no 'leave the rest alone, but not this one'."""
    wanted = want.groups or ()
    if not want.append:
        return sorted(wanted)
    now = {name for name, group in accounts.groups(host).items() if want.name in group.members}
    left = {name[1:] for name in wanted if name.startswith(NOT)}
    return sorted((now | {name for name in wanted if not name.startswith(NOT)}) - left)


def _settings(want: "Desired", fields: "Sequence[str]") -> "List[str]":
    argv = []
    for field, option in _FLAGS:
        value = getattr(want, field)
        if field in fields and value is not None:
            argv += [option, "" if field == "expires" and value == "never" else str(value)]
    return argv


def removal(record: "Removal") -> "Optional[Desired]":
    """A user we made goes, with the home directory only if `remove_home` said so; one that was there gets back what we changed.

    The old password hash is kept nowhere, so a password we set stays.
    """
    before, want = record["before"], record["want"]
    if record["created"]:
        return Desired(record["name"], state="absent", remove_home=want.get("remove_home"))
    restored = {}
    for field, _ in _FLAGS:
        if want.get(field) is not None and before.get(field) is not None:
            restored[field] = before[field]
    if want.get("groups") is not None and before.get("groups") is not None:
        restored["groups"] = list(before["groups"])
        if want.get("append"):
            restored["append"] = True
            restored["groups"] = [NOT + name for name in want["groups"] if name not in before["groups"]]
    return Desired(record["name"], state="present", **restored) if restored else None
