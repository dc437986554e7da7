"""How each host is reached: command line over host over group over project settings over defaults. Nothing a host said counts."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from statectl.project.model import Settings
from statectl.secrets import Secret
from statectl.targets.hosts import Host
from statectl.targets.undo_after import DEFAULT_S, seconds
from statectl.transport.channel import Become, Endpoint


@dataclass(frozen=True, slots=True)
class Credentials:
    """What was asked once on the command line, from a prompt or a file descriptor."""

    user: str = ""
    password: Secret | None = None
    become_password: Secret | None = None
    identity_files: tuple[str, ...] = ()


def endpoint(host: Host, settings: Settings, root: Path, credentials: Credentials) -> Endpoint:
    said = host.connection
    default: Mapping[str, Any] = settings.connection

    def first(name: str, fallback: Any) -> Any:
        value = getattr(said, name)
        return value if value is not None else default.get(name, fallback)

    become = first("become", False)
    if settings.limits.become is False:
        become = False
    kind = str(first("connection", "ssh"))
    state_dir = ""
    if kind == "local" and settings.limits.paths:
        # a project that may only touch some paths keeps even its memory inside its own directory
        state_dir = str(root / ".statectl" / "hosts" / host.name)
    return Endpoint(
        name=host.name,
        address=said.address or host.address or host.name,
        port=int(first("port", 0)),
        user=credentials.user or str(first("user", "")),
        connection=kind,
        jump=tuple(first("jump", ())),
        identity_files=credentials.identity_files or tuple(first("identity_files", ())),
        host_key=str(first("host_key", "")),
        python=str(first("python", "")),
        become=Become(become if isinstance(become, str) else "root", credentials.become_password) if become else None,
        password=credentials.password,
        undo_after=seconds(str(first("undo_after", f"{DEFAULT_S:.0f}s"))),
        state_dir=state_dir,
    )
