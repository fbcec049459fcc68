"""How counts are judged: `python3 -m unittest discover -s bench/count`."""

import importlib.machinery
import importlib.util
import json
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
LOADER = importlib.machinery.SourceFileLoader("count_run", str(HERE / "run"))
SPEC = importlib.util.spec_from_loader("count_run", LOADER)
it = importlib.util.module_from_spec(SPEC)
LOADER.exec_module(it)

KEPT = {"compiler": "rustc 1, here", "instructions": {"cached": 1000, "blocked": 2000}}


class Judging(unittest.TestCase):
    def test_more_than_five_percent_is_too_much(self):
        lines, is_too_much = it.compare({"cached": 1049, "blocked": 1500}, KEPT, "rustc 1, here")
        self.assertFalse(is_too_much)
        self.assertIn("+4.9%", lines[0])
        self.assertTrue(it.compare({"cached": 1051}, KEPT, "rustc 1, here")[1])

    def test_another_compiler_is_told_and_not_judged(self):
        lines, is_too_much = it.compare({"cached": 5000}, KEPT, "rustc 2, here")
        self.assertFalse(is_too_much)
        self.assertIn("told, not judged", lines[-1])

    def test_a_case_nobody_counted_before_is_a_mistake(self):
        self.assertTrue(it.compare({"household": 1}, KEPT, "rustc 1, here")[1])

    def test_what_is_kept_has_every_case_and_its_compiler(self):
        kept = json.loads((HERE / "counts.json").read_text())
        self.assertEqual(sorted(kept["instructions"]), sorted(it.CASES))
        self.assertRegex(kept["compiler"], r"^rustc \d+\.\d+\.\d+ \([0-9a-f]{9}\), ")
        self.assertTrue(all(number > 100 for number in kept["instructions"].values()))


if __name__ == "__main__":
    unittest.main()
