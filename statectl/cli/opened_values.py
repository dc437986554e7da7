"""The parameter store of an opened project, and what its files ask of it."""

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from statectl.cli.opened_store import OpenedStore
from statectl.cli.scope import Scope

if TYPE_CHECKING:
    from statectl.cli.values import Values
    from statectl.parameters.declared import DeclaredParameters
    from statectl.parameters.store import ParameterStore


class OpenedValues(OpenedStore):
    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._parameters: ParameterStore | None = None
        self._parameters_lock = threading.Lock()
        self._declared: DeclaredParameters | None = None
        self._values: Values | None = None
        self.pinned: Mapping[str, int | str] = {}  # versions of parameters that a saved plan was made with

    def parameter_store(self) -> "ParameterStore":
        with self._parameters_lock:
            if self._parameters is None:
                from statectl.cli.opening_parameters import parameters_in

                self._parameters = parameters_in(self.records().database, self._store_root, self.project.settings)
            return self._parameters

    def declared_parameters(self, scope: Scope) -> "DeclaredParameters | None":
        """None: the files declare none, and no apply of theirs ever put one."""
        if self._declared is None:
            project = self.project
            if not project.parameters and not self.records().has_declared_parameters(project.settings.project):
                return None
            from statectl.cli.opening_parameters import keys_in
            from statectl.cli.values import wanted
            from statectl.parameters.declared import DeclaredParameters, in_scope
            from statectl.parameters.placed import Ledger

            self._declared = DeclaredParameters(
                self.parameter_store(),
                Ledger(self.records().database, project.settings.project),
                wanted(
                    project.parameters.values(),
                    project.associations,
                    self.root,
                    trusted=project.settings.trusted,
                    keys=lambda: keys_in(self._store_root, project.settings),
                    needed=lambda one: in_scope(
                        one.name, one.association, scope.associations or None, scope.only or None
                    ),
                ),
                selected=scope.associations or None,
                only=list(scope.only) or None,
                prune=scope.prune,
                release=scope.release,
                max_removals=project.settings.limits.max_removals,
            )
        return self._declared

    def values(self, scope: Scope) -> "Values":
        """param() and secret() of this command."""
        if self._values is None:
            from statectl.cli.values import Values

            declared = self.declared_parameters(scope) if self.project.parameters else None
            planned, others = (declared.wanted, declared.others) if declared is not None else ({}, {})
            self._values = Values(self.parameter_store, planned, others, self.pinned)
        return self._values
