"""The plain way to export latest_metrics.json: reads it every second, and serves the page with prometheus_client.

Usage: peer.py FILE PORT
"""

import json
import sys
import time

from prometheus_client import Counter, Gauge, Histogram, start_http_server

GAUGES = {
    field: Gauge(name, help_text, ["phase"])
    for field, name, help_text in [
        ("loss", "cet_training_loss", "Training loss"),
        ("reward", "cet_training_reward", "Reward"),
        ("test_pass_rate", "cet_test_pass_rate", "Mean test pass rate"),
        ("variance", "cet_reconstruction_variance", "Implementation variance"),
    ]
}
STEPS = Counter("cet_training_steps", "Training steps", ["phase"])
DURATION = Histogram("cet_training_duration_seconds", "Training step duration", ["phase"])
APPS = Gauge("cet_app_pass_rate", "Pass rate by app", ["app"])


def collect(path, last):
    with open(path) as file:
        values = json.load(file)
    phase = values.get("phase", "unknown")
    for field, gauge in GAUGES.items():
        gauge.labels(phase=phase).set(values.get(field, 0))
    step = values.get("step", 0)
    if step > last:
        STEPS.labels(phase=phase).inc(step - last)
        DURATION.labels(phase=phase).observe(values.get("step_duration_seconds", 0))
    for app, rate in values.get("per_app", {}).items():
        APPS.labels(app=app).set(rate)
    return step


def main():
    start_http_server(int(sys.argv[2]), addr="127.0.0.1")
    last = 0
    while True:
        last = collect(sys.argv[1], last)
        time.sleep(1)


main()
