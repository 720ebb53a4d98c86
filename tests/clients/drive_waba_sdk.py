"""waba-sdk's documented calls, by its own base URL."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from driver import PLACE, run
from waba_sdk import WhatsApp
from waba_sdk.templates.models import BodyDefinition, TemplateCategory, TemplateCreate

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

to = PLACE["to"]


async def calls() -> None:
    client = WhatsApp(
        PLACE["token"],
        PLACE["number"],
        waba_id=PLACE["waba"],
        api_version="v25.0",
        base_url=PLACE["graph"],
        max_retries=0,
    )

    async def ask(name: str, call: Callable[[], Awaitable[Any]]) -> Any:
        try:
            answer = await call()
        except Exception as error:
            failed = error
            return run(name, lambda: _fail(failed))
        return run(name, lambda: answer)

    await ask("send_text", lambda: client.send_text(to, "Good morning"))
    await ask("reply", lambda: client.reply(to, PLACE["incoming"], "Thank you"))
    media = await ask("media.upload", lambda: client.media.upload(PLACE["png"]))
    await ask("send_image", lambda: client.send_image(to, media_id=media, caption="A chart"))
    await ask("send_document", lambda: client.send_document(to, url="https://example.com/a.pdf"))
    await ask("send_location", lambda: client.send_location(to, 52.5, 13.4, name="Depot"))
    await ask("react", lambda: client.react(to, PLACE["incoming"], "👍"))
    await ask("send_buttons", lambda: client.send_buttons(to, "Is it right?", [("yes", "Yes"), ("no", "No")]))
    rows = [{"id": "today", "title": "Today"}]
    await ask(
        "send_list",
        lambda: client.send_list(to, "Which day?", "Choose", [{"title": "Days", "rows": rows}]),
    )
    await ask("media.get_url", lambda: client.media.get_url(media))
    template = TemplateCreate(
        name="morning_report",
        language="en_US",
        category=TemplateCategory.UTILITY,
        components=[BodyDefinition(text="The report is ready.")],
    )
    made = await ask("templates.create", lambda: client.templates.create(template))
    await ask("templates.list", lambda: client.templates.list(limit=10))
    await ask("templates.get", lambda: client.templates.get(made.id))
    await ask("templates.delete", lambda: client.templates.delete(name="morning_report"))
    await client.close()


def _fail(error: Exception) -> None:
    raise error


asyncio.run(calls())
