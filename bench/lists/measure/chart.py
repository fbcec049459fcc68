"""Plots as SVG, written by hand: no library, the same bytes for the same figures."""

import math
from pathlib import Path
from xml.sax.saxutils import escape

import page

WIDTH, LEFT, RIGHT = 720, 190, 90
COLOURS = ["#2a78b8", "#d9822b", "#4a9c5d", "#b4557a", "#7a68b8", "#7d7d7d", "#b59a2a"]
# Text and lines that can be read on white and on black; viewers that say which get more contrast.
STYLE = """<style>
text { font: 13px system-ui, sans-serif; fill: #7d7d7d }
.title { font-size: 15px; font-weight: 600 }
.grid { stroke: #8884; stroke-width: 1 }
@media (prefers-color-scheme: dark) { text { fill: #b8b8b8 } }
@media (prefers-color-scheme: light) { text { fill: #333 } }
</style>"""


class Drawing:
    """Shapes on a transparent ground."""

    def __init__(self, title: str, height: int) -> None:
        self.height = height
        self.shapes = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
            f"<title>{escape(title)}</title>",
            STYLE,
        ]
        self.text(10, 22, title, "title")

    def text(self, x: float, y: float, text: str, kind: str = "", anchor: str = "start") -> None:
        kind = f' class="{kind}"' if kind else ""
        self.shapes.append(
            f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{kind}>{escape(text)}</text>'
        )

    def line(self, x1: float, y1: float, x2: float, y2: float) -> None:
        self.shapes.append(f'<line class="grid" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>')

    def bar(self, x: float, y: float, width: float, height: float, colour: str, opacity: float = 1) -> None:
        self.shapes.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 1):.1f}" height="{height:.1f}" rx="2" '
            f'fill="{colour}" fill-opacity="{opacity}"/>'
        )

    def path(self, points: list[tuple[float, float]], colour: str, dots: bool, dashes: str = "none") -> None:
        steps = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self.shapes.append(
            f'<polyline points="{steps}" fill="none" stroke="{colour}" stroke-width="2" '
            f'stroke-linejoin="round" stroke-dasharray="{dashes}"/>'
        )
        if dots:
            self.shapes += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>' for x, y in points]

    def write(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join([*self.shapes, "</svg>"]) + "\n")


