// What a page does when it may: follows what happens, counts times on, and is used with keys. Nothing needs it.
"use strict";
(() => {
  const root = document.documentElement;
  const one = (query, within = document) => within.querySelector(query);
  const all = (query, within = document) => [...within.querySelectorAll(query)];
  const main = () => one("main");

  // Times. Pages of the past stand still.
  const span = (secs) => {
    secs = Math.floor(Math.abs(secs));
    if (secs < 120) return `${secs} s`;
    if (secs < 7200) return `${Math.floor(secs / 60)} min`;
    const minutes = Math.floor(secs / 60) % 60;
    if (secs < 172800) return minutes ? `${Math.floor(secs / 3600)} h ${minutes} min` : `${Math.floor(secs / 3600)} h`;
    return `${Math.floor(secs / 86400)} d`;
  };
  const drift = () => {
    const said = main() && one("[data-now]");
    return said ? Date.parse(said.dataset.now) - Date.now() : 0;
  };
  let ahead = drift();
  const count = () => {
    if (!root.dataset.live) return;
    const now = Date.now() + ahead;
    for (const time of all("time.ago")) time.textContent = span((now - Date.parse(time.dateTime)) / 1000);
    for (const time of all("time.left")) {
      const left = (Date.parse(time.dateTime) - now) / 1000;
      time.textContent = left < 0 ? `${span(left)} over` : `in ${span(left)}`;
      time.classList.toggle("over", left < 0);
    }
  };
  setInterval(count, 1000);

  // Live: the server says that something has changed; the page is asked for again, and put in place unless somebody is
  // writing in it.
  let source = null, due = null, version = null, busy = false, waits = false;
  const state = (text, kind) => {
    const dot = one("#live");
    if (dot) { dot.textContent = text; dot.className = `dot ${kind}`; }
  };
  const writing = () => {
    const at = document.activeElement;
    const field = at && at.matches("input:not([type=hidden]), textarea, select") && at.closest("main");
    return field || all("main form [data-dirty]").length > 0 || one("dialog[open]");
  };
  const key = (node) => node.id || node.dataset.keep;
  const swap = (fresh) => {
    const open = new Set(all("main details[open]").map(key));
    const row = rows()[at] && rows()[at].dataset.row;
    const focus = document.activeElement && document.activeElement.closest("main") && document.activeElement.id;
    const urgent = new Set(all("main [data-urgent]").map((node) => node.dataset.row));
    main().replaceWith(fresh);
    for (const node of all("main details")) if (open.has(key(node))) node.open = true;
    at = row ? rows().findIndex((node) => node.dataset.row === row) : -1;
    mark(false);
    if (focus) { const again = document.getElementById(focus); if (again) again.focus({ preventScroll: true }); }
    ahead = drift();
    const more = all("main [data-urgent]").filter((node) => !urgent.has(node.dataset.row));
    if (more.length && one("#says")) one("#says").textContent = `New: ${more.map((node) => node.dataset.urgent).join("; ")}`;
  };
  const refresh = async () => {
    due = null;
    if (busy || document.hidden) return;
    if (writing()) { waits = true; return; }
    busy = true; waits = false;
    try {
      const answer = await fetch(location.href, { headers: { "X-Live": "1" }, credentials: "same-origin", redirect: "manual" });
      if (answer.type === "opaqueredirect" || answer.status === 401) { location.reload(); return; }
      if (!answer.ok) return;
      const fresh = one("main", new DOMParser().parseFromString(await answer.text(), "text/html"));
      if (fresh && !writing()) swap(document.adoptNode(fresh));
    } catch { /* The stream says whether the server is there. */ } finally { busy = false; }
  };
  const soon = () => { if (due === null) due = setTimeout(refresh, 150 + Math.random() * 850); };
  const follow = () => {
    if (source || document.hidden || !root.dataset.live) return;
    source = new EventSource(root.dataset.live);
    source.addEventListener("version", (event) => {
      state("live", "on");
      if (version !== null && version !== event.data) soon();
      version = event.data;
    });
    source.onerror = () => {
      state("reconnecting", "off");
      // A stream that was refused is not tried again by the browser.
      if (source && source.readyState === EventSource.CLOSED) { leave(); setTimeout(follow, 3000); }
    };
  };
  const leave = () => { if (source) { source.close(); source = null; } };
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) { leave(); state("paused", ""); } else { follow(); soon(); }
  });
  addEventListener("pagehide", leave);
  addEventListener("pageshow", follow);
  document.addEventListener("input", (event) => { if (event.target.closest("main form")) event.target.dataset.dirty = ""; });
  document.addEventListener("focusout", () => { if (waits) setTimeout(() => { if (!writing()) soon(); }, 200); });

  // Keys.
  let at = -1, before = "";
  const rows = () => all("main [data-row]");
  const mark = (scroll = true) => rows().forEach((row, place) => {
    row.classList.toggle("at", place === at);
    if (place === at && scroll) row.scrollIntoView({ block: "nearest" });
  });
  const move = (by) => {
    const last = rows().length - 1;
    if (last < 0) return;
    at = Math.max(0, Math.min(last, at + by));
    mark();
    const link = one("a", rows()[at]);
    if (link) link.focus({ preventScroll: true });
  };
  const keys = {
    j: () => move(1), k: () => move(-1),
    "/": () => { const field = one("input[type=search]"); if (field) { field.focus(); field.select(); } else location.href = "/page/incidents"; },
    "?": () => one("#keys").showModal(),
    u: () => { const up = one("[data-up]"); if (up) location.href = up.href; },
    a: () => { const deed = one(".actions button, .actions summary"); if (deed) deed.focus(); },
    o: () => { const link = rows()[at] && one("a", rows()[at]); if (link) link.click(); },
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const field = event.target.matches("input, textarea, select");
    if (event.key === "Escape" && field) { event.target.blur(); return; }
    if (field || one("dialog[open]")) return;
    if (before === "g") {
      before = "";
      const way = one(`[data-go="${CSS.escape(event.key)}"]`);
      if (way) { event.preventDefault(); location.href = way.href; }
      return;
    }
    before = event.key === "g" ? "g" : "";
    const deed = Object.hasOwn(keys, event.key) ? keys[event.key] : null;
    if (deed) { event.preventDefault(); deed(); }
  });

  follow();
})();
