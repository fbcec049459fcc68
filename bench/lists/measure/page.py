"""The tables of docs/performance.md, between marks of their own."""

from pathlib import Path

MB = 1e6


def update(results: dict, path: Path) -> None:
    """Writes each table for which there are figures in place of the old one."""
    path.write_text(updated(results, path.read_text()))


def updated(results: dict, text: str) -> str:
    """The page with the tables of `results`."""
    tables = {
        "machine": (machine_table, "machine"),
        "goals": (goals_table, None),
        "contenders": (contenders_tables, "contenders"),
        "lookups": (lookups_table, "contenders"),
        "household": (household_table, "household"),
        "swap": (swap_table, "swap"),
        "compile": (compile_table, "compile"),
    }
    for name, (table, part) in tables.items():
        found = results if part is None else results.get(part)
        begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->"
        if found and begin in text:
            before, rest = text.split(begin)
            _, after = rest.split(end)
            text = before + begin + "\n" + table(found) + "\n" + end + after
    return text


def table(head: list[str], rows: list[list[str]]) -> str:
    """A table whose first column is text and whose others are figures."""
    lines = [head, ["---"] + ["--:"] * (len(head) - 1), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def shown_size(found: dict) -> int:
    """The size that is compared first: a million, or the largest below."""
    sizes = sorted(int(size) for size in found if int(size) > 1)
    return max((size for size in sizes if size <= 1_000_000), default=sizes[0])


def over_empty(found: dict, size: int, key: str) -> dict:
    """What a contender has more than with one name; the set of strings has no server to subtract."""
    it, empty = found[str(size)][key], found.get("1", {}).get(key, {})
    return {part: max(it[part] - empty.get(part, 0), 0) for part in ("anonymous", "file", "peak")}


def megabytes(number: float) -> str:
    number /= MB
    return f"{number:,.0f}" if number >= 100 else f"{number:.1f}"


def seconds(number: float) -> str:
    return f"{number:.1f}" if number >= 10 else f"{number:.2f}"


def machine_table(machine: dict) -> str:
    packages = ", ".join(f"{name} {version}" for name, version in machine["packages"].items())
    rows = [
        ["measured on", machine["date"]],
        ["processor", f"{machine['processor']}, {machine['processors']} cores, {machine['megahertz']} MHz"],
        ["memory", f"{machine['memory'] / 2**30:.0f} GiB"],
        ["system", f"{machine['system']}, Linux {machine['kernel']}"],
        ["hedgerow", machine["hedgerow"]],
        ["others", packages],
    ]
    return "".join(f"| {' | '.join(row)} |\n" for row in [["", ""], ["---", "---"], *rows])


def contenders_tables(found: dict) -> str:
    parts = []
    for size in sorted((int(size) for size in found if int(size) > 1)):
        by_key = found[str(size)]
        known = next(iter(by_key.values()))["known"]
        rows = []
        for key, it in by_key.items():
            if "failure" in it:
                rows.append([it["label"], it["failure"], *[""] * 6])
                continue
            over = over_empty(found, size, key)
            rows.append([
                it["label"],
                f"{over['anonymous'] / size:.1f}",
                megabytes(over["anonymous"]),
                megabytes(over["file"]),
                megabytes(it["peak"]),
                seconds(it["load_seconds"]),
                seconds(it["load_cpu_seconds"]),
                megabytes(it["disk"]),
            ])
        head = ["", "anonymous, bytes a name", "anonymous, MB", "file-backed, MB", "peak, MB", "load, s", "load, CPU s", "on disk, MB"]
        parts.append(f"**{size:,} names**, {known:,} of them from public lists:\n\n" + table(head, rows))
    return "\n".join(parts)


def lookups_table(found: dict) -> str:
    rows = []
    for size in sorted((int(size) for size in found if int(size) > 1)):
        for it in found[str(size)].values():
            if "unlisted_nanoseconds" in it:
                row = [it["label"], f"{size:,}", str(it["unlisted_nanoseconds"]), str(it["listed_nanoseconds"])]
                rows.append(row)
    return table(["", "names", "unlisted, ns", "listed, ns"], rows)


def household_table(found: dict) -> str:
    rows = [
        ["anonymous, over the daemon with one name", megabytes(found["anonymous_over_empty"])],
        ["index, file-backed pages touched", megabytes(found["index_resident"])],
        ["index, on disk", megabytes(found["index_size"])],
        ["anonymous, the whole daemon", megabytes(found["anonymous"])],
        ["anonymous, the daemon with one name", megabytes(found["anonymous_empty"])],
    ]
    return (
        f"{found['queries']:,} queries, {found['blocked'] / found['queries']:.0%} of them blocked, for "
        f"{found['distinct_blocked']:,} listed and {found['distinct_passed']:,} other names; "
        f"{found['names']:,} names in the index; the median of {len(found['rounds'])} rounds.\n\n"
    ) + table(["", "MB"], rows)


def swap_table(found: dict) -> str:
    before, during = found["before"], found["during"]
    milliseconds = lambda it, key: f"{it[key] * 1000:.1f} ms" if key in it else "-"
    rows = [
        ["memory before, resident", megabytes(found["steady"]) + " MB"],
        ["highest while it swaps, over that", megabytes(max(found["peak"] - found["steady"], 0)) + " MB"],
        ["resident after", megabytes(found["after"]) + " MB"],
        ["anonymous before", megabytes(found["steady_anonymous"]) + " MB"],
        ["highest anonymous, over that", megabytes(max(found["peak_anonymous"] - found["steady_anonymous"], 0)) + " MB"],
        ["from the changed list to the first answer by it", f"{found['swap_seconds']:.2f} s"],
        ["queries sent, lost, answered wrong", f"{found['sent']:,}, {found['lost']}, {found['wrong']}"],
        ["latest answer before / meanwhile", f"{milliseconds(before, 'slowest_seconds')} / {milliseconds(during, 'slowest_seconds')}"],
        ["99 % of answers within, before / meanwhile", f"{milliseconds(before, 'p99_seconds')} / {milliseconds(during, 'p99_seconds')}"],
    ]
    return table(["", ""], rows)


def compile_table(found: list[dict]) -> str:
    rows = []
    for it in found:
        if "failure" in it:
            rows.append([f"{it['names']:,}", it["failure"], *[""] * 5])
            continue
        rows.append([
            f"{it['names']:,}",
            seconds(it["wall"]),
            seconds(it["cpu"]),
            f"{it['cpu'] / it['names'] * 1e6:.2f}",
            megabytes(it["peak"]),
            megabytes(it["index"]),
            f"{it['index'] / it['names']:.2f}",
        ])
    head = ["names", "s", "CPU s", "CPU µs a name", "peak, MB", "index, MB", "bytes a name"]
    return table(head, rows)


def goals_table(results: dict) -> str:
    """Each goal with what was measured; what was not measured yet has a dash."""
    rows = []

    def goal(what: str, limit: str, value: float | None, most: float, shown: str) -> None:
        met = "-" if value is None else "yes" if value <= most else "**no**"
        rows.append([what, limit, shown if value is not None else "-", met])

    compiled = {it["names"]: it for it in results.get("compile", []) if "failure" not in it}
    one, ten = compiled.get(1_000_000), compiled.get(10_000_000)
    per_name = one and one["index"] / 1e6
    goal("index on disk, 1 M names", "≤ 8 bytes a name", per_name, 8, f"{per_name or 0:.2f}")
    house = results.get("household")
    value = house and house["anonymous_over_empty"] / MB
    goal("anonymous memory for 1 M names", "≤ 2 MB", value, 2, f"{value or 0:.1f} MB")
    value = house and house["index_resident"] / MB
    goal("file-backed pages touched", "≤ 8 MB", value, 8, f"{value or 0:.1f} MB")
    value = one and one["cpu"]
    goal("compile 1 M names", "≤ 2 s", value, 2, f"{value or 0:.2f} s CPU")
    for it, size in ((one, "1 M"), (ten, "10 M")):
        value = it and it["peak"] / MB
        goal(f"peak memory of compiling {size} names", "≤ 24 MB", value, 24, f"{value or 0:.1f} MB")
    swapped = results.get("swap")
    value = swapped and (swapped["peak"] - swapped["steady"]) / MB
    goal("memory while swapping, over steady", "≤ 4 MB", value, 4, f"{value or 0:.1f} MB")
    value = swapped and float(swapped["lost"])
    goal("queries lost while swapping", "0", value, 0, f"{value or 0:.0f}")
    return table(["goal", "", "measured", "met"], rows)
