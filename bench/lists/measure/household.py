"""Memory of the daemon under a household's traffic, with a large list and with next to none.

Both daemons are asked the same names that are not listed, as often and in the same order, so that
cache, log and statistics hold the same. Where the one with the large list blocks, the other is
asked a name it blocks too: its only one. What differs then is what the list costs.
"""

import statistics
from pathlib import Path

import hedgerow
import process
import traffic
from data import Data

# Allocators and threads differ a little from run to run.
ROUNDS = 3


def measure(program: Path, large: Data, empty: Data, work: Path) -> dict:
    """Both daemons, some times; the medians and all rounds."""
    listed, unlisted = large.questions()
    questions = traffic.household(listed, unlisted)
    only = empty.questions()[0][0]
    same = [(only, right) if right == "blocked" else (name, right) for name, right in questions]
    rounds = [
        {"large": one(program, large, questions, work), "empty": one(program, empty, same, work)}
        for _ in range(ROUNDS)
    ]

    def median(which: str, key: str) -> float:
        return statistics.median(it[which][key] for it in rounds)

    return {
        "names": large.count,
        "queries": len(questions),
        "blocked": sum(right == "blocked" for _, right in questions),
        "distinct_blocked": len({name for name, right in questions if right == "blocked"}),
        "distinct_passed": len({name for name, right in questions if right == "passed"}),
        "anonymous_over_empty": statistics.median(
            it["large"]["anonymous"] - it["empty"]["anonymous"] for it in rounds
        ),
        "index_resident": median("large", "index_resident"),
        "index_size": rounds[0]["large"]["index_size"],
        "anonymous": median("large", "anonymous"),
        "anonymous_empty": median("empty", "anonymous"),
        "rounds": rounds,
    }


def one(program: Path, data: Data, questions: list[tuple[str, str]], work: Path) -> dict:
    """One daemon, all the questions, then its memory."""
    with process.stub_upstream(work) as upstream:
        home = hedgerow.Home(program, work / f"household-{data.count}", upstream, data.lists())
        home.compile()
        home.settle()
        with home.serving(questions[:1]) as it:
            before = process.memory(it.pid)
            sent = traffic.send(home.port, questions)
            after = process.memory(it.pid)
            index = home.index_files()
            return sent | {
                "anonymous_before": before.anonymous,
                "anonymous": after.anonymous,
                "file": after.file,
                "peak": after.peak,
                "index_resident": sum(process.mapped(it.pid, path) for path in index),
                "index_size": sum(path.stat().st_size for path in index),
            }
