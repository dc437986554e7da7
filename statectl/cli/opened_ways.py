"""How the hosts of an opened project are reached, and conversations with single ones."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from statectl.cli.opened_store import OpenedStore
from statectl.errors import Refused
from statectl.reconcile.endpoints import endpoint
from statectl.store.ids import who
from statectl.transport.channel import Become, Endpoint, Transport

if TYPE_CHECKING:
    from statectl.transport.bundle import Bundle
    from statectl.transport.kept import KeptLogins
    from statectl.transport.session import ExecutorSession


class OpenedWays(OpenedStore):
    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.become = False
        self._bundle: Bundle | None = None
        self._transports: dict[str, Transport] = {}
        self._kept: KeptLogins | None = None

    def endpoint(self, name: str) -> Endpoint:
        found = endpoint(self.inventory.hosts[name], self.project.settings, self.root, self.credentials)
        if self.become and found.become is None and self.project.settings.limits.become is not False:
            found = replace(found, become=Become("root", self.credentials.become_password))
        return found

    def keep_logins(self, kept: "KeptLogins") -> None:
        """Reach hosts over logins that stand open, and leave them open. Those that lead elsewhere by now are closed."""
        from statectl.transport.ssh import SshTransport

        self._kept = kept
        if kept.hosts:
            transport = self.transport("ssh")
            assert isinstance(transport, SshTransport)
            ways = {name: transport.way(self.endpoint(name)) for name in kept.hosts if name in self.inventory.hosts}
            kept.only(ways.get)

    def transport(self, kind: str) -> Transport:
        if kind not in self._transports:
            if kind == "local":
                from statectl.transport.local import LocalTransport

                self._transports[kind] = LocalTransport()
            else:
                from statectl.transport.known_hosts import TrustedKeys, standard_files
                from statectl.transport.ssh import SshTransport

                self._transports[kind] = SshTransport(TrustedKeys(standard_files(self.inventory_path)), self._kept)
        return self._transports[kind]

    def note(self, host: str) -> str:
        """What the way to a host could do better, as its last contact showed; '' when nothing."""
        notes: dict[str, str] = getattr(self._transports.get("ssh"), "notes", {})
        return notes.get(host, "")

    async def _start(self, target: Endpoint, order: Mapping[str, Any]) -> "ExecutorSession":
        from statectl.transport import bundle, session

        if self._bundle is None:
            self._bundle = await asyncio.to_thread(bundle.build)
        return await session.start(self.transport(target.connection), target, self._bundle, order)

    async def converse(self, host: str, run_id: str, kind: str, **order: Any) -> "ExecutorSession":
        """Start the executor on one host with an order of another kind than plan and apply; its `ready` is still to come."""
        target = self.endpoint(host)
        message = {
            "type": "order",
            "run": run_id,
            "host": host,
            "kind": kind,
            "controller": who(),
            "state_dir": target.state_dir or None,
            "limits": self._limits(),
            **order,
        }
        return await self._start(target, message)

    async def ask(self, host: str, kind: str) -> dict[str, Any]:
        """The `ready` message of one host: facts and memory."""
        from statectl.store.ids import new_id

        return await self.answer(await self.converse(host, new_id(), kind))

    async def answer(self, conversation: "ExecutorSession") -> dict[str, Any]:
        """The `ready` message of a conversation that asks for nothing else, which is then closed."""
        try:
            ready = await conversation.receive()
            while ready["type"] in ("log", "waiting"):
                ready = await conversation.receive()
            if ready["type"] != "ready":
                raise Refused(str(ready.get("reason") or "the executor refused"), code=str(ready.get("code") or "E501"))
            message = ready
            while message["type"] != "end":
                message = await conversation.receive()
            return ready
        finally:
            await conversation.close()

    def _limits(self) -> dict[str, Any]:
        limits = self.project.settings.limits
        return {
            "paths": list(limits.paths),
            "deny": list(limits.deny),
            "max_removals": limits.max_removals,
            "become": limits.become,
        }
