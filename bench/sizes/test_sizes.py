"""What `bench/sizes/run` builds and how it shows it: `python3 -m unittest discover -s bench/sizes`."""

import importlib.machinery
import importlib.util
import json
import sys
import tempfile
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
LOADER = importlib.machinery.SourceFileLoader("sizes_run", str(HERE / "run"))
SPEC = importlib.util.spec_from_loader("sizes_run", LOADER)
it = importlib.util.module_from_spec(SPEC)
sys.modules["sizes_run"] = it
LOADER.exec_module(it)

FEATURES = ["public-suffixes", "quic", "acme", "dnssec"]
FOUND = {
    "x86_64-all": {"bytes": 6_100_000, "compressed": 2_000_000, "date": "2026-11-22", "compiler": "rustc 1.95.0"},
    "x86_64-no-quic": {"bytes": 5_350_000, "compressed": 1_800_000, "date": "2026-11-23", "compiler": "rustc 1.95.0"},
    "aarch64-all": {"bytes": 5_100_000, "compressed": 1_700_000, "date": "2026-11-23", "compiler": "rustc 1.96.0"},
    "aarch64-router": {"bytes": 3_600_000, "compressed": 1_300_000, "date": "2026-11-23", "compiler": "rustc 1.96.0"},
}


class Sizes(unittest.TestCase):
    def test_every_set_leaves_out_what_its_name_says(self):
        self.assertEqual(it.chosen_features("all", FEATURES), FEATURES)
        self.assertEqual(it.chosen_features("no-acme", FEATURES), ["public-suffixes", "quic", "dnssec"])
        self.assertEqual(it.chosen_features("router", FEATURES), [])
        with self.assertRaises(SystemExit):
            it.chosen_features("no-such-thing", FEATURES)

    def test_the_features_of_the_project_are_those_that_are_measured(self):
        names = {name for name in it.SETS if not name.endswith(it.SMALL)}
        self.assertEqual({f"no-{name}" for name in it.default_features()}, names - {"all", "router"})
        self.assertEqual({build.features for build in it.BUILDS}, set(it.SETS))
        self.assertEqual(len({build.name for build in it.BUILDS}), 2 * len(it.SETS))

    def test_the_default_build_is_the_plain_one(self):
        folder = Path("/there")
        plain = it.Build("x86_64", "all").command(FEATURES, folder)
        self.assertNotIn("--no-default-features", plain)
        router = it.Build("aarch64", "router").command(FEATURES, folder)
        self.assertEqual(router[:2], ["cargo", "zigbuild"])
        self.assertEqual(router[router.index("--features") + 1], "")
        program = it.Build("aarch64", "router").program(folder)
        self.assertEqual(program, folder / "aarch64-unknown-linux-musl/release/hedgerow")

    def test_a_small_build_has_the_features_of_the_other_and_its_own_profile(self):
        folder = Path("/there")
        for features in ("all", "router"):
            small, plain = it.Build("aarch64", features + it.SMALL), it.Build("aarch64", features)
            command = small.command(FEATURES, folder)
            self.assertEqual(command[command.index("--profile") + 1], "small")
            self.assertEqual([word.replace("small", "release") for word in command], plain.command(FEATURES, folder))
            self.assertIn("/small/", str(small.program(folder)))
        profiles = it.tomllib.loads((it.TOP / "Cargo.toml").read_text())["profile"]
        self.assertEqual(profiles["small"]["inherits"], "release")

    def test_the_table_says_what_is_saved_and_which_goal_is_missed(self):
        table = it.table(FOUND)
        self.assertIn("| everything | 6.10 MB | 5.10 MB | 1.70 MB | ≤ 6.0 MB |", table)
        self.assertIn("| 5.35 MB (-750 KB) |  |  |  |", table)
        self.assertIn("|  | 3.60 MB (-1,500 KB) | 1.30 MB | ≤ 3.5 MB **(missed)** |", table)
        self.assertNotIn("acme", table)
        self.assertIn("2026-11-22 to 2026-11-23 with rustc 1.95.0 and rustc 1.96.0", it.how(FOUND))

    def test_the_page_shows_the_results_that_lie_beside_it(self):
        found = json.loads(it.RESULTS.read_text())
        text = it.PAGE.read_text()
        self.assertEqual(it.updated(found, text), text)

    def test_a_program_is_weighed_as_it_is_and_compressed(self):
        with tempfile.TemporaryDirectory() as folder:
            program = Path(folder) / "hedgerow"
            program.write_bytes(bytes(100_000))
            found = it.weigh(program, "rustc 1")
        self.assertEqual(found["bytes"], 100_000)
        self.assertLess(found["compressed"], 1_000)


if __name__ == "__main__":
    unittest.main()
