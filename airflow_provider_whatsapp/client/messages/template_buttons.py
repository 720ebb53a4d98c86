"""Buttons of a template that have a value: a message contains only these, the others are part of the template."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from airflow_provider_whatsapp.client.errors import PayloadError
from airflow_provider_whatsapp.client.messages import _checks
from airflow_provider_whatsapp.client.messages import _fields as field
from airflow_provider_whatsapp.client.messages._base import Part, model, without_empty
from airflow_provider_whatsapp.client.messages._parts import lower, part, parts, without_null
from airflow_provider_whatsapp.client.messages.parameters import DOC, value_text
from airflow_provider_whatsapp.client.messages.texts import text_of

#: Characters of a coupon code since 3 December 2025; older pages of Meta say 15, and older apps truncate there.
COUPON_LIMIT = 20
#: Characters of a quick reply's payload.
PAYLOAD_LIMIT = 256
#: Characters of a button's URL; a suffix cannot be longer than the whole.
URL_LIMIT = 2000
#: Products of a list, in all sections together.
PRODUCTS_LIMIT = 30


@model(doc=DOC)
class TemplateButton(Part):
    """
    What template buttons share.

    :param index: Position in the template's list of buttons, 0 to 9; phone and plain buttons count too.
    """

    sub_type: ClassVar[str]

    index: int | str = field.whole(0, 9)

    def parameters(self) -> list[dict[str, Any]]:
        """Return the button's parameters as Graph's JSON: one per field, whose type has the field's name."""
        return [{"type": name, name: getattr(self, name)} for name, *_ in self._checked if name != "index"]

    def to_payload(self) -> dict[str, Any]:
        """Return the button as Graph's JSON."""
        made = {"type": "button", "sub_type": self.sub_type, "index": str(self.index)}
        parameters = self.parameters()
        return {**made, "parameters": parameters} if parameters else made


@model()
class UrlButton(TemplateButton):
    """
    A link whose last part varies.

    :param index: Position in the template's list of buttons, 0 to 9.
    :param text: Value of the variable at the end of the template's URL, up to 2000 characters.
    """

    sub_type: ClassVar[str] = "url"

    text: str = field.checked(value_text, limit=URL_LIMIT)


def _written(value: object, path: str, doc: str) -> str:
    return value if isinstance(value, str) else text_of(value, path, doc=doc)


def _payload(value: object, path: str, doc: str) -> str:
    return _checks.required_text(_written(value, path, doc), path, doc, limit=PAYLOAD_LIMIT)


@model()
class QuickReplyButton(TemplateButton):
    """
    A quick reply with its own payload, which comes back in the webhook.

    :param index: Position in the template's list of buttons, 0 to 9.
    :param payload: Up to 256 characters.
    """

    sub_type: ClassVar[str] = "quick_reply"

    payload: str = field.checked(_payload)


def _coupon(value: object, path: str, doc: str) -> str:
    coupons = "Coupon code templates"
    code = _checks.required_text(_written(value, path, doc), path, coupons, limit=COUPON_LIMIT)
    if not (code.isascii() and code.isalnum()):
        raise PayloadError(
            f"contains more than letters and digits ({len(code)} characters)",
            field=path,
            limit=f"1-{COUPON_LIMIT} letters and digits",
            doc=coupons,
            advice="Leave out spaces, dashes and other signs.",
        )
    return code


@model()
class CopyCodeButton(TemplateButton):
    """
    A button that copies a coupon code.

    :param index: Position in the template's list of buttons, 0 to 9.
    :param code: 1 to 20 letters and digits; use at most 15 if recipients may have old apps.
    """

    sub_type: ClassVar[str] = "copy_code"

    code: str = field.checked(_coupon)

    def parameters(self) -> list[dict[str, Any]]:
        """Return the button's parameters as Graph's JSON."""
        return [{"type": "coupon_code", "coupon_code": self.code}]


class _ActionButton(TemplateButton):
    """A button whose fields make an action object; without fields it is sent without parameters."""

    __slots__ = ()

    def parameters(self) -> list[dict[str, Any]]:
        """Return the button's parameters as Graph's JSON."""
        action = self._graph_fields("index")
        return [{"type": "action", "action": action}] if action else []


@model()
class FlowButton(_ActionButton):
    """
    A button that opens a flow.

    :param index: Position in the template's list of buttons, 0 to 9.
    :param flow_token: Your own token, returned with the flow's answer; Meta's default is ``unused``.
    :param flow_action_data: Data for the flow's first screen.
    """

    sub_type: ClassVar[str] = "flow"

    flow_token: str | None = field.text(default=None)
    flow_action_data: Mapping[str, Any] | None = field.checked(_checks.mapping, default=None)


@model()
class CatalogButton(_ActionButton):
    """
    A button that opens the catalogue.

    :param index: Position in the template's list of buttons, 0 to 9.
    :param thumbnail_product_retailer_id: The product whose picture is shown; None: the first product of the
        catalogue.
    """

    sub_type: ClassVar[str] = "catalog"

    thumbnail_product_retailer_id: str | None = field.text(default=None)


