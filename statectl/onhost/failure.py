"""What can go wrong on a host, in two exceptions that every part of the executor shares."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterable, Optional

    from statectl.onhost.shapes import Address, Error


class Failed(Exception):
    """Something could not be done, and it is known why.

    message  one line: what, where and, where we know it, what to do
    cause    short class of cause, equal for equal causes on different hosts: "no space left on device"
    argv     the command that failed, or ()
    code     its exit code; negative: the signal that ended it; None: no command, or it never started
    output   the last 4 KiB of what it printed (text)
    """

    def __init__(
        self, message: str, cause: str = "", argv: "Iterable[str]" = (), code: "Optional[int]" = None, output: str = ""
    ) -> None:
        super(Failed, self).__init__(message)
        self.message = message
        self.cause = cause or message
        self.argv = tuple(argv)
        self.code = code
        self.output = output

    def record(self) -> "Error":
        """As the `error` of a result message."""
        return {
            "cause": self.cause,
            "message": self.message,
            "argv": [os_text(part) for part in self.argv],
            "code": self.code,
            "output": os_text(self.output),
        }


class Unknown(Exception):
    """Raised or returned by a type's `read` for one name: the state cannot be told before `until` have been applied."""

    def __init__(self, reason: str, until: "Iterable[Address]" = ()) -> None:
        super(Unknown, self).__init__(reason)
        self.reason = reason
        self.until = tuple(until)


def os_text(text: str) -> str:
    """Text with undecodable bytes (surrogates) -> text that any encoder takes, the bytes spelled out in hexadecimal."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def system_says(error: "OSError") -> str:
    """OSError -> 'no space left on device'. Not every one of them has a text of the system."""
    return (error.strerror or str(error)).lower()
