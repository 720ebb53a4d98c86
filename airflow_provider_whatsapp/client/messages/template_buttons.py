"""Buttons of a template that carry a value: only these are sent, the others are part of the template."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from airflow_provider_whatsapp.client.errors import PayloadError
from airflow_provider_whatsapp.client.messages import _checks
from airflow_provider_whatsapp.client.messages._base import Part
from airflow_provider_whatsapp.client.messages.parameters import DOC, value_text
from airflow_provider_whatsapp.client.messages.texts import text_of

#: Characters of a coupon code since 3 December 2025; older pages of Meta say 15, and older apps cut there.
COUPON_LIMIT = 20
#: Characters of a quick reply's payload.
PAYLOAD_LIMIT = 256
#: Characters of a button's URL; a suffix cannot be longer than the whole.
URL_LIMIT = 2000


@dataclass(frozen=True, slots=True)
class TemplateButton(Part):
    """
    What template buttons share.

    :param index: Position in the template's list of buttons, 0 to 9, phone and plain buttons counted too.
    """

    sub_type: ClassVar[str]

    index: int | str

    def __post_init__(self) -> None:
        _checks.put(self, "index", _checks.integer(self.index, "index", doc=DOC, low=0, high=9))
        self.check_more()

    def check_more(self) -> None:
        """Check what one kind has beyond its position."""

    def parameters(self) -> list[dict[str, Any]]:
        """Return the button's parameters as Graph's JSON."""
        raise NotImplementedError

    def to_payload(self) -> dict[str, Any]:
        """Return the button as Graph's JSON."""
        parameters = self.parameters()
        made = {"type": "button", "sub_type": self.sub_type, "index": str(self.index)}
        return {**made, "parameters": parameters} if parameters else made


@dataclass(frozen=True, slots=True)
class UrlButton(TemplateButton):
    """
    A link whose last part varies.

    :param index: Position in the template's list of buttons, 0 to 9.
    :param text: What stands for the variable at the end of the template's URL.
    """

    sub_type: ClassVar[str] = "url"

    text: str

    def check_more(self) -> None:
        """Check what this kind has beyond its position."""
        _checks.put(self, "text", value_text(self.text, "text", limit=URL_LIMIT))

    def parameters(self) -> list[dict[str, Any]]:
        """Return the button's parameters as Graph's JSON."""
        return [{"type": "text", "text": self.text}]


@dataclass(frozen=True, slots=True)
class QuickReplyButton(TemplateButton):
    """
    A quick reply with a payload of its own, which comes back in the webhook.

    :param index: Position in the template's list of buttons, 0 to 9.
    :param payload: Up to 256 characters.
    """

    sub_type: ClassVar[str] = "quick_reply"

    payload: str

    def check_more(self) -> None:
        """Check what this kind has beyond its position."""
        given: object = self.payload
        if not isinstance(given, str):
            _checks.put(self, "payload", text_of(given, "payload", doc=DOC))
        _checks.required_text(self.payload, "payload", doc=DOC, limit=PAYLOAD_LIMIT)

    def parameters(self) -> list[dict[str, Any]]:
        """Return the button's parameters as Graph's JSON."""
        return [{"type": "payload", "payload": self.payload}]


@dataclass(frozen=True, slots=True)
class CopyCodeButton(TemplateButton):
    """
    A button that copies a coupon code.

    :param index: Position in the template's list of buttons, 0 to 9.
    :param code: 1 to 20 letters and digits; keep to 15 where recipients may have old apps.
    """

    sub_type: ClassVar[str] = "copy_code"

    code: str

    def check_more(self) -> None:
        """Check what this kind has beyond its position."""
        given: object = self.code
        if not isinstance(given, str):
            _checks.put(self, "code", text_of(given, "code", doc=DOC))
        _checks.required_text(self.code, "code", doc="Coupon code templates", limit=COUPON_LIMIT)
        if not (self.code.isascii() and self.code.isalnum()):
            raise PayloadError(
                f"holds more than letters and digits ({len(self.code)} characters)",
                field="code",
                limit=f"1-{COUPON_LIMIT} letters and digits",
                doc="Coupon code templates",
                advice="Leave out spaces, dashes and other signs.",
            )

    def parameters(self) -> list[dict[str, Any]]:
        """Return the button's parameters as Graph's JSON."""
        return [{"type": "coupon_code", "coupon_code": self.code}]


