"""How Sphinx builds the documentation: ``make docs``."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent / "_ext")]

from airflow_provider_whatsapp import __version__  # noqa: E402

project = "airflow-provider-whatsapp"
author = "airflow-provider-whatsapp maintainers"
project_copyright = author
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.viewcode", "whatsapp_reference"]
exclude_patterns = ["_ext", "_static", "_generated"]
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
html_css_files = ["extra.css"]
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#00695c", "color-brand-content": "#00695c"},
    "dark_css_variables": {"color-brand-primary": "#5fd3bc", "color-brand-content": "#5fd3bc"},
}
pygments_style = "friendly"
pygments_dark_style = "github-dark"
