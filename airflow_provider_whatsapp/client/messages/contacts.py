"""Contact cards."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, ClassVar, cast

from airflow_provider_whatsapp.client.errors import PayloadError
from airflow_provider_whatsapp.client.messages import _checks
from airflow_provider_whatsapp.client.messages._base import Message, Part

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

DOC = "Contacts messages"
#: Contacts in one message.
CONTACTS_LIMIT = 257


@dataclass(frozen=True, slots=True)
class _Texts(Part):
    """A part whose fields are all texts; the first of ``needed`` may be given alone, as a plain string."""

    needed: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        for spec in fields(self):
            check = _checks.required_text if spec.name in self.needed else _checks.optional_text
            check(getattr(self, spec.name), spec.name, doc=DOC)

    def to_payload(self) -> dict[str, Any]:
        """Return the part as Graph's JSON, without what was left out."""
        return _checks.without_empty({spec.name: getattr(self, spec.name) for spec in fields(self)})


@dataclass(frozen=True, slots=True)
class ContactName(_Texts):
    """
    A name.

    :param formatted_name: The full name, as shown.
    :param first_name: First name; Meta asks for at least one part beside ``formatted_name``.
    :param last_name: Last name.
    :param middle_name: Middle name.
    :param suffix: What follows the name.
    :param prefix: What stands before the name.
    """

    needed: ClassVar[tuple[str, ...]] = ("formatted_name",)

    formatted_name: str
    first_name: str | None = None
    last_name: str | None = None
    middle_name: str | None = None
    suffix: str | None = None
    prefix: str | None = None


@dataclass(frozen=True, slots=True)
class ContactPhone(_Texts):
    """
    A phone number on a card.

    :param phone: The number as it is to be shown.
    :param type: ``HOME``, ``WORK`` or any other word.
    :param wa_id: The number's WhatsApp id; with it the card offers "Message", without it "Invite".
    """

    needed: ClassVar[tuple[str, ...]] = ("phone",)

    phone: str
    type: str | None = None
    wa_id: str | None = None


@dataclass(frozen=True, slots=True)
class ContactEmail(_Texts):
    """
    An email address on a card.

    :param email: The address.
    :param type: ``HOME``, ``WORK`` or any other word.
    """

    needed: ClassVar[tuple[str, ...]] = ("email",)

    email: str
    type: str | None = None


@dataclass(frozen=True, slots=True)
class ContactUrl(_Texts):
    """
    A web address on a card.

    :param url: The address.
    :param type: ``HOME``, ``WORK`` or any other word.
    """

    needed: ClassVar[tuple[str, ...]] = ("url",)

    url: str
    type: str | None = None


@dataclass(frozen=True, slots=True)
class ContactAddress(_Texts):
    """
    A postal address on a card; every part may be left out.

    :param street: Street and number.
    :param city: City.
    :param state: State or province.
    :param zip: Postal code.
    :param country: Country, written out.
    :param country_code: ISO code of two letters.
    :param type: ``HOME``, ``WORK`` or any other word.
    """

    street: str | None = None
    city: str | None = None
    state: str | None = None
    zip: str | None = None
    country: str | None = None
    country_code: str | None = None
    type: str | None = None


@dataclass(frozen=True, slots=True)
class ContactOrg(_Texts):
    """
    Where someone works.

    :param company: Company.
    :param department: Department.
    :param title: Job title.
    """

    company: str | None = None
    department: str | None = None
    title: str | None = None


_LISTS: dict[str, type[_Texts]] = {
    "phones": ContactPhone,
    "emails": ContactEmail,
    "urls": ContactUrl,
    "addresses": ContactAddress,
}


@dataclass(frozen=True, slots=True)
class Contact(Part):
    """
    One contact. Parts may be given as dicts of their fields; a name, phone, email or url also as a plain
    text.

    :param name: The name; a plain text is taken as full and as first name.
    :param phones: Phone numbers.
    :param emails: Email addresses.
    :param urls: Web addresses.
    :param addresses: Postal addresses.
    :param org: Company, department and title.
    :param birthday: ``YYYY-MM-DD``, or a date.
    """

    name: ContactName | Mapping[str, Any] | str
    phones: Sequence[ContactPhone | Mapping[str, Any] | str] = ()
    emails: Sequence[ContactEmail | Mapping[str, Any] | str] = ()
    urls: Sequence[ContactUrl | Mapping[str, Any] | str] = ()
    addresses: Sequence[ContactAddress | Mapping[str, Any]] = ()
    org: ContactOrg | Mapping[str, Any] | None = None
    birthday: str | date | None = None

    def __post_init__(self) -> None:
        name: Any = self.name
        if isinstance(name, str):
            name = {"formatted_name": name, "first_name": name}
        _checks.put(self, "name", _checks.part(ContactName, name, "name"))
        for field, model in _LISTS.items():
            given = _checks.items(getattr(self, field), field, doc=DOC)
            made = [_one(model, item, f"{field}[{position}]") for position, item in enumerate(given)]
            _checks.put(self, field, tuple(made))
        if self.org is not None:
            _checks.put(self, "org", _checks.part(ContactOrg, self.org, "org"))
        if self.birthday is not None:
            _checks.put(self, "birthday", _birthday(self.birthday))

    def to_payload(self) -> dict[str, Any]:
        """Return the contact as Graph's JSON, without what was left out."""
        payload: dict[str, Any] = {"name": cast("ContactName", self.name).to_payload()}
        for field in _LISTS:
            made = [item.to_payload() for item in getattr(self, field)]
            if made:
                payload[field] = made
        if self.org is not None:
            payload["org"] = cast("ContactOrg", self.org).to_payload()
        if self.birthday is not None:
            payload["birthday"] = self.birthday
        return payload


def _one(model: type[_Texts], item: object, path: str) -> _Texts:
    if isinstance(item, str) and model.needed:
        item = {model.needed[0]: item}
    return _checks.part(model, item, path)


def _birthday(value: object) -> str:
    if isinstance(value, date):
        return (value.date() if isinstance(value, datetime) else value).isoformat()
    _checks.string(value, "birthday", doc=DOC)
    text = str(value)
    try:
        found = date.fromisoformat(text).isoformat()
    except ValueError:
        found = ""
    if found != text:  # fromisoformat also reads 20120818 and 2012-W33-6
        raise PayloadError(
            f"is not a date ({len(text)} characters)",
            field="birthday",
            limit="YYYY-MM-DD",
            doc=DOC,
            advice="Write it as 2012-08-18.",
        )
    return text


@dataclass(frozen=True, slots=True)
class Contacts(Message):
    """
    One or more contact cards.

    :param contacts: 1 to 257 ``Contact``, or dicts of their fields.
    """

    kind: ClassVar[str] = "contacts"
    doc: ClassVar[str] = DOC

    contacts: Sequence[Contact | Mapping[str, Any]]

    def __post_init__(self) -> None:
        made = _checks.parts(Contact, self.contacts, "contacts", doc=DOC, high=CONTACTS_LIMIT)
        _checks.put(self, "contacts", made)

    def to_payload(self) -> dict[str, Any]:
        """Return the message as Graph's JSON."""
        cards = cast("tuple[Contact, ...]", self.contacts)
        return {"type": "contacts", "contacts": [card.to_payload() for card in cards]}
