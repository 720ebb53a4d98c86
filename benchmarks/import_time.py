"""
Import time of hook, operators, sensors and notifier beyond ``airflow.sdk``, beside the slack provider's.

Airflow's DAG processor imports them anew for every DAG file that it parses.
"""

from __future__ import annotations

import statistics
import subprocess
import sys

OURS = (
    "airflow_provider_whatsapp.hooks.maton_whatsapp",
    "airflow_provider_whatsapp.operators.messages",
    "airflow_provider_whatsapp.sensors.templates",
    "airflow_provider_whatsapp.notifications.whatsapp",
)
SLACK = (
    "airflow.providers.slack.hooks.slack",
    "airflow.providers.slack.operators.slack",
    "airflow.providers.slack.notifications.slack",
)
CODE = """
import importlib, time
from airflow.sdk import DAG, BaseHook, BaseNotifier, BaseOperator, BaseSensorOperator, PokeReturnValue, Connection
start = time.perf_counter()
for name in {names!r}:
    importlib.import_module(name)
print(time.perf_counter() - start)
"""


def seconds(names):
    command = [sys.executable, "-W", "ignore", "-c", CODE.format(names=names)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[-1])


def main():
    samples = {"ours": [], "slack": []}
    for _ in range(7):
        samples["ours"].append(seconds(OURS))
        samples["slack"].append(seconds(SLACK))
    ours, slack = (statistics.median(samples[name]) for name in ("ours", "slack"))
    print(f"import: ours {ours * 1e3:.0f} ms, slack {slack * 1e3:.0f} ms, ratio {ours / slack:.2f}")


if __name__ == "__main__":
    main()
