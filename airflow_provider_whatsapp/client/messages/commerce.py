"""Interactive messages around a catalogue, and carousels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, cast

from airflow_provider_whatsapp.client.errors import PayloadError
from airflow_provider_whatsapp.client.messages import _checks
from airflow_provider_whatsapp.client.messages._base import Part
from airflow_provider_whatsapp.client.messages.interactive import (
    BODY_LIMIT,
    FOOTER_LIMIT,
    Interactive,
    ReplyButton,
    header_part,
    reply_buttons,
    text_header,
)
from airflow_provider_whatsapp.client.messages.media import Image, Video
from airflow_provider_whatsapp.client.messages.template_buttons import ProductSection, product_sections

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True, slots=True)
class ProductMessage(Interactive):
    """
    One product of a catalogue; it has no header.

    :param catalog_id: The catalogue.
    :param product_retailer_id: The product's id in it (its SKU).
    :param body: Up to 1024 characters.
    :param footer: Up to 60 characters.
    """

    kind: ClassVar[str] = "product"
    doc: ClassVar[str] = "Single-product messages"

    catalog_id: str
    product_retailer_id: str
    body: str | None = None
    footer: str | None = None

    def __post_init__(self) -> None:
        _checks.identifier(self.catalog_id, "product.catalog_id", doc=self.doc)
        _checks.required_text(self.product_retailer_id, "product.product_retailer_id", doc=self.doc)
        _checks.optional_text(self.body, "product.body", doc=self.doc, limit=BODY_LIMIT)
        _checks.optional_text(self.footer, "product.footer", doc=self.doc, limit=FOOTER_LIMIT)

    def to_payload(self) -> dict[str, Any]:
        """Return the message as Graph's JSON."""
        action = {"catalog_id": self.catalog_id, "product_retailer_id": self.product_retailer_id}
        return self.wrap(action, body=self.body, footer=self.footer)


@dataclass(frozen=True, slots=True)
class ProductList(Interactive):
    """
    Several products of a catalogue, in sections.

    :param header: A text, 1 to 60 characters.
    :param body: 1 to 1024 characters.
    :param catalog_id: The catalogue; at least one of the products must be in it.
    :param sections: 1 to 10 ``ProductSection``, or dicts of their fields, with at most 30 products over all.
    :param footer: Up to 60 characters.
    """

    kind: ClassVar[str] = "product_list"
    doc: ClassVar[str] = ProductSection.doc

    header: str | Mapping[str, Any]
    body: str
    catalog_id: str
    sections: Sequence[ProductSection | Mapping[str, Any]]
    footer: str | None = None

    def __post_init__(self) -> None:
        header = text_header(self.header, "product_list.header", doc=self.doc)
        _checks.required_text("" if header is None else header, "product_list.header", doc=self.doc)
        _checks.put(self, "header", header)
        self.check_texts(self.body, self.footer)
        _checks.identifier(self.catalog_id, "product_list.catalog_id", doc=self.doc)
        _checks.put(self, "sections", product_sections(self.sections, "product_list.sections"))

    def to_payload(self) -> dict[str, Any]:
        """Return the message as Graph's JSON."""
        sections = [section.to_payload() for section in cast("tuple[ProductSection, ...]", self.sections)]
        action = {"catalog_id": self.catalog_id, "sections": sections}
        return self.wrap(action, header=self.header, body=self.body, footer=self.footer)


@dataclass(frozen=True, slots=True)
class CatalogMessage(Interactive):
    """
    A text with a button that opens the catalogue.

    :param body: 1 to 1024 characters.
    :param thumbnail_product_retailer_id: The product whose picture is shown; left out: the first of the
        catalogue.
    :param footer: Up to 60 characters.
    """

    kind: ClassVar[str] = "catalog_message"
    doc: ClassVar[str] = "Catalog messages"

    body: str
    thumbnail_product_retailer_id: str | None = None
    footer: str | None = None

    def __post_init__(self) -> None:
        self.check_texts(self.body, self.footer)
        field = "catalog_message.thumbnail_product_retailer_id"
        _checks.optional_text(self.thumbnail_product_retailer_id, field, doc=self.doc)

    def to_payload(self) -> dict[str, Any]:
        """Return the message as Graph's JSON."""
        action: dict[str, Any] = {"name": "catalog_message"}
        if self.thumbnail_product_retailer_id:
            action["parameters"] = {"thumbnail_product_retailer_id": self.thumbnail_product_retailer_id}
        return self.wrap(action, body=self.body, footer=self.footer)


