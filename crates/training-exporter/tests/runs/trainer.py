"""A trainer for the tests: writes what it would in the format that is asked for, one step after the other, until it is
told to stop or is killed.

usage: training-python trainer.py FORMAT DIR SECONDS    a line on the input ends the run, as one that is done ends
"""

import csv
import json
import math
import os
import pathlib
import sys
import threading
import time

DONE = threading.Event()


class EventFiles:
    """TensorBoard's own writer, which torch.utils.tensorboard and TensorFlow are built on."""

    def __init__(self, folder):
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        self.writer = EventFileWriter(str(folder))

    def write(self, step, scalars):
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary

        for tag, value in scalars.items():
            summary = Summary(value=[Summary.Value(tag=tag, simple_value=value)])
            self.writer.add_event(Event(wall_time=time.time(), step=step, summary=summary))
        self.writer.flush()

    def end(self, step):
        self.write(step, {"finished": 1.0})
        self.writer.close()


class TensorboardX:
    def __init__(self, folder):
        from tensorboardX import SummaryWriter

        self.writer = SummaryWriter(str(folder))
        (folder / "pid").write_text(str(os.getpid()))

    def write(self, step, scalars):
        for tag, value in scalars.items():
            self.writer.add_scalar(tag, value, step)
        self.writer.flush()

    def end(self, step):
        self.writer.close()
        (self.writer.logdir and pathlib.Path(self.writer.logdir) / "finished").touch()


class Csv:
    """As Lightning does: a new column makes it write the whole file anew."""

    def __init__(self, folder):
        self.path = folder / "metrics.csv"
        self.columns = ["step", "loss"]
        (folder / "trainer.pid").write_text(str(os.getpid()))
        self.rows([], "w")

    def rows(self, rows, mode):
        with self.path.open(mode, newline="") as file:
            writer = csv.DictWriter(file, self.columns)
            if mode == "w":
                writer.writeheader()
            writer.writerows(rows)

    def write(self, step, scalars):
        row = {"step": step, **scalars}
        if set(row) - set(self.columns):
            with self.path.open(newline="") as file:
                old = list(csv.DictReader(file))
            self.columns += sorted(set(row) - set(self.columns))
            self.rows(old, "w")
        self.rows([row], "a")

    def end(self, step):
        (self.path.parent / "finished").touch()


class JsonLines:
    def __init__(self, folder):
        self.file = (folder / "log.jsonl").open("a", buffering=1)

    def write(self, step, scalars):
        print(json.dumps({"step": step, "time": time.time(), "pid": os.getpid(), **scalars}), file=self.file)

    def end(self, step):
        print(json.dumps({"step": step, "state": "finished"}), file=self.file)


def main():
    kind, folder, seconds = sys.argv[1:]
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    formats = {"tensorboard": EventFiles, "tensorboardx": TensorboardX, "csv": Csv, "jsonl": JsonLines}
    writer = formats[kind](folder)
    threading.Thread(target=lambda: (sys.stdin.readline(), DONE.set()), daemon=True).start()
    step = 0
    while not DONE.is_set():
        step += 1
        scalars = {"loss": 1.0 / step}
        if step % 5 == 0:
            scalars["grad_norm"] = math.nan if step == 5 else 0.5
        writer.write(step, scalars)
        print(step, flush=True)
        time.sleep(float(seconds))
    writer.end(step)


main()
