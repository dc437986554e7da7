"""age:PATH: X25519 identities of age in a file of mode 0600, as age-keygen writes it, the newest last. Needs `statectl[age]`."""

import re
from pathlib import Path
from typing import Any

from statectl.errors import Refused
from statectl.parameters.keys.key_file import read_private, write_private

_IDENTITY = re.compile(r"^AGE-SECRET-KEY-1[0-9A-Z]+$", re.MULTILINE)


def _pyrage() -> Any:
    try:
        import pyrage
        import pyrage.x25519
    except ImportError:
        raise Refused(
            "keys of age need a library that is not installed", code="E619", hint="install statectl[age]"
        ) from None
    return pyrage


class AgeIdentities:
    remote = False

    def __init__(self, path: str, root: Path) -> None:
        self._path = root / Path(path).expanduser()

    def _identities(self) -> dict[str, Any]:
        """{id: identity} in order; read each time: a data key is wrapped rarely, and the file may have been renewed."""
        text = read_private(self._path, "age identity")
        found = {}
        for line in _IDENTITY.findall(text or ""):
            try:
                identity = _pyrage().x25519.Identity.from_str(line)
            except Exception as error:
                if isinstance(error, Refused):
                    raise
                raise Refused(f"{self._path} holds an identity of age that is damaged", code="E619") from None
            found[f"age:{identity.to_public()}"] = identity
        return found

    def exists(self) -> bool:
        return bool(self._identities())

    def create(self) -> str:
        """An identity is also for other things than ours: it is made by its owner."""
        raise self._missing()

    def holds(self, key_id: str) -> bool:
        return key_id.startswith("age:") and key_id in self._identities()

    def current(self) -> str:
        identities = self._identities()
        if not identities:
            raise self._missing()
        return list(identities)[-1]

    def wrap(self, data_key: bytes, name: str) -> tuple[str, bytes]:
        del name  # age has no associated data; the value itself is bound to its name
        key_id = self.current()
        recipient = self._identities()[key_id].to_public()
        wrapped: bytes = _pyrage().encrypt(data_key, [recipient])
        return key_id, wrapped

    def unwrap(self, key_id: str, wrapped: bytes, name: str) -> bytes:
        pyrage = _pyrage()
        try:
            data_key: bytes = pyrage.decrypt(wrapped, [self._identities()[key_id]])
        except pyrage.DecryptError:
            raise Refused(f"the data key of {name} was changed", code="E620", hint="write the parameter anew") from None
        return data_key

    def renew(self) -> str:
        text = read_private(self._path, "age identity")
        if text is None:
            raise self._missing()
        self._write(f"{text.rstrip()}\n{_pyrage().x25519.Identity.generate()}\n")
        return f"added the identity {self.current()} to {self._path}; copy the file again"

    def drop_old(self) -> int:
        raise Refused(
            f"identities in {self._path} may be for other things too",
            code="E619",
            hint="take the old ones out yourself",
        )

    def shown(self) -> str:
        identities = self._identities()
        if not identities:
            return f"there is no identity of age in {self._path}"
        return f"{self._path} holds {', '.join(identities)}"

    def _write(self, text: str) -> None:
        try:
            write_private(self._path, text, new=False)
        except OSError as error:
            raise Refused(
                f"{self._path} cannot be written: {(error.strerror or 'error').lower()}", code="E619"
            ) from None

    def _missing(self) -> Refused:
        return Refused(
            f"there is no identity of age in {self._path}",
            code="E619",
            hint=f"put it back from your copy, or for a new store: (umask 077; age-keygen -o {self._path})",
        )
