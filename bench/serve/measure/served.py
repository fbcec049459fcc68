"""The tables and plots of docs/performance.md that `bench/serve/run` fills."""

import statistics
from pathlib import Path

import chart
import page
from rounds import MIXES, cpu_microseconds

MB = 1e6
ECHO, OURS = "echo", "hedgerow"
MILLION = 1_000_000
# Servers whose figure for misses rests on one port for all queries, which anybody can guess.
SAFE_PORTS = 1_900


def update(results: dict, docs: Path) -> None:
    """Writes each table for which there are figures, and the plots."""
    path = docs / "performance.md"
    path.write_text(updated(results, path.read_text()))
    draw(results, docs / "performance")


def updated(results: dict, text: str) -> str:
    """The page with the tables of `results`."""
    # It takes its figures from here.
    import encrypted_page

    tables = {
        "serve-machine": machine_table,
        "serve-note": lambda it: it["note"] + "\n" if "note" in it else None,
        "serve-goals": goals_table,
        "serve": serve_tables,
        "serve-even": even_table,
        "serve-reload": reload_table,
        "serve-memory": memory_table,
        **encrypted_page.TABLES,
    }
    for name, table in tables.items():
        begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->"
        if begin in text and (found := table(results)) is not None:
            before, rest = text.split(begin)
            _, after = rest.split(end)
            text = before + begin + "\n" + found + "\n" + end + after
    return text


class Figures:
    """The figures of one server and one size, over its rounds."""

    def __init__(self, results: dict, size: int, key: str, part: str = "rounds") -> None:
        of_size = results.get(part, {}).get(str(size), {})
        self.key = key
        self.label = results.get("labels", {}).get(key, key)
        self.rounds = of_size.get(key, [])
        self.echo = of_size.get(ECHO, [])
        self.other = lambda other: Figures(results, size, other, part)

    def good(self) -> list[dict]:
        return [it for it in self.rounds if "failure" not in it]

    def failure(self) -> str | None:
        return next((it["failure"] for it in self.rounds if "failure" in it), None)

    def all(self, mix: str, key=cpu_microseconds) -> list[float]:
        """A figure of a mix in each round that has it."""
        values = [key(it[mix]) for it in self.good() if mix in it]
        return [value for value in values if value is not None]

    def median(self, mix: str, key=cpu_microseconds) -> float | None:
        values = self.all(mix, key)
        return statistics.median(values) if values else None

    def ratio(self, mix: str, other: "Figures", other_mix: str | None = None, key=cpu_microseconds) -> float | None:
        """The median of the ratios to another server, each within one round."""
        ratios = []
        for mine, theirs in zip(self.rounds, other.rounds):
            one = key(mine[mix]) if mix in mine else None
            two = key(theirs[other_mix or mix]) if (other_mix or mix) in theirs else None
            if one and two:
                ratios.append(one / two)
        return statistics.median(ratios) if ratios else None

    def of_round(self, key) -> float | None:
        values = [key(it) for it in self.good()]
        return statistics.median(values) if values else None


def sizes(results: dict) -> list[int]:
    return sorted(int(size) for size in results.get("rounds", {}))


def shown_size(results: dict) -> int | None:
    found = sizes(results)
    return MILLION if MILLION in found else next(iter(found), None)


def keys_by(results: dict, size: int, mix: str) -> list[str]:
    """The servers, the quickest first; the echo stands before all."""

    def rank(key: str) -> tuple:
        value = Figures(results, size, key).median("cached" if key.startswith("echo") else mix)
        return (not key.startswith("echo"), value is None, value or 0)

    return sorted(results["rounds"][str(size)], key=rank)


def perhaps(shown: str, value: float | None) -> str:
    return shown.format(value) if value is not None else ""


def spread(values: list[float]) -> str:
    """The median, with the least and the most."""
    if not values:
        return ""
    middle = f"{statistics.median(values):.1f}"
    return f"{middle} ({min(values):.1f}–{max(values):.1f})" if len(values) > 1 else middle


