"""Interactive messages around a catalogue, and carousels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_whatsapp.client.errors import PayloadError
from airflow_provider_whatsapp.client.messages import _checks
from airflow_provider_whatsapp.client.messages import _fields as field
from airflow_provider_whatsapp.client.messages._base import Part, graph, model, numbered
from airflow_provider_whatsapp.client.messages._parts import parts, typed
from airflow_provider_whatsapp.client.messages.interactive import (
    BODY_LIMIT,
    FOOTER_LIMIT,
    LABEL_LIMIT,
    Interactive,
    ReplyButton,
    header_part,
    reply_buttons,
    text_header,
)
from airflow_provider_whatsapp.client.messages.media import Image, Video
from airflow_provider_whatsapp.client.messages.template_buttons import ProductSection, product_sections

if TYPE_CHECKING:
    from collections.abc import Sequence


@model("product", doc="Single-product messages")
class ProductMessage(Interactive):
    """
    One product of a catalogue; it has no header.

    :param catalog_id: The catalogue.
    :param product_retailer_id: The product's ID in the catalogue (its SKU).
    :param body: Up to 1024 characters.
    :param footer: Up to 60 characters.
    """

    catalog_id: str = field.identifier()
    product_retailer_id: str = field.text()
    body: str | None = field.text(BODY_LIMIT, default=None)
    footer: str | None = field.text(FOOTER_LIMIT, default=None)


def _list_header(value: object, path: str, doc: str) -> str:
    return _checks.required_text(text_header(value, path, doc) or "", path, doc)


@model("product_list", doc=ProductSection.doc)
class ProductList(Interactive):
    """
    Several products of a catalogue, in sections.

    :param header: A text, 1 to 60 characters.
    :param body: 1 to 1024 characters.
    :param catalog_id: The catalogue; at least one of the products must be in it.
    :param sections: 1 to 10 ``ProductSection``, or dicts of their fields, with at most 30 products over all.
    :param footer: Up to 60 characters.
    """

    header: str | Mapping[str, Any] = field.checked(_list_header)
    body: str = field.text(BODY_LIMIT)
    catalog_id: str = field.identifier()
    sections: Sequence[ProductSection | Mapping[str, Any]] = field.checked(product_sections)
    footer: str | None = field.text(FOOTER_LIMIT, default=None)


@model("catalog_message", doc="Catalog messages")
class CatalogMessage(Interactive):
    """
    A text with a button that opens the catalogue.

    :param body: 1 to 1024 characters.
    :param thumbnail_product_retailer_id: The product whose picture is shown; None: the first product of the
        catalogue.
    :param footer: Up to 60 characters.
    """

    _action_name: ClassVar[str | None] = "catalog_message"

    body: str = field.text(BODY_LIMIT)
    thumbnail_product_retailer_id: str | None = field.text(default=None)
    footer: str | None = field.text(FOOTER_LIMIT, default=None)


def _card_header(value: object, path: str, doc: str) -> Image | Video:
    if isinstance(value, Mapping):
        value = typed(value, path, doc, {"image": Image, "video": Video})
    header = header_part(value, path, doc)
    if not isinstance(header, (Image, Video)):
        raise _checks.wrong_type(header, path, "an image or a video", doc=doc)
    return header


def _card_body(value: object, path: str, doc: str) -> str:
    body = _checks.optional_text(value, path, doc, limit=160)
    breaks = body.count("\n")
    if breaks > 2:
        advice = "Join some of the lines."
        raise PayloadError(f"has {breaks} line breaks", field=path, limit="2", doc=doc, advice=advice)
    return body


@model(doc="Interactive media carousel messages")
class MediaCard(Part):
    """
    A card of a media carousel: with a link, or with quick replies.

    :param header: An ``Image`` or a ``Video`` without caption, or a dict of one.
    :param display_text: Label of the card's link, 1 to 20 characters.
    :param url: The http(s) link.
    :param body: Up to 160 characters with at most two line breaks.
    :param buttons: Quick replies instead of the link: ``ReplyButton``, dicts of their fields, or plain titles (then
        the id is the title). Older pages of Meta allow an id 20 characters.
    """

    header: Image | Video | Mapping[str, Any] = field.checked(_card_header)
    display_text: str | None = field.text(LABEL_LIMIT, default=None)
    url: str | None = field.text(default=None)
    body: str | None = field.checked(_card_body, default=None)
    buttons: Sequence[ReplyButton | Mapping[str, Any] | str] | None = field.checked(
        reply_buttons, default=None
    )

    def check(self) -> None:
        """Check that there is a link, or quick replies."""
        if self.buttons is None:
            _checks.required_text(self.display_text, "display_text", self.doc, limit=LABEL_LIMIT)
            _checks.http_url(self.url, "url", self.doc)
        elif self.display_text or self.url:
            raise PayloadError(
                "cannot be combined with display_text and url",
                field="buttons",
                limit="one link, or quick replies",
                doc=self.doc,
                advice="Leave one of them out.",
            )

    def to_payload(self) -> dict[str, Any]:
        """Return the card as Graph's JSON, without its position."""
        card: dict[str, Any] = {"type": "cta_url", "header": graph(self.header)}
        if self.body:
            card["body"] = {"text": self.body}
        if self.buttons is None:
            parameters = {"display_text": self.display_text, "url": self.url}
            return {**card, "action": {"name": "cta_url", "parameters": parameters}}
        replies = [button["reply"] for button in graph(self.buttons)]
        buttons = [{"type": "quick_reply", "quick_reply": reply} for reply in replies]
        return {**card, "action": {"buttons": buttons}}


