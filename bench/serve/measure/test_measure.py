"""What the measuring itself rests on: `python3 -m unittest discover -s bench/serve/measure`."""

import contextlib
import json
import mmap
import shutil
import struct
import sys
import tempfile
import types
import unittest
import xml.dom.minidom
from pathlib import Path

TOP = Path(__file__).resolve().parents[3]
sys.path.insert(1, str(TOP / "bench/lists/measure"))

import encrypted  # noqa: E402
import rounds  # noqa: E402
import encrypted_page  # noqa: E402
import served  # noqa: E402
import servers  # noqa: E402
from data import Data  # noqa: E402


def look_up(database: bytes, key: bytes) -> bool:
    """As the format says it, from the head."""
    hash = 5381
    for octet in key:
        hash = (hash * 33 & 0xFFFFFFFF) ^ octet
    place, count = struct.unpack_from("<II", database, (hash & 255) * 8)
    for step in range(count):
        slot = place + ((hash >> 8) + step) % count * 8
        found, where = struct.unpack_from("<II", database, slot)
        if where == 0:
            return False
        length = struct.unpack_from("<I", database, where)[0]
        if found == hash and database[where + 8 : where + 8 + length] == key:
            return True
    return False


class Names(unittest.TestCase):
    def test_all_names_are_found_in_a_constant_database_and_no_other(self):
        names = [f"n{number}.example" for number in range(3000)]
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "names.cdb"
            servers.write_cdb((servers.wire_name(name) for name in names), path)
            with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as database:
                for name in names:
                    self.assertTrue(look_up(database, servers.wire_name(name)), name)
                for number in range(3000, 4000):
                    self.assertFalse(look_up(database, servers.wire_name(f"n{number}.example")))

    def test_a_zone_with_one_name_more_is_a_newer_zone(self):
        with tempfile.TemporaryDirectory() as folder:
            data = Data(Path(folder), 1, 0)
            data.names.write_text("one.example\n")
            beside, path = servers.rpz_with_one_more(data)
            self.assertIn(" 1 3600 ", path.read_text())
            self.assertIn(" 2 3600 ", beside.read_text())
            added = f"{servers.ADDED} CNAME .\n*.{servers.ADDED} CNAME .\n"
            self.assertEqual(beside.read_text().replace(" 2 3600 ", " 1 3600 "), path.read_text() + added)

    def test_every_server_reads_all_names(self):
        with tempfile.TemporaryDirectory() as folder:
            folder = Path(folder)
            data = Data(folder, 2, 0)
            data.names.write_text("one.example\ntwo.example\n")
            everybody = servers.all_servers(folder / "tool", folder / "hedgerow")
            for key, server in everybody.items():
                site = servers.Site(folder / key, 5300, 5301, data)
                site.folder.mkdir()
                words = " ".join(server.configure(site).command)
                self.assertTrue(words, key)
                configured = words + "".join(it.read_text() for it in site.folder.iterdir() if it.is_file())
                self.assertIn("5300", configured, key)
                self.assertEqual("5301" in configured, not server.is_echo, key)


class Ways(unittest.TestCase):
    def test_every_server_that_is_compared_speaks_tls_with_the_same_certificate(self):
        with tempfile.TemporaryDirectory() as folder:
            folder = Path(folder)
            data = Data(folder, 1, 0)
            data.names.write_text("one.example\n")
            everybody = servers.all_servers(folder / "tool", folder / "hedgerow")
            for key in encrypted.SERVERS:
                configured = {}
                for ways in (None, servers.Encrypted(5302, 5303, folder / "c.pem", folder / "k.pem", "7m")):
                    site = servers.Site(folder / key, 5300, 5301, data, ways)
                    site.folder.mkdir(exist_ok=True)
                    everybody[key].configure(site)
                    configured[bool(ways)] = "".join(it.read_text() for it in site.folder.iterdir() if it.is_file())
                for word in ("5302", "5303", f"{folder}/c.pem", f"{folder}/k.pem"):
                    self.assertIn(word, configured[True], key)
                    self.assertNotIn(word, configured[False], key)

    @unittest.skipUnless(shutil.which("openssl"), "no openssl")
    def test_the_certificate_is_made_once(self):
        with tempfile.TemporaryDirectory() as folder:
            made, key = encrypted.certificate(Path(folder))
            first = made.read_text()
            self.assertIn("BEGIN CERTIFICATE", first)
            self.assertIn("PRIVATE KEY", key.read_text())
            self.assertEqual(encrypted.certificate(Path(folder))[0].read_text(), first)


