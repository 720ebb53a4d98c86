/* The search page. It ranks as docs/_ext/site_search.py does, over the index that the build has made; no host is asked. */
"use strict";

const IGNORED = new Set(("a an and are as at be by can do does for from how i if in is it my of on or so the to what " +
  "when with").split(" "));
const SHOWN = 30;

const singular = (word) => word.length > 3 && word.endsWith("s") && !word.endsWith("ss") ? word.slice(0, -1) : word;

function wordsOf(text) {
  const found = [];
  for (const word of text.toLowerCase().match(/[\p{L}\p{N}]+(?:_[\p{L}\p{N}]+)*/gu) || []) {
    found.push(word, ...(word.includes("_") ? word.split("_") : []));
  }
  return found.filter((word) => !IGNORED.has(word)).map(singular);
}

function ask(index, query) {
  const wanted = [...new Set(wordsOf(query))];
  const scores = new Map();
  const matched = new Map();
  for (const word of wanted) {
    const best = new Map();
    for (const [known, places] of Object.entries(index.words)) {
      const likeness = known === word ? 1 : word.length > 3 && known.startsWith(word) ? 0.4 : 0;
      if (!likeness) continue;
      for (const [number, weight] of places) {
        best.set(number, Math.max(best.get(number) || 0, weight * likeness));
      }
    }
    for (const [number, weight] of best) {
      scores.set(number, (scores.get(number) || 0) + weight);
      matched.set(number, (matched.get(number) || 0) + 1);
    }
  }
  const score = (number) => scores.get(number) * (matched.get(number) / wanted.length) ** 2;
  return [...scores.keys()].sort((a, b) => score(b) - score(a) || a - b).map((number) => index.entries[number]);
}

function show(root, index, place, query) {
  const results = query.trim() ? ask(index, query) : [];
  const summary = document.createElement("p");
  summary.textContent = !query.trim() ? "Type a question, a name or an error code."
    : results.length ? `${results.length} results for “${query}”` : `Nothing matches “${query}”.`;
  const list = document.createElement("ol");
  list.className = "site-search-results";
  for (const [url, title, page, text] of results.slice(0, SHOWN)) {
    const item = document.createElement("li");
    const link = document.createElement("a");
    link.href = root + url;
    link.textContent = title || page;
    item.append(link);
    if (page && page !== title) {
      const where = document.createElement("span");
      where.className = "site-search-page";
      where.textContent = ` in ${page}`;
      item.append(where);
    }
    const said = document.createElement("p");
    said.textContent = text;
    item.append(said);
    list.append(item);
  }
  place.replaceChildren(summary, list);
}

document.addEventListener("DOMContentLoaded", () => {
  const query = new URLSearchParams(window.location.search).get("q") || "";
  for (const field of document.querySelectorAll("input[name=q]")) field.value = query;
  show(document.documentElement.dataset.content_root || "", SITE_SEARCH_INDEX,
    document.getElementById("search-results"), query);
});
