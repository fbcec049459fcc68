"""What a household asks: names by Zipf's law, from a seed."""

import itertools
import random
import socket
import time

import dns

SEED = 20261122
QUERIES = 100_000
BLOCKED_PERCENT = 15
# How many different names of each sort a household asks for in that many queries.
BLOCKED_NAMES, PASSED_NAMES = 3_000, 20_000
# Exponent of Zipf's law: the name at rank r is asked for in proportion to 1 / r.
EXPONENT = 1.0
# Questions on their way at once.
WINDOW = 32


def zipf(names: list[str], generator: random.Random):
    """Endless names, each rank as often as Zipf's law says."""
    weights = itertools.accumulate(1 / rank**EXPONENT for rank in range(1, len(names) + 1))
    cumulative = list(weights)
    while True:
        yield from generator.choices(names, cum_weights=cumulative, k=1000)


def household(listed: list[str], unlisted: list[str], count: int = QUERIES) -> list[tuple[str, str]]:
    """Questions with their right answers."""
    generator = random.Random(SEED)
    blocked = zipf(listed[:BLOCKED_NAMES], generator)
    passed = zipf(unlisted[:PASSED_NAMES], generator)
    return [
        (next(blocked), "blocked") if generator.randrange(100) < BLOCKED_PERCENT else (next(passed), "passed")
        for _ in range(count)
    ]


def send(port: int, questions: list[tuple[str, str]]) -> dict:
    """Asks all of them, some at once; tells how many were answered otherwise than expected."""
    wrong = lost = 0
    waiting: dict[int, tuple[str, str]] = {}
    with socket.socket(type=socket.SOCK_DGRAM) as client:
        client.connect(("127.0.0.1", port))
        client.settimeout(2)
        begin = time.monotonic()
        for place, (name, right) in enumerate(itertools.chain(questions, itertools.repeat(("", ""), WINDOW))):
            if name:
                client.send(dns.question(name, place & 0xFFFF))
                waiting[place & 0xFFFF] = (name, right)
            while len(waiting) >= WINDOW or (not name and waiting):
                try:
                    reply = client.recv(4096)
                except TimeoutError:
                    lost += len(waiting)
                    waiting.clear()
                    break
                asked = waiting.pop(int.from_bytes(reply[:2], "big"), None)
                wrong += asked is not None and dns.verdict(reply) != asked[1]
        seconds = time.monotonic() - begin
    return {"queries": len(questions), "wrong": wrong, "lost": lost, "seconds": seconds}