@dataclass(frozen=True, slots=True)
class _ActionButton(TemplateButton):
    def action(self) -> dict[str, Any]:
        """Return the action object."""
        raise NotImplementedError

    def parameters(self) -> list[dict[str, Any]]:
        """Return the button's parameters as Graph's JSON."""
        action = self.action()
        return [{"type": "action", "action": action}] if action else []


@dataclass(frozen=True, slots=True)
class FlowButton(_ActionButton):
    """
    A button that opens a flow.

    :param index: Position in the template's list of buttons, 0 to 9.
    :param flow_token: Your own token, returned with the flow's answer; Meta's default is ``unused``.
    :param flow_action_data: Data for the flow's first screen.
    """

    sub_type: ClassVar[str] = "flow"

    flow_token: str | None = None
    flow_action_data: Mapping[str, Any] | None = None

    def check_more(self) -> None:
        """Check what this kind has beyond its position."""
        _checks.optional_text(self.flow_token, "flow_token", doc=DOC)
        if self.flow_action_data is not None:
            _checks.mapping(self.flow_action_data, "flow_action_data", doc=DOC)

    def action(self) -> dict[str, Any]:
        """Return the action object."""
        fields = {"flow_token": self.flow_token, "flow_action_data": self.flow_action_data}
        return _checks.without_empty(fields)


@dataclass(frozen=True, slots=True)
class CatalogButton(_ActionButton):
    """
    A button that opens the catalogue.

    :param index: Position in the template's list of buttons, 0 to 9.
    :param thumbnail_product_retailer_id: The product whose picture is shown; left out: the first of the
        catalogue.
    """

    sub_type: ClassVar[str] = "catalog"

    thumbnail_product_retailer_id: str | None = None

    def check_more(self) -> None:
        """Check what this kind has beyond its position."""
        _checks.optional_text(self.thumbnail_product_retailer_id, "thumbnail_product_retailer_id", doc=DOC)

    def action(self) -> dict[str, Any]:
        """Return the action object."""
        return _checks.without_empty({"thumbnail_product_retailer_id": self.thumbnail_product_retailer_id})


@dataclass(frozen=True, slots=True)
class ProductSection(Part):
    """
    A section of a list of products.

    :param products: The products' ids in the catalogue; Graph's ``{"product_retailer_id": ...}`` is taken
        too.
    :param title: Up to 24 characters; needed when there is more than one section.
    """

    doc: ClassVar[str] = "Multi-product messages"

    products: Sequence[str | Mapping[str, Any]]
    title: str | None = None

    def __post_init__(self) -> None:
        found = _checks.items(self.products, "products", doc=self.doc, low=1, high=30)
        ids = [item.get("product_retailer_id") if isinstance(item, Mapping) else item for item in found]
        for position, product in enumerate(ids):
            _checks.required_text(product, f"products[{position}]", doc=self.doc)
        _checks.put(self, "products", tuple(ids))
        _checks.optional_text(self.title, "title", doc=self.doc, limit=24)

    def to_payload(self) -> dict[str, Any]:
        """Return the section as Graph's JSON."""
        products = [{"product_retailer_id": product} for product in self.products]
        return {**({"title": self.title} if self.title else {}), "product_items": products}


def product_sections(value: object, field: str) -> tuple[ProductSection, ...]:
    """
    Return sections of products, checked together: 1 to 10 of them, 30 products at most, titles if several.

    :param value: A list of sections, or of dicts of their fields.
    :param field: Path of the list.
    """
    doc = ProductSection.doc
    sections = _checks.parts(ProductSection, value, field, doc=doc, high=10)
    total = sum(len(section.products) for section in sections)
    if total > 30:
        advice = f"Leave {total - 30} out, or send several messages."
        raise PayloadError(
            f"has {total} products", field=field, limit="30 over all sections", doc=doc, advice=advice
        )
    section_titles([section.title for section in sections], field, doc=doc)
    return sections


