"""How Sphinx builds the documentation: ``make docs``."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent / "_ext")]

import reference_tables  # noqa: E402

from airflow_provider_whatsapp import __version__  # noqa: E402
from airflow_provider_whatsapp.client import error_codes  # noqa: E402

project = "airflow-provider-whatsapp"
author = "airflow-provider-whatsapp maintainers"
project_copyright = author
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.viewcode", "whatsapp_reference", "site_search"]
exclude_patterns = ["_ext", "_static", "_templates", "_extra", "_generated"]
templates_path = ["_templates"]
needs_sphinx = "8.1"

myst_enable_extensions = ["colon_fence", "html_image"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_class_signature = "mixed"
autodoc_default_options = {"members": True}
python_maximum_signature_line_length = 88
add_module_names = False
toc_object_entries_show_parents = "hide"

# No inventory of others is at hand without a network, so names that are not ours cannot be looked up; and what is
# imported for types alone stands in a signature without its module.
_TYPES = (
    "Asset BaseOperator Context Departure Header Logger MediaFile Message Path RedisServer Subscriber T "
    "Transport Verdict"
)
nitpick_ignore = [("py:class", name) for name in (*_TYPES.split(), "Wanted", "date")]
nitpick_ignore_regex = [
    (
        "py:.*",
        r"(_pytest|airflow|argparse|collections|concurrent|datetime|logging|pathlib|pytest|threading|types|typing)\..*",
    ),
    (
        "py:class",
        r"airflow_provider_whatsapp\.(client\.messages\._base|pytest_plugin)\.(Message|Part|Process)",
    ),
]

smartquotes = False  # texts name values as they are typed
html_use_index = False
html_theme = "furo"
html_title = "airflow-provider-whatsapp"
html_static_path = ["_static"]
html_extra_path = ["_extra"]
html_css_files = ["extra.css"]
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#00695c", "color-brand-content": "#00695c"},
    "dark_css_variables": {"color-brand-primary": "#5fd3bc", "color-brand-content": "#5fd3bc"},
}
pygments_style = "friendly"
pygments_dark_style = "github-dark"

# What people type, and the page that has to come first: the build warns where another one does. Pages name what else
# they are looked for by in `keywords`, at their top.
search_leads_to = {
    "alerts": "how-to/alerts.html",
    "how do I test": "how-to/testing-your-dags.html",
    "rate limit": "how-to/rate-limits.html",
    "go live": "how-to/going-live.html",
    "opt out": "how-to/replies.html",
    "template not approved": "how-to/templates-as-code.html",
    "not delivered": "how-to/waiting-for-delivery.html",
    "broadcast": "how-to/broadcast.html",
    "receipts": "how-to/receipts.html",
    "approval": "how-to/approvals.html",
    "24 hours": "how-to/reports.html",
    "customer service window": "how-to/reports.html",
    "how much does it cost": "how-to/going-live.html",
    "cost": "how-to/going-live.html",
    **{name: f"reference/errors.html#{name}" for name in reference_tables.error_classes()},
    **{
        anchor: f"reference/errors.html#{anchor}"
        for row in (*error_codes.TABLE, *(info for _, _, info in error_codes.RANGES))
        if (anchor := error_codes.anchor_of(row.code, row.subcode))
    },
}
search_comes_last = ["changelog", "benchmarks", "mutation-testing", "tested-versions"]
