"""How fast parcels travel over each kind of broker, beside the broker's own benchmark in the same run.

    python benchmarks/brokers.py                                  # all brokers that are installed
    python benchmarks/brokers.py redis rabbitmq --json mine.json
    python benchmarks/brokers.py --quick                          # few parcels: a trial, not a measurement

Broker, sender and receiver are processes of this machine, all connections TLS 1.3 with certificates on both sides.
Per kind and size of parcel:

    published     confirmed parcels per second, in batches of up to 64 parcels and 4 MiB
    end to end    from the first publishing to the last acknowledgement, sender and receiver at work at the same time
    latency       one parcel at a time: publish, confirm, consume, acknowledge; milliseconds
    beside it     what the broker's own tool, or a loop around its client library, publishes to the same broker

For a new kind: a line in KINDS, and a function for what stands beside it. The load of the machine is part of every
record: on a busy one these figures say little.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import multiprocessing
import os
import platform
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from quorate.crypto.entropy import SystemEntropy
from quorate.testing.servers.base import HOST, OPERATOR, Server
from quorate.testing.servers.kafka import KafkaServer
from quorate.testing.servers.nats import NatsServer
from quorate.testing.servers.rabbitmq import RabbitServer
from quorate.testing.servers.redis import RedisServer
from quorate.transport.carrier import Carrier, Credentials, Limits, Parcel, Queue, open_carrier
from quorate.transport.loop import client_context

SIZES = {1 << 10: 20_000, 64 << 10: 3_000, 768 << 10: 300}
"""Bytes of a parcel -> how many."""
QUICK = 20
BATCH, BATCH_BYTES = 64, 4 << 20
WAIT = 60.0
LIMITS = Limits(most_bytes=4 << 30)

Beside = Callable[[Server, int, int], float]
"""(server, bytes, count) -> seconds to publish so many."""


class Place(NamedTuple):
    """Where parcels go."""

    address: str
    credentials: Credentials


class Kind(NamedTuple):
    """A kind of broker: its server (None for the folder that needs none), and what stands beside it."""

    server: type[Server] | None
    label: str = ""
    beside: Beside | None = None


def redis_benchmark(server: Server, size: int, count: int) -> float:
    """The tool of Redis, over one connection."""
    mine = server.credentials(OPERATOR)
    tls = ["--tls", "--cert", str(mine.certificate), "--key", str(mine.key), "--cacert", str(mine.authority)]
    load = ["-c", "1", "-P", "16", "-n", str(count), "--csv", "-x", "XADD", "own-benchmark", "*", "b"]
    command = ["redis-benchmark", "-h", HOST, "-p", str(server.port), *tls]
    command += ["--user", OPERATOR, "-a", str(mine.password), *load]
    text = SystemEntropy().bytes(size // 2).hex().encode()  # the tool reads up to the first zero
    done = subprocess.run(command, input=text, capture_output=True, check=True)
    rows = [line.split('","') for line in done.stdout.decode().strip().splitlines() if '","' in line]
    head, row = rows[-2], rows[-1]
    return count / float(row[head.index("rps") - len(head)].strip('"'))


def bare_aio_pika(server: Server, size: int, count: int) -> float:
    """A loop: the tool of RabbitMQ is written in Java and not among Debian's packages."""
    return asyncio.run(_bare_aio_pika(server, size, count))


async def _bare_aio_pika(server: Server, size: int, count: int) -> float:
    import aio_pika

    context = client_context(server.credentials(OPERATOR))
    options: dict[str, Any] = {"auth": "EXTERNAL"}
    async with await aio_pika.connect(
        host=HOST, port=server.port, ssl=True, ssl_context=context, **options
    ) as connection:
        channel = await connection.channel()
        arguments: Any = {"x-queue-type": "quorum"}
        queue = await channel.declare_queue("mpc.own.benchmark", durable=True, arguments=arguments)
        exchange = await channel.declare_exchange("mpc.own.exchange", "direct", durable=True)
        await queue.bind(exchange, "own")
        message, room = aio_pika.Message(SystemEntropy().bytes(size), delivery_mode=2), asyncio.Semaphore(64)

        async def send() -> None:
            async with room:
                await exchange.publish(message, "own")

        start = time.perf_counter()
        await asyncio.gather(*(send() for _ in range(count)))
        took = time.perf_counter() - start
        await queue.delete(if_unused=False, if_empty=False)
        return took


