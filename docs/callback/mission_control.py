"""Writes latest_metrics.json for Mission Control's training-exporter, from any training loop.

Copy this file beside your script; it needs nothing but Python 3.8. Whatever goes wrong in it, a full disk or a value
that is no number, is logged once and never reaches the training loop.

A loop of your own:

    from mission_control import Mission

    with Mission("training/latest_metrics.json", phase="phase3") as mission:
        for step, batch in enumerate(batches, start=1):
            loss = train(batch)
            mission.step(step, loss=loss)

Hugging Face's Trainer:

    from mission_control import MissionControlCallback

    trainer.add_callback(MissionControlCallback("training/latest_metrics.json", phase="phase3"))
"""

import functools
import json
import logging
import math
import os
import threading
import time

_log = logging.getLogger("mission_control")

# More often than the exporter looks would be for nobody.
_INTERVAL_SECONDS = 0.5


def _harmless(method):
    """Training is worth more than its metrics: logs the first error, and swallows all."""

    @functools.wraps(method)
    def call(self, *args, **kwargs):
        try:
            return method(self, *args, **kwargs)
        except Exception as error:  # noqa: BLE001
            mission = getattr(self, "mission", self)
            mission.errors += 1
            if mission.errors == 1:
                _log.warning("%s is not written: %r", mission.path, error)
            return None

    return call


def _number(value):
    """The number that a value is: a Python number, or a tensor or array with one element. Else None."""
    try:
        value = value.item() if hasattr(value, "item") else value
        if isinstance(value, (bool, str, bytes)) or value is None:
            return None
        return value if isinstance(value, (int, float)) else float(value)
    except (TypeError, ValueError, OverflowError, RuntimeError):
        return None


def _value(value):
    """What JSON can hold of a value: numbers, texts, and dicts of them."""
    if isinstance(value, dict):
        return {str(key): _value(item) for key, item in value.items()}
    return value if isinstance(value, str) else _number(value)


def _is_finite(value):
    if isinstance(value, dict):
        return all(_is_finite(item) for item in value.values())
    return not isinstance(value, float) or math.isfinite(value)


class Mission:
    """The metrics file of one training.

    path      the file; its folder is made if it is missing
    phase     the label of all series
    enabled   whether to write at all; by default only the first process of a distributed training does
    fsync     also wait for the disk, so that the file outlives a power failure
    pid       whether to name this process, by which a crash is told; False where the exporter does not see it, as when
              one of the two runs in a container
    """

    def __init__(self, path, phase="training", enabled=None, fsync=False, pid=True):
        self.path = os.fspath(path)
        self.errors = 0
        self._enabled = os.environ.get("RANK", "0") == "0" if enabled is None else bool(enabled)
        self._fsync = fsync
        self._lock = threading.RLock()
        self._values = {"phase": str(phase), "state": "running"}
        if pid:
            self._values["pid"] = os.getpid()
        self._checkpoints = 0
        self._step_at = None
        self._written_at = None
        self._pending = False

    @_harmless
    def update(self, **values):
        """Sets values: loss, reward, test_pass_rate, variance, api_compatibility, apps, per_app, phase, state and any
        of your own. None takes one away. What is not finite is written as NaN or Infinity, at once."""
        with self._lock:
            is_finite = self._set(values)
            self._write(not is_finite or "state" in values or "phase" in values)

    @_harmless
    def step(self, step, duration=None, **values):
        """A step is done. Without a duration in seconds, it took the time since the step before, less what lies
        between pause() and go_on()."""
        with self._lock:
            now = time.monotonic()
            if duration is None and self._step_at is not None:
                duration = now - self._step_at
            self._step_at = now
            # The time of an earlier step is not that of this one.
            self._set({"step": step, "step_duration_seconds": duration, "state": "running"})
            is_finite = self._set(values)
            self._write(not is_finite)

    @_harmless
    def checkpoint(self, step=None):
        """A checkpoint was saved, of this step or the last."""
        with self._lock:
            self._checkpoints += 1
            step = self._values.get("step") if step is None else _number(step)
            saved = {"step": step, "timestamp": time.time(), "count": self._checkpoints}
            self._values["checkpoint"] = {name: value for name, value in saved.items() if value is not None}
            self._step_at = None
            self._write(True)

    @_harmless
    def pause(self, state="evaluating"):
        """Training stands still for something else, which no step's time should count. One that is finished stays so."""
        with self._lock:
            self._step_at = None
            if self._values.get("state") not in (state, "finished"):
                self._values["state"] = state
                self._write(True)

    @_harmless
    def go_on(self):
        """Training goes on after a pause; the next step begins now."""
        with self._lock:
            self._step_at = time.monotonic()
            if self._values.get("state") != "running":
                self._values["state"] = "running"
                self._write(True)

    @_harmless
    def finish(self):
        """Training came to its end, so that its silence is no alarm."""
        with self._lock:
            self._values["state"] = "finished"
            self._write(True)

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        # After an exception the state stays: the exporter sees that the process is gone.
        if kind is None:
            self.finish()
        else:
            self._flush()
        return False

    @_harmless
    def _flush(self):
        with self._lock:
            if self._pending:
                self._write(True)

    def _set(self, values):
        """Whether all of them are finite."""
        values = _value(values)
        for name, value in values.items():
            if value is None:
                self._values.pop(name, None)
            else:
                self._values[name] = value
        return _is_finite(values)

    def _write(self, is_urgent):
        now = time.monotonic()
        is_due = self._written_at is None or now - self._written_at >= _INTERVAL_SECONDS
        self._pending = True
        if not self._enabled or not (is_urgent or is_due):
            return
        self._written_at = now
        # Bare NaN and Infinity, as Python writes them: the exporter counts them.
        text = json.dumps(self._values)
        _replace(self.path, text + "\n", self._fsync)
        self._pending = False


