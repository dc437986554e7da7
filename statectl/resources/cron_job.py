"""Jobs of cron, each in a file of its own below /etc/cron.d or as a marked block of a shared one."""

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator

from statectl.resources.fields import AbsolutePath, Account, Text, wrong
from statectl.resources.model import Edge, Resource
from statectl.resources.paths import State

SECTION = "cron_jobs"
PHASE = "settings"

SPECIAL = ("reboot", "yearly", "annually", "monthly", "weekly", "daily", "midnight", "hourly")
TIMES = ("minute", "hour", "day", "month", "weekday")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
# cron skips files below /etc/cron.d whose name holds anything else, a dot for example.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")
_STEP = re.compile(r"(?P<first>\*|\w+)(?:-(?P<last>\w+))?(?:/(?P<step>[0-9]{1,3}))?")


def _name(value: Any) -> Any:
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise wrong("cron job name not valid: letters, digits, _ and - (cron skips files with other names)")
    return str.__str__(value)


def _number(text: str, low: int, high: int, names: tuple[str, ...], base: int) -> int | None:
    if text.lower() in names:
        return names.index(text.lower()) + base
    return int(text) if text.isascii() and text.isdigit() and low <= int(text) <= high else None


def _when(low: int, high: int, names: tuple[str, ...] = (), base: int = 0) -> BeforeValidator:
    """One time field of crontab(5): lists of *, numbers, names and ranges, each with a step."""

    def check(value: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise wrong("expected a time field of crontab such as 5, */10 or 1-5,20")
        text = str(value)
        for part in text.split(","):
            match = _STEP.fullmatch(part)
            if match is None:
                raise wrong("expected a time field of crontab such as 5, */10 or 1-5,20")
            if match["step"] is not None and not 1 <= int(match["step"]) <= high:
                raise wrong(f"a step must be 1 to {high}")
            if match["first"] == "*":
                if match["last"] is not None:
                    raise wrong("expected a time field of crontab such as 5, */10 or 1-5,20")
                continue
            first = _number(match["first"], low, high, names, base)
            last = first if match["last"] is None else _number(match["last"], low, high, names, base)
            if first is None or last is None:
                raise wrong(f"out of range: {low} to {high}" + (" or a name such as " + names[1] if names else ""))
            if last < first:
                raise wrong("the range ends before it starts")
            if match["step"] is not None and match["last"] is None:
                raise wrong("a step needs a range or * before it, such as */5 or 10-50/5")
        return text

    return BeforeValidator(check)


def _command(value: Any) -> Any:
    if not isinstance(value, str) or not value.strip():
        raise wrong("expected a command line")
    if "\n" in value.strip() or "\r" in value:
        raise wrong("a cron command is one line; put more into a script and call that")
    if re.search(r"(?<!\\)%", value):
        raise wrong(r"cron turns % into a line break; write \% for a percent sign")
    return str.__str__(value).strip()


def _special(value: Any) -> Any:
    text = value.removeprefix("@") if isinstance(value, str) else value
    if text not in SPECIAL:
        raise wrong("expected one of " + ", ".join(SPECIAL))
    return str(text)


def _env(value: Any) -> Any:
    if not isinstance(value, dict):
        raise wrong("expected a map of names and values")
    for name, text in value.items():
        if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            raise wrong("environment names are letters, digits and _, and do not start with a digit")
        if isinstance(text, bool | dict | list) or text is None or "\n" in str(text) or '"' in str(text):
            raise wrong(f'the value of {name} must be one line of text without "')
    return {str(name): str(text).strip() for name, text in value.items()}


def _file(value: Any) -> Any:
    if value != "/etc/crontab" and not re.fullmatch(r"/etc/cron\.d/[A-Za-z0-9_-]+", str(value)):
        raise wrong("expected /etc/crontab or a file below /etc/cron.d whose name holds only letters, digits, _ and -")
    return value


class Model(Resource):
    name: Annotated[Text, BeforeValidator(_name)] = Field(description="name of the job; part of its file's name")
    state: State = Field(default="present", description="present or absent")
    user: Account | None = Field(default=None, description="user that the command runs as (default root)")
    command: Annotated[Text, BeforeValidator(_command)] | None = Field(
        default=None, description=r"command line for /bin/sh; a percent sign is written \%"
    )
    minute: Annotated[Text, _when(0, 59)] | None = Field(default=None, description="minute, as in crontab (default *)")
    hour: Annotated[Text, _when(0, 23)] | None = Field(default=None, description="hour, as in crontab (default *)")
    day: Annotated[Text, _when(1, 31)] | None = Field(default=None, description="day of the month (default *)")
    month: Annotated[Text, _when(1, 12, _MONTHS, 1)] | None = Field(
        default=None, description="month, number or name (default *)"
    )
    weekday: Annotated[Text, _when(0, 7, _DAYS)] | None = Field(
        default=None, description="day of the week, number (0 and 7 are Sunday) or name (default *)"
    )
    special: Annotated[Text, BeforeValidator(_special)] | None = Field(
        default=None, description="in place of the five: reboot, yearly, monthly, weekly, daily or hourly"
    )
    env: Annotated[dict[str, str], BeforeValidator(_env)] | None = Field(
        default=None, description="environment of the job, such as MAILTO; needs a file of its own"
    )
    file: Annotated[AbsolutePath, BeforeValidator(_file)] | None = Field(
        default=None,
        description="shared file to keep the job in as a marked block; not given: /etc/cron.d/statectl-NAME of its own",
    )

    @model_validator(mode="before")
    @classmethod
    def _complete(cls, data: Any) -> Any:
        """Every field of a job that is there has a value, so that whatever is written into the file by hand is seen."""
        if not isinstance(data, dict) or data.get("state") == "absent":
            return data
        given = {key: value for key, value in data.items() if value is not None}
        if "special" not in given and not any(field in given for field in TIMES):
            # `minute: "*"` is every minute on purpose; leaving all of them out is not
            raise wrong("cron_job needs a time: at least one of minute, hour, day, month, weekday, or `special`")
        times = {} if "special" in given else dict.fromkeys(TIMES, "*")
        return {**data, **times, "user": "root", "env": {}, **given}

    @model_validator(mode="after")
    def _fits(self) -> "Model":
        if self.state == "absent":
            return self
        if self.command is None:
            raise wrong("cron_job needs `command`")
        given = [field for field in TIMES if getattr(self, field) not in (None, "*")]
        if self.special is not None and given:
            raise wrong(f"`special` and `{given[0]}` exclude each other; keep one of them")
        if self.env and self.file is not None:
            raise wrong("`env` would hold for every job of the shared file; leave out `file` or `env`")
        return self


def short(key: Any, value: Any) -> dict[str, Any] | None:  # noqa: ARG001  the key says nothing more
    """`absent`."""
    return {"state": "absent"} if value == "absent" else None


def edges(model: Model) -> list[Edge]:
    found = [Edge("directory:/etc/cron.d")]
    if isinstance(model.user, str):
        found.append(Edge(f"user:{model.user}"))
    return found