def _products(value: object, path: str, doc: str) -> tuple[str, ...]:
    found = _checks.items(value, path, doc, low=1, high=PRODUCTS_LIMIT)
    ids = [item.get("product_retailer_id") if isinstance(item, Mapping) else item for item in found]
    return _checks.texts(ids, path, doc)


@model(doc="Multi-product messages")
class ProductSection(Part):
    """
    A section of a list of products.

    :param products: The products' IDs in the catalogue; Graph's ``{"product_retailer_id": ...}`` is accepted too.
    :param title: Up to 24 characters; needed when there is more than one section.
    """

    products: Sequence[str | Mapping[str, Any]] = field.checked(_products)
    title: str | None = field.text(24, default=None)

    def to_payload(self) -> dict[str, Any]:
        """Return the section as Graph's JSON."""
        products = [{"product_retailer_id": product} for product in self.products]
        return without_empty({"title": self.title, "product_items": products})


def product_sections(value: object, path: str, _doc: str = "") -> tuple[ProductSection, ...]:
    """Return sections of products, checked together: 1 to 10 of them, 30 products at most, titles if several."""
    doc = ProductSection.doc
    sections = parts(value, path, doc, model=ProductSection, high=10)
    total = sum(len(section.products) for section in sections)
    limit = f"{PRODUCTS_LIMIT} over all sections"
    _checks.in_all(total, path, doc, high=PRODUCTS_LIMIT, what="products", limit=limit)
    section_titles([section.title for section in sections], path, doc)
    return sections


def section_titles(titles: Sequence[str | None], path: str, doc: str) -> None:
    """Check that every section has a title if there is more than one section."""
    for position, title in enumerate(titles):
        if len(titles) > 1 and not title:
            raise PayloadError(
                "is missing",
                field=f"{path}[{position}].title",
                limit="needed with 2 or more sections",
                doc=doc,
                advice="Give it a title.",
            )


@model()
class MpmButton(_ActionButton):
    """
    A button that opens a list of products.

    :param index: Position in the template's list of buttons, 0 to 9.
    :param thumbnail_product_retailer_id: The product whose picture is shown.
    :param sections: 1 to 10 sections, 30 products in all.
    """

    sub_type: ClassVar[str] = "mpm"

    thumbnail_product_retailer_id: str = field.text()
    sections: Sequence[ProductSection | Mapping[str, Any]] = field.checked(product_sections)


def _component(value: object, path: str, doc: str) -> Mapping[str, Any]:
    found = _checks.mapping(value, path, doc)
    _checks.required_text(found.get("sub_type"), "sub_type", doc)
    return found


@model()
class RawButton(TemplateButton):
    """
    A button as Graph's own JSON, for kinds that have no class here.

    :param index: Position in the template's list of buttons, 0 to 9.
    :param fields: The component; its ``index`` is replaced.
    """

    sub_type: ClassVar[str] = "raw"

    fields: Mapping[str, Any] = field.checked(_component)

    def to_payload(self) -> dict[str, Any]:
        """Return the button as Graph's JSON."""
        return {**self.fields, "index": str(self.index)}


_KINDS: dict[str, type[TemplateButton]] = {
    kind.sub_type: kind
    for kind in (UrlButton, QuickReplyButton, CopyCodeButton, FlowButton, CatalogButton, MpmButton)
}


def template_buttons(
    value: object, path: str, _doc: str = DOC, *, high: int = 10
) -> tuple[TemplateButton, ...]:
    """Return the buttons of a template."""
    # An item is a button, a dict of one (without ``index`` its position applies), Graph's own component, a text (the
    # suffix of the URL button at this position), or None (no value for this position).
    found = enumerate(_checks.items(value, path, DOC, high=high))
    made = [_button(item, place, f"{path}[{place}]") for place, item in found if item is not None]
    _checks.unique([str(button.index) for button in made], path, DOC, what="index")
    return tuple(made)


def _button(item: object, position: int, path: str) -> TemplateButton:
    if isinstance(item, TemplateButton):
        return item
    if not isinstance(item, Mapping):
        try:
            return UrlButton(position, text_of(item, "text", doc=DOC))
        except PayloadError as error:
            raise error.at(path) from None
    name = lower(item.get("type"))
    if name == "button":
        return part({"index": item.get("index", position), "fields": item}, path, model=RawButton)
    kind = _KINDS.get(name) if isinstance(name, str) else None
    if kind is None:
        shown = _checks.shown(item.get("type"))
        advice = f"Types: {', '.join(_KINDS)}; or Graph's own component with type button and a sub_type."
        raise PayloadError(f"has an unknown type {shown}", field=path, doc=DOC, advice=advice)
    given = {key: value for key, value in without_null(item).items() if key != "type"}
    return part({"index": position, **given}, path, model=kind)
