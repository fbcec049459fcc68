"""Measures list engines on this machine; `run` beside this folder starts it."""

import argparse
import json
import signal
import sys
import time
from pathlib import Path

import chart
import compiling
import contenders
import household
import machine
import page
import swap
from data import prepare

TOP = Path(__file__).resolve().parents[3]
PARTS = ["contenders", "household", "swap", "compile", "page"]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench/lists/run", description=__doc__)
    parser.add_argument(
        "--sizes", default="1,5,10", help="millions of names, as in 0.1,1 (default: %(default)s)"
    )
    parser.add_argument("--parts", default=",".join(PARTS), help="what to do (default: %(default)s)")
    parser.add_argument(
        "--only", default="", help="contenders, as in hashset,dnsmasq-local,hedgerow (default: all)"
    )
    parser.add_argument("--hedgerow", type=Path, required=True, help="the program")
    parser.add_argument("--tool", type=Path, required=True, help="what bench/lists/tool was built to")
    parser.add_argument("--timer", type=Path, help="what bench/lists/index.rs was built to")
    parser.add_argument("--work", type=Path, required=True, help="folder for data; made again where missing")
    parser.add_argument("--lists", type=Path, help="folder with public lists, PUBLISHER/LIST.gz")
    parser.add_argument("--results", type=Path, default=TOP / "bench/lists/results.json")
    parser.add_argument(
        "--docs", type=Path, default=TOP / "docs", help="where performance.md is (default: docs)"
    )
    parser.add_argument(
        "--note", help="a sentence under the table of the machine; kept until there is another"
    )
    return parser.parse_args()


def main() -> None:
    # Who ends us ends what we started too: the blocks that hold it are left.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    signal.signal(signal.SIGINT, lambda *_: sys.exit(1))
    options = arguments()
    parts = options.parts.split(",")
    sizes = [round(float(size) * 1_000_000) for size in options.sizes.split(",")]
    results = json.loads(options.results.read_text()) if options.results.exists() else {}

    def write() -> None:
        options.results.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n")

    def keep(part: str, found) -> None:
        results[part] = found
        results["machine"] = machine.describe(options.hedgerow)
        write()

    if options.note is not None:
        results["note"] = options.note
        write()

    def data(size: int):
        say(f"data of {size} names")
        return prepare(options.work, options.tool, options.lists, size)

    if "contenders" in parts:
        all_keys = ["hashset", *contenders.SERVERS, "hedgerow"]
        keys = [key for key in all_keys if not options.only or key in options.only.split(",")]
        found = results.get("contenders", {})
        # Who did not finish is not asked to load more.
        gave_up: dict[str, dict] = {}
        # One name shows what each is without a list.
        for size in [1, *sizes]:
            it = data(size)
            for key in keys:
                say(f"{key}, {size} names")
                measured = gave_up.get(key) or contend(key, it, options)
                if "failure" in measured:
                    gave_up[key] = {"label": measured["label"], "failure": "not with fewer names either"}
                say(f"  {json.dumps(measured)}")
                found.setdefault(str(size), {})[key] = measured | {"known": it.known}
                keep("contenders", found)
    if "household" in parts:
        keep("household", household.measure(options.hedgerow, data(sizes[0]), data(1), options.work))
        say(json.dumps(results["household"], indent=1))
    if "swap" in parts:
        keep("swap", swap.measure(options.hedgerow, data(sizes[0]), options.work))
        say(json.dumps({key: it for key, it in results["swap"].items() if key != "samples"}, indent=1))
    if "compile" in parts:
        found = compiling.measure(
            options.hedgerow, [data(size) for size in sizes], options.lists, options.work
        )
        say(json.dumps(found, indent=1))
        keep("compile", found)
    if "page" in parts:
        chart.write_all(results, options.docs / "performance")
        page.update(results, options.docs / "performance.md")


def contend(key: str, data, options: argparse.Namespace) -> dict:
    if key == "hashset":
        return contenders.measure_hashset(options.tool, data, options.work)
    if key == "hedgerow":
        return contenders.measure_hedgerow(options.hedgerow, options.timer, data, options.work)
    return contenders.measure_server(key, data, options.work)


def say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


if __name__ == "__main__":
    main()
