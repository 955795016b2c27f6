"""SPU (ABY3, three parties, 64-bit ring): workloads of quorate bench, one process per party, brpc links on loopback.

Run it with the Python of the environment that setup.sh makes for SPU.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

from common import (
    CHECKED,
    CLUSTERS,
    COLUMNS,
    DEPENDENT,
    EPOCHS,
    FEATURES,
    FRACTION,
    ITERATIONS,
    PARTIES,
    PATIENCE,
    RATE,
    TIMES,
    WORKLOADS,
    Measured,
    Peer,
    batches,
    main,
    max_error,
    operand,
    peak_mb,
)

SIZES = {
    "product": 10**6,
    "comparison": 10**6,
    "matmul": 512,
    "fixed_product": 10**6,
    "division": 10**5,
    "dependent_products": DEPENDENT,
    "equality": 10**6,
    "exp": 10**5,
    "sigmoid": 10**5,
    "sqrt": 10**5,
    "sort": 10**5,
    "group_sum": 10**5,
    "logistic_regression": 1000,
    "least_squares": 10**5,
    "kmeans": 10**5,
    "kaplan_meier": 10**5,
}


def party(name: str, n: int, repeats: int, rank: int, port: int) -> Measured:
    """Join as party `rank`, run the workload `repeats` times after one warm-up and check the first results."""
    import jax
    from spu import FieldType, Io, ProtocolKind, Runtime, RuntimeConfig

    jax.config.update("jax_enable_x64", True)  # else SPU cuts 64-bit integers to 32 bits without a word
    config = RuntimeConfig(protocol=ProtocolKind.ABY3, field=FieldType.FM64, fxp_fraction_bits=FRACTION)
    link, io = _link(rank, port), Io(PARTIES, config)
    runtime = Runtime(link, config)
    for which in range(2):
        runtime.set_var(f"x{which}", _dealt(link, io, rank, operand(name, n, which) if rank == 0 else None))
    program = _compiled(_steps()[name], [operand(name, n, which) for which in range(2)], ["x0", "x1"], "z")
    seconds = []
    for _ in range(repeats + 1):
        link.barrier()
        start = time.perf_counter()
        runtime.run(program)
        link.barrier()
        seconds.append(time.perf_counter() - start)
    peak = peak_mb()
    error = _checked(link, io, runtime, rank, name, n)
    _counted(link, config, runtime, program)
    link.barrier()
    link.stop_link()  # else the process may die on leaving while a message is still under way
    return Measured(seconds[1:], peak, None, error)


def _counted(link: Any, config: Any, runtime: Any, program: Any) -> None:
    """Run once more, with SPU's log of traffic on."""
    from spu import Runtime, RuntimeConfig

    loud = RuntimeConfig(config)
    loud.enable_pphlo_profile = True
    second = Runtime(link, loud)
    for name in program.input_names:
        second.set_var(name, runtime.get_var(name))
    second.run(program)


def _steps() -> dict[str, Callable[..., Any]]:
    import jax
    import jax.numpy as jnp

    return {
        "product": jnp.multiply,
        "comparison": jnp.less,
        "equality": jnp.equal,
        "matmul": jnp.matmul,
        "fixed_product": jnp.multiply,
        "division": jnp.divide,
        "dependent_products": lambda x, y: jax.lax.fori_loop(0, DEPENDENT, lambda _, z: z * y, x),
        "exp": lambda x, y: jnp.exp(x),
        "sigmoid": lambda x, y: jax.nn.sigmoid(x),
        "sqrt": lambda x, y: jnp.sqrt(x),
        "sort": lambda x, y: jnp.sort(x),
        "group_sum": _group_sum,
        "logistic_regression": _train,
        "least_squares": _least_squares,
        "kmeans": _k_means,
        "kaplan_meier": _kaplan_meier,
    }


def _group_sum(keys: Any, values: Any) -> Any:
    """Sort by key, add up, bring the last row of every group to the front, take differences."""
    import jax
    import jax.numpy as jnp

    keys, values = jax.lax.sort((keys, values), num_keys=1)
    totals = jnp.cumsum(values)
    inner = jnp.concatenate([keys[1:] == keys[:-1], jnp.zeros(1, bool)]).astype(jnp.int64)
    inner, totals = jax.lax.sort((inner, totals), num_keys=1)
    sums = totals - jnp.concatenate([jnp.zeros(1, totals.dtype), totals[:-1]])
    return jnp.where(inner == 0, sums, 0)


