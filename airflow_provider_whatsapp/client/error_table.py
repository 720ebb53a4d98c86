"""
Meta's error codes, as data: the meaning is Meta's, the advice is for the person who runs the DAG.

Meta answers most refusals with HTTP 400, so the code decides, not the status. Sources: Meta's "Error codes"
pages of 2025 and 2026, Graph's "Handling errors" and the published OpenAPI examples.

The rows contain the names of the error classes, because the classes are in a higher module, which links to the rows.
"""

from __future__ import annotations

from enum import Enum
from typing import Literal, NamedTuple

ErrorName = Literal[
    "APIError",
    "AccountError",
    "AuthenticationError",
    "InvalidRequestError",
    "NotFoundError",
    "PermissionDeniedError",
    "RateLimitError",
    "RecipientError",
    "ServerError",
    "TemplateError",
]


class Retry(Enum):
    """The effect of sending the same request again."""

    #: It fails again, or must not be repeated (the recipient opted out).
    NO = "no"
    #: It fails again until the credentials are replaced.
    AUTH = "auth"
    #: It can succeed after a wait: it was refused before anything was done, even if it is a send.
    WAIT = "wait"
    #: It may be carried out twice: the first one may have been accepted. Repeat reads and deletes, but not sends.
    AMBIGUOUS = "ambiguous"


class Row(NamedTuple):
    """The facts about one error code."""

    code: int | None  # None: the row is about an answer without a code
    meaning: str
    advice: str
    error_name: ErrorName  # the class to raise
    retry: Retry = Retry.NO
    wait: float | None = None  # seconds before the first repetition; None: waiting does not help
    growth: float = 2.0  # factor from one wait to the next
    max_wait: float | None = None  # the longest wait, in seconds; None: there is no wait
    http_status: int | None = 400  # the one that Meta documents; None: there is none
    asynchronous: bool = False  # it may also come after a 200, as a failed delivery
    subcode: int | None = None  # None: all subcodes
    known: bool = True  # False: no document of Meta's names the code

    @property
    def permanent(self) -> bool:
        """Whether trying the same again is useless."""
        return self.retry in {Retry.NO, Retry.AUTH}


_RECONNECT = "Authorise WhatsApp again in Maton and set the new connection's id in extra.connection_id."
_SCOPES = "Authorise WhatsApp again in Maton with every permission, and check extra.waba_id and extra.connection_id."
_SLOWER = "Send more slowly: lower extra.rate_limit, or share an Airflow pool between the tasks."
_STATUS = "Check metastatus.com. Check whether the message arrived before you clear the task."
_PAYLOAD = "Correct the field that the details name; the message is built from the operator's arguments."
_QUALITY = (
    "Check the account in WhatsApp Manager (account quality, health status) and resolve the problem there."
)
_NUMBER_ID = "Check extra.phone_number_id and extra.waba_id (they look alike), and extra.connection_id."
_REGISTER = "Register the sending number: POST /{phone_number_id}/register, or in WhatsApp Manager."
_FIT = (
    "Compare header, body and buttons of the task with the template in WhatsApp Manager: number, order, kind."
)
_MANAGER = "Look the template up in WhatsApp Manager"
_ROUTE = 'Leave marketing at "auto", and accept the terms of the Marketing Messages API in WhatsApp Manager.'
_GROUP = "Check the group id, and that this number may use it."
_DETAILS = "Read the details; Meta's page of error codes may list this code by now."
_MARKETING = (
    "Meta limits marketing messages per person; leave this recipient out for at least a day, and for longer if the "
    "error returns."
)

_NO, _AUTH, _WAIT, _AMBIG = Retry.NO, Retry.AUTH, Retry.WAIT, Retry.AMBIGUOUS


def _rows(
    codes: int | tuple[int, ...],
    meaning: str,
    advice: str,
    error: ErrorName,
    retry: Retry = _NO,
    *,
    http: int | None = 400,
    wait: tuple[float, float] | None = None,
    growth: float = 2.0,
    asynchronous: bool = False,
    subcodes: tuple[int | None, ...] = (None,),
) -> list[Row]:
    first, last = wait or (None, None)
    return [
        Row(code, meaning, advice, error, retry, first, growth, last, http, asynchronous, subcode)
        for code in (codes if isinstance(codes, tuple) else (codes,))
        for subcode in subcodes
    ]


