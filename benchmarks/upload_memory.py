"""
Peak memory of uploading 100 MB beside that of uploading 1 MB, each in a process of its own; and the processor's time of
100 MB beside that of http.client, which looks at nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

from common import stub_server
from rows import Row, add_option, hand_over

MB = 1_000_000
RUNS = 5


def upload(url, path):
    from airflow_provider_whatsapp.client.config import ClientConfig
    from airflow_provider_whatsapp.client.errors import APIError
    from airflow_provider_whatsapp.client.whatsapp import WhatsAppClient

    config = ClientConfig(api_key="key", host=url, phone_number_id="1", rate_limit=0, timeout=(5, 120))
    client = WhatsAppClient(config)
    began = time.process_time()
    # The stub answers as to a send, so the id is missing; all bytes have gone by then.
    with contextlib.suppress(APIError):
        client.media.upload(path)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time() - began)


def copy(url, path):
    began = time.process_time()
    connection = http.client.HTTPConnection(urlsplit(url).netloc)
    with Path(path).open("rb") as file:
        connection.request("POST", "/", body=file, headers={"Content-Length": str(Path(path).stat().st_size)})
    connection.getresponse().read()
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time() - began)


def measured(kind, url, path):
    """Return the peak of memory in MB and the processor's seconds of one upload in a process of its own."""
    command = [sys.executable, __file__, kind, url, str(path)]
    peak, seconds = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    return int(peak) / 1000, float(seconds)


def figures():
    """Return the peaks of 1 MB and 100 MB, and the seconds of 100 MB, ours and http.client's; medians, alternating."""
    with stub_server() as url, tempfile.TemporaryDirectory() as folder:
        paths = {}
        for size in (1, 100):
            paths[size] = Path(folder) / f"{size}.pdf"
            with paths[size].open("wb") as file:
                file.write(b"%PDF-1.7\n")
                for _ in range(size):
                    file.write(b"x" * (MB - 9 if size == 1 else MB - 1))
        small, _ = measured("--upload", url, paths[1])
        found = [[measured(kind, url, paths[100]) for kind in ("--upload", "--copy")] for _ in range(RUNS)]
    large = statistics.median(ours[0] for ours, _ in found)
    times = [statistics.median(pair[place][1] for pair in found) for place in (0, 1)]
    return small, large, times


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--upload", nargs=2, metavar=("URL", "PATH"), help=argparse.SUPPRESS)
    parser.add_argument("--copy", nargs=2, metavar=("URL", "PATH"), help=argparse.SUPPRESS)
    add_option(parser)
    options = parser.parse_args()
    if options.upload or options.copy:
        (upload if options.upload else copy)(*(options.upload or options.copy))
        return 0
    small, large, times = figures()
    rows = [
        Row(
            name="upload of 100 MB: peak of memory",
            value=large,
            unit="MB",
            against="of 1 MB",
            reference=small,
            at_most=1.1,
        ),
        Row(
            name="upload of 100 MB: processor's time",
            value=times[0] * 1000,
            unit="ms",
            against="http.client, nothing checked",
            reference=times[1] * 1000,
            at_most=1.2,
        ),
    ]
    text = (
        f"upload memory: 100 MB peaks {large - small:+.1f} MB above 1 MB ({large:.1f} against {small:.1f} MB, ratio "
        f"{large / small:.3f}); {times[0]:.3f} s of the processor, http.client {times[1]:.3f} s"
    )
    return hand_over(rows, text, as_json=options.json)


if __name__ == "__main__":
    sys.exit(main())