def _train(features: Any, labels: Any) -> Any:
    import jax
    import jax.numpy as jnp

    weights = jnp.zeros(FEATURES)
    for _ in range(EPOCHS):
        for first, last in batches(features.shape[0]):
            x, y = features[first:last], labels[first:last]
            guess = jax.nn.sigmoid(x @ weights)
            weights = weights + x.T @ (y - guess) * (RATE / (last - first))
    return weights


def _least_squares(features: Any, target: Any) -> Any:
    """The normal equations by elimination."""
    import jax.numpy as jnp

    rows, unknowns = features.shape[0], COLUMNS + 1
    x = jnp.concatenate([jnp.ones((rows, 1)), features], axis=1)
    equations = jnp.concatenate([x.T @ x / rows, (x.T @ target / rows)[:, None]], axis=1)
    for i in range(unknowns):
        pivot = equations[i] / equations[i, i]
        others = [equations[j] - equations[j, i] * pivot for j in range(unknowns)]
        equations = jnp.stack([pivot if j == i else others[j] for j in range(unknowns)])
    return equations[:, unknowns]


def _k_means(features: Any, _: Any) -> Any:
    import jax.numpy as jnp

    centres = features[:CLUSTERS]
    for _ in range(ITERATIONS):
        distances = (centres * centres).sum(1)[None, :] - 2.0 * (features @ centres.T)
        near = jnp.argmin(distances, axis=1)
        chosen = jnp.equal(near[:, None], jnp.arange(CLUSTERS)[None, :]).astype(jnp.float64)
        centres = (chosen.T @ features) / chosen.sum(0)[:, None]
    return centres.reshape(-1)


def _kaplan_meier(times: Any, events: Any) -> Any:
    import jax.numpy as jnp

    grid = jnp.arange(1, TIMES + 1)[None, :]
    at_risk = (times[:, None] >= grid).sum(0)
    died = ((times[:, None] == grid) & (events[:, None] == 1)).sum(0)
    return jnp.cumprod(1.0 - died / jnp.maximum(at_risk, 1))


def _link(rank: int, port: int) -> Any:
    from spu import libspu

    description = libspu.link.Desc()
    description.recv_timeout_ms = int(PATIENCE * 1000)
    for k in range(PARTIES):
        description.add_party(f"party-{k}", f"127.0.0.1:{port + k}")
    return libspu.link.create_brpc(description, rank)


def _compiled(step: Callable[..., Any], examples: list[Any], inputs: list[str], output: str) -> Any:
    from spu import Visibility
    from spu.utils import frontend

    secret = [Visibility.VIS_SECRET] * len(inputs)
    program, _ = frontend.compile(frontend.Kind.JAX, step, examples, {}, inputs, secret, lambda _: [output])
    return program


def _dealt(link: Any, io: Any, rank: int, values: Any) -> Any:
    """This party's share; party 0 makes all of them and sends the others theirs."""
    from spu import Visibility

    if rank:
        return _received(link, 0)
    mine, *others = io.make_shares(values, Visibility.VIS_SECRET)
    for k, share in enumerate(others, 1):
        _send(link, k, share)
    return mine


def _send(link: Any, to: int, share: Any) -> None:
    for piece in (str(len(share.share_chunks)).encode(), share.meta, *share.share_chunks):
        link.send(to, piece)


def _received(link: Any, source: int) -> Any:
    from spu import libspu

    share, count = libspu.Share(), int(link.recv(source))
    share.meta = link.recv(source)
    share.share_chunks = [link.recv(source) for _ in range(count)]
    return share


def _checked(link: Any, io: Any, runtime: Any, rank: int, name: str, n: int) -> float:
    """Open the first results to party 0 and compare them with the truth."""
    expected = WORKLOADS[name].expect(operand(name, n, 0), operand(name, n, 1))
    runtime.run(_compiled(lambda z: z[:CHECKED], [expected], ["z"], "some"))
    share = runtime.get_var("some")
    if rank:
        _send(link, 0, share)
        return 0.0
    shares = [share, *(_received(link, k) for k in range(1, PARTIES))]
    return max_error(name, n, io.reconstruct(shares))


if __name__ == "__main__":
    main(Peer(f"SPU {version('spu')}", "aby3", SIZES, party, r"total send bytes (\d+)"))
