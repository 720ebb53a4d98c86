"""Hypothesis strategies: any valid message of every model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import strategies as st

from airflow_provider_whatsapp.client import messages as m
from airflow_provider_whatsapp.client.messages.texts import says_nothing

if TYPE_CHECKING:
    from collections.abc import Callable

    from hypothesis.strategies import SearchStrategy

_CHARS = st.characters(exclude_categories=("Cs", "Cc"))
_INKED = st.characters(categories=("L", "N", "P", "S"))
_ID_CHARS = st.sampled_from("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")


def texts(limit: int, chars: SearchStrategy[str] = _CHARS) -> SearchStrategy[str]:
    """Texts from one character to the limit, the limit itself often enough; never white space alone."""
    short = st.text(chars, min_size=1, max_size=min(limit, 40))
    return (short | st.builds(lambda char: char * limit, chars)).filter(str.strip)


def optional(strategy: SearchStrategy) -> SearchStrategy:
    return st.none() | strategy


ids = st.text(_ID_CHARS, min_size=1, max_size=24)
urls = st.builds(
    lambda scheme, host, path: f"{scheme}://{host}.example/{path}",
    st.sampled_from(["http", "https", "HTTPS"]),
    st.text(st.sampled_from("abcxyz019"), min_size=1, max_size=10),
    st.text(st.characters(categories=("L", "N", "P")), max_size=20),
)


def media(model: Callable, **more: SearchStrategy) -> SearchStrategy:
    return st.builds(model, id=ids, **more) | st.builds(model, link=urls, **more)


captions = optional(texts(1024))
bare = {
    "image": media(m.Image),
    "video": media(m.Video),
    "document": media(m.Document, filename=optional(texts(60))),
}
headers = optional(texts(60) | st.one_of(*bare.values()))
footers = optional(texts(60))
bodies = texts(1024)

latitudes = st.floats(-90, 90)
longitudes = st.floats(-180, 180)
locations = st.builds(m.Location, latitudes, longitudes, optional(texts(50)), optional(texts(50)))

# -- contacts
_words = optional(texts(20))
names = st.builds(m.ContactName, texts(40), _words, _words, _words, _words, _words)
contacts = st.builds(
    m.Contact,
    name=names,
    phones=st.lists(st.builds(m.ContactPhone, texts(20), _words, optional(ids)), max_size=2),
    emails=st.lists(st.builds(m.ContactEmail, st.just("ann@example.com"), _words), max_size=2),
    urls=st.lists(st.builds(m.ContactUrl, urls, _words), max_size=2),
    addresses=st.lists(st.builds(m.ContactAddress, _words, _words, zip=_words, country=_words), max_size=2),
    org=optional(st.builds(m.ContactOrg, _words, _words, _words)),
    birthday=optional(st.dates()),
)

# -- interactive
_edges = st.text(_INKED, min_size=1, max_size=256)
reply_buttons = st.lists(
    st.builds(m.ReplyButton, _edges, texts(20)),
    min_size=1,
    max_size=3,
    unique_by=(lambda button: button.id, lambda button: button.title),
)
rows = st.builds(m.Row, texts(200), texts(24), optional(texts(72)))


@st.composite
def list_sections(draw: st.DrawFn) -> list[m.Section]:
    found = draw(st.lists(rows, min_size=1, max_size=10, unique_by=lambda row: row.id))
    cut = draw(st.integers(0, len(found) - 1))
    parts = [found[:cut], found[cut:]] if cut else [found]
    title = texts(24) if len(parts) > 1 else optional(texts(24))
    return [m.Section(part, draw(title)) for part in parts]


@st.composite
def flows(draw: st.DrawFn) -> m.Flow:
    name = draw(st.sampled_from(["flow_id", "flow_name"]))
    fields = {
        name: draw(ids),
        "mode": draw(st.sampled_from(["published", "draft"])),
        "flow_token": draw(optional(ids)),
        "header": draw(headers),
        "footer": draw(footers),
    }
    if draw(st.booleans()):
        fields["flow_action"] = "data_exchange"
    else:
        fields["screen"] = draw(optional(ids))
        fields["data"] = draw(optional(st.dictionaries(ids, texts(10), min_size=1, max_size=2)))
    return m.Flow(draw(bodies), draw(texts(30)), **fields)


product_sections = st.lists(
    st.builds(m.ProductSection, st.lists(ids, min_size=1, max_size=3), texts(24)), min_size=1
)
card_bodies = optional(texts(160))


def _cards(kind: str) -> SearchStrategy[list[m.MediaCard]]:
    card = st.builds(m.MediaCard, bare[kind], texts(20), urls, card_bodies)
    return st.lists(card, min_size=2, max_size=10)


# -- templates
values = (
    st.lists(st.text(_INKED, min_size=1, max_size=8), min_size=1, max_size=4)
    .map(" ".join)
    .filter(lambda text: not says_nothing(text))
)
parameters = st.one_of(
    values,
    st.integers(-(10**6), 10**6),
    st.floats(allow_nan=False, allow_infinity=False),
    st.builds(m.Currency, values, st.sampled_from(["USD", "EUR", "INR"]), st.integers(0, 10**9)),
    st.builds(m.DateTime, values),
)
variable_names = st.text(
    st.sampled_from("abcdefghijklmnopqrstuvwxyz0123456789_"), min_size=1, max_size=20
).filter(
    lambda name: not name.isdigit()  # places, not names
)


def template_bodies(most: int) -> SearchStrategy:
    return st.lists(parameters, max_size=most) | st.dictionaries(variable_names, parameters, max_size=most)


products = st.builds(m.Product, ids, ids)
template_headers = st.one_of(
    values.map(lambda text: text[:60].strip()).filter(bool),
    *bare.values(),
    locations,
    products,
    st.dictionaries(
        variable_names, values.map(lambda text: text[:60].strip()).filter(bool), min_size=1, max_size=1
    ),
)
_positions = st.integers(0, 9)
coupon_codes = st.text(st.sampled_from("ABCXYZabc0189"), min_size=1, max_size=20)
template_buttons = st.lists(
    st.one_of(
        st.builds(m.UrlButton, _positions, values),
        st.builds(m.QuickReplyButton, _positions, texts(256)),
        st.builds(m.CopyCodeButton, _positions, coupon_codes),
        st.builds(m.FlowButton, _positions, optional(ids), optional(st.dictionaries(ids, texts(5)))),
        st.builds(m.CatalogButton, _positions, optional(ids)),
        st.builds(m.MpmButton, _positions, ids, product_sections.map(lambda sections: sections[:10])),
    ),
    max_size=4,
    unique_by=lambda button: button.index,
)
template_names = st.text(st.sampled_from("abcxyz0189_"), min_size=1, max_size=30) | st.just("x" * 512)
languages = st.sampled_from(["en", "en_US", "pt_BR", "fil", "prs_AF", "zh_CN"])


def _carousels(header: SearchStrategy) -> SearchStrategy[list[m.Card]]:
    buttons = st.lists(st.builds(m.UrlButton, st.integers(0, 1), values), max_size=1)
    return st.lists(st.builds(m.Card, header, optional(template_bodies(2)), buttons), min_size=2, max_size=10)


plain_templates = st.builds(
    m.Template,
    template_names,
    languages,
    header=optional(template_headers),
    body=optional(template_bodies(4)),
    buttons=optional(template_buttons),
)
carousel_templates = st.builds(
    m.Template,
    template_names,
    languages,
    body=optional(template_bodies(4)),
    carousel=_carousels(bare["image"]) | _carousels(bare["video"]) | _carousels(products),
)
offer_templates = st.builds(
    m.Template,
    template_names,
    languages,
    header=optional(bare["image"]),
    body=optional(template_bodies(4)),
    buttons=st.builds(
        lambda code, suffix: [m.CopyCodeButton(0, code), m.UrlButton(1, suffix)], coupon_codes, values
    ),
    limited_time_offer=st.integers(1, 10**13),
)
authentication_templates = st.builds(
    m.Template.authentication,
    template_names,
    languages,
    st.text(st.sampled_from("0123456789AZ-"), min_size=1, max_size=15),
)

#: Every model's valid messages, by name.
MESSAGES: dict[str, SearchStrategy[m.Message]] = {
    "text": st.builds(m.Text, texts(4096), st.booleans()),
    "image": media(m.Image, caption=captions),
    "video": media(m.Video, caption=captions),
    "document": media(m.Document, caption=captions, filename=optional(texts(60))),
    "audio": media(m.Audio, voice=st.booleans()),
    "sticker": media(m.Sticker),
    "location": locations,
    "reaction": st.builds(m.Reaction, ids, st.sampled_from(["", "👍", "👍🏽", "❤️", "🇩🇪", "1️⃣", "👩‍💻", "☎"])),
    "contacts": st.builds(m.Contacts, st.lists(contacts, min_size=1, max_size=3)),
    "button": st.builds(m.ReplyButtons, bodies, reply_buttons, headers, footers),
    "list": st.builds(m.ListMessage, texts(4096), texts(20), list_sections(), optional(texts(60)), footers),
    "cta_url": st.builds(m.CtaUrl, bodies, texts(20), urls, headers, footers),
    "location_request": st.builds(m.LocationRequest, bodies),
    "flow": flows(),
    "product": st.builds(m.ProductMessage, ids, ids, optional(bodies), footers),
    "product_list": st.builds(
        m.ProductList, texts(60), bodies, ids, product_sections.map(lambda sections: sections[:10]), footers
    ),
    "catalog_message": st.builds(m.CatalogMessage, bodies, optional(ids), footers),
    "media_carousel": st.builds(m.MediaCarousel, bodies, _cards("image") | _cards("video")),
    "product_carousel": st.builds(m.ProductCarousel, bodies, ids, st.lists(ids, min_size=2, max_size=10)),
    "template": plain_templates,
    "template_carousel": carousel_templates,
    "template_offer": offer_templates,
    "template_authentication": authentication_templates,
}

#: Any JSON value, for fields that expect something else.
junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
