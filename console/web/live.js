// What a page does beyond being read: times in the reader's words, changes in their place, arrows between nodes.
"use strict";
(() => {
  const path = document.body.dataset.events;
  const show = (id, on) => { const e = document.getElementById(id); if (e) e.hidden = !on; };

  const words = new Intl.RelativeTimeFormat(document.documentElement.lang, { numeric: "auto" });
  const ago = (then) => {
    const s = (then - Date.now()) / 1000, a = Math.abs(s);
    if (a < 90) return words.format(Math.round(s), "second");
    if (a < 5400) return words.format(Math.round(s / 60), "minute");
    if (a < 172800) return words.format(Math.round(s / 3600), "hour");
    return words.format(Math.round(s / 86400), "day");
  };
  const times = () => {
    for (const t of document.querySelectorAll("time")) {
      const then = new Date(t.dateTime), text = ago(then);
      if (t.textContent !== text) t.textContent = text;
      t.title = then.toLocaleString() + " (" + t.dateTime + ")";
    }
  };
  times();
  setInterval(times, 10000);

  // Of what a step wrote the end is shown. Whoever opens or folds a step keeps it so.
  const end = (e) => { const p = e.querySelector("pre[tabindex]"); if (p && e.dataset.into) p.scrollTop = p.scrollHeight; };
  document.querySelectorAll("[data-into]").forEach(end);
  document.addEventListener("click", (e) => { const s = e.target.closest("details.step > summary"); if (s) s.parentElement.dataset.chosen = "yes"; });

  // An element takes the place of the one with its ID. One without elements in it is changed as it stands, so that
  // nothing moves and the focus stays.
  const put = (html) => {
    const t = document.createElement("template");
    t.innerHTML = html;
    for (const next of [...t.content.children]) {
      const now = document.getElementById(next.id);
      const into = now ? null : document.getElementById(next.dataset.into);
      if (into) {
        into.append(next);
        end(next);
        while (into.children.length > into.dataset.most) into.firstElementChild.remove();
      }
      if (!now || now.isEqualNode(next)) continue;
      if (!now.children.length && !next.children.length && now.tagName === next.tagName) {
        for (const a of [...now.attributes]) if (!next.hasAttribute(a.name)) now.removeAttribute(a.name);
        for (const a of next.attributes) if (now.getAttribute(a.name) !== a.value) now.setAttribute(a.name, a.value);
        if (now.textContent !== next.textContent) now.textContent = next.textContent;
        continue;
      }
      const focus = now.contains(document.activeElement) && document.activeElement.getAttribute("href");
      const told = now.contains(document.activeElement) && document.activeElement.closest("summary, pre[tabindex]");
      const pre = now.querySelector("pre[tabindex]"), top = pre && pre.scrollTop, below = pre && pre.scrollHeight - pre.scrollTop - pre.clientHeight;
      if (now.dataset.chosen) { next.open = now.open; next.dataset.chosen = "yes"; }
      const open = [...now.querySelectorAll("details")].map((d) => d.open);
      next.querySelectorAll("details").forEach((d, n) => { d.open = !!open[n]; });
      now.replaceWith(next);
      if (pre && below > 20) { const p = next.querySelector("pre[tabindex]"); if (p) p.scrollTop = top; } else end(next);
      if (told) next.querySelector(told.tagName)?.focus({ preventScroll: true });
      if (focus) for (const a of next.querySelectorAll("a")) if (a.getAttribute("href") === focus) { a.focus({ preventScroll: true }); break; }
    }
    times();
  };

  // A page that nobody sees lets its stream go: browsers have few to give.
  let stream, heard = "";
  const open = () => {
    if (!path || stream || document.hidden) return;
    const url = new URL(path, location.href);
    if (heard) url.searchParams.set("since", heard);
    stream = new EventSource(url);
    stream.onopen = () => { for (const id of ["lost", "paused", "over"]) show(id, false); };
    stream.onerror = () => {
      if (!stream) return;
      show("lost", true);
      if (stream.readyState === EventSource.CLOSED) { close(); setTimeout(open, 5000); }
    };
    stream.addEventListener("patch", (e) => { heard = e.lastEventId; put(e.data); });
    stream.addEventListener("paused", () => { close(); show("paused", true); });
    stream.addEventListener("over", (e) => { close(); document.getElementById("why").textContent = e.data; show("over", true); });
  };
  const close = () => { if (stream) stream.close(); stream = undefined; };
  document.addEventListener("visibilitychange", () => { if (document.hidden) close(); else open(); });
  addEventListener("pagehide", close);
  open();

  const cells = document.querySelector(".cells");
  if (cells) {
    const says = document.createElement("p");
    says.id = "says";
    says.hidden = true;
    says.setAttribute("aria-hidden", "true");
    document.body.append(says);
    const tell = (e) => {
      const a = e.target.closest(".cells a");
      says.hidden = !a;
      if (a) says.textContent = a.getAttribute("aria-label");
    };
    document.addEventListener("mouseover", tell);
    document.addEventListener("focusin", tell);
    cells.addEventListener("keydown", (e) => {
      const at = document.activeElement;
      if (!cells.contains(at)) return;
      const all = cells.children, i = [...all].indexOf(at);
      let row = 1;
      while (row < all.length && all[row].offsetTop === all[0].offsetTop) row++;
      const to = { ArrowRight: i + 1, ArrowLeft: i - 1, ArrowDown: i + row, ArrowUp: i - row, Home: 0, End: all.length - 1 }[e.key];
      if (to === undefined || !all[to]) return;
      e.preventDefault();
      all[to].focus();
    });
  }
})();
