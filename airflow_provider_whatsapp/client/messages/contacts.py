"""Contact cards."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_whatsapp.client.errors import PayloadError
from airflow_provider_whatsapp.client.messages import _checks
from airflow_provider_whatsapp.client.messages import _fields as field
from airflow_provider_whatsapp.client.messages._base import Message, Part, graph, model
from airflow_provider_whatsapp.client.messages._parts import part, parts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

DOC = "Contacts messages"
#: Contacts in one message.
CONTACTS_LIMIT = 257


@model(doc=DOC)
class ContactName(Part):
    """
    A name.

    :param formatted_name: The full name, as shown.
    :param first_name: First name; Meta asks for at least one part beside ``formatted_name``.
    :param last_name: Last name.
    :param middle_name: Middle name.
    :param suffix: Text after the name.
    :param prefix: Text before the name.
    """

    formatted_name: str = field.text()
    first_name: str | None = field.text(default=None)
    last_name: str | None = field.text(default=None)
    middle_name: str | None = field.text(default=None)
    suffix: str | None = field.text(default=None)
    prefix: str | None = field.text(default=None)


@model(doc=DOC)
class ContactPhone(Part):
    """
    A phone number on a card.

    :param phone: The number, as the card should show it.
    :param type: ``HOME``, ``WORK`` or any other word.
    :param wa_id: The number's WhatsApp id; with it the card offers "Message", without it "Invite".
    """

    phone: str = field.text()
    type: str | None = field.text(default=None)
    wa_id: str | None = field.text(default=None)


@model(doc=DOC)
class ContactEmail(Part):
    """
    An email address on a card.

    :param email: The address.
    :param type: ``HOME``, ``WORK`` or any other word.
    """

    email: str = field.text()
    type: str | None = field.text(default=None)


@model(doc=DOC)
class ContactUrl(Part):
    """
    A web address on a card.

    :param url: The address.
    :param type: ``HOME``, ``WORK`` or any other word.
    """

    url: str = field.text()
    type: str | None = field.text(default=None)


@model(doc=DOC)
class ContactAddress(Part):
    """
    A postal address on a card; every field is optional.

    :param street: Street and number.
    :param city: City.
    :param state: State or province.
    :param zip: Postal code.
    :param country: Country, written out.
    :param country_code: ISO code of two letters.
    :param type: ``HOME``, ``WORK`` or any other word.
    """

    street: str | None = field.text(default=None)
    city: str | None = field.text(default=None)
    state: str | None = field.text(default=None)
    zip: str | None = field.text(default=None)
    country: str | None = field.text(default=None)
    country_code: str | None = field.text(default=None)
    type: str | None = field.text(default=None)


@model(doc=DOC)
class ContactOrg(Part):
    """
    A contact's company, department and title.

    :param company: Company.
    :param department: Department.
    :param title: Job title.
    """

    company: str | None = field.text(default=None)
    department: str | None = field.text(default=None)
    title: str | None = field.text(default=None)


def _name(value: object, path: str, doc: str) -> ContactName:
    if isinstance(value, str):
        value = {"formatted_name": value, "first_name": value}
    return part(value, path, doc, model=ContactName)


def _named(value: object, path: str, doc: str, *, model: type[Part], first: str) -> tuple[Part, ...]:
    """Return a list of parts, in which a plain text is a part's first field."""
    given = [{first: item} if isinstance(item, str) else item for item in _checks.items(value, path, doc)]
    return parts(given, path, doc, model=model, low=0)


def _birthday(value: object, path: str, doc: str) -> str:
    if isinstance(value, date):
        return (value.date() if isinstance(value, datetime) else value).isoformat()
    text = _checks.string(value, path, doc)
    try:
        found = date.fromisoformat(text).isoformat()
    except ValueError:
        found = ""
    if found != text:  # fromisoformat also reads 20120818 and 2012-W33-6
        problem, advice = f"is not a date ({len(text)} characters)", "Write it as 2012-08-18."
        raise PayloadError(problem, field=path, limit="YYYY-MM-DD", doc=doc, advice=advice)
    return text


@model(doc=DOC)
class Contact(Part):
    """
    One contact. Parts may be given as dicts of their fields; a name, phone, email or url also as a plain text.

    :param name: The name; a plain text is used as full and first name.
    :param phones: Phone numbers.
    :param emails: Email addresses.
    :param urls: Web addresses.
    :param addresses: Postal addresses.
    :param org: Company, department and title.
    :param birthday: ``YYYY-MM-DD``, or a date.
    """

    name: ContactName | Mapping[str, Any] | str = field.checked(_name)
    phones: Sequence[ContactPhone | Mapping[str, Any] | str] = field.checked(
        _named, model=ContactPhone, first="phone", default=()
    )
    emails: Sequence[ContactEmail | Mapping[str, Any] | str] = field.checked(
        _named, model=ContactEmail, first="email", default=()
    )
    urls: Sequence[ContactUrl | Mapping[str, Any] | str] = field.checked(
        _named, model=ContactUrl, first="url", default=()
    )
    addresses: Sequence[ContactAddress | Mapping[str, Any]] = field.some(ContactAddress, low=0, default=())
    org: ContactOrg | Mapping[str, Any] | None = field.checked(part, model=ContactOrg, default=None)
    birthday: str | date | None = field.checked(_birthday, default=None)


@model("contacts", doc=DOC)
class Contacts(Message):
    """
    One or more contact cards.

    :param contacts: 1 to 257 ``Contact``, or dicts of their fields.
    """

    contacts: Sequence[Contact | Mapping[str, Any]] = field.some(Contact, CONTACTS_LIMIT)

    def to_payload(self) -> dict[str, Any]:
        """Return the message as Graph's JSON."""
        return {"type": "contacts", "contacts": graph(self.contacts)}
