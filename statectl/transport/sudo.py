"""sudo in front of the executor: its command line, its prompt, and the many ways in which it says no.

The password goes over stdin, once, when our own prompt was seen; never in argv, never in the environment. Without a password sudo is
told not to ask (`-n`). Messages are read in the C locale.
"""

from collections.abc import Sequence

from statectl.errors import StatectlError, Unreachable
from statectl.transport.channel import Become


class Sudo:
    """One start through sudo. `nonce` makes the prompt one that nobody else prints."""

    def __init__(self, become: Become, nonce: str) -> None:
        self._become = become
        self._prompt = f"[statectl {nonce}] password: "
        self._answered = False

    @property
    def asks(self) -> bool:
        """May sudo read from stdin before the executor does?"""
        return self._become.password is not None

    def argv(self, command: Sequence[str]) -> list[str]:
        """`env` sets the language; both become the next program, so no process is left over."""
        asking = ["-n"] if self._become.password is None else ["-S", "-p", self._prompt]
        return ["/usr/bin/env", "LC_ALL=C", "sudo", *asking, "-H", "-u", self._become.user, "--", *command]

    def answer(self, stderr: str) -> bytes:
        """What to write to stdin now, b'' for nothing. A second prompt raises: the password was wrong.

        sudo would ask three times; two more tries with the same password only lock accounts.
        """
        asked = stderr.count(self._prompt)
        if self._become.password is None or not asked:
            return b""
        if self._answered:
            if asked > 1:
                raise self._wrong()
            return b""
        self._answered = True
        return self._become.password.reveal().encode("utf-8") + b"\n"

    def refusal(self, stderr: str) -> StatectlError | None:
        """sudo ended: the reason in one line, or None when it was not sudo."""
        user = self._become.user
        for words, code, text, hint in (
            (("incorrect password attempt", "Sorry, try again"), "E331", "", ""),
            (
                ("a password is required",),
                "E330",
                "sudo needs a password here",
                "give one with --ask-become-password, or allow this user NOPASSWD",
            ),
            (
                ("you must have a tty", "no tty present", "a terminal is required"),
                "E333",
                "sudo wants a terminal (requiretty)",
                "take requiretty out of sudoers for this user",
            ),
            (
                ("is not in the sudoers file", "is not allowed to", "may not run sudo", "not allowed to run sudo"),
                "E332",
                f"sudo does not let this user become {user}",
                "",
            ),
            (("unknown user",), "E335", f"sudo knows no user {user} here", ""),
            (
                (
                    "'sudo': No such file",
                    "‘sudo’: No such file",
                    "sudo: No such file",
                    "sudo: not found",
                    "sudo': No such",
                ),
                "E334",
                "sudo is not installed",
                "log in as root, or install sudo",
            ),
            (
                ("account validation failure", "expired", "PAM account management error"),
                "E332",
                "sudo refused: " + " ".join(_last(stderr, "sudo:").split())[:200],
                "",
            ),
        ):
            if any(word in stderr for word in words):
                if code == "E331":
                    return self._wrong()
                return Unreachable(text, code=code, hint=hint)
        return None

    def silence(self, stderr: str, limit_s: float) -> StatectlError | None:
        """Nothing came in time: is it sudo that is still busy?"""
        if self._become.password is None:
            said = " ".join(_last(stderr, "").split())[:200]
            return Unreachable(
                f"nothing came through sudo in {limit_s:g} s" + (f"; it said: {said}" if said else ""),
                code="E322",
                hint="try: ssh HOST time sudo -n true; a directory server or a second factor may hold it up",
            )
        if self._answered:
            return Unreachable(f"sudo did not answer to the password in {limit_s:g} s", code="E322")
        asked = " ".join(_last(stderr, ":").split())[:200]
        return Unreachable(
            f"sudo did not ask for the password in {limit_s:g} s" + (f"; it said: {asked}" if asked else ""),
            code="E322",
        )

    def _wrong(self) -> StatectlError:
        return Unreachable("sudo did not accept the password", code="E331")


def _last(text: str, part: str) -> str:
    lines = [line for line in text.splitlines() if part in line]
    return "".join(character for character in lines[-1] if character.isprintable()) if lines else ""
