"""What the measuring itself rests on: `python3 -m unittest discover -s bench/lists/measure`."""

import gzip
import json
import mmap
import os
import tempfile
import unittest
import xml.dom.minidom
from pathlib import Path

import chart
import data
import dns
import page
import process
import swap
import traffic

TOP = Path(__file__).resolve().parents[3]


class Messages(unittest.TestCase):
    def test_the_stub_answers_with_its_address(self):
        query = dns.question("www.example.org", 0x1234)
        reply = dns.answer_of_stub(query, 3600)
        self.assertEqual(reply[:2], b"\x12\x34")
        self.assertEqual(dns.verdict(reply), "passed")

    def test_a_block_is_no_such_name_or_the_null_address(self):
        query = dns.question("www.example.org", 1)
        no_such_name = query[:2] + b"\x81\x83" + query[4:]
        self.assertEqual(dns.verdict(no_such_name), "blocked")
        null = dns.answer_of_stub(query, 10)[:-4] + bytes(4)
        self.assertEqual(dns.verdict(null), "blocked")
        refused = query[:2] + b"\x81\x85" + query[4:]
        self.assertEqual(dns.verdict(refused), "rcode 5")


class Names(unittest.TestCase):
    def test_names_are_found_in_every_syntax(self):
        texts = {
            "a.hosts.txt.gz": "# hosts\n0.0.0.0 one.example # why\n127.0.0.1 localhost\n",
            "b.domains.txt.gz": "two.example\n192.0.2.1\nnot a name.example\n",
            "c.adblock.txt.gz": "! adblock\n||Three.example^\n",
            "d.dnsmasq.txt.gz": "address=/four.example/\n",
        }
        with tempfile.TemporaryDirectory() as folder:
            publisher = Path(folder) / "publisher"
            publisher.mkdir()
            for name, text in texts.items():
                (publisher / name).write_bytes(gzip.compress(text.encode()))
            found = list(data.real_names(Path(folder)))
        self.assertEqual(found, ["one.example", "two.example", "three.example", "four.example"])

    def test_what_the_compiler_leaves_out_is_known(self):
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "lifelines.txt").write_text("# help\nhelp.example  # day and night\n")
            (Path(folder) / "protected.txt").write_text("=www.vendor.example\nschool.test\n")
            it = data.Protected(Path(folder))
        taken = ["help.example", "chat.help.example", "www.vendor.example", "vendor.example"]
        for name in [*taken, "example", "a.school.test", "test"]:
            self.assertTrue(it.would_be_taken_by(name), name)
        for name in ["helpx.example", "a.www.vendor.example", "ads.vendor.example", "other"]:
            self.assertFalse(it.would_be_taken_by(name), name)

    def test_every_name_is_dealt_to_one_list_by_its_share(self):
        with tempfile.TemporaryDirectory() as folder:
            it = data.Data(Path(folder), 1000, 0)
            names = [f"n{number}.example\n" for number in range(1000)]
            it.names.write_text("".join(names))
            dealt = {category: path.read_text().splitlines(keepends=True) for category, path in it.lists()}
            self.assertEqual(sorted(line for lines in dealt.values() for line in lines), sorted(names))
            counts = [(category, len(lines) // 10) for category, lines in dealt.items()]
            self.assertEqual(counts, data.SHARES)
            written = it.written("zone", "@ CNAME .\n", "head\n").read_text()
            self.assertTrue(written.startswith("head\nn0.example CNAME .\nn1.example CNAME .\n"))
            self.assertEqual(written.count("\n"), 1001)


class Traffic(unittest.TestCase):
    def test_a_household_asks_the_same_in_every_run(self):
        listed = [f"b{number}.example" for number in range(3000)]
        unlisted = [f"p{number}.example" for number in range(20000)]
        questions = traffic.household(listed, unlisted)
        self.assertEqual(questions, traffic.household(listed, unlisted))
        self.assertEqual(len(questions), 100_000)
        blocked = sum(right == "blocked" for _, right in questions)
        self.assertAlmostEqual(blocked / len(questions), 0.15, delta=0.005)
        names = [name for name, _ in questions]
        # Zipf's law: rank 1 is asked for twice as often as rank 2.
        self.assertAlmostEqual(names.count("p0.example") / names.count("p1.example"), 2, delta=0.2)


class Processes(unittest.TestCase):
    def test_the_memory_of_a_process_is_read(self):

        memory = process.memory(os.getpid())
        self.assertGreater(memory.anonymous, 1 << 20)
        self.assertGreater(memory.file, 1 << 20)
        self.assertGreaterEqual(memory.peak, memory.anonymous)

    def test_a_mapped_file_counts_with_what_was_touched(self):

        with tempfile.NamedTemporaryFile() as file:
            file.write(bytes(1 << 20))
            file.flush()
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapping:
                self.assertLess(process.mapped(os.getpid(), Path(file.name)), 1 << 20)
                self.assertEqual(sum(mapping[::4096]), 0)
                self.assertEqual(process.mapped(os.getpid(), Path(file.name)), 1 << 20)

    def test_a_command_is_measured_from_its_own_beginning(self):
        ballast = bytes(64 << 20)
        with tempfile.TemporaryDirectory() as folder:
            work = Path(folder)
            spent = process.run_to_end(["true"], work / "log", work)
            self.assertLess(spent.peak, len(ballast) // 2)
            with self.assertRaises(process.DidNotFinish):
                process.run_to_end(["false"], work / "log", work)

    def test_working_files_count_without_a_name_too(self):
        with tempfile.TemporaryDirectory() as folder:
            code = "import tempfile, time; f = tempfile.TemporaryFile(dir='.'); f.write(bytes(5000)); f.flush(); time.sleep(1)"
            command = ["env", "-C", folder, "python3", "-c", code]
            spent = process.run_to_end(command, Path(folder) / "log", Path(folder))
            # In whole blocks of the file system, which may take the first ones beforehand.
            self.assertIn(spent.working_files, range(5000, 70_000))

    def test_a_child_counts_while_it_runs(self):
        with tempfile.TemporaryDirectory() as folder:
            with process.running(["sleep", "60"], Path(folder) / "log") as child:
                self.assertIn(child.pid, process.children(os.getpid()))
                self.assertGreater(process.resident_of_child(child.pid), 0)
            self.assertNotIn(child.pid, process.children(os.getpid()))
            self.assertEqual(process.resident_of_child(child.pid), 0)

    def test_samples_are_thinned_where_nothing_changes(self):
        samples = [(0, 5), (1, 5), (2, 5), (3, 7), (4, 7), (5, 7)]
        self.assertEqual(swap.thinned(samples), [(0, 5), (2, 5), (3, 7), (5, 7)])


class Page(unittest.TestCase):
    def test_the_page_shows_the_results_that_lie_beside_it(self):
        results = json.loads((TOP / "bench/lists/results.json").read_text())
        text = (TOP / "docs/performance.md").read_text()
        self.assertEqual(page.updated(results, text), text)
        self.assertIn("bytes a name", text)

    def test_tables_are_written_between_their_marks_alone(self):
        results = {"household": HOUSEHOLD}
        text = "before\n<!-- household: begin -->\nold\n<!-- household: end -->\nafter\n"
        once = page.updated(results, text)
        self.assertTrue(once.startswith("before\n") and once.endswith("\nafter\n"))
        self.assertNotIn("\nold\n", once)
        self.assertIn("| index, on disk | 6.5 |", once)
        self.assertEqual(page.updated(results, once), once)

    def test_plots_are_well_formed(self):
        results = json.loads((TOP / "bench/lists/results.json").read_text())
        with tempfile.TemporaryDirectory() as folder:
            chart.write_all(results, Path(folder))
            drawn = sorted(Path(folder).glob("*.svg"))
            self.assertGreaterEqual(len(drawn), 3)
            for path in drawn:
                xml.dom.minidom.parse(str(path))
                beside = TOP / "docs/performance" / path.name
                self.assertEqual(path.read_text(), beside.read_text(), path.name)


HOUSEHOLD = {
    "queries": 100_000,
    "blocked": 15_000,
    "distinct_blocked": 2_000,
    "distinct_passed": 12_000,
    "names": 1_000_000,
    "rounds": [{}, {}, {}],
    "anonymous_over_empty": 1_500_000,
    "index_resident": 6_500_000,
    "index_size": 6_500_000,
    "anonymous": 7_000_000,
    "anonymous_empty": 5_500_000,
}

if __name__ == "__main__":
    unittest.main()
