// What a screen reader misses: names of controls and pictures, headings in order, ids that are unique, scopes of headers.
() => {
  const bad = [];
  const named = (e) =>
    e.labels?.length || e.getAttribute("aria-label") || e.getAttribute("aria-labelledby") || e.textContent.trim();
  const used = "a[href], button, input:not([type=hidden]), select, textarea, [role=img], progress, summary";
  for (const e of document.querySelectorAll(used)) if (!named(e)) bad.push(`no name: ${e.outerHTML.slice(0, 80)}`);
  let level = 0;
  for (const h of document.querySelectorAll("h1, h2, h3, h4")) {
    if (h.tagName[1] > level + 1) bad.push(`heading ${h.tagName} after ${level}`);
    level = +h.tagName[1];
  }
  if (document.querySelectorAll("h1").length !== 1) bad.push("not one h1");
  const ids = [...document.querySelectorAll("[id]")].map((e) => e.id);
  for (const id of new Set(ids)) if (ids.filter((i) => i === id).length > 1) bad.push(`id twice: ${id}`);
  for (const e of document.querySelectorAll("th")) if (!e.scope) bad.push("th without scope");
  return bad;
}
