// Keys, and forms that are sent without loading the whole page. Without this file, the same forms work by clicks.
"use strict";

const text = (element) => element && element.matches("textarea, input, select");
const dirty = (form) => [...form.querySelectorAll("textarea")].some((area) => area.value !== area.defaultValue);
const record = () => document.querySelector("[data-record]")?.dataset.record;

let queue = Promise.resolve(); // one form at a time, in the order of the keys

async function post(form, button) {
  const body = new URLSearchParams(new FormData(form, button));
  const response = await fetch(form.action, { method: "POST", body, credentials: "same-origin" });
  if (response.status !== 409 && !response.ok) throw new Error(response.status);
  return { ok: response.ok, url: response.url, page: new DOMParser().parseFromString(await response.text(), "text/html") };
}

// An unsaved note or edit goes first: no text is lost because a key was pressed.
async function send(form, button) {
  for (const other of document.querySelectorAll("form[data-keep]")) {
    if (other === form || !dirty(other)) continue;
    const kept = await post(other);
    if (!kept.ok) return show(kept);
  }
  show(await post(form, button));
}

function show({ ok, url, page }) {
  const before = record();
  document.querySelector("header").replaceWith(page.querySelector("header"));
  document.querySelector("main").replaceWith(page.querySelector("main"));
  document.title = page.title;
  document.querySelector("#lost").hidden = true;
  if (record() !== before) scrollTo(0, 0);
  if (ok && url !== location.href) history.pushState(null, "", url);
}

function submit(form, button) {
  const shown = record();
  queue = queue
    .then(() => (record() === shown ? send(form.isConnected ? form : null, button) : undefined))
    .catch(() => (document.querySelector("#lost").hidden = false));
}

// The choice is looked up when its turn comes: the key before it may have answered the question shown now.
function press(key) {
  const shown = record();
  queue = queue
    .then(() => {
      const open = document.querySelector(".question:not(.answered)");
      const button = [...(open?.querySelectorAll("button[data-key]") ?? [])].find((one) => one.dataset.key === key);
      if (record() === shown && button) return send(open, button);
    })
    .catch(() => (document.querySelector("#lost").hidden = false));
}

function open(id) {
  const details = document.querySelector(id);
  if (!details) return;
  details.open = true;
  details.querySelector("textarea")?.focus();
}

const actions = {
  u: () => document.querySelector("#undo")?.click(),
  c: () => open("#note"),
  e: () => open("#edit"),
  "?": () => document.querySelector("#help")?.showModal(),
  ArrowLeft: () => document.querySelector("#back")?.click(),
  ArrowRight: () => document.querySelector("#forward")?.click(),
};

document.addEventListener("keydown", (event) => {
  const at = document.activeElement;
  if (event.key === "Escape" && text(at)) return at.blur();
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && at.form?.matches("[data-keep]")) {
    event.preventDefault();
    return submit(at.form);
  }
  if (text(at) || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  if (document.querySelector("dialog[open]")) return;
  const act = actions[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (act) event.preventDefault();
  act ? act() : press(event.key.toLowerCase());
});

document.addEventListener("submit", (event) => {
  if (event.target.method !== "post" || !record()) return;
  event.preventDefault();
  submit(event.target, event.submitter);
});

document.addEventListener("click", (event) => {
  if (event.target.closest("#keys")) actions["?"]();
});

addEventListener("popstate", () => location.reload());
addEventListener("beforeunload", (event) => {
  if ([...document.querySelectorAll("form[data-keep]")].some(dirty)) event.preventDefault();
});
document.documentElement.classList.add("script");
