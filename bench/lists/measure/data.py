"""The names: real lists where there are copies, extended by the generator, in each syntax."""

import gzip
import itertools
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

SEED = 20261122
NAME = re.compile(r"[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})+")
ADDRESS = re.compile(r"[0-9.]+")
# What no list may take: the compiler leaves out whatever would take one of these names.
BLOCKLISTS = Path(__file__).resolve().parents[3] / "blocklists"
# Our own lists of a run: category and share of the names in percent.
SHARES = [("ads", 20), ("adult", 30), ("gambling", 10), ("malware", 10), ("phishing", 20), ("trackers", 10)]
# Questions whose right answers are known, of each sort.
LISTED, UNLISTED = 20_000, 20_000


@dataclass
class Data:
    """One size of the data in a folder of its own."""

    folder: Path
    count: int
    known: int

    @property
    def names(self) -> Path:
        return self.folder / "names"

    def questions(self) -> tuple[list[str], list[str]]:
        """Listed and unlisted names."""
        listed, unlisted = [], []
        for line in (self.folder / "questions").read_text().splitlines():
            sort, name = line.split(" ")
            (listed if sort == "listed" else unlisted).append(name)
        return listed, unlisted

    def written(self, name: str, line: str, head: str = "") -> Path:
        """The names, each put into `line` in place of its `@`, in a file that is kept."""
        path = self.folder / name
        if not path.exists():
            beside = path.with_suffix(".new")
            with self.names.open() as names, beside.open("w") as out:
                out.write(head)
                while block := list(itertools.islice(names, 10_000)):
                    out.writelines(line.replace("@", name.rstrip("\n")) for name in block)
            beside.rename(path)
        return path

    def lists(self) -> list[tuple[str, Path]]:
        """The names in a list for each category of `SHARES`, plain."""
        paths = [(category, self.folder / f"{category}.list") for category, _ in SHARES]
        if not all(path.exists() for _, path in paths):
            split(self.names, [(path, share) for (_, path), (_, share) in zip(paths, SHARES)])
        return paths


class Protected:
    """The names that no list may take, as `blocklists/` has them."""

    def __init__(self, folder: Path = BLOCKLISTS) -> None:
        # Alone, with all below them, and above one of them that is not a lifeline.
        self.exact, self.whole, self.above = set(), set(), set()
        for file in ["lifelines.txt", "protected.txt"]:
            for line in (folder / file).read_text().splitlines():
                word = line.split("#")[0].strip()
                name = word.removeprefix("=")
                if name:
                    (self.whole if name == word else self.exact).add(name)
                    if file == "protected.txt":
                        self.above.update(suffixes(name))

    def would_be_taken_by(self, name: str) -> bool:
        """Whether a list that names it would take one of them."""
        return name in self.exact or name in self.above or not self.whole.isdisjoint(suffixes(name))


def suffixes(name: str) -> list[str]:
    """The name and its parents."""
    labels = name.split(".")
    return [".".join(labels[begin:]) for begin in range(len(labels))]


def split(names: Path, parts: list[tuple[Path, int]]) -> None:
    """Deals the lines out: of a hundred in a row, each part gets its share."""
    turns = [index for index, (_, share) in enumerate(parts) for _ in range(share)]
    lines = names.read_text().splitlines(keepends=True)
    for index, (path, _) in enumerate(parts):
        path.write_text("".join(line for place, line in enumerate(lines) if turns[place % 100] == index))


def real_names(lists: Path):
    """The names of all lists in `lists/*/*.gz`, whatever their syntax, as often as they occur."""
    for path in sorted(lists.glob("*/*.gz")):
        with gzip.open(path, "rt", errors="replace") as lines:
            for line in lines:
                line = line.strip().lower()
                if not line or line[0] in "#![":
                    continue
                if ".dnsmasq." in path.name:
                    word = (line.split("/") + [""])[1]
                else:
                    words = line.split()
                    word = words[1] if len(words) > 1 and words[1][0] != "#" else words[0]
                    word = word.removeprefix("||").removesuffix("^")
                if NAME.fullmatch(word) and not ADDRESS.fullmatch(word) and len(word) <= 253:
                    yield word


def real_lists(work: Path, lists: Path) -> list[tuple[str, Path]]:
    """The public lists themselves, unpacked, each a category of its own."""
    folder = work / "real"
    folder.mkdir(parents=True, exist_ok=True)
    found = []
    for packed in sorted(lists.glob("*/*.gz")):
        name = re.sub(
            "[^a-z0-9]+", "-", f"{packed.parent.name}-{packed.name.removesuffix('.txt.gz')}".lower()
        )
        path = folder / f"{name}.list"
        if not path.exists():
            path.write_bytes(gzip.decompress(packed.read_bytes()))
        found.append((name, path))
    return found


def prepare(work: Path, tool: Path, lists: Path | None, count: int) -> Data:
    """Makes the data of one size, or takes what an earlier run made."""
    folder = work / f"{count}"
    folder.mkdir(parents=True, exist_ok=True)
    known = work / "known.names"
    if not known.exists():
        distinct = dict.fromkeys(real_names(lists)) if lists else {}
        # All contenders shall know the same names.
        protected = Protected()
        distinct = [name for name in distinct if not protected.would_be_taken_by(name)]
        known.write_text("".join(f"{name}\n" for name in distinct))
    with known.open() as lines:
        data = Data(folder, count, min(count, sum(1 for _ in lines)))
    if not (folder / "questions").exists():
        generate = [tool, "generate", str(count), str(SEED), str(known)]
        with data.names.open("w") as out:
            subprocess.run(generate, stdout=out, check=True)
        asked = [tool, "questions", str(data.names), str(LISTED), str(UNLISTED), str(SEED)]
        beside = folder / "questions.new"
        with beside.open("w") as out:
            subprocess.run(asked, stdout=out, check=True)
        beside.rename(folder / "questions")
    return data
