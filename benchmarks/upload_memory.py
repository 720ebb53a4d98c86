"""Peak memory of uploading 100 MB beside that of uploading 1 MB, each in a process of its own."""

from __future__ import annotations

import argparse
import contextlib
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from common import stub_server
from rows import Row, add_option, hand_over

MB = 1_000_000


def upload(url, path):
    from airflow_provider_whatsapp.client.config import ClientConfig
    from airflow_provider_whatsapp.client.errors import APIError
    from airflow_provider_whatsapp.client.whatsapp import WhatsAppClient

    config = ClientConfig(api_key="key", host=url, phone_number_id="1", rate_limit=0, timeout=(5, 120))
    # The stub answers as to a send, so the id is missing; all bytes have gone by then.
    with contextlib.suppress(APIError):
        WhatsAppClient(config).media.upload(path)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--upload", nargs=2, metavar=("URL", "PATH"), help=argparse.SUPPRESS)
    add_option(parser)
    options = parser.parse_args()
    if options.upload:
        upload(*options.upload)
        return 0
    peaks = {}
    with stub_server() as url, tempfile.TemporaryDirectory() as folder:
        for size in (1, 100):
            path = Path(folder) / f"{size}.pdf"
            with path.open("wb") as file:
                file.write(b"%PDF-1.7\n")
                for _ in range(size):
                    file.write(b"x" * (MB - 9 if size == 1 else MB - 1))
            command = [sys.executable, __file__, "--upload", url, str(path)]
            peaks[size] = (
                int(subprocess.run(command, capture_output=True, text=True, check=True).stdout) / 1000
            )
    row = Row(
        name="upload of 100 MB: peak of memory",
        value=peaks[100],
        unit="MB",
        against="of 1 MB",
        reference=peaks[1],
        at_most=1.1,
    )
    text = (
        f"upload memory: 100 MB peaks {peaks[100] - peaks[1]:+.1f} MB above 1 MB "
        f"({peaks[100]:.1f} against {peaks[1]:.1f} MB, ratio {peaks[100] / peaks[1]:.3f})"
    )
    return hand_over([row], text, as_json=options.json)


if __name__ == "__main__":
    sys.exit(main())
