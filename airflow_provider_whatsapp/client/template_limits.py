"""Meta's limits for a template: for the messages that send one and the files that define one."""

from __future__ import annotations

import re

NAME = re.compile(r"[a-z0-9_]{1,512}")
LANGUAGE = re.compile(r"[a-z]{2,3}(_[A-Z]{2})?")
#: Characters of a header's text, of a body and of a carousel card's body, each both as defined and as filled.
HEADER_LIMIT, BODY_LIMIT, CARD_BODY_LIMIT = 60, 1024, 160