@dataclass(frozen=True, slots=True)
class MediaCard(Part):
    """
    A card of a media carousel: with a link, or with quick replies.

    :param header: An ``Image`` or a ``Video`` without caption, or a dict of one.
    :param display_text: Label of the card's link, 1 to 20 characters.
    :param url: http(s) link that it opens.
    :param body: Up to 160 characters with at most two line breaks.
    :param buttons: Quick replies instead of the link: ``ReplyButton``, dicts of their fields, or plain titles (then
        the id is the title). Older pages of Meta allow an id 20 characters.
    """

    doc: ClassVar[str] = "Interactive media carousel messages"

    header: Image | Video | Mapping[str, Any]
    display_text: str | None = None
    url: str | None = None
    body: str | None = None
    buttons: Sequence[ReplyButton | Mapping[str, Any] | str] | None = None

    def __post_init__(self) -> None:
        header = header_part(self.header, "header", doc=self.doc)
        if not isinstance(header, (Image, Video)):
            raise _checks.wrong_type(header, "header", "an image or a video", doc=self.doc)
        _checks.put(self, "header", header)
        if self.buttons is None:
            _checks.required_text(self.display_text, "display_text", doc=self.doc, limit=20)
            _checks.http_url(self.url, "url", doc=self.doc)
        elif self.display_text or self.url:
            raise PayloadError(
                "cannot stand beside display_text and url",
                field="buttons",
                limit="one link, or quick replies",
                doc=self.doc,
                advice="Leave one of them out.",
            )
        else:
            _checks.put(self, "buttons", reply_buttons(self.buttons, "buttons", doc=self.doc))
        _checks.optional_text(self.body, "body", doc=self.doc, limit=160)
        breaks = (self.body or "").count("\n")
        if breaks > 2:
            raise PayloadError(
                f"has {breaks} line breaks",
                field="body",
                limit="2",
                doc=self.doc,
                advice="Join some of the lines.",
            )

    def to_payload(self) -> dict[str, Any]:
        """Return the card as Graph's JSON, without its position."""
        header = cast("Image | Video", self.header).to_payload()
        card: dict[str, Any] = {"type": "cta_url", "header": header}
        if self.body:
            card["body"] = {"text": self.body}
        if self.buttons is None:
            parameters = {"display_text": self.display_text, "url": self.url}
            return {**card, "action": {"name": "cta_url", "parameters": parameters}}
        replies = [
            {"type": "quick_reply", "quick_reply": {"id": button.id, "title": button.title}}
            for button in cast("tuple[ReplyButton, ...]", self.buttons)
        ]
        return {**card, "action": {"buttons": replies}}


@dataclass(frozen=True, slots=True)
class MediaCarousel(Interactive):
    """
    A text over 2 to 10 cards with pictures (or videos), and links or quick replies.

    :param body: 1 to 1024 characters.
    :param cards: 2 to 10 ``MediaCard``, or dicts of their fields; all with images, or all with videos, and with the
        same kind and number of buttons.
    """

    kind: ClassVar[str] = "media_carousel"
    graph_type: ClassVar[str | None] = "carousel"
    doc: ClassVar[str] = MediaCard.doc

    body: str
    cards: Sequence[MediaCard | Mapping[str, Any]]

    def __post_init__(self) -> None:
        self.check_texts(self.body, None)
        cards = _checks.parts(MediaCard, self.cards, "media_carousel.cards", doc=self.doc, low=2, high=10)
        if len({type(card.header) for card in cards}) > 1:
            raise PayloadError(
                "has cards with images and cards with videos",
                field="media_carousel.cards",
                limit="the same kind on every card",
                doc=self.doc,
                advice="Give every card an image, or every card a video.",
            )
        if len({len(card.buttons or ()) for card in cards}) > 1:
            raise PayloadError(
                "has cards with other buttons than the rest",
                field="media_carousel.cards",
                limit="the same kind and number of buttons on every card",
                doc=self.doc,
                advice="Give every card a link, or every card as many quick replies.",
            )
        _checks.put(self, "cards", cards)

    def to_payload(self) -> dict[str, Any]:
        """Return the message as Graph's JSON."""
        cards = enumerate(cast("tuple[MediaCard, ...]", self.cards))
        return self.wrap(
            {"cards": [{"card_index": i, **card.to_payload()} for i, card in cards]}, body=self.body
        )


@dataclass(frozen=True, slots=True)
class ProductCarousel(Interactive):
    """
    A text over 2 to 10 products of one catalogue.

    :param body: 1 to 1024 characters.
    :param catalog_id: The catalogue.
    :param products: The products' ids in it.
    """

    kind: ClassVar[str] = "product_carousel"
    graph_type: ClassVar[str | None] = "carousel"
    doc: ClassVar[str] = "Interactive product carousel messages"

    body: str
    catalog_id: str
    products: Sequence[str]

    def __post_init__(self) -> None:
        self.check_texts(self.body, None)
        _checks.identifier(self.catalog_id, "product_carousel.catalog_id", doc=self.doc)
        field = "product_carousel.products"
        products = _checks.items(self.products, field, doc=self.doc, low=2, high=10)
        for position, product in enumerate(products):
            _checks.required_text(product, f"{field}[{position}]", doc=self.doc)
        _checks.put(self, "products", products)

    def to_payload(self) -> dict[str, Any]:
        """Return the message as Graph's JSON."""
        cards = [
            {
                "card_index": index,
                "type": "product",
                "action": {"product_retailer_id": product, "catalog_id": self.catalog_id},
            }
            for index, product in enumerate(self.products)
        ]
        return self.wrap({"cards": cards}, body=self.body)