def one_run(microseconds: float, count: int = 1000, **more) -> dict:
    it = {"right": count, "wrong": 0, "lost": 0, "stray": 0, "seconds": 1.0}
    it |= {"cpu_nanoseconds": int(microseconds * 1000 * count), "warming_wrong": 0, "warming_lost": 0}
    return it | more


LATE = {"sent": 1000, "p50_nanoseconds": 40_000, "p99_nanoseconds": 90_000, "p999_nanoseconds": 100_000}


def server_round(factor: float, ports: int) -> dict:
    mixes = {mix: one_run(4 * factor) for mix in rounds.MIXES}
    memory = {"resident": 15_000_000, "anonymous": 1, "peak": 15_000_000}
    return mixes | {"paced": one_run(5 * factor, **LATE), "ports": ports, "load_seconds": 0.04, "memory": memory}


def results() -> dict:
    echo = {"cached": one_run(4), "paced": one_run(5, **LATE), "load_seconds": 0}
    quiet = {"lost": 0, "wrong": 0, "sent": 1_000, "longest_gap_nanoseconds": 3_000_000}
    late = quiet | {"longest_gap_nanoseconds": 6_000_000}
    reload = {"quiet": quiet, "load": late, "seconds": 2.0}
    reload |= {"steady": 15_000_000, "peak": 16_000_000, "peak_together": 25_000_000}
    return {
        "labels": {"echo": "echo, 32 at once", "hedgerow": "hedgerow", "dnsdist-cdb": "dnsdist, CDB"},
        "rounds": {
            "1000000": {
                "echo": [echo, echo],
                "hedgerow": [server_round(1.2, 1950), server_round(1.25, 1940)],
                "dnsdist-cdb": [server_round(2, 1), server_round(2.5, 1)],
                "unbound": [{"failure": "ended with 1"}, {"failure": "ended with 1"}],
            }
        },
        "reload": {
            "1000000": {
                "echo": [{"quiet": quiet}],
                "hedgerow": [reload, reload | {"load": quiet}, reload],
                "dnsdist-cdb": [{"failure": "reads no list anew"}],
            }
        },
        "memory": {
            "1000000": {
                "hedgerow": {
                    "samples": [[0, 1_000_000], [2, 14_000_000], [10, 15_000_000]],
                    "load": one_run(4),
                    "resident": 15_000_000,
                }
            }
        },
    }


def over_tls(microseconds: float) -> dict:
    agreed = {"agreed": "TLSv1_3 TLS13_AES_256_GCM_SHA384"}
    it = {"udp": one_run(microseconds)}
    for way in encrypted.OVER:
        it[way] = one_run(2 * microseconds, **agreed)
        it[f"{way}-paced"] = one_run(3 * microseconds, **LATE, **agreed)
    return it


def waits(milliseconds: float, lost: int = 0) -> dict:
    nanoseconds = int(milliseconds * 1e6)
    one = {"right": 500, "wrong": 0, "lost": lost, "p50_nanoseconds": nanoseconds, "p99_nanoseconds": 3 * nanoseconds}
    return {"udp": one, "dot": one, "new": one, "seconds": 2.0, "cpu_nanoseconds": 200_000_000}


