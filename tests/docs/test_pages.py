"""Every block of code in README and docs does what the page says; every link leads somewhere."""

from __future__ import annotations

import re

import pytest

from tests.docs.pages import PAGES, ROOT, PageError, blocks_of, read
from tests.docs.runner import Runner
from tests.docs.setups import SETUPS, Setup


def name_of(page):
    return str(page.relative_to(ROOT))


@pytest.mark.airflow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("page", [page for page in PAGES if read(page)], ids=name_of)
def test_every_block_does_what_the_page_says(page, tmp_path, dag_folder, sandbox, run_dag):
    setup = SETUPS.get(name_of(page), Setup())
    setup.make(tmp_path, dag_folder, sandbox)

    Runner(page.stem.replace("-", "_"), tmp_path, dag_folder, setup, run_dag, sandbox.url).run(read(page))


def anchors(text):
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page):
    text = page.read_text("utf-8")
    prose = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    links = [*re.findall(r"\]\(([^)\s]+)\)", prose), *re.findall(r'(?:src|srcset)="([^"]+)"', prose)]
    for link in links:
        if re.match(r"https?:|mailto:", link):
            continue
        file, _, anchor = link.partition("#")
        target = page.parent / file if file else page
        assert target.exists(), f"{name_of(page)}: {link}"
        assert not anchor or anchor in anchors(target.read_text("utf-8")), f"{name_of(page)}: {link}"


@pytest.mark.parametrize(
    ("page", "words"),
    [
        ("```cobol\nSTOP RUN.\n```", "nothing runs 'cobol'"),
        ("```\nno language\n```", "nothing runs"),
        ("    indented", "fence it"),
        ("<!-- skip -->\n```bash\ntrue\n```", "no mark is called 'skip'"),
        ("<!-- not run: x -->\n```bash\ntrue\n```", "say why"),
        ("<!-- not run: it would take too long here -->\n```bash\nmake coffee\n```", "not there"),
        ("<!-- not run: it would take too long here -->\n```bash\npip install '.[pdf]'\n```", "not there"),
        ("<!-- not run: it would take too long here -->\n```bash\nairflow dance\n```", "not there"),
        (
            "<!-- not run: it asks for a key -->\n```bash\npython -m airflow_provider_whatsapp connect --now\n```",
            "not there",
        ),
        ("```bash\nfalse\n```", "status 1"),
        ("```bash\necho one\n```\n\n```text\ntwo\n```", "printed"),
        ("```text\nout of the blue\n```", "no block above"),
        ("```python\n1 / 0\n```", "ZeroDivisionError"),
        ('```json\n{"conn_type": "maton_whatsapp", "extra": {"waba": 1}}\n```', "AssertionError"),
        ('```json\n{"what": 1}\n```', "no check knows"),
        ("```yaml\nname: Late\ncategory: UTILITY\nlanguages: {en_US: {body: x}}\n```", "ValidationError"),
        ("```ini\n[whatsapp]\nalert_too = 1\n```", "ALERT_TOO"),
        ("```toml\n[tool.pytest.ini_options]\nwhatsapp_options = 1\n```", "AssertionError"),
        ("```csv\na,b\n```", "CSV"),
    ],
)
def test_a_page_that_is_wrong_is_refused(page, words, tmp_path, dag_folder, run_dag):
    with pytest.raises(AssertionError, match=re.escape(words)):
        Runner("page", tmp_path, dag_folder, Setup(), run_dag).run(blocks_of(page, "page.md"))


@pytest.mark.airflow
def test_a_dag_that_fails_is_a_page_that_is_wrong(tmp_path, dag_folder, run_dag, sandbox):
    page = (
        "```python\nfrom airflow_provider_whatsapp.operators.messages import SendTextOperator\n\n"
        'SendTextOperator(task_id="send", to="12", text="Hello")\n```'
    )
    with pytest.raises(PageError, match="ended as failed"):
        Runner("page", tmp_path, dag_folder, Setup(), run_dag).run(blocks_of(page, "page.md"))
