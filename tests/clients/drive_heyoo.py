"""heyoo's documented calls. It writes Meta's host into its addresses, so requests is told where to go instead."""

from __future__ import annotations

from driver import PLACE, redirect_requests, run

redirect_requests()

from heyoo import WhatsApp  # noqa: E402

client = WhatsApp(PLACE["token"], PLACE["number"])
to = PLACE["to"]
media = run("upload_media", lambda: client.upload_media(PLACE["png"]))["id"]
run("send_message", lambda: client.send_message("Good morning", to))
run("reply_to_message", lambda: client.reply_to_message(PLACE["incoming"], to, "Thank you"))
run("send_reaction", lambda: client.send_reaction("👍", PLACE["incoming"], to))
run("send_template", lambda: client.send_template("hello_world", to, components=[], lang="en_US"))
run("send_location", lambda: client.send_location(52.5, 13.4, "Depot", "Hafenstr. 1", to))
run("send_image by link", lambda: client.send_image("https://example.com/a.png", to))
run("send_image by id", lambda: client.send_image(media, to, link=False))
run("send_sticker", lambda: client.send_sticker("https://example.com/a.webp", to))
run("send_audio", lambda: client.send_audio("https://example.com/a.mp3", to))
run("send_video", lambda: client.send_video("https://example.com/a.mp4", to))
run("send_document", lambda: client.send_document("https://example.com/a.pdf", to))
run(
    "send_contacts",
    lambda: client.send_contacts(
        [{"name": {"formatted_name": "Ann Lee", "first_name": "Ann"}, "phones": [{"phone": "+15550001112"}]}],
        to,
    ),
)
run("mark_as_read", lambda: client.mark_as_read(PLACE["incoming"]))
rows = [{"id": "row 1", "title": "Today", "description": ""}]
section = {"button": "Choose", "sections": [{"title": "Days", "rows": rows}]}
run(
    "send_button",
    lambda: client.send_button(
        {"header": "When", "body": "Which day?", "footer": "Sales", "action": section}, to
    ),
)
buttons = {"buttons": [{"type": "reply", "reply": {"id": "yes", "title": "Yes"}}]}
run(
    "send_reply_button",
    lambda: client.send_reply_button(
        {"type": "button", "body": {"text": "Is it right?"}, "action": buttons}, to
    ),
)
run("query_media_url", lambda: client.query_media_url(media))
run("delete_media", lambda: client.delete_media(media))
