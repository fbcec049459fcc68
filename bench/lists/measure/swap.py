"""Memory and answers of the daemon while it takes over a new index."""

import multiprocessing
import socket
import threading
import time
from pathlib import Path

import dns
import hedgerow
import process
import traffic
from data import Data

# Seconds between looks at the daemon's memory, and questions a second meanwhile.
EVERY = 0.005
RATE = 1_000
# Questions before the swap, to know how late answers are without one, and after it, in seconds.
BEFORE, AFTER = 5, 3
# A name that only the second index has.
NEW_NAME = "added-by-the-swap.example"


def measure(program: Path, data: Data, work: Path) -> dict:
    """A running daemon gets a list with one name more."""
    listed, unlisted = data.questions()
    # Names whose answers stay in the cache: what is late is late because of us.
    questions = traffic.household(listed, unlisted[:2_000], (BEFORE + AFTER) * RATE)
    lists = data.lists()
    with process.stub_upstream(work) as upstream:
        home = hedgerow.Home(program, work / "swap", upstream, own_copies(lists, work / "swap"))
        home.compile()
        home.settle()
        with home.serving(questions[:1]) as it:
            # What grows with traffic has grown before: cache, log, statistics.
            traffic.send(home.port, questions * 4)
            with Sampler(it.pid) as sampler, Stream(home.port, questions) as stream:
                time.sleep(BEFORE)
                begin = time.monotonic()
                with home_list(home, lists[0][0]).open("a") as out:
                    out.write(NEW_NAME + "\n")
                other = home.take_over()
                swapped = process.wait_for_answer(it, home.port, [(NEW_NAME, "blocked")], begin)
                end = begin + swapped
                time.sleep(AFTER)
    steady = [sample for sample in sampler.samples if begin - BEFORE <= sample[0] < begin]
    samples = [sample for sample in sampler.samples if begin - 1 <= sample[0] <= end + 2]
    return {
        "names": data.count,
        "steady": max(resident for _, resident, _, _ in steady),
        "steady_anonymous": max(anonymous for _, _, anonymous, _ in steady),
        "after": samples[-1][1],
        "peak": max(resident for _, resident, _, _ in samples),
        "peak_anonymous": max(anonymous for _, _, anonymous, _ in samples),
        "peak_of_children": max(children for _, _, _, children in samples),
        "swap_seconds": swapped,
        "compiled_by": other,
        "rate": RATE,
        **stream.summary(begin, end),
        "samples": [[round(at - begin, 3), *sizes] for at, *sizes in thinned(samples)],
    }


def thinned(samples: list[tuple]) -> list[tuple]:
    """Those that say something new: where the sizes change, with the moment before."""
    kept = [
        sample
        for before, sample, after in zip(samples, samples[1:], samples[2:])
        if sample[1:] != before[1:] or sample[1:] != after[1:]
    ]
    return [samples[0], *kept, samples[-1]]


def own_copies(lists: list[tuple[str, Path]], folder: Path) -> list[tuple[str, Path]]:
    """The lists copied, since one of them is changed."""
    folder.mkdir(parents=True, exist_ok=True)
    copies = [(category, folder / path.name) for category, path in lists]
    for (_, path), (_, copy) in zip(lists, copies):
        copy.write_bytes(path.read_bytes())
    return copies


def home_list(home: hedgerow.Home, category: str) -> Path:
    return home.folder / f"{category}.list"


class Sampler:
    """Looks at a process's memory in a process of its own."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.samples: list[tuple[float, int, int, int]] = []

    def __enter__(self):
        self.ours, theirs = multiprocessing.Pipe()
        self.process = multiprocessing.Process(target=look, args=(self.pid, theirs))
        self.process.start()
        return self

    def __exit__(self, *_) -> None:
        self.ours.send("enough")
        self.samples = self.ours.recv()
        self.process.join()


def look(pid: int, pipe) -> None:
    """Moments with what is resident, what of it is anonymous, and what its children have, until told
    to end."""
    samples = []
    due = time.monotonic()
    while not pipe.poll(max(0, due - time.monotonic())):
        now = process.fields(f"/proc/{pid}/smaps_rollup", {"Rss", "Anonymous"})
        children = sum(process.resident_of_child(child) for child in process.children(pid))
        samples.append((time.monotonic(), now["Rss"], now["Anonymous"], children))
        due = max(due + EVERY, time.monotonic() - EVERY)
    pipe.recv()
    pipe.send(samples)


class Stream:
    """Questions at an even rate in the background, with the time each took."""

    def __init__(self, port: int, questions: list[tuple[str, str]]) -> None:
        self.questions = questions
        self.sent: list[float] = []
        self.took: dict[int, float] = {}
        self.wrong = 0
        self.client = socket.socket(type=socket.SOCK_DGRAM)
        self.client.connect(("127.0.0.1", port))
        self.client.settimeout(2)
        self.is_over = threading.Event()

    def __enter__(self):
        self.threads = [threading.Thread(target=self.send), threading.Thread(target=self.receive)]
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_) -> None:
        self.is_over.set()
        for thread in self.threads:
            thread.join()
        self.client.close()

    def send(self) -> None:
        begin = time.monotonic()
        while not self.is_over.is_set():
            place = len(self.sent)
            time.sleep(max(0, begin + place / RATE - time.monotonic()))
            name, _ = self.questions[place % len(self.questions)]
            query = dns.question(name, place & 0xFFFF)
            self.sent.append(time.monotonic())
            self.client.send(query)

    def receive(self) -> None:
        while True:
            try:
                reply = self.client.recv(4096)
            except TimeoutError:
                if self.is_over.is_set():
                    return
                continue
            now = time.monotonic()
            # The latest question with this id: a wait of a minute is a loss anyway.
            last = len(self.sent) - 1
            place = last - ((last - int.from_bytes(reply[:2], "big")) & 0xFFFF)
            self.took[place] = now - self.sent[place]
            self.wrong += dns.verdict(reply) != self.questions[place % len(self.questions)][1]

    def summary(self, begin: float, end: float) -> dict:
        """Queries lost, and how long answers took before the swap and in it."""

        def slowest(first: float, last: float) -> dict:
            took = sorted(
                self.took[place]
                for place, at in enumerate(self.sent)
                if first <= at < last and place in self.took
            )
            if not took:
                return {"queries": 0}
            return {
                "queries": len(took),
                "median_seconds": took[len(took) // 2],
                "p99_seconds": took[len(took) * 99 // 100],
                "slowest_seconds": took[-1],
            }

        return {
            "sent": len(self.sent),
            "lost": len(self.sent) - len(self.took),
            "wrong": self.wrong,
            "before": slowest(begin - BEFORE, begin),
            "during": slowest(begin, end),
        }
