"""
Import time of hook, operators, sensors and notifier beyond ``airflow.sdk``, beside the slack provider's.

Airflow's DAG processor imports them again for every DAG file that it parses.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys

from rows import Row, add_option, hand_over

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
    parser = argparse.ArgumentParser(description=__doc__)
    add_option(parser)
    options = parser.parse_args()
    samples = {"ours": [], "slack": []}
    for _ in range(7):
        samples["ours"].append(seconds(OURS))
        samples["slack"].append(seconds(SLACK))
    ours, slack = (statistics.median(samples[name]) for name in ("ours", "slack"))
    row = Row(
        name="import of hook, operators, sensors and notifier",
        value=ours * 1e3,
        unit="ms",
        against="slack's provider",
        reference=slack * 1e3,
        at_most=1,
    )
    text = f"import: ours {ours * 1e3:.0f} ms, slack {slack * 1e3:.0f} ms, ratio {ours / slack:.2f}"
    return hand_over([row], text, as_json=options.json)


if __name__ == "__main__":
    sys.exit(main())