class Scale:
    """From a figure to a place, by its size or by its logarithm."""

    def __init__(self, low: float, high: float, begin: float, end: float, is_log: bool) -> None:
        self.low, self.high, self.begin, self.end, self.is_log = low, high, begin, end, is_log

    def __call__(self, value: float) -> float:
        if self.is_log:
            share = math.log(max(value, self.low) / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return self.begin + share * (self.end - self.begin)

    def ticks(self) -> list[float]:
        """Powers of ten, or some five round numbers."""
        if self.is_log:
            first, last = math.ceil(math.log10(self.low) - 1e-9), math.floor(math.log10(self.high) + 1e-9)
            return [10.0**power for power in range(first, last + 1)]
        step = nice((self.high - self.low) / 5)
        return [step * place for place in range(math.ceil(self.low / step), math.floor(self.high / step) + 1)]


def nice(number: float) -> float:
    """The next larger of 1, 2, 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(number))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= number)


def plain(number: float) -> str:
    return f"{number:,.0f}" if number >= 1 or number == 0 else f"{number:g}"


def bars(
    path: Path, title: str, unit: str, rows: list[tuple[str, float, float]], names: tuple[str, str]
) -> None:
    """Two bars for each row on a logarithmic axis, in `unit`."""
    step, top = 40, 62
    drawing = Drawing(title, top + step * len(rows) + 46)
    bottom = top + step * len(rows)
    most = max(value for _, one, other in rows for value in (one, other))
    scale = Scale(0.1, 10 ** math.ceil(math.log10(most)), LEFT, WIDTH - RIGHT, is_log=True)
    for tick in scale.ticks():
        drawing.line(scale(tick), top - 6, scale(tick), bottom)
        drawing.text(scale(tick), bottom + 17, plain(tick), anchor="middle")
    drawing.text((LEFT + WIDTH - RIGHT) / 2, bottom + 36, f"{unit}, logarithmic", anchor="middle")
    for place, name in enumerate(names):
        x = LEFT + 190 * place
        drawing.bar(x, 36, 14, 10, COLOURS[place])
        drawing.text(x + 20, 46, name)
    for place, (label, *values) in enumerate(rows):
        y = top + step * place
        drawing.text(LEFT - 10, y + 20, label.replace("`", ""), anchor="end")
        for which, value in enumerate(values):
            drawing.bar(LEFT, y + 3 + 15 * which, scale(value) - LEFT, 12, COLOURS[which])
            shown = f"{value:.1f}" if value < 100 else plain(value)
            drawing.text(scale(max(value, 0.1)) + 5, y + 13 + 15 * which, shown)
    drawing.write(path)


def lines(
    path: Path,
    title: str,
    axes: tuple[str, str],
    series: list[tuple[str, list[tuple[float, float]]]],
    is_log: bool,
    dots: bool = True,
) -> None:
    """A line for each series, its label at its end."""
    left, right, top, bottom, height = 70, 200, 54, 360, 410
    drawing = Drawing(title, height)
    points = [point for _, all_points in series for point in all_points]
    xs, ys = [x for x, _ in points], [y for _, y in points]
    if len(set(xs)) < 2:
        # One size makes no line.
        return
    if is_log:
        low, high = 10 ** math.floor(math.log10(min(ys))), 10 ** math.ceil(math.log10(max(ys)))
        across = Scale(min(xs), max(xs), left, WIDTH - right, is_log=True)
    else:
        step = nice(max(ys) / 5)
        low, high = 0, step * math.ceil(max(ys) * 1.02 / step)
        across = Scale(min(min(xs), 0), max(xs), left, WIDTH - right, is_log=False)
    up = Scale(low, high, bottom, top, is_log)
    for tick in up.ticks():
        drawing.line(left, up(tick), WIDTH - right, up(tick))
        drawing.text(left - 8, up(tick) + 4, plain(tick), anchor="end")
    for tick in sorted(set(xs)) if dots else across.ticks():
        drawing.line(across(tick), top, across(tick), bottom)
        drawing.text(across(tick), bottom + 18, plain(tick), anchor="middle")
    drawing.text((left + WIDTH - right) / 2, bottom + 38, axes[0], anchor="middle")
    drawing.text(10, top - 12, axes[1])
    ends = []
    for place, (label, all_points) in enumerate(series):
        colour = COLOURS[place % len(COLOURS)]
        drawn = [(across(x), up(y)) for x, y in all_points]
        drawing.path(drawn, colour, dots, "none" if dots or place == 0 else "5 3")
        ends.append((drawn[-1][1], drawn[-1][0], label, colour))
    # Labels that would lie on one another move down.
    free = 0.0
    for y, x, label, colour in sorted(ends):
        y = max(y, free)
        free = y + 16
        drawing.bar(WIDTH - right + 12, y - 5, 10, 10, colour)
        drawing.text(WIDTH - right + 27, y + 5, label.replace("`", ""))
    drawing.write(path)


def write_all(results: dict, folder: Path) -> None:
    """Every plot there are figures for."""
    found = results.get("contenders", {})
    sizes = sorted(int(size) for size in found if int(size) > 1)
    if sizes:
        size = page.shown_size(found)
        rows = []
        for key in page.by_memory(found, size):
            it = found[str(size)][key]
            if "failure" not in it:
                over = page.over_empty(found, size, key)
                rows.append((it["label"], over["anonymous"] / 1e6, over["file"] / 1e6))
        bars(
            folder / "memory.svg",
            f"Memory for {size:,} names, over the same program with one name",
            "MB",
            rows,
            ("anonymous", "file-backed"),
        )
        keys = page.by_memory(found, size)
        series = {"load.svg": [], "memory-by-size.svg": []}
        for key in keys:
            good = [(size, found[str(size)][key]) for size in sizes if key in found[str(size)]]
            good = [(size, it) for size, it in good if "failure" not in it]
            if good:
                label = good[0][1]["label"]
                series["load.svg"].append(
                    (label, [(n / 1e6, it["load_cpu_seconds"] or 0.01) for n, it in good])
                )
                memory = [(n / 1e6, (it["anonymous"] + it["file"]) / 1e6) for n, it in good]
                series["memory-by-size.svg"].append((label, memory))
        axes = ("million names, logarithmic", "CPU seconds, logarithmic")
        lines(
            folder / "load.svg",
            "From start to the first right answers",
            axes,
            series["load.svg"],
            is_log=True,
        )
        axes = ("million names, logarithmic", "MB, logarithmic")
        title = "Resident memory of the whole process"
        lines(folder / "memory-by-size.svg", title, axes, series["memory-by-size.svg"], is_log=True)
    compiled = page.compiled_sizes(results.get("compile", []))
    if compiled:
        points = [(it["names"] / 1e6, it["cpu"]) for it in compiled]
        axes = ("million names", "CPU seconds")
        lines(folder / "compile-time.svg", "Compiling the index", axes, [("time", points)], is_log=False)
        points = [(it["names"] / 1e6, it["peak"] / 1e6) for it in compiled]
        axes = ("million names", "MB")
        lines(
            folder / "compile-memory.svg", "Peak memory of compiling", axes, [("peak", points)], is_log=False
        )
    if samples := results.get("swap", {}).get("samples"):
        begin = samples[0][0]
        names = ["resident", "anonymous", "compiling process"]
        series = [
            (name, [(sample[0] - begin, sample[1 + place] / 1e6) for sample in samples])
            for place, name in enumerate(names)
            if any(sample[1 + place] for sample in samples)
        ]
        axes = (f"seconds; the list changes at {-begin:.0f}", "MB")
        lines(
            folder / "swap.svg", "Memory of the daemon while it swaps", axes, series, is_log=False, dots=False
        )