def encrypted_results() -> dict:
    end = {"held": 10_100, "open": 10_100, "again": [3, 4], "asked": 101, "answered": 100}
    idle = {"connections": 10_000, "before": 20_000_000, "after": 140_000_000, "seconds": 9.0, "cpu_seconds": 4.0}
    idle |= {"without": waits(1), "with": waits(1.5), "end": end}
    slow = [{"without": waits(1), "with": waits(number, lost=1), "end": end} for number in (2, 3, 9)]
    return {
        "labels": {"hedgerow": "hedgerow", "unbound": "unbound, local-zone", "dnsdist-cdb": "dnsdist, CDB"},
        "encrypted": {
            "1000000": {
                "hedgerow": [over_tls(5), over_tls(10)],
                "unbound": [over_tls(10), over_tls(15)],
                "dnsdist-cdb": [{"failure": "dot: closed"}, {"failure": "dot: closed"}],
            }
        },
        "idle": {"1000000": {"hedgerow": [idle]}},
        "slow": {"1000000": {"hedgerow": {"tcp": slow}}},
    }


class Encrypted(unittest.TestCase):
    def test_what_tls_costs_is_compared_within_a_round(self):
        table = encrypted_page.full_table(encrypted_results())
        self.assertIn("2 rounds, median (least–most), TLS 1.3 AES_256_GCM_SHA384", table)
        # 10 / 5 and 15 / 10: the ratio of medians would be 1.67.
        self.assertIn("| unbound | 12.5 (10.0–15.0) | 25.0 (20.0–30.0) | 25.0 (20.0–30.0) | 1.75 × | 1.75 × |", table)
        self.assertIn("| dnsdist | dot: closed |", table)
        self.assertLess(table.index("| hedgerow |"), table.index("| unbound |"))
        even = encrypted_page.even_table(encrypted_results())
        self.assertIn("| unbound | 37.5 (30.0–45.0) | 37.5 (30.0–45.0) | 1.75 × | 1.75 × | 40 | 90 | 40 | 90 | 0 |", even)

    def test_memory_of_an_idle_connection_is_what_came_on_top(self):
        table = encrypted_page.idle_table(encrypted_results())
        self.assertIn("| resident memory for each, KB (goal: ≤ 12) | 11.7 |", table)
        self.assertIn("| still open at the end | 10,100 of 10,100 |", table)
        self.assertIn("| asked again then, and answered | 100 of 101 |", table)
        self.assertIn("handshake and first query, ms | 0.40 |", table)
        heavy = encrypted_results()
        heavy["idle"]["1000000"]["hedgerow"][0]["after"] = 150_000_000
        self.assertIn("| 12.7 **(missed)** |", encrypted_page.idle_table(heavy))

    def test_who_waits_is_shown_with_and_without_those_who_dawdle(self):
        table = encrypted_page.slow_table(encrypted_results())
        with_them = "3.00 (1.00) | 9.00 (3.00)"
        self.assertIn(f"| {with_them} | {with_them} | {with_them} | 10 (10) | 9 (0) | 7 |", table)
        self.assertIn("| 10,000 idle over DoT | 1.50 (1.00) |", table)

    def test_a_page_without_figures_stays_as_it_is(self):
        text = "".join(f"<!-- {it}: begin -->\nold\n<!-- {it}: end -->\n" for it in encrypted_page.TABLES)
        self.assertEqual(served.updated(results(), text), text)
        once = served.updated(encrypted_results(), text)
        self.assertNotIn("\nold\n", once)
        self.assertEqual(served.updated(encrypted_results(), once), once)


