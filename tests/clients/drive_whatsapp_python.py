"""whatsapp-python's documented calls. It writes Meta's host into its addresses and first reads a page of Meta's."""

from __future__ import annotations

from driver import PLACE, redirect_requests, run

redirect_requests()

from whatsapp import Message, WhatsApp  # noqa: E402

client = WhatsApp(
    PLACE["token"],
    phone_number_id={"main": PLACE["number"]},
    update_check=False,
    version="v25.0",
    logger=False,
)
to = PLACE["to"]
run("Message.send", lambda: client.create_message(to=to, content="Good morning").send())
incoming = Message(instance=client, id=PLACE["incoming"])
incoming.id = PLACE["incoming"]
run("Message.mark_as_read", incoming.mark_as_read)
media = run("upload_media", lambda: client.upload_media(PLACE["png"])).get("id")
run("send_image by id", lambda: client.send_image(media, to, link=False))
run("send_image by link", lambda: client.send_image("https://example.com/a.png", to))
run("send_video", lambda: client.send_video("https://example.com/a.mp4", to))
run("send_audio", lambda: client.send_audio("https://example.com/a.mp3", to))
run("send_document", lambda: client.send_document("https://example.com/a.pdf", to))
run("send_location", lambda: client.send_location("52.5", "13.4", "Depot", "Hafenstr. 1", to))
run("send_template", lambda: client.send_template("hello_world", to, components=[], lang="en_US"))
buttons = {"buttons": [{"type": "reply", "reply": {"id": "yes", "title": "Yes"}}]}
run(
    "send_reply_button",
    lambda: client.send_reply_button(
        {"type": "button", "body": {"text": "Is it right?"}, "action": buttons}, to
    ),
)
run("query_media_url", lambda: client.query_media_url(media))
run("delete_media", lambda: client.delete_media(media))