def _replace(path, text, fsync):
    """Who reads the file finds all of the earlier one, or all of this."""
    folder, name = os.path.split(path)
    if folder:
        os.makedirs(folder, exist_ok=True)
    new = os.path.join(folder, ".%s.%d.new" % (name, os.getpid()))
    try:
        with open(new, "w", encoding="utf-8") as file:
            file.write(text)
            if fsync:
                file.flush()
                os.fsync(file.fileno())
        os.replace(new, path)
    except BaseException:
        try:
            os.remove(new)
        except OSError:
            pass
        raise


class _Events:
    """What Trainer calls. Each event is passed on; none returns anything, so that training goes its own way."""

    # What Trainer and TRL's trainers log, by the name in the file.
    _NAMES = {"loss": "loss", "reward": "reward"}

    def __init__(self, path, phase="training", names=None, **options):
        """names says which logged values go into the file under which name: {"test_pass_rate": "eval_pass_rate"}."""
        self.mission = Mission(path, phase, **options)
        self._names = dict(self._NAMES, **(names or {}))
        self._is_first = True

    @_harmless
    def on_train_begin(self, args, state, control, **kwargs):
        self._is_first = bool(getattr(state, "is_world_process_zero", True))
        if self._is_first:
            self.mission.update(state="running", step=getattr(state, "global_step", None))

    @_harmless
    def on_step_begin(self, args, state, control, **kwargs):
        if self._is_first:
            self.mission.go_on()

    @_harmless
    def on_step_end(self, args, state, control, **kwargs):
        if self._is_first:
            self.mission.step(state.global_step)

    @_harmless
    def on_log(self, args, state, control, logs=None, **kwargs):
        if self._is_first and logs:
            named = {name: logs[logged] for name, logged in self._names.items() if logged in logs}
            if named:
                self.mission.update(**named)

    @_harmless
    def on_prediction_step(self, args, state, control, **kwargs):
        if self._is_first:
            self.mission.pause("evaluating")

    @_harmless
    def on_evaluate(self, args, state, control, metrics=None, **kwargs):
        self.on_log(args, state, control, logs=metrics)

    @_harmless
    def on_save(self, args, state, control, **kwargs):
        if self._is_first:
            self.mission.checkpoint(state.global_step)

    @_harmless
    def on_train_end(self, args, state, control, **kwargs):
        if self._is_first:
            self.mission.finish()


def __getattr__(name):
    # transformers is imported when it is asked for, and only then: it is large, and most loops do without.
    if name == "MissionControlCallback":
        from transformers import TrainerCallback

        callback = type(name, (_Events, TrainerCallback), {"__doc__": "Tells Mission Control how a Trainer does."})
        globals()[name] = callback
        return callback
    raise AttributeError("module %r has no attribute %r" % (__name__, name))