# Rows read better than the formatter's one argument a line.
# fmt: off
_ACCESS = [
    _rows(0, "the app's user could not be authenticated", _RECONNECT, "AuthenticationError", _AUTH, http=401),
    _rows((102, 104, 190), "the login or Meta's token is missing, expired or revoked", _RECONNECT,
          "AuthenticationError", _AUTH, http=401),
    _rows(190, "the app was removed from the Meta account", _RECONNECT, "AuthenticationError", _AUTH, http=401,
          subcodes=(458,)),
    _rows(190, "Meta wants the account's owner to log in (checkpoint or unconfirmed user)",
          f"Log in at facebook.com and do what it asks. {_RECONNECT}", "AuthenticationError", _AUTH, http=401,
          subcodes=(459, 464)),
    _rows(190, "the Meta password was changed", _RECONNECT, "AuthenticationError", _AUTH, http=401, subcodes=(460,)),
    _rows(190, "Meta's token expired", _RECONNECT, "AuthenticationError", _AUTH, http=401, subcodes=(463,)),
    _rows(190, "Meta's token or session is not valid", _RECONNECT, "AuthenticationError", _AUTH, http=401,
          subcodes=(467, 492)),
    _rows(3, "the app lacks a capability or permission for this call", _SCOPES, "PermissionDeniedError", http=500),
    _rows(10, "a permission is missing, or this account may not use the endpoint", _SCOPES, "PermissionDeniedError",
          http=403),
    _rows(200, "a permission was not granted", _SCOPES, "PermissionDeniedError", http=403,
          subcodes=(1349174, 1349175, 1349176)),
    _rows(131005, "access denied", _SCOPES, "PermissionDeniedError", http=403),
]
_GENERAL = [
    _rows(1, "unknown error: a bad request or a fault at Meta", f"Check the arguments. {_STATUS}", "ServerError",
          _AMBIG, wait=(60, 300)),
    _rows(2, "the service is down or overloaded", _STATUS, "ServerError", _AMBIG, http=503, wait=(60, 300)),
    _rows(131000, "something went wrong at Meta", _STATUS, "ServerError", _AMBIG, http=500, wait=(60, 300)),
    _rows(131016, "the service is unavailable", _STATUS, "ServerError", _AMBIG, http=500, wait=(60, 300)),
    _rows(133004, "the server is temporarily unavailable", _STATUS, "ServerError", _AMBIG, http=503, wait=(60, 300)),
    _rows(33, "the phone number was deleted, or the id is wrong", _NUMBER_ID, "NotFoundError"),
    _rows(100, "a parameter is unknown, misspelled or too long", _PAYLOAD, "InvalidRequestError"),
    _rows(100, "the id does not exist, this connection may not see it, or it does not know this call", _NUMBER_ID,
          "NotFoundError", subcodes=(33,)),
    _rows(803, "the id does not exist", _NUMBER_ID, "NotFoundError", http=404),
    _rows(506, "the same content was posted twice",
          "Change the content, or do not post it again.", "InvalidRequestError"),
    _rows(131008, "a required parameter is missing", _PAYLOAD, "InvalidRequestError"),
    _rows(131009, "a parameter has a value that is not valid", _PAYLOAD, "InvalidRequestError", asynchronous=True),
    _rows(131051, "this type of message is not supported", "Use a type of Meta's Messages API.", "InvalidRequestError"),
    _rows(131052, "media that the user sent could not be downloaded", "Ask the user to send it again.",
          "InvalidRequestError", asynchronous=True),
    _rows(131053, "the media could not be used: its type, its size or its link",
          "Check the MIME type and the size; a link must be public and need no login.", "InvalidRequestError",
          asynchronous=True),
    _rows(131059, "the paging cursor is no longer valid", "Start the listing again from its first page.",
          "InvalidRequestError"),
    _rows(135000, "the request's syntax is wrong", _PAYLOAD, "InvalidRequestError"),
    _rows(136025, "the verification code is wrong",
          "Request a new code and enter it exactly as you received it.", "InvalidRequestError"),
]
_LIMITS = [
    _rows(4, "the app's call limit is reached; the app is Maton's, and other customers share it",
          "Wait, and send more slowly: lower extra.rate_limit.", "RateLimitError", _WAIT, wait=(300, 3600),
          subcodes=(None, 2446079, 2446080)),
    _rows((17, 32, 613), "a call limit of the user, page or app is reached", _SLOWER, "RateLimitError", _WAIT,
          wait=(120, 900)),
    _rows(341, "a limit of the application is reached", _SLOWER, "RateLimitError", _WAIT, wait=(300, 3600)),
    _rows((80007, 80008), "the WhatsApp Business Account's limit of management calls is reached",
          "List templates and numbers less often: Meta counts the calls per hour.",
          "RateLimitError", _WAIT, wait=(300, 3600)),
    _rows(130429, "the sending number's throughput is exceeded", _SLOWER, "RateLimitError", _WAIT, wait=(1, 60),
          subcodes=(None, 2494055)),
    _rows(131056, "too many messages from this number to this recipient",
          "Send each recipient at most one message every 6 seconds; combine several reports into one.",
          "RateLimitError", _WAIT,
          wait=(1, 256), growth=4.0),
    _rows(131057, "the account is in maintenance while its throughput is raised", "Wait a minute or more.",
          "AccountError", _WAIT, http=500, wait=(60, 300)),
    _rows(2494100, "the number is in maintenance", "Wait some minutes.", "AccountError", _WAIT, wait=(120, 900)),
]
_RECIPIENT = [
    _rows(130472, "the recipient is part of a Meta experiment on marketing messages; Meta bills nothing",
          "You cannot change this; use another channel for what this recipient must know.", "RecipientError",
          asynchronous=True),
    _rows(130497, "the business may not send to the recipient's country", "Leave recipients of that country out.",
          "RecipientError", http=403),
    _rows(131021, "sender and recipient are the same number", "Send to another number than the sender's.",
          "RecipientError"),
    _rows(131026, "undeliverable: not on WhatsApp, an old app, terms not accepted, or blocked",
          "Check the number with its owner, or use another channel.", "RecipientError", asynchronous=True),
    _rows(131030, "the recipient is not in the allowed list of the test number",
          "Add and verify the recipient in Meta's app dashboard (5 at most), or set a real number in"
          " extra.phone_number_id.", "RecipientError"),
    _rows(131043, "the message expired before it could be delivered", "Send it again if it still matters.",
          "RecipientError", http=None, asynchronous=True),
    _rows(131047, "more than 24 hours since the recipient last wrote",
          "Send an approved template instead: SendTemplateOperator.", "RecipientError", asynchronous=True),
    _rows(131049, "Meta chose not to deliver this marketing message", _MARKETING, "RecipientError", asynchronous=True),
    _rows(131050, "the recipient does not want marketing messages from this business",
          "Remove the recipient from the list, and do not try again.", "RecipientError", asynchronous=True),
    _rows(131062, "a business-scoped user id is not allowed for this message",
          "Pass the recipient's phone number as to=.",
          "RecipientError"),
    _rows(137000, "the recipient's identity key does not match",
          "Confirm the recipient again, or leave the identity check out.", "RecipientError", asynchronous=True),
    _rows(131041, "the group does not exist, or this number is not in it", "Check the group id.", "NotFoundError"),
    _rows(131020, "the group has no other member", "Invite someone before you send.", "RecipientError"),
    _rows(131207, "the group is suspended", "Use another group.", "RecipientError", http=403),
    _rows(131208, "too many operations on groups", _SLOWER, "RateLimitError", _WAIT, http=429, wait=(60, 900)),
    _rows(131215, "this number may not use groups", "Use a number with a high messaging limit.", "AccountError"),
]
_ACCOUNT = [
    _rows(368, "temporarily blocked for breaking a policy", _QUALITY, "AccountError", http=403),
    _rows(131031, "the business account is locked, or its data (the PIN, for example) does not match", _QUALITY,
          "AccountError", http=403),
    _rows(131037, "the display name of the number that Meta provided is not approved",
          "Get the display name approved in WhatsApp Manager.", "AccountError"),
    _rows((131042, 131044), "the account's billing or eligibility does not allow this",
          "Check the payment method in Meta Business Suite.", "AccountError"),
    _rows(131045, "the number's registration or certificate is broken", _REGISTER, "AccountError", http=500),
    _rows(131048, "the number is restricted for spam or quality",
          f"Stop sending for at least a day. {_QUALITY}", "AccountError"),
    _rows(131063, "marketing templates are switched off on Cloud API for this account", _ROUTE, "AccountError"),
    _rows(131064, "the messaging limit was lowered because templates had the wrong category",
          "Correct the categories of the templates in WhatsApp Manager.", "AccountError", asynchronous=True),
    _rows(133000, "an earlier deregistration did not finish", "Deregister the number again, then register it.",
          "AccountError", http=500),
    _rows(133005, "the two-step PIN is wrong", "Give the number's PIN, or reset it in WhatsApp Manager.",
          "AccountError"),
    _rows((133008, 133009), "too many attempts at the two-step PIN, or attempts in too quick succession",
          "Wait as long as the details say, then give the right PIN.", "AccountError"),
    _rows(133006, "the number must be verified before it is registered", "Verify it by SMS or voice first.",
          "AccountError"),
    _rows(133010, "the sending number is not registered on the platform", _REGISTER, "AccountError"),
    _rows(133015, "the number was deleted a moment ago", "Wait five minutes, then register it.", "AccountError", _WAIT,
          wait=(300, 300)),
    _rows(133016, "registered or deregistered too often: 10 times in 72 hours", "Wait up to 72 hours.", "AccountError",
          _WAIT, wait=(259200, 259200)),
    _rows(134011, "the terms of payments are not accepted", "Accept them in WhatsApp Manager.", "AccountError"),
    _rows(1752041, "the number was onboarded twice", "Use the one that exists.", "AccountError"),
    _rows((2593107, 2593108), "the app and the platform cannot synchronise this number", _QUALITY, "AccountError"),
]
_TEMPLATES = [
    _rows(132000, "the number of parameters does not match the template", _FIT, "TemplateError"),
    _rows(132001, "the template does not exist in this language, or is not approved",
          "Check template_name and language (en and en_US are different), and its status in WhatsApp Manager.",
          "TemplateError", http=404),
    _rows(132005, "the filled text is too long", "Shorten the values: a body has 1024 characters, a header 60.",
          "TemplateError"),
    _rows(132007, "the content breaks a policy or character rule", f"{_MANAGER} and change it.", "TemplateError"),
    _rows((132008, 132012), "a parameter has the wrong form: its type, or the kind of header", _FIT, "TemplateError"),
    _rows(132018, "a parameter breaks a rule of the template",
          "Values are one line, without tabs or more than four spaces in a row.", "TemplateError"),
    _rows(132015, "the template is paused for low quality",
          f"{_MANAGER} and improve it; the first pause ends after 3 hours, the second after 6.", "TemplateError",
          asynchronous=True),
    _rows(132016, "the template is disabled for good", "Make a new template with other content.", "TemplateError"),
    _rows(132068, "the flow is blocked", "Correct the flow in WhatsApp Manager.", "InvalidRequestError"),
    _rows(132069, "the flow is throttled: 10 messages an hour", "Correct the flow in WhatsApp Manager.",
          "InvalidRequestError"),
    _rows((131055, 134100), "only marketing templates can be sent here", _ROUTE, "TemplateError"),
    _rows(131061, "the template has a maximum price: only the Marketing Messages API can send it",
          _ROUTE, "TemplateError"),
    _rows(134101, "the template is still being copied to the Marketing Messages API", "Wait ten minutes.",
          "TemplateError", _WAIT, wait=(600, 600)),
    _rows(134102, "the template is not available to the Marketing Messages API, for example because the "
          "account is not onboarded",
          _ROUTE, "TemplateError", http=500),
    _rows(200005, "the account cannot have template insights", "Meta gives none to accounts in the EU and Japan; load "
          "pricing or messaging analytics instead.", "InvalidRequestError"),
    _rows((200006, 200007), "template insights are not switched on, or cannot be switched off", "Confirm "
          "them in WhatsApp Manager; this cannot be undone, and Meta counts only from then on.", "InvalidRequestError"),
]


