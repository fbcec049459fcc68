"""The machine and the versions, without anything that would tell one machine from another."""

import datetime
import platform
import re
import subprocess
from pathlib import Path

import contenders


def describe(program: Path) -> dict:
    """What a reader needs to judge the figures."""
    cpu = Path("/proc/cpuinfo").read_text()
    model = re.search(r"model name\s*: (.*)", cpu)
    megahertz = re.search(r"cpu MHz\s*: (\d+)", cpu)
    memory = re.search(r"MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text())
    system = re.search(r'PRETTY_NAME="(.*)"', Path("/etc/os-release").read_text())
    version = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    packages = {server.package for server in contenders.SERVERS.values() if not server.missing()}
    return {
        "date": datetime.date.today().isoformat(),
        "processor": model[1] if model else platform.machine(),
        "megahertz": int(megahertz[1]) if megahertz else 0,
        "processors": cpu.count("processor\t:"),
        "memory": int(memory[1]) * 1024 if memory else 0,
        "system": system[1] if system else "Linux",
        "kernel": ".".join(platform.release().split(".")[:2]),
        "hedgerow": version.stdout.strip().removeprefix("hedgerow "),
        "packages": {package: contenders.debian_version(package) for package in sorted(packages)},
    }
