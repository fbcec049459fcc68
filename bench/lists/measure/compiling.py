"""Time and memory of compiling, by the number of names."""

from pathlib import Path

import hedgerow
from data import Data, real_lists
from process import DidNotFinish


def measure(program: Path, sizes: list[Data], lists: Path | None, work: Path) -> list[dict]:
    """The index of each size from nothing, and of the public lists as they are."""
    found = [compiled(program, f"{it.count:,}", it.count, it.lists(), work) for it in sizes]
    if lists:
        known = sum(1 for _ in (work / "known.names").open())
        found.append(
            compiled(
                program, f"{known:,}, the public lists as they are", known, real_lists(work, lists), work
            )
        )
    return found


def compiled(program: Path, label: str, names: int, lists: list[tuple[str, Path]], work: Path) -> dict:
    """One index."""
    told = {"label": label, "names": names, "lines": sum(path.read_bytes().count(b"\n") for _, path in lists)}
    try:
        # Nothing is asked: the upstream need not be there.
        home = hedgerow.Home(program, work / f"compile-{names}", 9, lists)
        return told | home.compile()
    except DidNotFinish as error:
        return told | {"failure": str(error)}