def rate(it: dict) -> float:
    return (it["right"] + it["wrong"]) / it["seconds"]


def bad(it: dict) -> int:
    return it["wrong"] + it["lost"]


def machine_table(results: dict) -> str | None:
    return page.machine_table(results["machine"]) if "machine" in results else None


def serve_tables(results: dict) -> str | None:
    parts = []
    for size in sizes(results):
        rows = []
        for key in keys_by(results, size, "household"):
            it = Figures(results, size, key)
            if not it.good():
                rows.append([it.label, it.failure() or "", *[""] * 9])
                continue
            rows.append(
                [
                    it.label,
                    *(spread(it.all(mix)) for mix in MIXES),
                    perhaps("{:.2f} ×", it.ratio("cached", it.other(ECHO))),
                    perhaps("{:,.0f}", it.median("cached", rate)),
                    perhaps("{:.0f}", it.of_round(lambda one: one["ports"]) if "ports" in it.good()[0] else None),
                    perhaps("{:.2f}", it.of_round(lambda one: one["load_seconds"] or None) if not key.startswith("echo") else None),
                    memory_of(it),
                    f"{sum(bad(one[mix]) for one in it.good() for mix in MIXES if mix in one):,}",
                ]
            )
        head = [
            "CPU µs a query",
            *MIXES,
            "cached, echo = 1",
            "cached, queries/s",
            "ports of 2,000",
            "start, s",
            "RSS, MB",
            "wrong or lost",
        ]
        rounds = max(len(it) for it in results["rounds"][str(size)].values())
        how = f"{rounds} rounds, median (least–most)" if rounds > 1 else "one round"
        parts.append(f"**{size:,} names**, {how}:\n\n" + page.table(head, rows))
    return "\n".join(parts) if parts else None


def memory_of(it: Figures) -> str:
    values = [one["memory"]["resident"] for one in it.good() if "memory" in one]
    return page.megabytes(statistics.median(values)) if values else ""


def even_table(results: dict) -> str | None:
    size = shown_size(results)
    if size is None:
        return None
    rows = []
    microseconds = lambda key: lambda one: one[key] / 1000
    for key in keys_by(results, size, "paced"):
        it = Figures(results, size, key)
        if it.median("paced") is None:
            continue
        rows.append(
            [
                it.label,
                spread(it.all("paced")),
                perhaps("{:.2f} ×", it.ratio("paced", it.other(ECHO))),
                *(
                    perhaps("{:,.0f}", it.median("paced", microseconds(f"{share}_nanoseconds")))
                    for share in ("p50", "p99", "p999")
                ),
                f"{sum(bad(one['paced']) for one in it.good()):,}",
            ]
        )
    head = ["", "CPU µs a query", "echo = 1", "p50, µs", "p99, µs", "p99.9, µs", "wrong or lost"]
    return page.table(head, rows)


class Reloads:
    """What happened to one server while lists were read anew, over its rounds."""

    def __init__(self, results: dict, size: int, key: str) -> None:
        of_size = results.get("reload", {}).get(str(size), {})
        found = of_size.get(key, [])
        # There once was one of each.
        self.rounds = [found] if isinstance(found, dict) else found
        self.good = [it for it in self.rounds if "failure" not in it]

    def failure(self) -> str | None:
        return next((it["failure"] for it in self.rounds if "failure" in it), None)

    def all(self, key) -> list[float]:
        """A figure of each round that has it."""
        values = [key(it) for it in self.good]
        return [it for it in values if it is not None]

    def middle(self, key) -> float | None:
        values = self.all(key)
        return statistics.median(values) if values else None

    def of_load(self, word: str):
        return lambda it: it["load"][word] if "load" in it else None

    def gap(self, part: str):
        """Of a round, in milliseconds, `quiet` or `load`."""
        return lambda it: it[part]["longest_gap_nanoseconds"] / 1e6 if part in it else None

    def more(self, peak: str):
        """Of a round, MB over what it was before."""
        return lambda it: (it[peak] - it["steady"]) / MB if peak in it else None


