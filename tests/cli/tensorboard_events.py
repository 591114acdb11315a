#!/usr/bin/env python3
"""--tensorboard: the bytes of the event file, read here by their definition. tensorboard_reader.py asks TensorBoard's own reader.

usage: tensorboard_events.py LEAN_TRAIN [TestCase.test ...]
"""
import os, struct, unittest

from case import Case, run


def masked_crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8): crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def records(data):
    """The data of each TFRecord; checksums are held against the bytes."""
    at = 0
    while at < len(data):
        length, crc = struct.unpack_from("<QI", data, at)
        assert crc == masked_crc32c(data[at:at + 8])
        body = data[at + 12:at + 12 + length]
        assert struct.unpack_from("<I", data, at + 12 + length)[0] == masked_crc32c(body)
        yield body
        at += 16 + length


def varint(data, at):
    value = shift = 0
    while True:
        value |= (data[at] & 0x7F) << shift
        shift, at = shift + 7, at + 1
        if data[at - 1] < 0x80: return value, at


def fields(data):
    """(number, value) of a protocol buffer's message: whole numbers, bytes, and the raw bytes of fixed widths."""
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        size = {1: 8, 5: 4}.get(key & 7)
        if key & 7 == 0:
            value, at = varint(data, at)
        else:
            if key & 7 == 2: size, at = varint(data, at)
            value, at = data[at:at + size], at + size
        yield key >> 3, value


class Events(Case):
    def train(self, *arguments):
        self.ok(run("mnist", "--model", "linear", "--batch", "1000", "--epochs", "2", "--tensorboard", self.path("events"), "--log",
                    self.path("run.jsonl"), "--log-every", "3", "--quiet", *arguments))
        names = os.listdir(self.path("events"))
        self.assertEqual(len(names), 1)
        self.assertRegex(names[0], r"^events\.out\.tfevents\.\d{10}\.")
        return os.path.join(self.path("events"), names[0])

    def expected(self):
        """{tag: [(step, value)]} by the run log."""
        scalars = {}
        steps = 0
        for record in self.records():
            if record["type"] == "step":
                for name in ("loss", "accuracy", "seconds"): scalars.setdefault("step/" + name, []).append((record["step"], record[name]))
            if record["type"] == "epoch":
                steps += record["steps"]
                for name in ("train", "test"):
                    for kind in ("loss", "accuracy"): scalars.setdefault(f"{kind}/{name}", []).append((steps, record[f"{name}_{kind}"]))
                scalars.setdefault("samples_per_second", []).append((steps, record["samples_per_second"]))
        return {tag: [(step, struct.unpack("<f", struct.pack("<f", value))[0]) for step, value in points] for tag, points in scalars.items()}


class TensorBoard(Events):
    def test_bytes(self):
        with open(self.train(), "rb") as file: events = [list(fields(record)) for record in records(file.read())]
        self.assertEqual(events[0][1], (3, b"brain.Event:2"))
        found, last = {}, 0.0
        for event in events:
            time, = struct.unpack("<d", dict(event)[1])
            self.assertGreaterEqual(time, last)
            last = time
            if 5 not in dict(event): continue
            for number, value in fields(dict(event)[5]):
                self.assertEqual(number, 1)
                scalar = dict(fields(value))
                found.setdefault(scalar[1].decode(), []).append((dict(event)[2], struct.unpack("<f", scalar[2])[0]))
        self.assertEqual(found, self.expected())
        self.assertEqual(len(found), 8)

    def test_two_runs_do_not_mix(self):
        self.train()
        self.ok(run("mnist", "--model", "linear", "--steps", "1", "--tensorboard", self.path("events"), "--quiet"))
        self.assertEqual(len(os.listdir(self.path("events"))), 2)

    def test_what_is_refused(self):
        self.refused(8, ["--tensorboard", "/nonexistent/events"], "mnist", "--quiet", "--tensorboard", "/nonexistent/events", "--steps", "1")
        with open(self.path("file"), "w"): pass
        self.refused(8, ["--tensorboard", self.path("file")], "mnist", "--quiet", "--tensorboard", self.path("file"), "--steps", "1")
        self.refused(2, ["--log-every", "--log or --tensorboard"], "mnist", "--quiet", "--log-every", "2")


if __name__ == "__main__":
    unittest.main(verbosity=1)
