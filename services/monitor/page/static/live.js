// Keeps the parts of the page that are marked `data-live` as the server would draw them now.
// Without this script a <noscript> has the browser load the page again.
"use strict";

const EVERY_MS = 2000;
const AT_MOST_MS = 30000;
const state = document.getElementById("live");
const address = new URL(location.href);
address.searchParams.delete("notice");
let failures = 0;

function say(text, kind) {
  state.textContent = text;
  state.className = kind;
}

// What somebody points at with the keyboard, or has marked to copy, stays.
function isInUse(part) {
  const selection = document.getSelection();
  const marked = selection && !selection.isCollapsed && part.contains(selection.anchorNode);
  return marked || part.querySelector(":focus-visible") !== null;
}

function redraw(fresh) {
  for (const part of document.querySelectorAll("[data-live]")) {
    const next = fresh.getElementById(part.id);
    if (next && !isInUse(part) && next.innerHTML !== part.innerHTML) {
      part.replaceChildren(...next.childNodes);
    }
  }
}

async function update() {
  const answer = await fetch(address, { cache: "no-store", redirect: "manual", signal: AbortSignal.timeout(10000) });
  if (answer.type === "opaqueredirect") {
    location.reload(); // The session has ended: the server asks for the key.
    return;
  }
  if (!answer.ok) {
    throw new Error(answer.statusText);
  }
  redraw(new DOMParser().parseFromString(await answer.text(), "text/html"));
}

async function run() {
  if (!document.hidden) {
    try {
      await update();
      failures = 0;
      say("live", "is-live");
    } catch {
      failures += 1;
      say("no answer; still trying", "is-away");
    }
  }
  setTimeout(run, Math.min(EVERY_MS * 2 ** failures, AT_MOST_MS));
}

setTimeout(run, EVERY_MS);
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) {
    update().catch(() => {});
  }
});