def reload_table(results: dict) -> str | None:
    parts = []
    for size in sorted(int(it) for it in results.get("reload", {})):
        rows, counts = [], set()
        for key in results["reload"][str(size)]:
            label = results["labels"].get(key, key)
            them = Reloads(results, size, key)
            if not them.good:
                rows.append([label, them.failure() or "", *[""] * 7])
                continue
            if failure := them.failure():
                label += f", {len(them.good)} of {len(them.rounds)} rounds: {failure}"
            counts.add(len(them.rounds))
            sent = sum(them.all(them.of_load("sent")))
            rows.append(
                [
                    label,
                    spread(them.all(them.gap("load"))),
                    spread(them.all(them.gap("quiet"))),
                    f"{sum(them.all(them.of_load('lost'))):,} of {sent:,}" if sent else "",
                    f"{sum(them.all(them.of_load('wrong'))):,}" if sent else "",
                    perhaps("{:.1f}", them.middle(lambda it: it.get("seconds"))),
                    perhaps("{:.1f}", them.middle(lambda it: it["steady"] / MB if "steady" in it else None)),
                    perhaps("{:.1f}", them.middle(them.more("peak"))),
                    perhaps("{:.1f}", them.middle(them.more("peak_together"))),
                ]
            )
        head = [
            f"{size:,} names",
            "longest gap, ms",
            "without a reload, ms",
            "lost",
            "wrong",
            "in force after, s",
            "RSS before, MB",
            "at most more, MB",
            "with processes it starts, MB",
        ]
        told = "one round" if counts == {1} else f"{max(counts, default=0)} rounds, median (least–most)"
        parts.append(f"{told}:\n\n" + page.table(head, rows))
    return "\n".join(parts) if parts else None


def memory_table(results: dict) -> str | None:
    rows = []
    for size in sorted(int(it) for it in results.get("memory", {})):
        for key, it in results["memory"][str(size)].items():
            label = results["labels"].get(key, key)
            if "failure" in it:
                rows.append([label, f"{size:,}", it["failure"], "", ""])
                continue
            asked = it["load"]["right"] + it["load"]["wrong"]
            rows.append(
                [label, f"{size:,}", f"{asked / 1e6:.1f}", page.megabytes(it["resident"]), f"{growth(it) / MB:+.1f}"]
            )
    head = ["", "names", "million queries", "RSS, MB", "more than after a fifth of them, MB"]
    return page.table(head, rows) if rows else None


def growth(it: dict) -> float:
    """What came on top after the first fifth of the time."""
    samples = [sample for sample in it["samples"] if sample[0] >= it["samples"][-1][0] / 5]
    return samples[-1][1] - samples[0][1]


