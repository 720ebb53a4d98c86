"""Template files that are right, and what Graph makes of them."""

from __future__ import annotations

from string import ascii_lowercase, digits

from hypothesis import strategies as st

LANGUAGES = ["en_US", "en", "pt_BR", "fil", "de", "es"]
WORDS = st.text(
    st.characters(categories=["L", "N"], include_characters=" ,.-'\"#:"), min_size=1, max_size=20
).map(lambda text: f"w{text}w")
LABELS = st.text(st.characters(categories=["L"]), min_size=1, max_size=25)
NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,12}", fullmatch=True, alphabet=f"{ascii_lowercase}{digits}_")
EXAMPLES = st.text(
    st.characters(categories=["L", "N", "P"], exclude_characters="{}"), min_size=1, max_size=12
)
VALUES = st.text(st.sampled_from("abc/_-123"), min_size=1, max_size=12)


def optional(**fields):
    return st.fixed_dictionaries({}, optional=fields)


@st.composite
def bodies(draw, names):
    """A text around its variables: a word before, between and after, so that Meta takes it."""
    pieces = [draw(WORDS)]
    for name in names:
        pieces += [f" {{{{{name}}}}} ", draw(WORDS)]
    text = "".join(pieces)
    return text.replace(" w", "\nw", 1) if draw(st.booleans()) else text


headers = st.one_of(
    st.none(),
    LABELS,
    st.fixed_dictionaries({"text": LABELS.map(lambda text: f"{text} {{{{1}}}}"), "example": EXAMPLES}),
    st.sampled_from([{"image": None}, {"document": None}, {"video": None}, {"location": True}]),
)
others = st.one_of(
    st.fixed_dictionaries({"type": st.just("url"), "text": LABELS, "url": st.just("https://x.example/a")}),
    st.fixed_dictionaries(
        {"type": st.just("url"), "text": LABELS, "url": st.just("https://x.example/{{1}}"), "example": VALUES}
    ),
)
button_lists = st.one_of(
    st.none(),
    st.lists(
        st.fixed_dictionaries({"type": st.just("quick_reply"), "text": LABELS}), min_size=1, max_size=10
    ),
    st.lists(others, min_size=1, max_size=2),
    st.tuples(
        others,
        st.fixed_dictionaries(
            {"type": st.just("phone_number"), "text": LABELS, "phone_number": st.just("+1555 0100")}
        ),
        st.fixed_dictionaries({"type": st.just("copy_code"), "example": st.just("SAVE20")}),
        st.fixed_dictionaries({"type": st.just("flow"), "text": LABELS, "flow_id": st.just("123")}),
        st.fixed_dictionaries({"type": st.just("quick_reply"), "text": LABELS}),
    ).map(list),
)


@st.composite
def contents(draw, names):
    content = {"body": draw(bodies(names))}
    header = draw(headers)
    if header is not None and not (
        isinstance(header, dict) and "example" in header and not positional(names)
    ):
        content["header"] = header
    footer, buttons = draw(st.none() | WORDS), draw(button_lists)
    if footer:
        content["footer"] = footer
    if buttons:
        content["buttons"] = buttons
    return content


def positional(names):
    return all(name.isdigit() for name in names)


@st.composite
def ordinary(draw):
    """One UTILITY or MARKETING template in one to three languages."""
    count = draw(st.integers(0, 4))
    if draw(st.booleans()):
        names = [str(number) for number in range(1, count + 1)]
    else:
        names = draw(st.lists(NAMES, min_size=count, max_size=count, unique=True))
    template = {
        "name": draw(NAMES),
        "category": draw(st.sampled_from(["UTILITY", "MARKETING"])),
        "languages": {
            language: draw(contents(names))
            for language in draw(st.lists(st.sampled_from(LANGUAGES), min_size=1, max_size=3, unique=True))
        },
    }
    if names:
        template["parameters"] = {name: {"example": draw(EXAMPLES)} for name in names}
    if draw(st.booleans()):
        template["message_send_ttl_seconds"] = 43_200
    return template


authentication = st.builds(
    lambda name, body, minutes, kind: {
        "name": name,
        "category": "AUTHENTICATION",
        "languages": {
            "en_US": {
                "body": {"add_security_recommendation": body},
                **({"footer": {"code_expiration_minutes": minutes}} if minutes else {}),
                "buttons": [{"type": "otp", "otp_type": kind, "text": "Copy"}],
            }
        },
    },
    NAMES,
    st.booleans(),
    st.integers(0, 90),
    st.sampled_from(["copy_code", "one_tap"]),
)
templates = st.one_of(ordinary(), ordinary(), authentication)


def as_graph_lists(definition, order):
    """Return what Graph lists of a created template: reordered, with fields added, fixed texts, addresses, URLs."""
    payload = definition.create_payload()
    components = order(payload["components"])
    for part in components:
        if part.get("format") in ("IMAGE", "VIDEO", "DOCUMENT"):
            part["example"] = {"header_handle": ["https://scontent.example/v/1"]}
        for button in part.get("buttons", []):
            if button["type"] == "OTP":
                url = (
                    f"https://www.whatsapp.com/otp/code/?otp_type={button.pop('otp_type')}&code=otp{{{{1}}}}"
                )
                button.update(type="URL", url=url, example=[url])
            elif button["type"] == "FLOW":
                button.update(flow_action="NAVIGATE", navigate_screen="FIRST")
        if payload["category"] == "AUTHENTICATION" and part["type"] == "BODY":
            more = (
                " For your security, do not share this code."
                if part.pop("add_security_recommendation")
                else ""
            )
            part["text"] = f"*{{{{1}}}}* is your verification code.{more}"
        elif payload["category"] == "AUTHENTICATION" and part["type"] == "FOOTER":
            part["text"] = f"This code expires in {part.pop('code_expiration_minutes')} minutes."
    facts = {"id": "1", "status": "APPROVED", "quality_score": {"score": "GREEN"}, "rejected_reason": "NONE"}
    return {**payload, **facts, "components": components}