class Page(unittest.TestCase):
    MARKS = ["serve-goals", "serve", "serve-even", "serve-reload", "serve-memory"]

    def test_a_figure_is_compared_within_its_round(self):
        ours = served.Figures(results(), 1_000_000, "hedgerow")
        # 1.2 / 2 and 1.25 / 2.5: the ratio of medians would be another.
        self.assertAlmostEqual(ours.ratio("household", ours.other("dnsdist-cdb")), (0.6 + 0.5) / 2)
        self.assertAlmostEqual(ours.ratio("blocked", ours.other("echo"), "cached"), 1.225)
        self.assertIsNone(ours.ratio("household", ours.other("unbound")))

    def test_queries_at_an_even_rate_count_as_sent(self):
        # What arrives after the end was paid for by nobody who looked.
        it = one_run(5, count=1000, sent=500)
        self.assertAlmostEqual(rounds.cpu_microseconds(it), 10)
        self.assertIsNone(rounds.cpu_microseconds(one_run(5, count=0)))

    def test_goals_say_what_is_met_and_what_is_not(self):
        lines = served.goals_table(results()).splitlines()
        goals = {line.split(" | ")[0].removeprefix("| "): line for line in lines}
        self.assertIn("| 1.23 × | yes |", goals["cached, echo = 1"].replace("1.22", "1.23"))
        self.assertIn("| 10.0 MB | **no** |", goals["reload: memory over steady"])
        self.assertIn("| - | - |", goals["blocked, 10 M names, echo = 1"])
        self.assertIn("| 0 | yes |", goals["reload: queries lost"])
        self.assertIn("| 6.0 ms | **no** |", goals["reload: longest gap"])
        self.assertIn("| 1,945 | yes |", goals["ports in 2,000 queries"])

    def test_a_reload_stands_beside_the_same_time_without_one(self):
        table = served.reload_table(results())
        self.assertIn("| hedgerow | 6.0 (3.0–6.0) | 3.0 (3.0–3.0) | 0 of 3,000 | 0 | 2.0 | 15.0 | 1.0 | 10.0 |", table)
        self.assertIn("| echo, 32 at once |  | 3.0 |  |  |  |  |  |  |", table)
        self.assertIn("| dnsdist, CDB | reads no list anew |", table)

    def test_a_reload_that_failed_is_not_passed_over(self):
        broken = results()
        broken["reload"]["1000000"]["hedgerow"][1] = {"failure": "ended with 1"}
        self.assertIn("| hedgerow, 2 of 3 rounds: ended with 1 | 6.0 (6.0–6.0) |", served.reload_table(broken))
        goals = served.goals_table(broken)
        self.assertIn("| reload: queries lost | 0 | - | - |", goals)
        self.assertIn("| reload: longest gap | ≤ 5.0 ms | - | - |", goals)
        # As results once were.
        before = results()
        before["reload"]["1000000"] = {"hedgerow": before["reload"]["1000000"]["hedgerow"][0]}
        self.assertIn("one round:\n\n", served.reload_table(before))

    def test_a_server_has_ended_before_the_next_one_begins(self):
        order = []

        class Bench:
            @contextlib.contextmanager
            def serving(self, key, server):
                order.append(f"{key} begins")
                yield types.SimpleNamespace(load=lambda *_, **__: {}, site=None)
                order.append(f"{key} ends")

        echo = types.SimpleNamespace(is_echo=True)
        other = types.SimpleNamespace(is_echo=False, with_one_more=lambda _: None)
        self.assertEqual(rounds.measure_reload(Bench(), "echo", echo), {"quiet": {}})
        self.assertEqual(rounds.measure_reload(Bench(), "other", other), {"failure": rounds.NO_LISTS})
        self.assertEqual(order, ["echo begins", "echo ends", "other begins", "other ends"])

    def test_tables_are_written_between_their_marks_alone(self):
        text = "before\n" + "".join(f"<!-- {it}: begin -->\nold\n<!-- {it}: end -->\n" for it in self.MARKS) + "after\n"
        once = served.updated(results(), text)
        self.assertTrue(once.startswith("before\n") and once.endswith("\nafter\n"))
        self.assertNotIn("\nold\n", once)
        self.assertIn("| unbound | ended with 1 |", once)
        self.assertIn("4.9 (4.8–5.0)", once)
        self.assertEqual(served.updated(results(), once), once)

    def test_the_page_shows_the_results_that_lie_beside_it(self):
        path = TOP / "bench/serve/results.json"
        found = json.loads(path.read_text())
        text = (TOP / "docs/performance.md").read_text()
        self.assertEqual(served.updated(found, text), text)
        self.assertIn("CPU µs a query", text)

    def test_plots_are_well_formed(self):
        with tempfile.TemporaryDirectory() as folder:
            served.draw(results(), Path(folder))
            drawn = sorted(it.name for it in Path(folder).glob("*.svg"))
            self.assertEqual(drawn, ["serve-blocked.svg", "serve-memory.svg", "serve.svg"])
            for name in drawn:
                xml.dom.minidom.parse(str(Path(folder) / name))


if __name__ == "__main__":
    unittest.main()
