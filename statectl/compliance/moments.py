"""How the fleet stood after a run: the words, and the model."""

from pydantic import BaseModel, Field

WORST_FIRST = ("failed", "unknown", "drifted", "pending", "exempt", "compliant")


class StatusChange(BaseModel):
    """One resource that was found with another status than before."""

    host: str = Field(description="inventory name")
    association: str = Field(description="name of the association")
    address: str = Field(description="type:name")
    before: str = Field(description="status before; '' : it was read for the first time")
    after: str = Field(description="status since; '' : no longer declared")
    reason: str = Field(default="", description="why")


class Moment(BaseModel):
    """How the fleet stood after one run."""

    at: str = Field(description="UTC; when the last host of the run was recorded")
    run: str = Field(description="id of the run")
    verb: str = Field(description="plan, apply or drift")
    hosts_total: int = Field(description="hosts that have at least one association now")
    hosts_compliant: int = Field(description="hosts of which every association was compliant")
    by_status: dict[str, int] = Field(description="hosts by their worst status")
    changes: list[StatusChange] = Field(description="what was found with another status than before")