def _problem(
    subcode: int, meaning: str, advice: str, error: ErrorName = "TemplateError"
) -> list[Row]:
    return _rows(100, meaning, advice, error, subcodes=(subcode,))


_FORMAT = "Correct it in the template's definition; the details name the place."
_SHORTEN = "Shorten it: header and footer have 60 characters, a body 1024, a button 25."
_MOVED = "This is about moving a phone number, not about templates: look at the number in WhatsApp Manager."
_PROBLEMS = [
    _problem(2388019, "the account's limit of templates is reached", "Delete templates that nobody uses."),
    _problem(2388040, "a field of the template is too long", _SHORTEN),
    _problem(2388047, "the header's format is wrong", _FORMAT),
    _problem(2388072, "the body's format is wrong", _FORMAT),
    _problem(2388073, "the footer's format is wrong", _FORMAT),
    _problem(2388293, "too many variables for the length of the text", "Write more text, or use fewer variables."),
    _problem(2388299, "a variable stands at the start or the end of the text", "Put words around it."),
    _problem(2388023, "content in this language already exists, or is being deleted",
          "List the template by name and language; if it is gone, wait four weeks or choose another name."),
    _problem(2388024, "a template of this name and language exists", "Edit it, or choose another name."),
    _problem(2388046, "the template's name has the wrong form", "Use lower-case letters, digits and underscores."),
    _problem(2388155, "the name belongs to one of Meta's sample templates", "Choose another name."),
    _problem(2388043, "the template was refused (Meta uses this code with several meanings)", _FORMAT),
    _problem(2388001, "a problem with moving a phone number", _MOVED, "AccountError"),
    _problem(2388012, "a problem with moving a phone number", _MOVED, "AccountError"),
    _problem(2388091, "a problem with moving a phone number", _MOVED, "AccountError"),
    _problem(2388093, "a problem with moving a phone number", _MOVED, "AccountError"),
    _problem(2388103, "a problem with moving a phone number", _MOVED, "AccountError"),
]
# fmt: on

