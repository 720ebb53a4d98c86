"""Meta's markets: the row of a rate card by which a country's messages are charged."""

from __future__ import annotations

import re
import unicodedata
from functools import cache

OTHER = "Other"
_SAME_CODE = {
    **dict.fromkeys(("GG", "JE", "IM"), "GB"),
    **dict.fromkeys(("CC", "CX"), "AU"),
    **dict.fromkeys(("BL", "MF"), "GP"),
    "VA": "IT",
    "SJ": "NO",
    "AX": "FI",
    "YT": "RE",
    "BQ": "CW",
    "EH": "MA",
}
"""Countries that share another country's calling code, by which Meta charges."""
_ALONE = """
AR Argentina; BR Brazil; CL Chile; CO Colombia; EG Egypt; FR France; DE Germany; IN India; ID Indonesia; IL Israel;
IT Italy; MY Malaysia; MX Mexico; NL Netherlands, The Netherlands; NG Nigeria; PK Pakistan; PE Peru;
RU Russia, Russian Federation; SA Saudi Arabia; ZA South Africa; ES Spain; TR Turkey, Türkiye;
AE United Arab Emirates, UAE; GB United Kingdom, UK, Great Britain
"""
"""Countries that have their own row in every card, and their names there."""
_REGIONS = {
    "North America": """
CA Canada; US United States, USA, United States of America""",
    "Rest of Africa": """
DZ Algeria; AO Angola; BJ Benin; BW Botswana; BF Burkina Faso; BI Burundi; CM Cameroon; TD Chad; CG Congo, Republic of
Congo; ER Eritrea; ET Ethiopia; GA Gabon; GM Gambia; GH Ghana; GW Guinea-Bissau; CI Ivory Coast, Côte d'Ivoire;
KE Kenya; LS Lesotho; LR Liberia; LY Libya; MG Madagascar; MW Malawi; ML Mali; MR Mauritania; MA Morocco; MZ Mozambique;
NA Namibia; NE Niger; RW Rwanda; SN Senegal; SL Sierra Leone; SO Somalia; SS South Sudan; SD Sudan; SZ Swaziland,
Eswatini; TZ Tanzania; TG Togo; TN Tunisia; UG Uganda; ZM Zambia""",
    "Rest of Asia Pacific": """
AF Afghanistan; AU Australia; BD Bangladesh; KH Cambodia; CN China; HK Hong Kong; JP Japan; LA Laos; MN Mongolia;
NP Nepal; NZ New Zealand; PG Papua New Guinea; PH Philippines; SG Singapore; LK Sri Lanka; TW Taiwan; TJ Tajikistan;
TH Thailand; TM Turkmenistan; UZ Uzbekistan; VN Vietnam""",
    "Rest of Central & Eastern Europe": """
AL Albania; AM Armenia; AZ Azerbaijan; BY Belarus; BG Bulgaria; HR Croatia; CZ Czech Republic, Czechia; GE Georgia;
GR Greece; HU Hungary; LV Latvia; LT Lithuania; MK North Macedonia, Macedonia; MD Moldova; PL Poland; RO Romania;
RS Serbia; SK Slovakia; SI Slovenia; UA Ukraine""",
    "Rest of Latin America": """
BO Bolivia; CR Costa Rica; DO Dominican Republic; EC Ecuador; SV El Salvador; GT Guatemala; HT Haiti; HN Honduras;
JM Jamaica; NI Nicaragua; PA Panama; PY Paraguay; PR Puerto Rico; UY Uruguay; VE Venezuela""",
    "Rest of Middle East": """
BH Bahrain; IQ Iraq; JO Jordan; KW Kuwait; LB Lebanon; OM Oman; QA Qatar; YE Yemen""",
    "Rest of Western Europe": """
AT Austria; BE Belgium; DK Denmark; FI Finland; IE Ireland; NO Norway; PT Portugal; SE Sweden; CH Switzerland""",
    OTHER: """
KZ Kazakhstan; KR South Korea, Korea; IS Iceland; LU Luxembourg; CY Cyprus; EE Estonia; MT Malta; CU Cuba; IR Iran;
SY Syria; PS Palestine; MM Myanmar; ZW Zimbabwe; CD Democratic Republic of the Congo; GN Guinea; MU Mauritius;
BA Bosnia and Herzegovina; ME Montenegro; XK Kosovo; KG Kyrgyzstan; TT Trinidad and Tobago; GY Guyana; BZ Belize""",
}
"""Markets of several countries, with the countries in them. A country that no line names is in the last one."""


def simple(name: str) -> str:
    """Return a market's name in a form for comparison: cards differ in accents, dashes, spaces, and "and" or "&"."""
    plain = unicodedata.normalize("NFKD", name.replace("&", " and ")).casefold()
    return re.sub(r"[^a-z0-9]", "", plain)


def _countries(text: str) -> dict[str, tuple[str, ...]]:
    """Return the names of each country of a table, including its ISO code."""
    found = {}
    for entry in " ".join(text.split()).split(";"):
        code, _, names = entry.strip().partition(" ")
        found[code] = tuple(simple(name) for name in (*names.split(","), code))
    return found


@cache
def _table() -> dict[str, tuple[tuple[str, ...], str | None]]:
    """Return each country's own names and the market of several countries that contains it otherwise."""
    table: dict[str, tuple[tuple[str, ...], str | None]] = {
        code: (names, None) for code, names in _countries(_ALONE).items()
    }
    for region, text in _REGIONS.items():
        table |= {code: (names, region) for code, names in _countries(text).items()}
    return table


def rows_for(country: str) -> list[str]:
    """Return the rows of a card that may contain a country's rates, the best first, in the form of :func:`simple`."""
    code = _SAME_CODE.get(country, country)
    names, region = _table().get(code, ((simple(code),), OTHER))
    if region is None:
        return list(names)
    return [*names, *dict.fromkeys((simple(region), simple(OTHER)))]


@cache
def known_rows() -> frozenset[str]:
    """Return the names of all known rows."""
    own = (name for names, _ in _table().values() for name in names)
    return frozenset((*own, *map(simple, _REGIONS)))


@cache
def shared_rows() -> frozenset[str]:
    """Return the rows of markets with several countries."""
    return frozenset(map(simple, _REGIONS))
