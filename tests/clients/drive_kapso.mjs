// The documented calls of @kapso/whatsapp-cloud-api, by its own base URL.
import { readFileSync } from "node:fs";
import { PLACE, load, run } from "./driver.mjs";

const { WhatsAppClient } = load("@kapso/whatsapp-cloud-api");
const client = new WhatsAppClient({ accessToken: PLACE.token, baseUrl: PLACE.graph, graphVersion: "v25.0" });
const from = { phoneNumberId: PLACE.number };
const to = { ...from, to: PLACE.to };
const { messages, media, templates } = client;

await run("sendText", () => messages.sendText({ ...to, body: "Good morning" }));
await run("sendRaw", () => messages.sendRaw({ phoneNumberId: PLACE.number, payload: {
  messagingProduct: "whatsapp", to: PLACE.to, type: "text", text: { body: "Good morning" } } }));
await run("sendImage", () => messages.sendImage({ ...to, image: { link: "https://example.com/a.png" } }));
await run("sendDocument", () => messages.sendDocument({ ...to, document: { link: "https://example.com/a.pdf" } }));
await run("sendVideo", () => messages.sendVideo({ ...to, video: { link: "https://example.com/a.mp4" } }));
await run("sendSticker", () => messages.sendSticker({ ...to, sticker: { link: "https://example.com/a.webp" } }));
await run("sendLocation", () => messages.sendLocation({ ...to, location: { latitude: 52.5, longitude: 13.4, name: "Depot" } }));
await run("sendContacts", () => messages.sendContacts({ ...to, contacts: [{ name: { formattedName: "Ann Lee", firstName: "Ann" } }] }));
await run("sendReaction", () => messages.sendReaction({ ...to, reaction: { messageId: PLACE.incoming, emoji: "👍" } }));
await run("markRead", () => messages.markRead({ ...from, messageId: PLACE.incoming }));
await run("sendInteractiveButtons", () => messages.sendInteractiveButtons({ ...to, bodyText: "Is it right?", buttons: [{ id: "yes", title: "Yes" }] }));
await run("sendInteractiveCtaUrl", () => messages.sendInteractiveCtaUrl({ ...to, bodyText: "The report", parameters: { displayText: "Open", url: "https://example.com/" } }));
await run("sendTemplate", () => messages.sendTemplate({ ...to, template: { name: "hello_world", language: { code: "en_US" } } }));
const file = new Blob([readFileSync(PLACE.png)], { type: "image/png" });
const made = await run("media.upload", () => media.upload({ ...from, type: "image/png", file, fileName: "a.png" }));
await run("media.get", () => media.get({ mediaId: made.id, ...from }));
await run("media.delete", () => media.delete({ mediaId: made.id, ...from }));
const waba = { businessAccountId: PLACE.waba };
await run("templates.create", () => templates.create({ ...waba, name: "noon_report", language: "en_US", category: "UTILITY",
  components: [{ type: "BODY", text: "The report is ready." }] }));
await run("templates.list", () => templates.list({ ...waba, limit: 10 }));
await run("templates.delete", () => templates.delete({ ...waba, name: "noon_report" }));
