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
        "note": (lambda note: note + "\n", "note"),
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
        if found is not None and begin in text:
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


def by_memory(found: dict, size: int) -> list[str]:
    """The contenders with one size, the smallest first, those that did not finish last."""

    def rank(key: str) -> tuple[bool, int]:
        it = found[str(size)][key]
        return ("failure" in it, it.get("anonymous", 0) + it.get("file", 0))

    return sorted(found[str(size)], key=rank)


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
    for size in sorted(int(size) for size in found if int(size) > 1):
        by_key = found[str(size)]
        known = next(iter(by_key.values()))["known"]
        rows = []
        for key in by_memory(found, size):
            it = by_key[key]
            if "failure" in it:
                rows.append([it["label"], it["failure"], *[""] * 6])
                continue
            over = over_empty(found, size, key)
            rows.append(
                [
                    it["label"],
                    f"{over['anonymous'] / size:.1f}",
                    megabytes(over["anonymous"]),
                    megabytes(over["file"]),
                    megabytes(it["peak"]),
                    seconds(it["load_seconds"]),
                    seconds(it["load_cpu_seconds"]),
                    megabytes(it["disk"]),
                ]
            )
        head = [
            "",
            "anonymous, bytes a name",
            "anonymous, MB",
            "file-backed, MB",
            "peak, MB",
            "load, s",
            "load, CPU s",
            "on disk, MB",
        ]
        parts.append(f"**{size:,} names**, {known:,} of them from public lists:\n\n" + table(head, rows))
    return "\n".join(parts)


def lookups_table(found: dict) -> str:
    rows = []
    for size in sorted(int(size) for size in found if int(size) > 1):
        for it in (found[str(size)][key] for key in by_memory(found, size)):
            if "unlisted_nanoseconds" in it:
                row = [
                    it["label"],
                    f"{size:,}",
                    str(it["unlisted_nanoseconds"]),
                    str(it["listed_nanoseconds"]),
                ]
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
        ["a process that compiles, at most", megabytes(found["peak_of_children"]) + " MB"],
        ["resident after", megabytes(found["after"]) + " MB"],
        ["anonymous before", megabytes(found["steady_anonymous"]) + " MB"],
        [
            "highest anonymous, over that",
            megabytes(max(found["peak_anonymous"] - found["steady_anonymous"], 0)) + " MB",
        ],
        ["from the changed list to the first answer by it", f"{found['swap_seconds']:.2f} s"],
        ["queries sent, lost, answered wrong", f"{found['sent']:,}, {found['lost']}, {found['wrong']}"],
        [
            "latest answer before / meanwhile",
            f"{milliseconds(before, 'slowest_seconds')} / {milliseconds(during, 'slowest_seconds')}",
        ],
        [
            "99 % of answers within, before / meanwhile",
            f"{milliseconds(before, 'p99_seconds')} / {milliseconds(during, 'p99_seconds')}",
        ],
    ]
    plot = "\n![Memory while the index is swapped](performance/swap.svg)\n"
    return table(["", ""], rows) + (plot if found["samples"] else "")


def compile_table(found: list[dict]) -> str:
    rows = []
    for it in found:
        if "failure" in it:
            rows.append([it["label"], it["failure"], *[""] * 7])
            continue
        rows.append(
            [
                it["label"],
                f"{it['lines']:,}",
                seconds(it["wall"]),
                seconds(it["cpu"]),
                f"{it['cpu'] / it['names'] * 1e6:.2f}",
                megabytes(it["peak"]),
                megabytes(it["working_files"]),
                megabytes(it["index"]),
                f"{it['index'] / it['names']:.2f}",
            ]
        )
    head = [
        "distinct names",
        "lines",
        "s",
        "CPU s",
        "CPU µs a name",
        "peak, MB",
        "working files, MB",
        "index, MB",
        "bytes a name",
    ]
    plots = (
        "\n![Time to compile](performance/compile-time.svg)\n"
        "\n![Peak memory of compiling](performance/compile-memory.svg)\n"
    )
    return table(head, rows) + (plots if len(compiled_sizes(found)) > 1 else "")


def compiled_sizes(found: list[dict]) -> list[dict]:
    """Sizes for the plots: the public lists as they are name some names several times."""
    return [it for it in found if "failure" not in it and "lists" not in it["label"]]


def goals_table(results: dict) -> str:
    """Each goal with what was measured; what was not measured yet has a dash."""
    rows = []

    def goal(what: str, limit: str, value: float | None, most: float, shown: str) -> None:
        if value is None:
            rows.append([what, limit, "-", "-"])
        else:
            rows.append([what, limit, shown.format(value), "yes" if value <= most else "**no**"])

    compiled = {it["names"]: it for it in results.get("compile", []) if "failure" not in it}
    contenders = results.get("contenders", {})
    ours = {int(size): found.get("hedgerow", {}) for size, found in contenders.items()}
    house, swapped = results.get("household"), results.get("swap")
    million, ten = 1_000_000, 10_000_000

    def of(found: dict | None, key: str, unit: float = 1) -> float | None:
        return found[key] / unit if found and key in found else None

    def nanoseconds(what: str, size: int, key: str, most: float) -> None:
        goal(what, f"≤ {most} ns", of(ours.get(size), key), most, "{:.0f} ns")

    def peak(what: str, size: int) -> None:
        goal(what, "≤ 24 MB", of(compiled.get(size), "peak", MB), 24, "{:.1f} MB")

    goal(
        "index on disk, 1 M names",
        "≤ 8 bytes a name",
        of(compiled.get(million), "index", million),
        8,
        "{:.2f}",
    )
    goal("anonymous memory for 1 M names", "≤ 2 MB", of(house, "anonymous_over_empty", MB), 2, "{:.1f} MB")
    goal("file-backed pages touched", "≤ 8 MB", of(house, "index_resident", MB), 8, "{:.1f} MB")
    nanoseconds("look-up of an unlisted name, 1 M names", million, "unlisted_nanoseconds", 120)
    nanoseconds("look-up of an unlisted name, 10 M names", ten, "unlisted_nanoseconds", 200)
    nanoseconds("look-up of a listed name, 1 M names", million, "listed_nanoseconds", 700)
    goal(
        "opening the index of 1 M names",
        "≤ 5 ms",
        of(ours.get(million), "open_seconds", 1e-3),
        5,
        "{:.1f} ms",
    )
    goal("compiling 1 M names", "≤ 2 s", of(compiled.get(million), "wall"), 2, "{:.2f} s")
    peak("peak memory of compiling 1 M names", million)
    peak("peak memory of compiling 10 M names", ten)
    over = (swapped["peak"] - swapped["steady"]) / MB if swapped else None
    goal("memory while swapping, over steady", "≤ 4 MB", over, 4, "{:.1f} MB")
    goal("queries lost while swapping", "0", of(swapped, "lost"), 0, "{:.0f}")
    return table(["", "goal", "measured", "met"], rows)
