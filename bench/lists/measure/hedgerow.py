"""Our own program: a household for measuring, its index, its daemon."""

import contextlib
import os
import subprocess
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

import process


class Home:
    """A folder with a configuration in which everybody is a guest who is blocked what is listed."""

    def __init__(self, program: Path, folder: Path, upstream: int, lists: list[tuple[str, Path]]) -> None:
        self.program, self.folder = program, folder
        self.port = process.free_port()
        self.config = folder / "hedgerow.toml"
        self.socket = folder / "control.sock"
        self.state = folder / "state"
        self.state.mkdir(parents=True, exist_ok=True)
        # In memory, as on a router, whatever the disk is.
        memory = Path("/dev/shm")
        within = memory if os.access(memory, os.W_OK) else folder
        # It goes with this value.
        self.scratch = tempfile.TemporaryDirectory(prefix="hedgerow-bench-", dir=within)
        self.work = Path(self.scratch.name)
        self.write_config(upstream, lists)

    # A list that names a public suffix is taken at its word, as everybody else takes it: all must give
    # the same answers to be compared.
    def write_config(self, upstream: int, lists: list[tuple[str, Path]]) -> None:
        categories = ", ".join(f'"{category}"' for category, _ in lists)
        head = f"""
[server]
listen = ["127.0.0.1:{self.port}"]
[control]
socket = "{self.socket}"
[upstream]
servers = ["127.0.0.1:{upstream}"]
mixed-case = false
[lists]
starter = false
folder = "{self.state}"
work-folder = "{self.work}"
[household]
guest-profile = "measured"
[profile.measured]
inherits = "adult"
categories = [{categories}]
"""
        entries = (
            f'[[list]]\nid = "the-{category}"\ncategory = "{category}"\nfile = "{path}"\npublic-suffixes = true\n'
            for category, path in lists
        )
        self.config.write_text(head + "".join(entries))

    def compile(self) -> dict:
        """Compiles the index from nothing."""
        for path in self.state.glob("lists.index*"):
            path.unlink()
        command = [str(self.program), "lists", "compile", "--config", str(self.config)]
        spent = process.run_to_end(command, self.folder / "compile.log", self.work)
        return asdict(spent) | {"index": sum(path.stat().st_size for path in self.index_files())}

    def settle(self) -> None:
        """Has a daemon take the compiled lists for its own, so that the next one finds all as it wants it."""
        note = self.state / "lists.index.sources"
        if note.exists():
            return
        with process.running(self.serve_command(), self.folder / "settle.log") as it:
            begin = time.monotonic()
            while not note.exists():
                if it.poll() is not None or time.monotonic() - begin > process.MOST_SECONDS:
                    raise process.DidNotFinish("the daemon does not compile its lists")
                time.sleep(0.05)

    def index_files(self) -> list[Path]:
        return list(self.state.glob("lists.index"))

    def serve_command(self) -> list[str]:
        return [str(self.program), "serve", "--config", str(self.config)]

    @contextlib.contextmanager
    def serving(self, expected: list[tuple[str, str]]):
        """The daemon, once it gives the expected answers; ended with the block."""
        begin = time.monotonic()
        with process.running(self.serve_command(), self.folder / "serve.log") as it:
            process.wait_for_answer(it, self.port, expected, begin)
            yield it

    def take_over(self) -> str:
        """Has the changed lists compiled and taken over; tells by which command."""
        command = [self.program, "reload", "--socket", str(self.socket)]
        subprocess.run(command, check=True, capture_output=True)
        return "reload"
