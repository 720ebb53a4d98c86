"""
Message templates as the account holds them, without Airflow (where "template" means Jinja).

What happens to a file: ``files`` finds it, ``documents`` reads its YAML or JSON, ``shape`` checks its keys, ``rules``
checks Meta's limits, and ``definition`` is the result. ``plan`` compares definitions with the account (``components``
says what is equal, ``blocks`` what prevents a change), ``render`` shows the plan, ``apply`` applies it. ``pull`` goes
the other way, from the account to files. ``approval`` judges whether Meta has approved templates; ``statuses`` says
what each status means and what to do about it.
"""

from __future__ import annotations
