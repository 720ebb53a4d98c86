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

  // A saved copy of this page has no server, so its links and controls cannot work.
  if (!location.protocol.startsWith("http")) {
    document.documentElement.classList.add("saved");
    // Links to files that were saved with it stay: their addresses do not begin with a slash.
    for (const link of document.querySelectorAll('a[href^="/"]')) link.removeAttribute("href");
    for (const control of document.querySelectorAll("button, input, select")) control.disabled = true;
    toEnd();
    return;
  }

  function busy() {
    const focused = document.activeElement;
    return focused && focused.closest("main") && /^(INPUT|SELECT|TEXTAREA)$/.test(focused.tagName) ? focused : null;
  }

  // The server's latest HTML; the page differs from it where people have opened something since.
  let shown = document.querySelector("[data-live=main]").innerHTML;
  // After a press or a reply, the thread scrolls to its end, where the result appears.
  let goToEnd = false;
  const MOST = 4000;

  function list(root, name) { return root.querySelector(`[data-list="${name}"]`); }

  // Keep the entries that scrolling has loaded, and those that newer ones have pushed out of the server's part.
  function keepOlder(now, next) {
    for (const name of ["thread", "chats", "requests", "webhooks"]) {
      const old = list(now, name), fresh = list(next, name);
      if (!old || !fresh || !fresh.children.length) continue;
      const ids = new Set([...fresh.children].map((each) => each.id));
      const entries = [...old.children].filter((each) => !each.classList.contains("day"));
      if (!entries.some((each) => ids.has(each.id))) continue;
      const atTop = name === "thread";
      const edge = [...old.children];
      if (!atTop) edge.reverse();
      const rest = [];
      for (const each of edge) {
        if (ids.has(each.id) && !each.classList.contains("day")) break;
        if (!ids.has(each.id) || each.classList.contains("day")) rest.push(each);
      }
      if (!rest.length || rest.length + fresh.children.length > MOST) continue;
      for (const each of rest) {
        const twice = each.classList.contains("day") ? [...fresh.children].find((one) => one.id === each.id) : null;
        if (twice) twice.remove();
      }
      if (atTop) fresh.prepend(...rest); else fresh.append(...rest.reverse());
      const link = olderLink(now, name), newLink = olderLink(next, name);
      if (newLink) { if (link) newLink.href = link.href; else newLink.remove(); }
    }
  }

  function olderLink(root, name) { return root.querySelector(`[data-older="${name}"]`); }

  async function fetched(address) {
    const answer = await fetch(address, { cache: "no-store" });
    return new DOMParser().parseFromString(await answer.text(), "text/html");
  }

  // A button that is replaced between the press and the release of the pointer gets no click event.
  let pressed = false;
  function release() {
    pressed = false;
    if (changed) update();
  }
  document.addEventListener("pointerdown", () => { pressed = true; });
  for (const end of ["pointerup", "pointercancel", "blur"]) addEventListener(end, () => setTimeout(release));
  // The release may happen where the page does not see it.
  document.addEventListener("pointermove", (event) => { if (pressed && !event.buttons) release(); });

  // What changes during a press, or while the page reads an earlier change, is read afterwards.
  let changed = false, updating = false;
  async function update() {
    changed = true;
    if (updating) return;
    updating = true;
    try {
      while (changed && !pressed) { changed = false; await refresh(); }
    } catch { connected(false); } finally { updating = false; }
  }

  async function refresh() {
    const fresh = await fetched(location.href);
    if (pressed) { changed = true; return; }
    const armed = document.querySelector("[data-live=armed]"), nowArmed = fresh.querySelector("[data-live=armed]");
    if (armed && nowArmed) armed.innerHTML = nowArmed.innerHTML;
    const now = document.querySelector("[data-live=main]");
    const next = fresh.querySelector("[data-live=main]");
    if (!now || !next || shown === next.innerHTML) return;
    const typed = busy();
    if (typed && !goToEnd && (typed.tagName === "SELECT" || !typed.closest(".composer"))) return;
    const thread = now.querySelector(".thread"), chats = now.querySelector(".chats");
    const below = thread ? thread.scrollHeight - thread.scrollTop : 0;
    const atEnd = goToEnd || !thread || below - thread.clientHeight < 60;
    const place = { thread: thread ? thread.scrollTop : 0, chats: chats ? chats.scrollTop : 0, main: now.scrollTop };
    const open = [...now.querySelectorAll("details[open][data-keep]")].map((each) => each.dataset.keep);
    const field = typed ? { value: typed.value, at: typed.selectionStart } : null;
    const held = document.activeElement && document.activeElement.closest("main") ? document.activeElement.getAttribute("href") : null;
    shown = next.innerHTML;
    keepOlder(now, next);
    now.replaceWith(next);
    for (const each of next.querySelectorAll("details[data-keep]")) if (open.includes(each.dataset.keep)) each.open = true;
    next.scrollTop = place.main;
    const newChats = next.querySelector(".chats");
    if (newChats) newChats.scrollTop = place.chats;
    const newThread = next.querySelector(".thread");
    if (newThread) newThread.scrollTop = atEnd ? newThread.scrollHeight : place.thread;
    goToEnd = false;
    const input = next.querySelector(".composer input");
    if (field && input) {
      input.value = field.value;
      input.focus();
      input.setSelectionRange(field.at, field.at);
    } else if (held) {
      for (const link of next.querySelectorAll("a")) if (link.getAttribute("href") === held) link.focus();
    }
    arrange();
  }

  async function loadOlder(link) {
    if (link.dataset.loading) return;
    link.dataset.loading = "yes";
    const name = link.dataset.older;
    const fresh = await fetched(link.href);
    const here = list(document, name), part = list(fresh, name), link2 = olderLink(fresh, name);
    const thread = document.querySelector(".thread");
    const below = thread ? thread.scrollHeight - thread.scrollTop : 0;
    if (here && part) {
      const nodes = [...part.children].filter((each) => each.classList.contains("day") || !document.getElementById(each.id));
      for (const each of nodes) if (each.classList.contains("day")) { const twice = document.getElementById(each.id); if (twice) twice.remove(); }
      if (name === "thread") here.prepend(...nodes); else here.append(...nodes);
    }
    if (name === "thread" && thread) thread.scrollTop = thread.scrollHeight - below;
    if (!link2) { link.remove(); return; }
    link.href = link2.href;
    delete link.dataset.loading;
    // The observer reports only changes: start again, in case the link is still in sight.
    sight.unobserve(link);
    sight.observe(link);
  }

  // Set up new content: scrolling to its end loads older entries, and the form shows the fields of the chosen fault.
  const sight = new IntersectionObserver((entries) => {
    for (const each of entries) if (each.isIntersecting) loadOlder(each.target);
  });
  function arrange() {
    sight.disconnect();
    for (const link of document.querySelectorAll("[data-older]")) sight.observe(link);
    const kind = document.querySelector(".maker [name=kind]");
    if (!kind) return;
    for (const label of document.querySelectorAll(".maker [data-for], .maker [data-not]")) {
      const wanted = label.dataset.for ? label.dataset.for.split(" ").includes(kind.value) : kind.value !== label.dataset.not;
      label.hidden = !wanted;
      label.querySelector("input, select").disabled = !wanted;
    }
  }

  async function post(element, extra) {
    const body = { ...JSON.parse(element.dataset.body), ...extra };
    goToEnd = Boolean(element.closest(".phone"));
    const method = element.dataset.method || "POST";
    const answer = await fetch(element.dataset.post, {
      method, body: method === "POST" ? JSON.stringify(body) : undefined, headers: { "Content-Type": "application/json" },
    });
    if (!answer.ok) say((await answer.json().catch(() => ({}))).message || "The request failed");
    await refresh();
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-post]");
    if (button) post(button, {});
    const copy = event.target.closest("[data-copy]");
    if (copy) navigator.clipboard.writeText(copy.dataset.copy).then(() => say("Copied"), () => say("The browser does not allow copying here: select the line"));
    const older = event.target.closest("[data-older]");
    if (older) { event.preventDefault(); loadOlder(older); }
  });

  document.addEventListener("change", (event) => {
    if (event.target.name === "kind" && event.target.closest(".maker")) arrange();
    const filters = event.target.closest(".filters");
    if (filters) filters.requestSubmit();
  });

  document.addEventListener("submit", (event) => {
    const form = event.target.closest("form[data-post]");
    if (!form) return;
    event.preventDefault();
    const extra = {};
    for (const field of form.elements) {
      if (field.name && !field.disabled && field.value !== "") extra[field.name] = field.type === "number" ? Number(field.value) : field.value;
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

  const live = document.querySelector(".live");
  const source = new EventSource("/events");
  function connected(yes) {
    live.hidden = false;
    live.classList.toggle("lost", !yes);
    live.querySelector("span").textContent = yes ? "live" : "not connected";
  }
  source.onopen = () => connected(true);
  source.onerror = () => connected(false);
  source.onmessage = update;
  arrange();
  toEnd();
})();