def _media_cards(value: object, path: str, doc: str) -> tuple[MediaCard, ...]:
    cards = parts(value, path, doc, model=MediaCard, low=2, high=10)
    if len({type(card.header) for card in cards}) > 1:
        problem, limit = "has cards with images and cards with videos", "the same kind on every card"
        advice = "Give every card an image, or every card a video."
        raise PayloadError(problem, field=path, limit=limit, doc=doc, advice=advice)
    if len({len(card.buttons or ()) for card in cards}) > 1:
        problem, limit = (
            "has cards whose buttons differ",
            "the same kind and number of buttons on every card",
        )
        advice = "Give every card a link, or every card as many quick replies."
        raise PayloadError(problem, field=path, limit=limit, doc=doc, advice=advice)
    return cards


@model("media_carousel", doc=MediaCard.doc)
class MediaCarousel(Interactive):
    """
    A text above 2 to 10 cards with pictures (or videos), and links or quick replies.

    :param body: 1 to 1024 characters.
    :param cards: 2 to 10 ``MediaCard``, or dicts of their fields; all with images, or all with videos, and with the
        same kind and number of buttons.
    """

    graph_type: ClassVar[str | None] = "carousel"

    body: str = field.text(BODY_LIMIT)
    cards: Sequence[MediaCard | Mapping[str, Any]] = field.checked(_media_cards)

    def action(self) -> dict[str, Any]:
        """Return the action object."""
        return {"cards": numbered(graph(self.cards))}


@model("product_carousel", doc="Interactive product carousel messages")
class ProductCarousel(Interactive):
    """
    A text above 2 to 10 products of one catalogue.

    :param body: 1 to 1024 characters.
    :param catalog_id: The catalogue.
    :param products: The products' IDs in the catalogue.
    """

    graph_type: ClassVar[str | None] = "carousel"

    body: str = field.text(BODY_LIMIT)
    catalog_id: str = field.identifier()
    products: Sequence[str] = field.checked(_checks.texts, low=2, high=10)

    def action(self) -> dict[str, Any]:
        """Return the action object."""
        actions = [{"product_retailer_id": each, "catalog_id": self.catalog_id} for each in self.products]
        return {"cards": numbered([{"type": "product", "action": action} for action in actions])}
