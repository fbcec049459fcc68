"""Measures servers on this machine; `run` beside this folder starts it."""

import argparse
import fcntl
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

TOP = Path(__file__).resolve().parents[3]
sys.path.insert(1, str(TOP / "bench/lists/measure"))

import encrypted  # noqa: E402
import machine  # noqa: E402
import rounds  # noqa: E402
import servers  # noqa: E402
from data import SEED, Data, prepare  # noqa: E402

PARTS = ["rounds", "reload", "memory", *encrypted.PARTS, "page"]
# Names a household asks for, listed and not.
LISTED, UNLISTED = 20_000, 60_000


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench/serve/run", description=__doc__)
    parser.add_argument("--sizes", default="1", help="millions of names, as in 0.1,1 (default: %(default)s)")
    parser.add_argument("--parts", default=",".join(PARTS), help="what to do (default: %(default)s)")
    parser.add_argument("--only", default="", help="servers, as in echo,hedgerow,dnsdist-cdb (default: all)")
    parser.add_argument("--mixes", default=",".join(rounds.MIXES), help="(default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="(default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=3, help="for each mix (default: %(default)s)")
    parser.add_argument("--millions", type=float, default=10, help="of queries for memory (default: %(default)s)")
    parser.add_argument("--hedgerow", type=Path, required=True, help="the program")
    parser.add_argument("--tool", type=Path, required=True, help="what bench/serve/tool was built to")
    parser.add_argument("--names-tool", type=Path, required=True, help="what bench/lists/tool was built to")
    parser.add_argument("--work", type=Path, required=True, help="folder for data; made again where missing")
    parser.add_argument("--lists", type=Path, help="folder with public lists, PUBLISHER/LIST.gz")
    parser.add_argument("--results", type=Path, default=TOP / "bench/serve/results.json")
    parser.add_argument("--docs", type=Path, default=TOP / "docs")
    parser.add_argument("--note", help="a sentence under the figures; kept until there is another")
    return parser.parse_args()


def main() -> None:
    # Who ends us ends what we started too: the blocks that hold it are left.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    signal.signal(signal.SIGINT, lambda *_: sys.exit(1))
    options = arguments()
    rounds.come_first()
    # Two at a time would measure one another.
    lock = (options.work / "serve.lock").open("w")
    fcntl.flock(lock, fcntl.LOCK_EX)
    parts = options.parts.split(",")
    results = json.loads(options.results.read_text()) if options.results.exists() else {}
    everybody = servers.all_servers(options.tool, options.hedgerow)
    wanted = options.only.split(",") if options.only else list(everybody)
    chosen = {}
    for key in wanted:
        if package := everybody[key].missing():
            say(f"{key} is left out: {package} is not installed")
        else:
            chosen[key] = everybody[key]

    def keep(part: str, size: int, key: str, found) -> None:
        results.setdefault(part, {}).setdefault(str(size), {})[key] = found
        results["machine"] = machine.describe(options.hedgerow)
        versions = {it.package: it.version() for it in chosen.values() if it.version()}
        results["machine"]["packages"] = results.get("packages", {}) | versions
        results["packages"] = results["machine"]["packages"]
        results.setdefault("labels", {}).update({name: it.label for name, it in chosen.items()})
        write()

    def write() -> None:
        options.results.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n")

    if options.note is not None:
        results["note"] = options.note
        write()
    for size in [round(float(it) * 1_000_000) for it in options.sizes.split(",")]:
        data = prepare(options.work, options.names_tool, options.lists, size)
        bench = rounds.Bench(options.tool, options.work, asked(options, data), data, options.seconds)
        if not bench.asked.exists():
            rounds.leave_out(bench, everybody["hedgerow"], data.folder / "asked.all")
        if "rounds" in parts:
            mixes = options.mixes.split(",")
            for found in rounds.measure_rounds(bench, chosen, mixes, options.rounds, say):
                for key in chosen:
                    keep("rounds", size, key, found[key])
        if "encrypted" in parts:
            them = {key: it for key, it in chosen.items() if key in encrypted.SERVERS}
            for found in encrypted.measure_rounds(bench, them, options.rounds, say):
                for key in them:
                    keep("encrypted", size, key, found[key])
        for part, measure in (("idle", encrypted.measure_idle), ("slow", encrypted.measure_slow)):
            if part in parts and "hedgerow" in chosen:
                for found in measure(bench, chosen["hedgerow"], options.rounds, say):
                    keep(part, size, "hedgerow", found)
        # As it comes: memory is what a household gets that sets nothing.
        plain = {key: it if key != "hedgerow" else servers.Hedgerow(options.hedgerow, cache="") for key, it in chosen.items()}
        if "reload" in parts:
            them = [key for key, it in plain.items() if not it.is_echo or key == "echo"]
            found = {key: [] for key in them}
            for number in range(options.rounds):
                # By turns, each time another first.
                turn = number % len(them) if them else 0
                for key in them[turn:] + them[:turn]:
                    if any(it.get("failure") == rounds.NO_LISTS for it in found[key]):
                        continue
                    found[key].append(rounds.measure_reload(bench, key, plain[key]))
                    say(f"reload, round {number + 1} {key}: {json.dumps(found[key][-1])}")
                    keep("reload", size, key, found[key])
        if "memory" in parts:
            for key, it in plain.items():
                if not it.is_echo:
                    found = rounds.measure_memory(bench, key, it, options.millions)
                    say(f"memory {key}: {json.dumps({k: v for k, v in found.items() if k != 'samples'})}")
                    keep("memory", size, key, found)
    if "page" in parts:
        import served

        served.update(results, options.docs)


def asked(options: argparse.Namespace, data: Data) -> Path:
    """Where the names are that are asked for; all there might be are drawn once."""
    path = data.folder / "asked.all"
    if not path.exists():
        command = [options.names_tool, "questions", data.names, LISTED, UNLISTED, SEED + 1]
        beside = path.with_suffix(".new")
        with beside.open("w") as out:
            subprocess.run([str(word) for word in command], stdout=out, check=True)
        beside.rename(path)
    return data.folder / "asked"


def say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


if __name__ == "__main__":
    main()
