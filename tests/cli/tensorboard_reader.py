#!/usr/bin/env python3
"""--tensorboard: TensorBoard's own reader, of PyPI's package, gives back the scalars that the run log has.

usage: tensorboard_reader.py LEAN_TRAIN [TestCase.test ...]
"""
import unittest

from packages import need

need("tensorboard")
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tensorboard_events import Events


class TensorBoardReader(Events):
    def test_scalars(self):
        self.train()
        reader = EventAccumulator(self.path("events")).Reload()
        found = {tag: [(event.step, event.value) for event in reader.Scalars(tag)] for tag in reader.Tags()["scalars"]}
        self.assertEqual(found, self.expected())
        self.assertEqual(len(found), 8)


if __name__ == "__main__":
    unittest.main(verbosity=1)
