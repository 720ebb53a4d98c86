"""
Country and time zone of a number.

``phonenumbers`` knows the countries of all assigned numbers. Its time zones are wrong for some of them (Morocco, South
Sudan, the Caribbean's mobile numbers), so this module has its own table, and a test compares both.
"""

from __future__ import annotations

from functools import cache

from airflow_provider_whatsapp.client import numbering

# Calling code, ISO country, time zones. A country with several zones has its most eastern and most western populous
# one: a window is open there if it is open in both.
_TABLE = """
1 US America/New_York America/Los_Angeles
1204 CA America/Winnipeg
1226 CA America/Toronto
1236 CA America/Vancouver
1242 BS America/Nassau
1246 BB America/Barbados
1249 CA America/Toronto
1250 CA America/Vancouver
1257 CA America/Vancouver
1263 CA America/Toronto
1264 AI America/Puerto_Rico
1268 AG America/Puerto_Rico
1273 CA America/Toronto
1284 VG America/Puerto_Rico
1289 CA America/Toronto
1306 CA America/Regina
1340 VI America/Puerto_Rico
1343 CA America/Toronto
1345 KY America/Panama
1354 CA America/Toronto
1365 CA America/Toronto
1367 CA America/Toronto
1368 CA America/Edmonton
1382 CA America/Toronto
1403 CA America/Edmonton
1416 CA America/Toronto
1418 CA America/Toronto
1428 CA America/Moncton
1431 CA America/Winnipeg
1437 CA America/Toronto
1438 CA America/Toronto
1441 BM Atlantic/Bermuda
1450 CA America/Toronto
1468 CA America/Toronto
1473 GD America/Puerto_Rico
1474 CA America/Regina
1506 CA America/Moncton
1514 CA America/Toronto
1519 CA America/Toronto
1548 CA America/Toronto
1579 CA America/Toronto
1581 CA America/Toronto
1584 CA America/Winnipeg
1587 CA America/Edmonton
1600 CA America/St_Johns America/Vancouver
1604 CA America/Vancouver
1613 CA America/Toronto
1622 CA America/St_Johns America/Vancouver
1633 CA America/St_Johns America/Vancouver
1639 CA America/Regina
1647 CA America/Toronto
1649 TC America/Grand_Turk
1658 JM America/Jamaica
1664 MS America/Puerto_Rico
1670 MP Pacific/Guam
1671 GU Pacific/Guam
1672 CA America/Vancouver
1683 CA America/Toronto
1684 AS Pacific/Pago_Pago
1705 CA America/Toronto
1709 CA America/St_Johns
1721 SX America/Puerto_Rico
1742 CA America/Toronto
1753 CA America/Toronto
1758 LC America/Puerto_Rico
1767 DM America/Puerto_Rico
1778 CA America/Vancouver
1780 CA America/Edmonton
1782 CA America/Halifax
1784 VC America/Puerto_Rico
1787 PR America/Puerto_Rico
1807 CA America/Toronto
1808 US Pacific/Honolulu
1809 DO America/Santo_Domingo
1819 CA America/Toronto
1825 CA America/Edmonton
1829 DO America/Santo_Domingo
1849 DO America/Santo_Domingo
1867 CA America/Toronto America/Whitehorse
1868 TT America/Port_of_Spain
1869 KN America/Puerto_Rico
1873 CA America/Toronto
1876 JM America/Jamaica
1879 CA America/St_Johns
1902 CA America/Halifax
1905 CA America/Toronto
1907 US America/Anchorage
1939 PR America/Puerto_Rico
1942 CA America/Toronto
20 EG Africa/Cairo
211 SS Africa/Juba
212 MA Africa/Casablanca
213 DZ Africa/Algiers
216 TN Africa/Tunis
218 LY Africa/Tripoli
220 GM Africa/Abidjan
221 SN Africa/Abidjan
222 MR Africa/Abidjan
223 ML Africa/Abidjan
224 GN Africa/Abidjan
225 CI Africa/Abidjan
226 BF Africa/Abidjan
227 NE Africa/Lagos
228 TG Africa/Abidjan
229 BJ Africa/Lagos
230 MU Indian/Mauritius
231 LR Africa/Monrovia
232 SL Africa/Abidjan
233 GH Africa/Abidjan
234 NG Africa/Lagos
235 TD Africa/Ndjamena
236 CF Africa/Lagos
237 CM Africa/Lagos
238 CV Atlantic/Cape_Verde
239 ST Africa/Sao_Tome
240 GQ Africa/Lagos
241 GA Africa/Lagos
242 CG Africa/Lagos
243 CD Africa/Maputo Africa/Lagos
244 AO Africa/Lagos
245 GW Africa/Bissau
246 IO Indian/Chagos
247 AC Africa/Abidjan
248 SC Asia/Dubai
249 SD Africa/Khartoum
250 RW Africa/Maputo
251 ET Africa/Nairobi
252 SO Africa/Nairobi
253 DJ Africa/Nairobi
254 KE Africa/Nairobi
255 TZ Africa/Nairobi
256 UG Africa/Nairobi
257 BI Africa/Maputo
258 MZ Africa/Maputo
260 ZM Africa/Maputo
261 MG Africa/Nairobi
262 RE Asia/Dubai
263 ZW Africa/Maputo
264 NA Africa/Windhoek
265 MW Africa/Maputo
266 LS Africa/Johannesburg
267 BW Africa/Maputo
268 SZ Africa/Johannesburg
269 KM Africa/Nairobi
27 ZA Africa/Johannesburg
290 SH Africa/Abidjan
291 ER Africa/Nairobi
297 AW America/Puerto_Rico
298 FO Atlantic/Faroe
299 GL America/Nuuk
30 GR Europe/Athens
31 NL Europe/Amsterdam
32 BE Europe/Brussels
33 FR Europe/Paris
34 ES Europe/Madrid Atlantic/Canary
350 GI Europe/Gibraltar
351 PT Europe/Lisbon Atlantic/Azores
352 LU Europe/Luxembourg
353 IE Europe/Dublin
354 IS Atlantic/Reykjavik
355 AL Europe/Tirane
356 MT Europe/Malta
357 CY Asia/Nicosia
358 FI Europe/Helsinki
359 BG Europe/Sofia
36 HU Europe/Budapest
370 LT Europe/Vilnius
371 LV Europe/Riga
372 EE Europe/Tallinn
373 MD Europe/Chisinau
374 AM Asia/Yerevan
375 BY Europe/Minsk
376 AD Europe/Andorra
377 MC Europe/Monaco
378 SM Europe/Rome
380 UA Europe/Kyiv
381 RS Europe/Belgrade
382 ME Europe/Belgrade
383 XK Europe/Belgrade
385 HR Europe/Zagreb
386 SI Europe/Ljubljana
387 BA Europe/Sarajevo
389 MK Europe/Skopje
39 IT Europe/Rome
40 RO Europe/Bucharest
41 CH Europe/Zurich
420 CZ Europe/Prague
421 SK Europe/Bratislava
423 LI Europe/Vaduz
43 AT Europe/Vienna
44 GB Europe/London
45 DK Europe/Copenhagen
46 SE Europe/Stockholm
47 NO Europe/Oslo
48 PL Europe/Warsaw
49 DE Europe/Berlin
500 FK Atlantic/Stanley
501 BZ America/Belize
502 GT America/Guatemala
503 SV America/El_Salvador
504 HN America/Tegucigalpa
505 NI America/Managua
506 CR America/Costa_Rica
507 PA America/Panama
508 PM America/Miquelon
509 HT America/Port-au-Prince
51 PE America/Lima
52 MX America/Cancun America/Tijuana
53 CU America/Havana
54 AR America/Argentina/Buenos_Aires
55 BR America/Sao_Paulo America/Rio_Branco
56 CL America/Santiago
57 CO America/Bogota
58 VE America/Caracas
590 GP America/Puerto_Rico
591 BO America/La_Paz
592 GY America/Guyana
593 EC America/Guayaquil
594 GF America/Cayenne
595 PY America/Asuncion
596 MQ America/Martinique
597 SR America/Paramaribo
598 UY America/Montevideo
599 CW America/Puerto_Rico
60 MY Asia/Kuala_Lumpur
61 AU Australia/Sydney Australia/Perth
62 ID Asia/Jayapura Asia/Jakarta
63 PH Asia/Manila
64 NZ Pacific/Auckland
65 SG Asia/Singapore
66 TH Asia/Bangkok
670 TL Asia/Dili
672 NF Pacific/Norfolk
673 BN Asia/Kuching
674 NR Pacific/Nauru
675 PG Pacific/Port_Moresby
676 TO Pacific/Tongatapu
677 SB Pacific/Guadalcanal
678 VU Pacific/Efate
679 FJ Pacific/Fiji
680 PW Pacific/Palau
681 WF Pacific/Tarawa
682 CK Pacific/Rarotonga
683 NU Pacific/Niue
685 WS Pacific/Apia
686 KI Pacific/Tarawa
687 NC Pacific/Noumea
688 TV Pacific/Tarawa
689 PF Pacific/Tahiti
690 TK Pacific/Fakaofo
691 FM Pacific/Guadalcanal
692 MH Pacific/Tarawa
7 RU Asia/Vladivostok Europe/Moscow
76 KZ Asia/Almaty
77 KZ Asia/Almaty
81 JP Asia/Tokyo
82 KR Asia/Seoul
84 VN Asia/Ho_Chi_Minh
850 KP Asia/Pyongyang
852 HK Asia/Hong_Kong
853 MO Asia/Macau
855 KH Asia/Bangkok
856 LA Asia/Bangkok
86 CN Asia/Shanghai
880 BD Asia/Dhaka
886 TW Asia/Taipei
90 TR Europe/Istanbul
91 IN Asia/Kolkata
92 PK Asia/Karachi
93 AF Asia/Kabul
94 LK Asia/Colombo
95 MM Asia/Yangon
960 MV Indian/Maldives
961 LB Asia/Beirut
962 JO Asia/Amman
963 SY Asia/Damascus
964 IQ Asia/Baghdad
965 KW Asia/Riyadh
966 SA Asia/Riyadh
967 YE Asia/Riyadh
968 OM Asia/Dubai
970 PS Asia/Hebron
971 AE Asia/Dubai
972 IL Asia/Jerusalem
973 BH Asia/Qatar
974 QA Asia/Qatar
975 BT Asia/Thimphu
976 MN Asia/Ulaanbaatar
977 NP Asia/Kathmandu
98 IR Asia/Tehran
992 TJ Asia/Dushanbe
993 TM Asia/Ashgabat
994 AZ Asia/Baku
995 GE Asia/Tbilisi
996 KG Asia/Bishkek
998 UZ Asia/Tashkent
"""
# Time zones of countries that share a neighbour's calling code.
_TERRITORIES = {
    "AX": ("Europe/Helsinki",),
    "BL": ("America/Puerto_Rico",),
    "BQ": ("America/Puerto_Rico",),
    "CC": ("Asia/Yangon",),
    "CX": ("Asia/Bangkok",),
    "EH": ("Africa/Casablanca",),
    "GG": ("Europe/London",),
    "IM": ("Europe/London",),
    "JE": ("Europe/London",),
    "MF": ("America/Puerto_Rico",),
    "SJ": ("Europe/Oslo",),
    "TA": ("Africa/Abidjan",),
    "VA": ("Europe/Rome",),
    "YT": ("Africa/Nairobi",),
}