#: Every code that Meta's documents name; one row per code, or per code and subcode.
TABLE: tuple[Row, ...] = tuple(
    row
    for group in (_ACCESS, _GENERAL, _LIMITS, _RECIPIENT, _ACCOUNT, _TEMPLATES, _PROBLEMS)
    for rows in group
    for row in rows
)

#: Codes that Meta names by a range: first, last, and the row if :data:`TABLE` has none.
RANGES: tuple[tuple[int, int, Row], ...] = (
    (
        200,
        299,
        Row(200, "a permission was not granted", _SCOPES, "PermissionDeniedError", http_status=403),
    ),
    (131201, 131215, Row(131201, "a problem with a group", _GROUP, "InvalidRequestError")),
    (138000, 138999, Row(138000, "a problem with calling", _DETAILS, "InvalidRequestError")),
    (
        139000,
        139999,
        Row(139000, "a problem with a flow or the block list", _DETAILS, "InvalidRequestError"),
    ),
    (147001, 147005, Row(147001, "a problem with a username", _DETAILS, "InvalidRequestError")),
)

PROBLEMS = {row.subcode: row for rows in _PROBLEMS for row in rows}
"""Problems with a template's definition, by their subcodes."""
OTHER_PROBLEM = Row(
    100, "the template was refused", f"Read the details. {_FORMAT}", "TemplateError", known=False
)

UNDOCUMENTED = Row(
    None, "an error that is not documented", _DETAILS, "APIError", http_status=None, known=False
)
"""The row of a code that is not documented, unless its status says more."""
SERVER_FAULT = UNDOCUMENTED._replace(
    advice=_STATUS, error_name="ServerError", retry=_AMBIG, wait=60.0, max_wait=300.0
)
TRANSIENT = next(row for row in TABLE if row.code == 2)._replace(known=False)
"""The row of a code that is not documented, but that Meta calls transient."""
BY_STATUS = {
    401: UNDOCUMENTED._replace(advice=_RECONNECT, error_name="AuthenticationError", retry=_AUTH),
    403: UNDOCUMENTED._replace(advice=_SCOPES, error_name="PermissionDeniedError"),
    404: UNDOCUMENTED._replace(advice=_NUMBER_ID, error_name="NotFoundError"),
    429: UNDOCUMENTED._replace(
        advice=_SLOWER, error_name="RateLimitError", retry=_WAIT, wait=1.0, max_wait=60.0
    ),
}
