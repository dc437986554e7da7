"""Every oracle of tests/faults can fail: rows that break exactly one promise are reported as broken by its oracle."""

import pytest

from tests.faults.play import Stage
from tests.faults.row import UNREACHABLE, Row
from tests.faults.scene import Scene
from tests.lab import HostPool


@pytest.fixture(scope="module")
def stage(host_pool: HostPool) -> Stage:
    return Stage(host_pool)


def _after_the_end(spoil: str):
    """Spoil the victim between the end of the run and the judgement."""

    def during(scene: Scene) -> None:
        scene.process.wait()
        scene.victim.sh(spoil)

    return during


def _leak(scene: Scene) -> None:
    scene.victim.write("/srv/leak", f"the secret is {scene.canary}\n")


SABOTAGED = {
    "O1 ends": (
        Row("X1.bound", "takes longer than announced", bound_s=0.1),
        Row("X1.code", "ends with a code that was not expected", codes=(UNREACHABLE,)),
    ),
    "O2 isolated": (
        Row(
            "X2", "the other host is lost as well", inject=lambda scene: scene.witness.stop_sshd(), codes=(UNREACHABLE,)
        ),
    ),
    "O3 true": (Row("X3", "called changed, and it is not there", during=_after_the_end("rm /etc/work/link")),),
    "O4 no damage": (
        Row(
            "X4.file",
            "a torn file",
            during=_after_the_end("printf torn > /etc/work/adopted.conf"),
            command=("plan", "--json"),
        ),
        Row(
            "X4.temporary",
            "a temporary file stays",
            inject=lambda scene: scene.victim.write("/srv/.statectl-1.tmp", ""),
        ),
        Row(
            "X4.process",
            "a process stays",
            during=_after_the_end("STATECTL_PROCESS=1-x setsid sleep 300 >/dev/null 2>&1 &"),
        ),
        Row("X4.mount", "a mount stays", inject=lambda scene: scene.victim.sh("mount -t tmpfs tmpfs /mnt")),
    ),
    "O5 heals": (
        Row(
            "X5",
            "the fault goes, and one rerun is not enough",
            inject=lambda scene: scene.victim.stop_sshd(),
            codes=(UNREACHABLE,),
        ),
    ),
    "O6 kept": (Row("X6", "the secret is written somewhere", inject=_leak),),
}


@pytest.mark.parametrize(
    ("oracle", "sabotaged"),
    [(oracle, one) for oracle, rows in SABOTAGED.items() for one in rows],
    ids=lambda value: value.id if isinstance(value, Row) else "",
)
def test_oracle_notices(stage: Stage, oracle: str, sabotaged: Row) -> None:
    """A broken promise is noticed by the oracle that stands for it."""
    played = stage.play(sabotaged)
    assert not played.survived, f"{sabotaged.title}: nobody noticed"
    assert played.oracle == oracle, played.seen
