"""One line of compliance: a host and an association, or a host and a patch baseline."""

from pydantic import BaseModel, Field

SEVERITIES = ("critical", "high", "medium", "low", "informational", "unspecified")


class Entry(BaseModel):
    """One host and one association, or one host and one patch baseline."""

    host: str = Field(description="inventory name")
    association: str = Field(description="name of the association; '' : it is about a patch baseline")
    baseline: str = Field(default="", description="name of the patch baseline; '' : it is about an association")
    status: str = Field(
        description="the worst of its resources or patches: compliant, pending, drifted, failed, unknown; exempt counts as compliant"
    )
    since: str = Field(
        default="",
        description="UTC; when the oldest of the resources in that status entered it; of patches: when the first was approved",
    )
    checked: str = Field(default="", description="UTC; when the host was last really read; '' : never")
    counts: dict[str, int] = Field(
        default_factory=dict, description="resources by status; of a baseline patches by status, without compliant ones"
    )
    deviations: list[dict[str, str]] = Field(
        default_factory=list,
        description="resources that are not compliant; patches with state, level, versions and the day on which a pin ends",
    )
    reason: str = Field(default="", description="why, when the host as a whole is unknown")
    severity: str = Field(
        default="unspecified",
        description="what a deviation means, as the association says it; of a baseline the worst level of what is not compliant",
    )
    index_fetched: str = Field(
        default="", description="UTC; of a baseline: when the oldest of the host's package indexes was fetched"
    )
    patches: dict[str, int] = Field(
        default_factory=dict,
        description="of a baseline: patches by state, and those that are not compliant; empty: not known",
    )
