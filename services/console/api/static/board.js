// Alerts as they come: listens to the stream, puts cards in their place, says loudly when it hears
// nothing.
"use strict";

(() => {
  const CARDS_MOST = 200;
  // The server beats every 5 s; a connection can be dead without having ended.
  const SILENCE_MS = 16000;
  const AGAIN_MS = 2000;
  const GRACE_MS = 4000;

  const feed = document.getElementById("alerts");
  const announcer = document.getElementById("announcer");
  const streamChip = document.getElementById("stream");
  const lastEvent = document.querySelector("#last-event strong");
  const lostBanner = document.getElementById("lost");

  let source = null;
  let lastId = document.body.dataset.after;
  let heardAt = Date.now();
  let lostAt = null;
  const fetching = new Map();

  const clock = (at) => at.toLocaleTimeString("sv-SE");

  // ---- the stream -----------------------------------------------------------------------------

  function connect() {
    if (source) source.close();
    const query = lastId === "" ? "" : `?after=${encodeURIComponent(lastId)}`;
    source = new EventSource(`/console/stream${query}`);
    source.addEventListener("beat", alive);
    source.addEventListener("alert", (event) => {
      alive();
      if (event.lastEventId) lastId = event.lastEventId;
      lastEvent.textContent = clock(new Date());
      refreshCard(JSON.parse(event.data).id);
    });
    source.addEventListener("error", () => {
      lose();
      if (source.readyState === EventSource.CLOSED) window.setTimeout(connect, AGAIN_MS);
    });
  }

  function alive() {
    heardAt = Date.now();
    lostAt = null;
    streamChip.dataset.state = "live";
    streamChip.textContent = streamChip.dataset.live;
    if (!lostBanner.hidden) {
      lostBanner.hidden = true;
      document.body.classList.remove("stale");
      // The parts may have missed news as well.
      htmx.trigger(document.body, "news");
    }
  }

  function lose() {
    if (lostAt === null) lostAt = Date.now();
  }

  function watch() {
    const now = Date.now();
    if (now - heardAt > SILENCE_MS) {
      lose();
      heardAt = now;
      connect();
    }
    // A stream that is opened anew within a moment is no loss.
    if (lostAt !== null && now - lostAt > GRACE_MS && lostBanner.hidden) {
      const { text, since } = lostBanner.dataset;
      lostBanner.textContent = `${text} (${since} ${clock(new Date(lostAt))})`;
      lostBanner.hidden = false;
      document.body.classList.add("stale");
      streamChip.dataset.state = "lost";
      streamChip.textContent = streamChip.dataset.lost;
    }
  }

  // ---- cards ----------------------------------------------------------------------------------

  // One request per alert at a time; news in between asks once more.
  async function refreshCard(id) {
    if (fetching.has(id)) {
      fetching.set(id, true);
      return;
    }
    do {
      fetching.set(id, false);
      try {
        await fetchCard(id);
      } catch {
        // The next event, or the return of the connection, brings it; until then the banner speaks.
        window.setTimeout(() => refreshCard(id), AGAIN_MS);
      }
    } while (fetching.get(id));
    fetching.delete(id);
    htmx.trigger(document.body, "news");
  }

  async function fetchCard(id) {
    const answer = await fetch(`/console/alerts/${id}`, { headers: { "HX-Request": "true" } });
    if (answer.status === 401) return window.location.reload();
    if (answer.status === 404) return document.getElementById(`alert-${id}`)?.remove();
    if (!answer.ok) throw new Error(`card: ${answer.status}`);
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    place(page.querySelector("article"));
    return undefined;
  }

  function place(card) {
    const old = document.getElementById(card.id);
    if (old && Number(old.dataset.version) > Number(card.dataset.version)) return;
    const kept = old ? remember(old) : null;
    if (old) {
      old.replaceWith(card);
    } else {
      // Ids grow with time: the newest stands first, wherever a late one arrives.
      const cards = [...feed.querySelectorAll("article")];
      const after = cards.find((other) => other.dataset.id < card.dataset.id);
      feed.insertBefore(card, after ?? feed.querySelector(".none"));
      cards.slice(CARDS_MOST - 1).forEach((surplus) => surplus.remove());
    }
    card.classList.add(old ? "changed" : "arrived");
    htmx.process(card);
    if (kept) restore(card, kept);
    announcer.textContent = card.dataset.announce;
  }

  // What a person has opened, typed or focused survives the new version of the card.
  function remember(card) {
    const active = card.contains(document.activeElement) ? document.activeElement : null;
    return {
      open: [...card.querySelectorAll("details")].map((one) => [one.dataset.key, one.open]),
      reason: card.querySelector("input[name=reason]")?.value ?? "",
      focus: active && (active.name || active.tagName.toLowerCase()),
      value: active?.value ?? "",
    };
  }

  function restore(card, kept) {
    for (const [key, open] of kept.open) {
      const details = card.querySelector(`details[data-key="${key}"]`);
      if (details) details.open = open;
    }
    const input = card.querySelector("input[name=reason]");
    if (input) input.value = kept.reason;
    if (!kept.focus) return;
    const named = [...card.querySelectorAll(`[name="${kept.focus}"]`)];
    const again = named.find((one) => one.value === kept.value) ?? named[0];
    (again ?? card).focus({ preventScroll: true });
  }

  document.body.addEventListener("htmx:afterSwap", (event) => {
    const id = event.detail.requestConfig?.path?.match(/\/alerts\/([^/]+)\/act$/)?.[1];
    const card = id && document.getElementById(`alert-${id}`);
    if (!card) return;
    card.focus({ preventScroll: true });
    announcer.textContent =
      card.querySelector(".problem")?.textContent ?? card.dataset.announce;
    htmx.trigger(document.body, "news");
  });

  // The business clock, in the zone of whoever looks at this screen.
  function localize(root) {
    for (const time of root.querySelectorAll("time[data-local]")) {
      time.textContent = new Date(time.dateTime).toLocaleString("sv-SE").slice(0, 16);
    }
  }

  document.body.addEventListener("htmx:afterSettle", (event) => localize(event.target));
  localize(document);
  connect();
  window.setInterval(watch, 1000);
})();
