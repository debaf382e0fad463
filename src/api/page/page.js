// Keeps the page fresh: the server renders it, this fetches it again when a decision comes, and twice a minute.
"use strict";
(() => {
  const live = document.getElementById("live");
  let timer = null;
  let busy = false;
  let again = false;

  async function refresh() {
    timer = null;
    if (busy) return later(500);
    busy = true;
    const onceMore = again;
    again = false;
    try {
      const answer = await fetch(".", { cache: "no-store", signal: AbortSignal.timeout(10000) });
      if (!answer.ok) throw new Error(answer.status);
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      document.querySelector("main").replaceWith(document.adoptNode(fresh.querySelector("main")));
      document.title = fresh.title;
      document.body.classList.remove("stale");
    } catch {
      document.body.classList.add("stale");
    } finally {
      busy = false;
      if (onceMore) later(SETTLED);
    }
  }

  // Many decisions in a burst are one refresh, and one more for those that came while it was waited for. What the server
  // tells of all services is up to a second old: fetched at once, it might not have what has just come.
  const SETTLED = 1100;
  function later(ms) {
    timer ??= setTimeout(refresh, ms);
  }
  function changed() {
    again ||= timer !== null;
    later(SETTLED);
  }

  function show(text) {
    if (live.textContent !== text) live.textContent = text;
  }

  // A browser allows six connections to one server: only a page that is looked at holds one.
  let source = null;
  function connect() {
    if (source || document.hidden) return;
    show("connecting…");
    const opened = new EventSource("v1/decisions");
    source = opened;
    opened.addEventListener("open", () => { show("live"); changed(); });
    opened.addEventListener("decision", changed);
    opened.addEventListener("lagged", changed);
    opened.addEventListener("error", () => {
      show("not live: trying again; the page is fetched twice a minute");
      // Refused for good, as by 503, the browser does not come back by itself.
      if (opened.readyState === EventSource.CLOSED && source === opened) {
        source = null;
        setTimeout(connect, 10000);
      }
    });
  }
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) {
      source?.close();
      source = null;
    } else {
      connect();
    }
  });
  connect();
  setInterval(() => { if (!document.hidden) later(0); }, 30000);
})();