def bare_nats(server: Server, size: int, count: int) -> float:
    """A loop: the tool of NATS is not among Debian's packages."""
    return asyncio.run(_bare_nats(server, size, count))


async def _bare_nats(server: Server, size: int, count: int) -> float:
    import nats

    context = client_context(server.credentials("alice"))
    connection = await nats.connect(f"tls://{HOST}:{server.port}", tls=context, inbox_prefix="_INBOX.alice")
    stream = connection.jetstream()
    await stream.add_stream(name="mpc-own", subjects=["mpc.own"], storage="file")
    body, room = SystemEntropy().bytes(size), asyncio.Semaphore(32)

    async def send() -> None:
        async with room:
            await stream.publish("mpc.own", body, timeout=WAIT)

    start = time.perf_counter()
    await asyncio.gather(*(send() for _ in range(count)))
    took = time.perf_counter() - start
    await stream.delete_stream("mpc-own")
    await connection.close()
    return took


def bare_kafka(server: Server, size: int, count: int) -> float:
    """A loop: the tools of Kafka are written in Java, and this is not Kafka's broker."""
    from confluent_kafka import Producer
    from confluent_kafka.admin import AdminClient, NewTopic

    mine = server.credentials("alice")
    access = {"bootstrap.servers": f"{HOST}:{server.port}", "security.protocol": "ssl", "log_level": 0}
    access |= {"ssl.ca.location": str(mine.authority), "ssl.certificate.location": str(mine.certificate)}
    access |= {"ssl.key.location": str(mine.key)}
    admin = AdminClient(access)
    admin.create_topics([NewTopic("mpc.own", 1, 1)])["mpc.own"].result()
    producer = Producer(access | {"enable.idempotence": True, "acks": "all"})
    producer.produce("mpc.own", b"first", partition=0)
    producer.flush(WAIT)
    body, most = SystemEntropy().bytes(size), max(1, min(BATCH, BATCH_BYTES // size))
    start = time.perf_counter()
    for first in range(0, count, most):
        for _ in range(first, min(first + most, count)):
            producer.produce("mpc.own", body, partition=0)
        producer.flush(WAIT)
    took = time.perf_counter() - start
    admin.delete_topics(["mpc.own"])["mpc.own"].result()
    return took


KINDS = {
    "embedded": Kind(None),
    "rabbitmq": Kind(RabbitServer, "a loop around aio-pika, quorum queue, 64 messages under way", bare_aio_pika),
    "nats": Kind(NatsServer, "a loop around nats-py, stream in files, 32 messages under way", bare_nats),
    "kafka": Kind(
        KafkaServer, "a loop around confluent-kafka, idempotent, the same batches; broker in memory", bare_kafka
    ),
    "redis": Kind(RedisServer, "redis-benchmark -c 1 -P 16 XADD", redis_benchmark),
}


def batches(size: int, count: int, sender: str) -> Iterator[list[Parcel]]:
    """`count` parcels of `size` bytes in the batches in which they are published."""
    body, most = SystemEntropy().bytes(size), max(1, min(BATCH, BATCH_BYTES // size))
    for start in range(0, count, most):
        yield [Parcel(f"{sender}-{k}", body) for k in range(start, min(start + most, count))]


def publish(carrier: Carrier, queue: Queue, size: int, count: int, sender: str) -> float:
    """Seconds until all are confirmed."""
    start = time.perf_counter()
    for batch in batches(size, count, sender):
        carrier.publish(queue, batch)
    return time.perf_counter() - start


def take(carrier: Carrier, queue: Queue, count: int) -> None:
    """Consume and acknowledge so many."""
    while count > 0:
        got = carrier.consume(queue, BATCH, WAIT)
        if not got:
            raise SystemExit(f"{count} parcels did not arrive")
        carrier.acknowledge(got)
        count -= len(got)


def send(place: Place, queue: Queue, size: int, count: int, go: Any) -> None:
    """The sender's process of `end to end`."""
    with contextlib.closing(open_carrier(*place)) as carrier:
        go.wait(WAIT)
        publish(carrier, queue, size, count, "e")


def end_to_end(place: Place, carrier: Carrier, queue: Queue, size: int, count: int) -> float:
    """Seconds from the start of a sender in another process to our last acknowledgement."""
    spawn = multiprocessing.get_context("spawn")
    go = spawn.Barrier(2)
    process = spawn.Process(target=send, args=(place, queue, size, count, go))
    process.start()
    go.wait(WAIT)
    start = time.perf_counter()
    take(carrier, queue, count)
    took = time.perf_counter() - start
    process.join()
    return took


def latency(carrier: Carrier, queue: Queue, size: int, count: int) -> tuple[float, float]:
    """Milliseconds, median and 99th percentile, of one parcel after the other through the broker."""
    times = []
    for parcel in (parcel for batch in batches(size, count, "l") for parcel in batch):
        start = time.perf_counter()
        carrier.publish(queue, [parcel])
        take(carrier, queue, 1)
        times.append((time.perf_counter() - start) * 1e3)
    times.sort()
    return times[len(times) // 2], times[-(-99 * len(times) // 100) - 1]


def measured(place: Place, size: int, count: int) -> dict[str, float]:
    """Everything about one size."""
    queue = Queue(SystemEntropy().bytes(16).hex(), "rounds.alice")
    with contextlib.closing(open_carrier(*place)) as sender, contextlib.closing(open_carrier(*place)) as carrier:
        carrier.provision(queue, LIMITS)
        median, p99 = latency(carrier, queue, size, max(20, count // 20))
        published = publish(sender, queue, size, count, "p")
        take(carrier, queue, count)
        through = end_to_end(place, carrier, queue, size, count)
        carrier.remove(queue)
    return {"published": count / published, "end_to_end": count / through, "p50_ms": median, "p99_ms": p99}


@contextlib.contextmanager
def running(kind: Kind) -> Iterator[tuple[Server | None, Place]]:
    """The broker, in a folder that is gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="brokers-"))
    try:
        if kind.server is None:
            yield None, Place(f"embedded:{folder}/queues", Credentials())
        else:
            with kind.server(folder / "broker", ["alice", "bob"]) as server:
                member = OPERATOR if OPERATOR in server.members else "alice"
                yield server, Place(server.address, server.credentials(member))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def measure(name: str, sizes: dict[int, int]) -> Iterator[dict[str, Any]]:
    """A record per size of one kind of broker."""
    kind = KINDS[name]
    with running(kind) as (server, place):
        for size, count in sizes.items():
            record = {"broker": name, "bytes": size, "count": count, "load": round(os.getloadavg()[0], 2)}
            record |= measured(place, size, count)
            if kind.beside and server:
                record |= {"beside": count / kind.beside(server, size, count), "label": kind.label}
            yield record


def table(records: Sequence[dict[str, Any]]) -> str:
    """Markdown."""
    lines = [
        "| broker | parcel | published /s | MB/s | end to end /s | MB/s | latency p50 / p99 ms | beside it /s | MB/s |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for record in records:
        size, rates = record["bytes"], [record["published"], record["end_to_end"]]
        cells = [cell for rate in rates for cell in _rate(rate, size)]
        cells += [f"{record['p50_ms']:.2f} / {record['p99_ms']:.2f}", *_rate(record.get("beside"), size)]
        lines.append(f"| {record['broker']} | {size >> 10} KiB | {' | '.join(cells)} |")
    labels = dict.fromkeys(f"- beside {record['broker']}: {record['label']}" for record in records if "label" in record)
    return "\n".join([*lines, "", *labels])


def _rate(rate: float | None, size: int) -> tuple[str, str]:
    return ("-", "-") if rate is None else (f"{rate:,.0f}", f"{rate * size / 1e6:.1f}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=f"of {', '.join(KINDS)}; default: all")
    parser.add_argument("--json", type=Path, help="write the records there")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK} times fewer parcels")
    chosen = parser.parse_args()
    if unknown := set(chosen.kinds) - set(KINDS):
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    sizes = {size: max(16, count // QUICK) for size, count in SIZES.items()} if chosen.quick else SIZES
    records = []
    for name in chosen.kinds or KINDS:
        server = KINDS[name].server
        if server is not None and (reason := server.missing()):
            print(f"{name}: not measured, {reason}")
            continue
        for record in measure(name, sizes):
            print(json.dumps(record), flush=True)
            records.append(record)
    print(
        f"\n{platform.machine()}, {os.cpu_count()} processors, Python {platform.python_version()}\n\n{table(records)}"
    )
    if chosen.json:
        chosen.json.write_text(json.dumps(records, indent=1) + "\n")


if __name__ == "__main__":
    main()
