#!/usr/bin/env python3
"""What the figures of run.py rest on: slices, ratios, goals, ranks."""

import statistics
import unittest

import measure
import report
from worker import parts_of


def turn(engine, turn, tokens, cpu_s, phase="sorted long"):
    return {"engine": engine, "round": turn, "tokens": tokens, "cpu_s": cpu_s, "wall_s": cpu_s, "phase": phase, "threads": 1}


class Report(unittest.TestCase):
    def test_a_ratio_is_of_the_same_round_so_that_a_slow_minute_hits_both(self):
        turns = [turn("ours", 0, 200, 1), turn("peer", 0, 100, 1), turn("ours", 1, 20, 1), turn("peer", 1, 10, 1), turn("ours", 2, 9, 1)]
        self.assertEqual(report.ratio(turns, "ours", "peer", threads=1, phase="sorted long"), 2)
        self.assertIsNone(report.ratio(turns, "ours", "nobody", threads=1, phase="sorted long"))

    def test_a_goal_is_met_missed_or_not_measured(self):
        goals = report.Goals()
        goals.add("speed", 1.2, 1.25)
        goals.add("memory", 150, 200, more=False)
        goals.add("nothing", None, 1)
        self.assertEqual([row["met"] for row in goals.rows], [False, True, None])

    def test_the_ceiling_counts_attention_in_f32_and_the_rest_in_the_mode(self):
        limits = {"f32": 1e9, "i16": 2e9}
        seconds = 100 * report.LINEAR / 2e9 + 100 * 100 * report.ATTENTION / 1e9
        self.assertAlmostEqual(report.ceiling(limits, "i16", [100]), 100 / seconds)
        self.assertEqual(report.LINEAR, 21_233_664)  # as the sum over the model's weights

    def test_a_percentile_is_one_of_the_values(self):
        self.assertEqual(report.percentile([3, 1, 2, 4], 0.5), 3)
        self.assertEqual(report.percentile([1], 0.99), 1)


class Slices(unittest.TestCase):
    mix = {"ids": [[0] * (5 + (at * 37) % 252) for at in range(3200)]}

    def test_rounds_share_no_text_and_are_alike_in_length(self):
        for order in ("sorted", "arrival"):
            parts = measure.Slices(self.mix, order, 8000, 7).parts
            everyone = [index for part in parts for index in part]
            self.assertEqual(len(everyone), len(set(everyone)))
            means = [statistics.mean(len(self.mix["ids"][at]) for at in part) for part in parts]
            self.assertLess(max(means) - min(means), 0.35 * statistics.mean(means), order)

    def test_a_batch_of_sorted_texts_needs_next_to_no_padding(self):
        part = measure.Slices(self.mix, "sorted", 8000, 7).parts[0]
        batches = [[len(self.mix["ids"][at]) for at in part[first : first + 8]] for first in range(0, len(part), 8)]
        self.assertTrue(all(max(batch) - min(batch) <= 3 for batch in batches))


class Worker(unittest.TestCase):
    def test_batches_stay_within_the_budget_unless_one_text_alone_passes_it(self):
        lengths = [3, 3, 3, 9, 1, 1]
        self.assertEqual(parts_of([0, 1, 2, 3, 4, 5], 0, 6, lengths), [[0, 1], [2], [3], [4, 5]])
        self.assertEqual(parts_of([4, 5, 0], 2, 0, lengths), [[4, 5], [0]])


class Ranks(unittest.TestCase):
    def test_equal_values_share_their_mean_rank(self):
        from accuracy import ranks, spearman

        self.assertEqual(list(ranks([10, 20, 20, 5])), [1, 2.5, 2.5, 0])
        self.assertAlmostEqual(spearman([1, 2, 3], [10, 100, 1000]), 1)


if __name__ == "__main__":
    unittest.main()
