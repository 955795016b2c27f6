"""The state machine of durable sessions: kills, lost queues, restored backups, forged parcels."""

from __future__ import annotations

import numpy as np
import pytest
from tests.durable.world import World


def undisturbed(world: World) -> list[str]:
    for me in range(world.parties):
        world.start(me)
    world.carry()
    return transcripts(world)


def transcripts(world: World) -> list[str]:
    cores = [core for core in world.cores if core is not None]
    assert len(cores) == world.parties
    for core in cores:
        assert core.problem is None
        assert core.state == "closed"
    return [core.transcript() for core in cores]


def results(world: World) -> list[np.ndarray]:
    return [core.party.result[0] for core in world.cores if core is not None]


def expected(parties: int = 3) -> np.ndarray:
    return np.prod([np.arange(5) * (owner + 2) - 3 for owner in range(parties)], axis=0)


@pytest.mark.parametrize("protocol", ["rep3", "shamir", "rep3_malicious"])
def test_result_is_that_of_the_program(protocol: str) -> None:
    world = World(protocol)
    undisturbed(world)
    for result in results(world):
        assert np.array_equal(result, expected())


def test_killed_after_every_turn() -> None:
    want = undisturbed(World())
    for victim in range(3):
        for moment in range(1, 40):
            world = World()
            for me in range(3):
                world.start(me)
            for turn in range(moment):
                world.turn(turn % 3, most=1)
            world.kill(victim)
            world.start(victim)
            world.carry()
            assert transcripts(world) == want
            assert all(np.array_equal(result, expected()) for result in results(world))
