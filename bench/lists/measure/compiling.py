"""Time and memory of compiling, by the number of names."""

from pathlib import Path

import hedgerow
from data import Data
from process import DidNotFinish


def measure(program: Path, sizes: list[Data], work: Path) -> list[dict]:
    """The index of each size from nothing."""
    found = []
    for data in sizes:
        try:
            # Nothing is asked: the upstream need not be there.
            home = hedgerow.Home(program, work / f"compile-{data.count}", 9, data.lists())
            found.append({"names": data.count} | (home.compile() or {"failure": "no `lists compile` in this build"}))
        except DidNotFinish as error:
            found.append({"names": data.count, "failure": str(error)})
    return found
