"""
What Airflow reads of this package.

Airflow 3.2+ imports this module in every ``airflow`` command and refuses to start when the dictionary is malformed,
so it is plain data: no imports beyond the version, no computing.
"""

from __future__ import annotations

from typing import Any

CONN_TYPE = "maton_whatsapp"
HOOK_NAME = "WhatsApp (Maton)"
HOOK_CLASS = "airflow_provider_whatsapp.hooks.maton_whatsapp.MatonWhatsAppHook"

HIDDEN_FIELDS = ["login", "port", "schema"]
RELABELING = {"password": "Maton API key", "host": "Gateway URL"}
PLACEHOLDERS = {
    "password": "empty: the environment variable MATON_API_KEY",
    "host": "empty: Maton's own; http://127.0.0.1:8425 for the sandbox",
}

# One table for both forms: Airflow 3.2+ reads it from here, 3.1 asks the hook's classmethods, which read it too.
# The form shows no placeholders for these fields, so their descriptions give the examples.
CONNECTION_FIELDS: dict[str, dict[str, Any]] = {
    "phone_number_id": {
        "label": "Phone number ID",
        "description": "The sender: the number's ID in WhatsApp Manager (for example 106540352242922), not the "
        "number.",
        "schema": {"type": ["string", "null"], "pattern": "^[0-9]*$"},
    },
    "waba_id": {
        "label": "WhatsApp Business Account ID",
        "description": "Needed for templates and for listing phone numbers; WhatsApp Manager shows it beside the "
        "number's ID.",
        "schema": {"type": ["string", "null"], "pattern": "^[0-9]*$"},
    },
    "connection_id": {
        "label": "Maton connection ID",
        "description": "Which of the key's WhatsApp connections to use; empty: the oldest active one.",
        "schema": {"type": ["string", "null"]},
    },
    "app_id": {
        "label": "Meta app ID",
        "description": "The app that uploads samples of template headers; empty: the app behind the connection.",
        "schema": {"type": ["string", "null"], "pattern": "^([0-9]*|app)$"},
    },
    "api_version": {
        "label": "Graph API version",
        "description": "Empty: v25.0.",
        "schema": {"type": ["string", "null"], "pattern": "^(v[0-9]+\\.[0-9]+)?$"},
    },
    "rate_limit": {
        "label": "Requests per second",
        "description": "Empty: 10, as Maton allows per account. 0: no limit.",
        "schema": {"type": ["number", "null"], "minimum": 0},
    },
    "pace_redis": {
        "label": "Redis that paces all machines",
        "description": "redis://host:6379/0 without a password, or the ID of a connection of type redis. It also "
        "stores the throttle state of alerts. Empty: each machine paces itself.",
        "schema": {"type": ["string", "null"]},
    },
    "pace_share": {
        "label": "Share while Redis is down",
        "description": "The part of the rate that each machine uses then; empty: 0.1.",
        "schema": {"type": ["number", "null"], "exclusiveMinimum": 0, "maximum": 1},
    },
    "timeout": {
        "label": "Timeout (seconds)",
        "description": "Two numbers: to connect, and for the whole answer. Empty: [5, 30].",
        "schema": {"type": ["string", "null"]},
    },
    "max_retries": {
        "label": "Retries of one request",
        "description": "Only for requests that are safe to repeat; empty: 4.",
        "schema": {"type": ["integer", "null"], "minimum": 0},
    },
    "plus_prefix": {
        "label": "Send numbers with +",
        "description": "Empty or true: with +, as Meta recommends. false: only the digits.",
        # A list and no switch: the form would show a switch as off where nothing is set, and that means true.
        "schema": {"type": ["string", "null"], "enum": ["true", "false"]},
    },
    "default_country": {
        "label": "Country of national numbers",
        "description": "ISO code (for example BR) of the country whose numbers you write without country code and "
        "+; empty: every number needs its country code.",
        "schema": {"type": ["string", "null"], "pattern": "^([A-Za-z]{2})?$"},
    },
    "proxies": {
        "label": "Proxies",
        "description": 'As requests takes them: {"https": "http://proxy.example:3128"}.',
        "schema": {"type": ["string", "null"]},
    },
    "verify": {
        "label": "TLS verification",
        "description": "Empty or true: on. A path: the CA bundle to trust. false: off.",
        "schema": {"type": ["string", "null"]},
    },
}