@cache
def _codes() -> dict[str, tuple[str, tuple[str, ...]]]:
    found = {}
    for line in _TABLE.split("\n"):
        code, *rest = line.split() or [""]
        if code:
            found[code] = (rest[0], tuple(rest[1:]))
    return found


def _entry(to: str) -> tuple[str, tuple[str, ...]] | None:
    codes = _codes()
    return next((codes[to[:length]] for length in _lengths() if to[:length] in codes), None)


@cache
def _lengths() -> list[int]:
    return sorted(set(map(len, _codes())), reverse=True)


def country(to: str) -> str:
    """Return the ISO code of a recipient's country; ``??`` if the calling code is not known."""
    if to[:2].isalpha():
        return to[:2]  # a business-scoped user ID begins with the country
    # Fictional numbers and new ranges are not assigned yet.
    entry = _entry(to)
    return numbering.country_of(to) or (entry[0] if entry else "??")


def zones(to: str) -> tuple[str, ...]:
    """Return the names of the time zones in which a recipient may be; empty if they are not known."""
    iso = country(to)
    if iso in _TERRITORIES:
        return _TERRITORIES[iso]
    if to[:2].isalpha():
        return next((names for found, names in _codes().values() if found == iso), ())
    entry = _entry(to)
    return entry[1] if entry else ()
