"""The tables of docs/performance.md about DoT and DoH."""

import statistics

import page
from encrypted import OVER
from rounds import cpu_microseconds
from served import OURS, Figures, bad, perhaps, rate, spread

# Octets an idle connection may take.
MOST_MEMORY = 12 << 10
WAYS = {"udp": "UDP", "dot": "DoT", "doh": "DoH"}
SLOW = {
    "tcp": "only the handshake of TCP",
    "hello": "half a ClientHello",
    "silent": "the handshake of TLS, then nothing",
    "half": "half a DNS message",
    "drip": "an octet of a message each second",
    "all": "a fifth of each",
}


def sizes(results: dict, part: str) -> list[int]:
    return sorted(int(size) for size in results.get(part, {}))


def keys_by(results: dict, size: int, way: str) -> list[str]:
    """The servers, the quickest first."""

    def rank(key: str) -> tuple:
        value = Figures(results, size, key, "encrypted").median(way)
        return (value is None, value or 0)

    return sorted(results["encrypted"][str(size)], key=rank)


def name_of(it: Figures) -> str:
    # How it keeps its names is of no account here.
    return it.label.split(",")[0]


def full_table(results: dict) -> str | None:
    """At saturation."""
    parts = []
    for size in sizes(results, "encrypted"):
        rows = []
        for key in keys_by(results, size, "dot"):
            it = Figures(results, size, key, "encrypted")
            if not it.good():
                rows.append([name_of(it), it.failure() or "", *[""] * 7])
                continue
            rows.append(
                [
                    name_of(it),
                    *(spread(it.all(way)) for way in WAYS),
                    *(ratio(it, way) for way in OVER),
                    *(perhaps("{:,.0f}", it.median(way, rate)) for way in OVER),
                    f"{sum(bad(one[way]) for one in it.good() for way in WAYS):,}",
                ]
            )
        head = ["CPU µs a query", *WAYS.values(), "DoT, hedgerow = 1", "DoH, hedgerow = 1"]
        head += ["DoT, queries/s", "DoH, queries/s", "wrong or lost"]
        count = max(len(it) for it in results["encrypted"][str(size)].values())
        how = f"{count} rounds, median (least–most)" if count > 1 else "one round"
        parts.append(f"**{size:,} names**, {how}, {agreed(results, size)}:\n\n" + page.table(head, rows))
    return "\n".join(parts) if parts else None


def ratio(it: Figures, way: str) -> str:
    """Within a round, since what else the machine does strikes all alike."""
    return perhaps("{:.2f} ×", it.ratio(way, it.other(OURS)))


def agreed(results: dict, size: int) -> str:
    """The versions and suites of TLS that were used."""
    servers = results["encrypted"][str(size)].values()
    found = {one[way]["agreed"] for it in servers for one in it if "failure" not in one for way in OVER}
    return " and ".join(sorted(it.replace("TLSv1_", "TLS 1.").replace("TLS13_", "") for it in found))


def even_table(results: dict) -> str | None:
    """At an even rate."""
    rows = []
    for size in sizes(results, "encrypted")[:1]:
        for key in keys_by(results, size, "dot-paced"):
            it = Figures(results, size, key, "encrypted")
            if it.good():
                rows.append(even_row(it))
    head = ["", "DoT, CPU µs a query", "DoH, CPU µs", "DoT, hedgerow = 1", "DoH, hedgerow = 1"]
    head += [f"{WAYS[way]}, {share}, µs" for way in OVER for share in ("p50", "p99")] + ["wrong or lost"]
    return page.table(head, rows) if rows else None


def even_row(it: Figures) -> list[str]:
    ways = [f"{way}-paced" for way in OVER]
    microseconds = lambda share: lambda one: one[f"{share}_nanoseconds"] / 1000
    return [
        name_of(it),
        *(spread(it.all(way, cpu_microseconds)) for way in ways),
        *(ratio(it, way) for way in ways),
        *(perhaps("{:,.0f}", it.median(way, microseconds(share))) for way in ways for share in ("p50", "p99")),
        f"{sum(bad(one[way]) for one in it.good() for way in ways):,}",
    ]


def middle(rounds: list[dict], key) -> float:
    return statistics.median(key(one) for one in rounds)


def each_takes(one: dict) -> float:
    """Octets for an idle connection."""
    return (one["after"] - one["before"]) / one["connections"]


def idle_table(results: dict) -> str | None:
    found = results.get("idle", {})
    if not found:
        return None
    rounds = next(iter(found.values()))[OURS]
    each = middle(rounds, each_takes)
    share = lambda key: sum(one["end"][key] for one in rounds)
    missed = "" if each <= MOST_MEMORY else " **(missed)**"
    rows = [
        ["connections", f"{rounds[0]['connections']:,}"],
        ["resident memory for each, KB (goal: ≤ 12)", f"{each / 1024:.1f}{missed}"],
        ["time until all were there, s", f"{middle(rounds, lambda one: one['seconds']):.1f}"],
        ["CPU for each, handshake and first query, ms", f"{middle(rounds, one_handshake):.2f}"],
        ["still open at the end", f"{share('open'):,} of {sum(held(one) for one in rounds):,}"],
        ["asked again then, and answered", f"{share('answered'):,} of {share('asked'):,}"],
    ]
    return page.table(["", ""], rows)


def one_handshake(one: dict) -> float:
    """Milliseconds on the processor."""
    return one["cpu_seconds"] / one["connections"] * 1000


def held(one: dict) -> int:
    """All that were to be there at the end, those too that came before memory was looked at."""
    return one["end"]["held"]


def slow_table(results: dict) -> str | None:
    """How long ordinary clients wait while others are there, and without them."""
    rows = []
    for size in sizes(results, "idle")[:1]:
        rounds = results["idle"][str(size)][OURS]
        rows.append([f"{rounds[0]['connections']:,} idle over DoT", *waiting(rounds), ""])
    for size in sizes(results, "slow")[:1]:
        found = results["slow"][str(size)][OURS]
        rows += [
            [f"1,000: {SLOW[kind]}", *waiting(found[kind]), f"{middle(found[kind], came_again):,.0f}"]
            for kind in SLOW
            if kind in found
        ]
    ways = ("UDP", "DoT", "new DoT connection")
    head = ["with them (without)", *(f"{way}, {share}, ms" for way in ways for share in ("p50", "p99"))]
    return page.table([*head, "CPU, %", "wrong or lost", "came again"], rows) if rows else None


def came_again(one: dict) -> int:
    """How often they were cut off, over both ways."""
    return sum(one["end"]["again"])


def waiting(rounds: list[dict]) -> list[str]:
    cells = []
    for way in ("udp", "dot", "new"):
        for share in ("p50", "p99"):
            cells.append(both(rounds, lambda one: one[way][f"{share}_nanoseconds"] / 1e6, "{:.2f}"))
    cells.append(both(rounds, lambda one: one["cpu_nanoseconds"] / one["seconds"] / 1e7, "{:.0f}"))
    failed = lambda one: sum(one[way]["wrong"] + one[way]["lost"] for way in ("udp", "dot", "new"))
    cells.append(f"{sum(failed(one['with']) for one in rounds)} ({sum(failed(one['without']) for one in rounds)})")
    return cells


def both(rounds: list[dict], key, shown: str) -> str:
    """A median with them, and without."""
    with_them, without = (middle(rounds, lambda one: key(one[side])) for side in ("with", "without"))
    return f"{shown.format(with_them)} ({shown.format(without)})"


TABLES = {
    "encrypted": full_table,
    "encrypted-even": even_table,
    "encrypted-idle": idle_table,
    "encrypted-slow": slow_table,
}
