"""pywa's documented calls, by an httpx client whose transport goes to the sandbox."""

from __future__ import annotations

import httpx
from driver import HOST, PLACE, run
from pywa import WhatsApp
from pywa.types import Button, Contact, Section, SectionList, SectionRow
from pywa.types import templates as t


class ToSandbox(httpx.HTTPTransport):
    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if str(request.url).startswith(HOST):
            request.url = httpx.URL(str(request.url).replace(HOST, PLACE["graph"]))
            request.headers["Host"] = request.url.netloc.decode()
        return super().handle_request(request)


client = WhatsApp(
    phone_id=PLACE["number"],
    token=PLACE["token"],
    waba_id=PLACE["waba"],
    session=httpx.Client(transport=ToSandbox()),
)
to = PLACE["to"]
run("send_message", lambda: client.send_message(to, "Good morning", preview_url=True))
run(
    "send_message with buttons",
    lambda: client.send_message(to, "Is it right?", buttons=[Button("Yes", "yes"), Button("No", "no")]),
)
rows = [SectionRow(title="Today", callback_data="today")]
run(
    "send_message with a list",
    lambda: client.send_message(to, "Which day?", buttons=SectionList("Choose", [Section("Days", rows)])),
)
media = run("upload_media", lambda: client.upload_media(PLACE["png"], mime_type="image/png"))
identifier = getattr(media, "id", media)
run("send_image", lambda: client.send_image(to, identifier, caption="A chart"))
run("send_document", lambda: client.send_document(to, "https://example.com/a.pdf", filename="a.pdf"))
run("send_location", lambda: client.send_location(to, 52.5, 13.4, name="Depot"))
run("request_location", lambda: client.request_location(to, "Where are you?"))
run(
    "send_contact",
    lambda: client.send_contact(to, Contact(name=Contact.Name(formatted_name="Ann Lee", first_name="Ann"))),
)
run("send_reaction", lambda: client.send_reaction(to, "👍", PLACE["incoming"]))
run("mark_message_as_read", lambda: client.mark_message_as_read(PLACE["incoming"]))
run("indicate_typing", lambda: client.indicate_typing(PLACE["incoming"]))
run("get_media_url", lambda: client.get_media_url(identifier))
run("delete_media", lambda: client.delete_media(identifier))
run("get_business_profile", client.get_business_profile)
run("update_business_profile", lambda: client.update_business_profile(about="Reports by night"))
run("get_business_phone_number", client.get_business_phone_number)
run("get_business_phone_numbers", client.get_business_phone_numbers)
run("get_business_account", client.get_business_account)
template = t.Template(
    name="night_report",
    language=t.TemplateLanguage.ENGLISH_US,
    category=t.TemplateCategory.UTILITY,
    components=[t.BodyText("The report is ready.")],
)
run("create_template", lambda: client.create_template(template))
run("get_templates", lambda: list(client.get_templates()))
run(
    "send_template",
    lambda: client.send_template(to, name="hello_world", language=t.TemplateLanguage.ENGLISH_US, params=[]),
)
run("delete_template", lambda: client.delete_template("night_report"))