def section_titles(titles: Sequence[str | None], field: str, *, doc: str) -> None:
    """
    Check that every section has a title where there is more than one.

    :param titles: The titles, in order.
    :param field: Path of the list of sections.
    :param doc: Title of Meta's document.
    """
    for position, title in enumerate(titles):
        if len(titles) > 1 and not title:
            path = f"{field}[{position}].title"
            raise PayloadError(
                "is missing",
                field=path,
                limit="needed with 2 or more sections",
                doc=doc,
                advice="Give it a title.",
            )


@dataclass(frozen=True, slots=True)
class MpmButton(_ActionButton):
    """
    A button that opens a list of products.

    :param index: Position in the template's list of buttons, 0 to 9.
    :param thumbnail_product_retailer_id: The product whose picture is shown.
    :param sections: 1 to 10 sections, 30 products in all.
    """

    sub_type: ClassVar[str] = "mpm"

    thumbnail_product_retailer_id: str
    sections: Sequence[ProductSection | Mapping[str, Any]]

    def check_more(self) -> None:
        """Check what this kind has beyond its position."""
        _checks.required_text(self.thumbnail_product_retailer_id, "thumbnail_product_retailer_id", doc=DOC)
        _checks.put(self, "sections", product_sections(self.sections, "sections"))

    def action(self) -> dict[str, Any]:
        """Return the action object."""
        sections = [section.to_payload() for section in self.sections if isinstance(section, ProductSection)]
        return {"thumbnail_product_retailer_id": self.thumbnail_product_retailer_id, "sections": sections}


@dataclass(frozen=True, slots=True)
class RawButton(TemplateButton):
    """
    A button as Graph's own JSON, for kinds that have no class here.

    :param index: Position in the template's list of buttons, 0 to 9.
    :param fields: The component; its ``index`` is replaced.
    """

    sub_type: ClassVar[str] = "raw"

    fields: Mapping[str, Any]

    def check_more(self) -> None:
        """Check what this kind has beyond its position."""
        _checks.mapping(self.fields, "fields", doc=DOC)
        _checks.required_text(self.fields.get("sub_type"), "sub_type", doc=DOC)

    def to_payload(self) -> dict[str, Any]:
        """Return the button as Graph's JSON."""
        return {**self.fields, "index": str(self.index)}


_KINDS: dict[str, type[TemplateButton]] = {
    kind.sub_type: kind
    for kind in (UrlButton, QuickReplyButton, CopyCodeButton, FlowButton, CatalogButton, MpmButton)
}


def template_buttons(value: object, field: str, *, high: int = 10) -> tuple[TemplateButton, ...]:
    """
    Return the buttons of a template.

    An item may be a button, a dict of one (``{"type": "url", "index": 0, "text": "77"}``; ``index`` left out:
    the item's position), Graph's own component (``{"type": "button", "sub_type": ...}``), a text (the suffix
    of the URL button at this position), or None (nothing to send for this position).

    :param value: The list.
    :param field: Path of the list.
    :param high: Most buttons.
    """
    made = []
    for position, item in enumerate(_checks.items(value, field, doc=DOC, high=high)):
        if item is not None:
            made.append(_button(item, position, f"{field}[{position}]"))
    _checks.unique([str(button.index) for button in made], field, "index", doc=DOC)
    return tuple(made)


def _button(item: object, position: int, path: str) -> TemplateButton:
    if isinstance(item, TemplateButton):
        return item
    if not isinstance(item, Mapping):
        try:
            return UrlButton(position, text_of(item, "text", doc=DOC))
        except PayloadError as error:
            raise error.at(path) from None
    name = item.get("type")
    if isinstance(name, str) and name.lower() == "button":
        return _checks.part(RawButton, {"index": item.get("index", position), "fields": item}, path)
    kind = _KINDS.get(name.lower()) if isinstance(name, str) else None
    if kind is None:
        advice = f"Types: {', '.join(_KINDS)}; or Graph's own component with type button and a sub_type."
        raise PayloadError(f"has an unknown type {_checks.shown(name)}", field=path, doc=DOC, advice=advice)
    fields = {
        "index": position,
        **{key: value for key, value in _checks.without_null(item).items() if key != "type"},
    }
    return _checks.part(kind, fields, path)