# Options of the section [whatsapp] of Airflow's configuration; the cluster policy reads those of alerts.
CONFIG_OPTIONS: dict[str, dict[str, Any]] = {
    "media_roots": {
        "description": "Folders, on disks or in object stores, that files are read from, separated by commas. If "
        "set, operators and notifiers read media, lists and template files only below these folders, "
        "and a row of a list may name a file there. Empty: a DAG may name any file that the worker "
        "can read, a row only one below the folder in front of its column in the DAG.",
        "version_added": "0.2.0",
        "type": "string",
        "example": "/srv/reports,s3://bucket/media",
        "default": "",
    },
    "events_conn_id": {
        "description": "The event store: ID of a connection to the receiver's database, PostgreSQL or, on one "
        "machine, SQLite. Tasks that send record there which task their messages belong to. Empty: "
        "there is no event store.",
        "version_added": "0.2.0",
        "type": "string",
        "example": "whatsapp_events",
        "default": "",
    },
    "ui": {
        "description": "Whether Airflow's interface shows the page WhatsApp under Browse and the tab WhatsApp on "
        "each task instance.",
        "version_added": "0.2.0",
        "type": "boolean",
        "example": "False",
        "default": "True",
    },
    "ui_results_roots": {
        "description": "Folders, on the API server's disks or in object stores, below which the tab WhatsApp opens the "
        "results files of broadcasts, separated by commas. Empty: it opens none, and shows counts and the first "
        "hundred failures.",
        "version_added": "0.2.0",
        "type": "string",
        "example": "s3://bucket/results,/srv/results",
        "default": "",
    },
    "alert_to": {
        "description": "Who gets an alert for every task that fails, by the cluster policy: one number or several, "
        "separated by commas. Without it and alert_routes the policy does nothing.",
        "version_added": "0.1.0",
        "type": "string",
        "example": "+15550001111,+15550002222",
        "default": "",
        "sensitive": True,
    },
    "alert_routes": {
        "description": "Who gets the alerts, by severity and DAG tag: name of an Airflow Variable, or path of a JSON "
        "or YAML file.",
        "version_added": "0.1.0",
        "type": "string",
        "example": "whatsapp_oncall",
        "default": "",
    },
    "alert_severity": {
        "description": "Which severity of alert_routes a failed task has.",
        "version_added": "0.1.0",
        "type": "string",
        "example": "high",
        "default": "",
    },
    "alert_template": {
        "description": "The approved template; the notifier fills in the values of the stock template airflow_alert.",
        "version_added": "0.1.0",
        "type": "string",
        "example": None,
        "default": "airflow_alert",
    },
    "alert_language": {
        "description": "The template's language.",
        "version_added": "0.1.0",
        "type": "string",
        "example": None,
        "default": "en_US",
    },
    "alert_text": {
        "description": "Free text with Jinja that the notifier sends before the template; it reaches only people "
        "who wrote within the last 24 hours.",
        "version_added": "0.1.0",
        "type": "string",
        "example": None,
        "default": "",
    },
    "alert_conn_id": {
        "description": "The Airflow connection.",
        "version_added": "0.1.0",
        "type": "string",
        "example": None,
        "default": "maton_whatsapp_default",
    },
    "alert_cooldown": {
        "description": "Seconds after a message in which the notifier suppresses failures of the same task.",
        "version_added": "0.1.0",
        "type": "float",
        "example": None,
        "default": "300",
    },
    "alert_escalate_to": {
        "description": "Who gets the alert as well once alert_escalate_after runs in a row have failed.",
        "version_added": "0.1.0",
        "type": "string",
        "example": "+15550003333",
        "default": "",
        "sensitive": True,
    },
    "alert_escalate_after": {
        "description": "Number of failed runs in a row after which alert_escalate_to gets the alert.",
        "version_added": "0.1.0",
        "type": "integer",
        "example": None,
        "default": "3",
    },
}


INTEGRATION = "WhatsApp (Maton)"
PACKAGE = "airflow_provider_whatsapp"
MODULES = {
    "hooks": ["maton_whatsapp"],
    "operators": [
        "messages",
        "broadcast",
        "delivery_report",
        "sql",
        "templates",
        "analytics",
        "approval",
    ],
    "sensors": ["health", "messages", "templates"],
    "triggers": ["delivery", "health", "inbound", "messages", "templates"],
}


def get_provider_info() -> dict[str, Any]:
    """Return the provider's metadata in the shape of Airflow's ``provider_info.schema.json``."""
    return {
        "package-name": "airflow-provider-whatsapp",
        "name": "WhatsApp",
        "description": "WhatsApp messages, reports and alerts through Maton's API gateway.",
        "integrations": [
            {
                "integration-name": INTEGRATION,
                "external-doc-url": "https://developers.facebook.com/docs/whatsapp/cloud-api",
                "tags": ["service"],
            }
        ],
        **{kind: _modules_of(kind) for kind in MODULES},
        "extra-links": [f"{PACKAGE}.links.WhatsAppManagerLink", f"{PACKAGE}.links.ResultsLink"],
        "cli": [f"{PACKAGE}.airflow_cli.get_cli_commands"],
        "notifications": [f"{PACKAGE}.notifications.whatsapp.WhatsAppNotifier"],
        "config": {
            "whatsapp": {
                "description": "Where files may be read, where receipts and replies are stored, what Airflow's own "
                "interface shows, and alerts for all DAGs by airflow_provider_whatsapp.cluster_policy.",
                "options": CONFIG_OPTIONS,
            }
        },
        "connection-types": [
            {
                "connection-type": CONN_TYPE,
                "hook-class-name": HOOK_CLASS,
                "hook-name": HOOK_NAME,
                "ui-field-behaviour": {
                    "hidden-fields": HIDDEN_FIELDS,
                    "relabeling": RELABELING,
                    "placeholders": PLACEHOLDERS,
                },
                "conn-fields": CONNECTION_FIELDS,
            }
        ],
    }


def _modules_of(kind: str) -> list[dict[str, Any]]:
    names = [f"{PACKAGE}.{kind}.{name}" for name in MODULES[kind]]
    return [{"integration-name": INTEGRATION, "python-modules": names}]
