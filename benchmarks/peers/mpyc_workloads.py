"""MPyC (Shamir, three parties): workloads of quorate bench on its arrays, one process per party on loopback.

Run it with the Python of the environment that setup.sh makes for MPyC.
"""

from __future__ import annotations

import sys
import time
from importlib.metadata import version
from typing import Any

import numpy as np
from common import DEPENDENT, FRACTION, PARTIES, WORKLOADS, Measured, Peer, main, max_error, operand, peak_mb

PRIME = 2**61 - 1
SIZES = {
    "product": 10**6,
    "comparison": 10**4,
    "equality": 10**4,
    "fixed_product": 10**4,
    "dependent_products": DEPENDENT,
    "sort": 10**3,
}
SHOWN = 100


def party(name: str, n: int, repeats: int, rank: int, port: int) -> Measured:
    """Join as party `rank`, run the workload `repeats` times after one warm-up and check the first results."""
    sys.argv[1:] = [f"-M{PARTIES}", "-I", str(rank), "-B", str(port), "--no-log"]  # MPyC reads them on import
    from mpyc.runtime import mpc

    measured: Measured = mpc.run(_session(mpc, name, n, repeats))
    return measured


async def _session(mpc: Any, name: str, n: int, repeats: int) -> Measured:
    await mpc.start()
    kind = _kind(mpc, name)
    x, y = [await _dealt(mpc, kind, operand(name, n, which)) for which in range(2)]
    seconds, sent = [], 0
    for _ in range(repeats + 1):
        z = None  # its memory serves the next result
        await mpc.transfer(0)
        start, before = time.perf_counter(), _bytes_sent(mpc)
        z = await _step(mpc, name, x, y)
        sent = _bytes_sent(mpc) - before
        await mpc.transfer(0)
        seconds.append(time.perf_counter() - start)
    peak = peak_mb()
    opened = await mpc.output(z if name == "dependent_products" else z[:SHOWN])
    await mpc.shutdown()
    return Measured(seconds[1:], peak, sent, max_error(name, n, _signed(opened)))


def _kind(mpc: Any, name: str) -> Any:
    """The secret type: the field of quorate's own Shamir protocol where MPyC needs no headroom."""
    if WORKLOADS[name].scaled:
        return mpc.SecFxp(64, FRACTION)
    return mpc.SecInt(64) if name in ("comparison", "equality", "sort") else mpc.SecFld(PRIME)


async def _dealt(mpc: Any, kind: Any, values: Any) -> Any:
    """A shared array, an input of party 0; for a single number a shared scalar, which is faster in MPyC."""
    if values.size == 1:
        mine = kind(int(values[0]))
    elif values.dtype.kind == "f":
        mine = kind.array(values, integral=False)
    else:
        mine = kind.array(kind.field.array(values.astype(object)))
    shared = mpc.input(mine, senders=0)
    await mpc.gather(shared)
    return shared


async def _step(mpc: Any, name: str, x: Any, y: Any) -> Any:
    """The operation, until this party holds its share of the result."""
    if name == "dependent_products":
        z = x
        for _ in range(DEPENDENT):
            z = z * y
            await mpc.gather(z)  # 5 to 10 % faster than to let all the tasks wait at once
        return z
    steps = {"comparison": lambda: x < y, "equality": lambda: x == y, "sort": lambda: mpc.np_sort(x)}
    z = steps.get(name, lambda: x * y)()
    await mpc.gather(z)
    return z


def _bytes_sent(mpc: Any) -> int:
    return sum(peer.protocol.nbytes_sent for peer in mpc.parties if peer.pid != mpc.pid)


def _signed(opened: Any) -> Any:
    """Plain numbers in an array; field elements as their representatives around 0."""
    return np.atleast_1d(opened.signed_() if hasattr(opened, "signed_") else opened)


if __name__ == "__main__":
    main(Peer(f"MPyC {version('mpyc')}", "shamir", SIZES, party))
