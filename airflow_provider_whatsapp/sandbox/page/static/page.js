"use strict";
(() => {
  const toast = document.querySelector(".toast");
  let hiding;

  function say(text) {
    toast.textContent = text;
    toast.hidden = false;
    clearTimeout(hiding);
    hiding = setTimeout(() => { toast.hidden = true; }, 5000);
  }

  function toEnd() {
    const thread = document.querySelector(".thread");
    if (thread) thread.scrollTop = thread.scrollHeight;
  }

  // A saved copy of this page has no server behind it: whatever leads there would lead nowhere.
  if (!location.protocol.startsWith("http")) {
    document.documentElement.classList.add("saved");
    for (const link of document.querySelectorAll("a[href]:not(.skip)")) link.removeAttribute("href");
    for (const control of document.querySelectorAll("button, input, select")) control.disabled = true;
    toEnd();
    return;
  }

  function busy() {
    const focused = document.activeElement;
    return focused && focused.closest("main") && /^(INPUT|SELECT|TEXTAREA)$/.test(focused.tagName) ? focused : null;
  }

  // What the server said last; the page itself differs from it by whatever has been opened since.
  let shown = document.querySelector("[data-live]").innerHTML;

  async function refresh() {
    const answer = await fetch(location.href, { cache: "no-store" });
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    const now = document.querySelector("[data-live]");
    const next = fresh.querySelector("[data-live]");
    if (!now || !next || shown === next.innerHTML) return;
    const thread = now.querySelector(".thread");
    const atEnd = !thread || thread.scrollHeight - thread.scrollTop - thread.clientHeight < 60;
    const place = thread ? thread.scrollTop : 0;
    const open = [...now.querySelectorAll("details[open][data-keep]")].map((each) => each.dataset.keep);
    const typed = busy();
    if (typed && (typed.tagName === "SELECT" || !typed.closest(".composer"))) return;
    const field = typed ? { value: typed.value, at: typed.selectionStart } : null;
    const held = document.activeElement && document.activeElement.closest("main") ? document.activeElement.getAttribute("href") : null;
    shown = next.innerHTML;
    now.replaceWith(next);
    for (const each of next.querySelectorAll("details[data-keep]")) each.open = open.includes(each.dataset.keep);
    const newThread = next.querySelector(".thread");
    if (newThread) newThread.scrollTop = atEnd ? newThread.scrollHeight : place;
    const input = next.querySelector(".composer input");
    if (field && input) {
      input.value = field.value;
      input.focus();
      input.setSelectionRange(field.at, field.at);
    } else if (held) {
      for (const link of next.querySelectorAll("a")) if (link.getAttribute("href") === held) link.focus();
    }
  }

  async function post(element, extra) {
    const body = { ...JSON.parse(element.dataset.body), ...extra };
    const method = element.dataset.method || "POST";
    const answer = await fetch(element.dataset.post, {
      method, body: method === "POST" ? JSON.stringify(body) : undefined, headers: { "Content-Type": "application/json" },
    });
    if (!answer.ok) say((await answer.json().catch(() => ({}))).message || "That did not work");
    await refresh();
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-post]");
    if (button) post(button, {});
  });

  document.addEventListener("submit", (event) => {
    const form = event.target.closest("form[data-post]");
    if (!form) return;
    event.preventDefault();
    const extra = {};
    for (const field of form.elements) {
      if (field.name && field.value !== "") extra[field.name] = field.type === "number" ? Number(field.value) : field.value;
    }
    if (form.classList.contains("composer")) form.reset();
    post(form, extra);
  });

  document.addEventListener("keydown", (event) => {
    const here = document.activeElement;
    if (!here || !here.classList.contains("chat") || !["ArrowDown", "ArrowUp"].includes(event.key)) return;
    event.preventDefault();
    const all = [...document.querySelectorAll(".chat")];
    const next = all[all.indexOf(here) + (event.key === "ArrowDown" ? 1 : -1)];
    if (next) next.focus();
  });

  let waiting = false;
  const live = document.querySelector(".live");
  const source = new EventSource("/events");
  source.onopen = () => { live.hidden = false; live.classList.remove("lost"); };
  source.onerror = () => live.classList.add("lost");
  source.onmessage = async () => {
    if (waiting) return;
    waiting = true;
    try { await refresh(); } finally { waiting = false; }
  };
  toEnd();
})();