def goals_table(results: dict) -> str | None:
    """Each goal with what was measured; what was not measured yet has a dash."""
    size = shown_size(results)
    if size is None:
        return None
    rows = []

    def goal(what: str, limit: str, value: float | None, is_met, shown: str) -> None:
        if value is None:
            rows.append([what, limit, "-", "-"])
        else:
            rows.append([what, limit, shown.format(value), "yes" if is_met(value) else "**no**"])

    def most(what: str, value: float | None, number: float, shown: str = "{:.2f} ×", limit: str = "") -> None:
        goal(what, limit or "≤ " + shown.format(number), value, lambda it: it <= number, shown)

    ours = Figures(results, size, OURS)
    echo, cdb = ours.other(ECHO), ours.other("dnsdist-cdb")
    peers = [key for key in results["rounds"][str(size)] if not key.startswith(ECHO) and key != OURS]
    large = Figures(results, 10 * MILLION, OURS)
    most("cached, echo = 1", ours.ratio("cached", echo), 1.3)
    rates = [it for key in peers if (it := ours.other(key).median("cached", rate))]
    mine = ours.median("cached", rate)
    share = mine / max(rates) if rates and mine else None
    goal("cached, queries/s, quickest peer = 1", "> 1", share, lambda it: it > 1, "{:.2f} ×")
    most("blocked, echo = 1", ours.ratio("blocked", echo, "cached"), 1.3)
    most("blocked, 10 M names, echo = 1", large.ratio("blocked", large.other(ECHO), "cached"), 1.3)
    most("household, dnsdist with CDB = 1", ours.ratio("household", cdb), 0.7)
    others = [it for key in peers if key != "dnsdist-cdb" and (it := ours.ratio("household", ours.other(key)))]
    most("household, best other = 1", max(others, default=None), 0.6)
    most("all misses, dnsdist with CDB = 1", ours.ratio("misses", cdb), 0.7)
    ports = ours.of_round(lambda one: one.get("ports", 0))
    goal("ports in 2,000 queries", "≥ 1,900", ports, lambda it: it >= SAFE_PORTS, "{:,.0f}")
    most("10,000 q/s, CPU, echo = 1", ours.ratio("paced", echo), 1.15)
    middle = lambda one: one["p50_nanoseconds"] / 1000
    later = None
    if ours.median("paced", middle) is not None and echo.median("paced", middle) is not None:
        later = round(ours.median("paced", middle) - echo.median("paced", middle))
    most("10,000 q/s, p50 over the echo's", later, 10, "{:.0f} µs")
    tail = lambda one: one["p99_nanoseconds"]
    most("10,000 q/s, p99, echo = 1", ours.ratio("paced", echo, key=tail), 1.3)
    reload = Reloads(results, size, OURS)
    if reload.failure():
        # What was lost in that round nobody knows.
        reload = Reloads({}, size, OURS)
    total = lambda word: sum(found) if (found := reload.all(reload.of_load(word))) else None
    most("reload: queries lost", total("lost"), 0, "{:,.0f}", "0")
    most("reload: unfiltered answers", total("wrong"), 0, "{:,.0f}", "0")
    most("reload: longest gap", reload.middle(reload.gap("load")), 5, "{:.1f} ms")
    most("reload: memory over steady", reload.middle(reload.more("peak_together")), 4, "{:.1f} MB")
    for count, limit in ((MILLION, 16), (5 * MILLION, 40)):
        it = results.get("memory", {}).get(str(count), {}).get(OURS)
        it = it if it and "failure" not in it and it["load"]["right"] > 9_900_000 else None
        most(f"RSS after 10 M queries, {count // MILLION} M names", it and it["resident"] / MB, limit, "{:.1f} MB")
    five = Figures(results, 5 * MILLION, OURS)
    grown = []
    for mix in MIXES:
        # Against the echo of its own rounds: the sizes are not measured side by side.
        one, two = ours.ratio(mix, echo, "cached"), five.ratio(mix, five.other(ECHO), "cached")
        grown += [two / one] if one and two else []
    most("5 M names, 1 M = 1, the worst mix", max(grown, default=None), 1.1)
    most("start to the first right answers", ours.of_round(lambda one: one["load_seconds"] * 1000), 50, "{:.0f} ms")
    return page.table(["", "goal", "measured", "met"], rows)


def draw(results: dict, folder: Path) -> None:
    """Every plot there are figures for."""
    size = shown_size(results)
    if size is not None:
        for name, title, mixes in [
            ("serve.svg", "CPU time for a query", ("cached", "household")),
            ("serve-blocked.svg", "CPU time for a query", ("blocked", "misses")),
        ]:
            rows = []
            for key in keys_by(results, size, mixes[1]):
                it = Figures(results, size, key)
                values = [it.median(mix) for mix in mixes]
                if None not in values:
                    rows.append((it.label, *values))
            if rows:
                chart.bars(folder / name, f"{title}, {size:,} names", "µs", rows, mixes)
    series = []
    for size in sorted(int(it) for it in results.get("memory", {})):
        it = results["memory"][str(size)].get(OURS, {})
        if it.get("samples"):
            points = [(at, resident / MB) for at, resident in it["samples"]]
            series.append((f"{size / 1e6:g} M names", points))
    if series:
        title = "Resident memory while a household asks"
        chart.lines(folder / "serve-memory.svg", title, ("seconds", "MB"), series, is_log=False, dots=False)
