"""What the parameter store answers when it does not do what it was asked."""

from collections.abc import Collection

from statectl.errors import Refused, UsageError
from statectl.problems import did_you_mean


def missing(name: str) -> Refused:
    """The same words whether it is not there or may not be seen."""
    return Refused(
        f"parameter {shown(name)} not found (or no permission)",
        code="E610",
        hint="statectl parameter list shows those that you may see",
    )


def forbidden(what: str, name: str) -> Refused:
    """For what is asked whether or not anything is there, such as writing."""
    return Refused(
        f"no permission to {what} {shown(name)}",
        code="E611",
        hint="the policy file of the setting parameters.access says who may",
    )


def not_valid(text: str, *, code: str, hint: str = "") -> UsageError:
    return UsageError(text, code=code, hint=hint)


def shown(text: str) -> str:
    """A name as given, not longer than a line."""
    return text if len(text) <= 120 else f"{text[:117]}..."


def one_of(word: str, known: Collection[str]) -> str:
    """The nearest, or all."""
    return did_you_mean(word[:80], known) or f"one of {', '.join(known)}"
