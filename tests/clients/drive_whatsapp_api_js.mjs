// The documented calls of whatsapp-api-js, by a fetch that goes to the sandbox.
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { PLACE, load, run } from "./driver.mjs";

const from = (name) => import(pathToFileURL(load.resolve(name)).href);
const { WhatsAppAPI } = await from("whatsapp-api-js");
const { Text, Image, Location, Reaction, Document, Template, Language, Interactive, ActionButtons, Button, Body } =
  await from("whatsapp-api-js/messages");

const ponyfill = (url, options) => fetch(`${url}`.replace("https://graph.facebook.com", PLACE.graph), options);
const client = new WhatsAppAPI({ token: PLACE.token, secure: false, v: "v25.0", ponyfill: { fetch: ponyfill } });
const send = (name, message) => run(name, () => client.sendMessage(PLACE.number, PLACE.to, message));

await send("Text", new Text("Good morning"));
await send("Image", new Image("https://example.com/a.png"));
await send("Document", new Document("https://example.com/a.pdf"));
await send("Location", new Location(13.4, 52.5, "Depot"));
await send("Reaction", new Reaction(PLACE.incoming, "👍"));
await send("Template", new Template("hello_world", new Language("en_US")));
await send("Interactive", new Interactive(new ActionButtons(new Button("yes", "Yes")), new Body("Is it right?")));
await run("markAsRead", () => client.markAsRead(PLACE.number, PLACE.incoming));
const form = new FormData();
form.set("file", new Blob([readFileSync(PLACE.png)], { type: "image/png" }), "a.png");
form.set("messaging_product", "whatsapp");
const made = await run("uploadMedia", () => client.uploadMedia(PLACE.number, form));
await run("retrieveMedia", () => client.retrieveMedia(made.id));
await run("deleteMedia", () => client.deleteMedia(made.id));
