"""python3 -m unittest test_mission_control"""

import json
import math
import os
import sys
import tempfile
import threading
import types
import unittest

import mission_control
from mission_control import Mission


class Tensor:
    """As far as a tensor of one element is needed."""

    def __init__(self, value):
        self.value = value

    def item(self):
        return self.value


class Case(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.path = os.path.join(folder.name, "training", "latest_metrics.json")

    def read(self):
        with open(self.path, encoding="utf-8") as file:
            return json.load(file)


class MissionTest(Case):
    def test_a_loop_is_followed_from_its_first_step_to_its_end(self):
        with Mission(self.path, phase="phase2") as mission:
            mission.step(1, loss=2.5, reward=Tensor(0.5))
            first = self.read()
            self.assertEqual((first["phase"], first["step"], first["loss"], first["reward"]), ("phase2", 1, 2.5, 0.5))
            self.assertEqual((first["state"], first["pid"]), ("running", os.getpid()))
            self.assertNotIn("step_duration_seconds", first)
            mission.step(2, loss=2.0)
            mission.update(apps=3, per_app={"a": Tensor(0.5)}, test_pass_rate=0.75)
        last = self.read()
        self.assertEqual((last["step"], last["state"]), (2, "finished"))
        self.assertEqual((last["apps"], last["per_app"], last["test_pass_rate"]), (3, {"a": 0.5}, 0.75))
        self.assertGreaterEqual(last["step_duration_seconds"], 0)
        self.assertEqual(os.listdir(os.path.dirname(self.path)), ["latest_metrics.json"])
        self.assertEqual(mission.errors, 0)

    def test_a_fast_loop_is_not_written_at_each_step(self):
        mission = Mission(self.path)
        mission.step(1)
        before = os.stat(self.path).st_ino
        mission.step(2)
        self.assertEqual(os.stat(self.path).st_ino, before)
        mission.finish()
        self.assertEqual(self.read()["step"], 2)

    def test_what_is_not_finite_is_written_at_once_and_bare(self):
        mission = Mission(self.path)
        mission.step(1, loss=1.0)
        mission.step(2, loss=float("nan"))
        self.assertTrue(math.isnan(self.read()["loss"]))
        mission.update(reward=float("-inf"))
        with open(self.path, encoding="utf-8") as file:
            text = file.read()
        self.assertIn('"loss": NaN', text)
        self.assertIn('"reward": -Infinity', text)

    def test_none_takes_a_value_away_and_a_strange_one_is_left_out(self):
        mission = Mission(self.path)
        mission.update(loss=1.0, reward=2.0, variance=object(), apps=True, phase="a")
        mission.update(loss=None, phase="b")
        values = self.read()
        self.assertEqual((values["phase"], values["reward"]), ("b", 2.0))
        self.assertNotIn("loss", values)
        self.assertNotIn("variance", values)
        self.assertNotIn("apps", values)
        self.assertEqual(mission.errors, 0)

    def test_checkpoints_are_counted(self):
        mission = Mission(self.path)
        mission.step(100)
        mission.checkpoint()
        mission.checkpoint(step=110)
        checkpoint = self.read()["checkpoint"]
        self.assertEqual((checkpoint["step"], checkpoint["count"]), (110, 2))
        self.assertGreater(checkpoint["timestamp"], 1e9)
        # What saving took is no step's time.
        mission.step(101)
        mission.finish()
        self.assertNotIn("step_duration_seconds", self.read())

    def test_a_pause_is_no_step(self):
        mission = Mission(self.path)
        mission.step(1)
        mission.pause()
        self.assertEqual(self.read()["state"], "evaluating")
        mission.go_on()
        self.assertEqual(self.read()["state"], "running")
        mission.finish()
        mission.pause()
        self.assertEqual(self.read()["state"], "finished")

    def test_after_an_exception_it_is_not_finished_and_has_the_last_values(self):
        with self.assertRaises(KeyError):
            with Mission(self.path) as mission:
                mission.step(1)
                mission.step(2)
                raise KeyError
        self.assertEqual((self.read()["state"], self.read()["step"]), ("running", 2))

    def test_nothing_reaches_the_loop_and_the_first_error_is_logged(self):
        blocked = os.path.join(self.folder, "file")
        with open(blocked, "w", encoding="utf-8"):
            pass
        with self.assertLogs("mission_control", "WARNING") as logs:
            with Mission(os.path.join(blocked, "x.json")) as mission:
                mission.step(1, loss=1.0)
                mission.checkpoint()
                mission.step({}, loss=[])
        self.assertEqual(len(logs.output), 1)
        self.assertGreaterEqual(mission.errors, 2)

    def test_a_full_disk_leaves_the_earlier_file(self):
        mission = Mission(self.path)
        mission.step(1)
        new = os.path.join(os.path.dirname(self.path), ".latest_metrics.json.%d.new" % os.getpid())
        os.symlink("/dev/full", new)
        with self.assertLogs("mission_control", "WARNING"):
            mission.finish()
        self.assertEqual(self.read()["state"], "running")
        self.assertFalse(os.path.lexists(new))
        mission.finish()
        self.assertEqual(self.read()["state"], "finished")

    def test_only_the_first_process_writes(self):
        os.environ["RANK"] = "1"
        self.addCleanup(os.environ.pop, "RANK")
        Mission(self.path).finish()
        self.assertFalse(os.path.exists(self.path))
        Mission(self.path, enabled=True).finish()
        self.assertTrue(os.path.exists(self.path))

    def test_many_threads_write_whole_files(self):
        mission = Mission(self.path, fsync=True, pid=False)
        mission.update(state="running")

        def write(name):
            for value in range(50):
                mission.update(**{name: float(value), "phase": name})

        threads = [threading.Thread(target=write, args=(name,)) for name in "abcd"]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            self.assertNotIn("pid", self.read())
        for thread in threads:
            thread.join()
        self.assertEqual([self.read()[name] for name in "abcd"], [49.0] * 4)
        self.assertEqual(mission.errors, 0)


def state(step, first=True):
    return types.SimpleNamespace(global_step=step, is_world_process_zero=first)


class CallbackTest(Case):
    """Against a stand-in for transformers, which has the base class only."""

    def setUp(self):
        super().setUp()
        module = types.ModuleType("transformers")
        module.TrainerCallback = type("TrainerCallback", (), {"on_substep_end": lambda self, *args, **kwargs: None})
        saved = sys.modules.get("transformers")
        sys.modules["transformers"] = module
        vars(mission_control).pop("MissionControlCallback", None)

        def restore():
            vars(mission_control).pop("MissionControlCallback", None)
            if saved is None:
                del sys.modules["transformers"]
            else:
                sys.modules["transformers"] = saved

        self.addCleanup(restore)

    def callback(self, **options):
        from mission_control import MissionControlCallback

        return MissionControlCallback(self.path, phase="phase1", **options)

    def test_a_trainer_is_followed(self):
        callback = self.callback(names={"test_pass_rate": "eval_pass_rate"})
        self.assertIsNone(callback.on_train_begin(None, state(0), None))
        for step in (1, 2):
            callback.on_step_begin(None, state(step - 1), None)
            callback.on_substep_end(None, state(step - 1), None)
            callback.on_step_end(None, state(step), None)
        callback.on_log(None, state(2), None, logs={"loss": 1.5, "epoch": 0.1})
        callback.on_prediction_step(None, state(2), None)
        self.assertEqual((self.read()["state"], self.read()["loss"]), ("evaluating", 1.5))
        callback.on_evaluate(None, state(2), None, metrics={"eval_loss": 2.0, "eval_pass_rate": 0.5})
        callback.on_save(None, state(2), None)
        callback.on_step_begin(None, state(2), None)
        self.assertEqual(self.read()["state"], "running")
        callback.on_train_end(None, state(2), None)
        values = self.read()
        self.assertEqual((values["step"], values["checkpoint"]["step"], values["state"]), (2, 2, "finished"))
        self.assertEqual((values["test_pass_rate"], values["loss"]), (0.5, 1.5))
        self.assertEqual(callback.mission.errors, 0)

    def test_another_process_writes_nothing(self):
        callback = self.callback()
        for event in ("on_train_begin", "on_step_begin", "on_step_end", "on_save", "on_train_end"):
            getattr(callback, event)(None, state(1, first=False), None)
        self.assertFalse(os.path.exists(self.path))

    def test_a_trainer_never_sees_an_error(self):
        callback = self.callback()
        with self.assertLogs("mission_control", "WARNING"):
            callback.on_step_end(None, None, None)
            callback.on_log(None, None, None, logs=1)
        self.assertEqual(callback.mission.errors, 2)

    def test_without_transformers_there_is_no_callback_and_all_else(self):
        sys.modules["transformers"] = None
        vars(mission_control).pop("MissionControlCallback", None)
        with self.assertRaises(ImportError):
            self.callback()
        with self.assertRaises(AttributeError):
            mission_control.Nothing


if __name__ == "__main__":
    unittest.main()
