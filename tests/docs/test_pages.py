"""Every block of code in README, docs and docstrings does what it says; every link leads somewhere."""

from __future__ import annotations

import importlib
import re

import pytest

from tests.docs.pages import MODULES, PAGES, ROOT, PageError, blocks_of, docstring_blocks_of, read
from tests.docs.runner import Runner
from tests.docs.setups import SETUPS, Setup


def name_of(page):
    return str(page.relative_to(ROOT))


@pytest.mark.airflow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("page", [page for page in PAGES + MODULES if read(page)], ids=name_of)
def test_every_block_does_what_the_page_says(page, tmp_path, dag_folder, sandbox, run_dag):
    setup = SETUPS.get(name_of(page), Setup())
    setup.make(tmp_path, dag_folder, sandbox)
    blocks = [block for block in read(page) if not is_tree(block)]

    Runner(page.stem.replace("-", "_"), tmp_path, dag_folder, setup, run_dag, sandbox.url).run(blocks)


def is_tree(block):
    return block.page.endswith(".py") and block.language == "text"


def tree_of(text):
    """Each class below the first one of a tree in its order, and the one that it hangs on."""
    names, found = [], []
    for line in text.splitlines():
        branches, name = re.match(r"([ │├└─]*)(\w+)", line).groups()
        names[len(branches) // 4 :] = [name]
        found.append((name, *names[-2:-1]))
    return found[0][0], dict(found[1:])


@pytest.mark.parametrize(
    "block",
    [block for path in MODULES for block in read(path) if is_tree(block)],
    ids=lambda block: block.page,
)
def test_a_text_in_a_docstring_is_the_tree_of_the_module_s_classes(block):
    module = importlib.import_module(block.page.removesuffix(".py").replace("/", "."))
    root, below = tree_of(block.text)

    assert below == {
        name: item.__bases__[0].__name__
        for name, item in vars(module).items()
        if isinstance(item, type) and issubclass(item, getattr(module, root)) and name != root
    }


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


UNTRIED = re.compile(r"(?i)nobody has tried|(?<!`)\bnot tried\b")


@pytest.mark.parametrize(
    "page", [page for page in PAGES if UNTRIED.search(page.read_text("utf-8"))], ids=name_of
)
def test_what_nobody_has_tried_has_one_list_that_others_link_to(page):
    for paragraph in page.read_text("utf-8").split("\n\n"):
        listed = page.name == "not-tried.md" or "not-tried.md" in paragraph
        assert listed or not UNTRIED.search(paragraph), f"{name_of(page)}: {paragraph}"


@pytest.mark.parametrize(
    "page", [page for page in PAGES if "results_path=" in page.read_text("utf-8")], ids=name_of
)
def test_a_run_reads_the_results_that_another_one_on_the_page_writes(page):
    """With the date of a run in place of ``{{ ds }}``, which the page may write out."""
    code = "\n".join(block.text for block in read(page) if block.language == "python")
    written = {
        re.escape(path).replace(re.escape("{{ ds }}"), r"(\d{4}-\d\d-\d\d|\{\{ ds \}\})")
        for path in re.findall(r'results_path=f?"([^"]+)"', code)
    }
    again = re.findall(r'recipients="([^"]+)",\s*scope=', code)

    for path in again:
        assert any(re.fullmatch(each, path) for each in written), f"{name_of(page)}: nothing writes {path}"


@pytest.mark.parametrize(
    ("page", "words"),
    [
        ("```cobol\nSTOP RUN.\n```", "nothing runs 'cobol'"),
        ("```\nno language\n```", "nothing runs"),
        ("    indented", "fence it"),
        ("<!-- skip -->\n```bash\ntrue\n```", "no mark is called 'skip'"),
        ("<!-- not run: x -->\n```bash\ntrue\n```", "say why"),
        ("<!-- not run: it would take too long here -->\n```bash\nmake coffee\n```", "not there"),
        ("<!-- not run: it would take too long here -->\n```bash\npip install '.[docx]'\n```", "not there"),
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
        ("```{code-block} python\n1 / 0\n```", "nothing runs '{code-block} python'"),
        (":::{code-block} python\n1 / 0\n:::", "nothing runs '{code-block} python'"),
        ("````{important}\n```python\n1 / 0\n```\n````", "ZeroDivisionError"),
        ("```{eval-rst}\n.. code-block:: python\n\n   1 / 0\n```", "only automodule"),
        ("```{eval-rst}\nLike this::\n\n   1 / 0\n```", "only automodule"),
        ("<!-- not run: it would take too long here -->\n```py\n1\n```", "nothing runs 'py'"),
        ("<!-- not run: it would take too long here -->\n```python\n1 +\n```", "SyntaxError"),
        ("```python\nfrom airflow.sdk import dag\n\n@dag\ndef late(): ...\n```", "no DAG with tasks"),
        ("```python\n# lib/x.py\n1 / 0\n```", "ZeroDivisionError"),
        ("```python\n# x.py\n1 / 0\n```\n\n```bash\necho python x.py\n```", "ZeroDivisionError"),
        ("```python\n# x.py\n1 / 0\n```\n\n```bash\npython x.py\n```", "status 1"),
        ("```python\n# tests/test_x.py\nassert True\n```", "no pytest below"),
        (
            (
                "```python\n# test_x.py\nassert True\n```\n"
                "<!-- not run: tests/test_cli.py runs it -->\n```bash\npytest\n```"
            ),
            "no pytest below",
        ),
        (
            (
                "```python\n# dags/x.py\nfrom airflow.sdk import DAG, task\n\nwith DAG('x'):\n"
                "    task(lambda: 1 / 0, task_id='fail')()\n```\n"
                "<!-- not run: it would take too long here -->\n```bash\nairflow dags test x\n```"
            ),
            "ended as failed",
        ),
    ],
)
def test_a_page_that_is_wrong_is_refused(page, words, tmp_path, dag_folder, run_dag):
    with pytest.raises(AssertionError, match=re.escape(words)):
        Runner("page", tmp_path, dag_folder, Setup(), run_dag).run(blocks_of(page, "page.md"))


@pytest.mark.parametrize(
    ("docstring", "found"),
    [
        ("One.\n\n.. code-block:: bash\n\n    false\n\nTwo.", [(3, "bash", "false\n")]),
        ("One.\n\n.. code-block:: json\n    :caption: It\n\n    {\n\n    }", [(3, "json", "{\n\n}\n")]),
        ("One ``::`` two: three.", []),
    ],
)
def test_blocks_in_docstrings_are_found(docstring, found):
    blocks = docstring_blocks_of(f'"""{docstring}"""\n', "module.py")

    assert [(block.line, block.language, block.text) for block in blocks] == found


@pytest.mark.parametrize(
    "docstring",
    [
        "Like this::\n\n    1 / 0",
        ">>> 1 / 0",
        ".. code:: python\n\n    1 / 0",
        ".. code-block:: python\n    1 / 0",
    ],
)
@pytest.mark.parametrize("place", ['"""{}"""', 'class A:\n    """{}"""', 'A = 1\n"""{}"""'])
def test_code_in_docstrings_that_nobody_would_run_is_refused(docstring, place):
    code = place.format(docstring.replace("\n", "\n    " if "class" in place else "\n"))

    with pytest.raises(PageError, match="stands below"):
        docstring_blocks_of(code, "module.py")


@pytest.mark.airflow
def test_a_dag_that_fails_is_a_page_that_is_wrong(tmp_path, dag_folder, run_dag, sandbox):
    page = (
        "```python\nfrom airflow_provider_whatsapp.operators.messages import SendTextOperator\n\n"
        'SendTextOperator(task_id="send", to="12", text="Hello")\n```'
    )
    with pytest.raises(PageError, match="ended as failed"):
        Runner("page", tmp_path, dag_folder, Setup(), run_dag).run(blocks_of(page, "page.md"))
