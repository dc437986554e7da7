"""Networks: hosts that are away, silent, slow, cut off, or somebody else."""

import time

from tests.faults.row import UNREACHABLE, Row, row
from tests.faults.scene import Scene


def _unreachable(cause: str):  # type: ignore[no-untyped-def]
    def says(scene: Scene) -> None:
        told = scene.host_told()
        assert told["outcome"] == "unreachable", told
        assert cause in str(told), told

    return says


row(
    Row(
        "N03",
        "black hole: nothing answers, and nothing says so",
        inject=lambda scene: scene.victim.cut(port=22),
        mend=lambda scene: scene.victim.heal(),
        says=_unreachable("10 s"),
        codes=(UNREACHABLE,),
        bound_s=25,
    )
)
row(
    Row(
        "N02",
        "refused: no sshd",
        inject=lambda scene: scene.victim.stop_sshd(),
        mend=lambda scene: scene.victim.start_sshd(),
        says=_unreachable("refused"),
        codes=(UNREACHABLE,),
        bound_s=20,
    )
)


def _cut_for_good(scene: Scene) -> None:
    scene.exists_soon("/etc/work/large.conf")
    scene.victim.cut()


row(
    Row(
        "N08",
        "the link is cut in mid-run and stays cut",
        during=_cut_for_good,
        mend=lambda scene: scene.victim.heal(),
        codes=(UNREACHABLE,),
        bound_s=60,
        lost=True,
    )
)


def _cut_for_five_seconds(scene: Scene) -> None:
    scene.exists_soon("/etc/work/large.conf")
    scene.victim.cut()
    time.sleep(5)
    scene.victim.heal()


row(Row("N09", "the link is cut for 5 s and comes back", during=_cut_for_five_seconds, bound_s=60))
