// Keys, and forms that are sent without loading the whole page. Without this file, the same forms work by clicks.
"use strict";

const text = (element) => element && element.matches("textarea, input, select");
const dirty = (form) => [...form.querySelectorAll("textarea")].some((area) => area.value !== area.defaultValue);
const record = () => document.querySelector("[data-record]")?.dataset.record;

let queue = Promise.resolve(); // one form at a time, in the order of keys and clicks

async function post(form, button) {
  const body = new URLSearchParams(new FormData(form, button));
  const response = await fetch(form.action, { method: "POST", body, credentials: "same-origin" });
  const text = await response.text();
  if (response.status !== 409 && !response.ok) throw new Error(text, { cause: "refused" });
  return { ok: response.ok, url: response.url, page: new DOMParser().parseFromString(text, "text/html") };
}

// Saves notes and edits that are not saved yet; false if one of them was not taken, and the page says why.
async function keep(but) {
  for (const form of document.querySelectorAll("form[data-keep]")) {
    if (form === but || !dirty(form)) continue;
    const kept = await post(form);
    if (!kept.ok) return show(kept), false;
    for (const area of form.querySelectorAll("textarea")) area.defaultValue = area.value;
  }
  return true;
}

async function send(form, button) {
  if (await keep(form)) show(await post(form, button));
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

function then(act) {
  queue = queue.then(act).catch((error) => {
    const lost = document.querySelector("#lost");
    if (error.cause === "refused") lost.textContent = `Not saved: ${error.message}`;
    lost.hidden = false;
  });
}

// The choice is looked up when its turn comes: the key before it may have answered the question shown now.
// A key is for the record that was on the page when it was pressed.
function press(key) {
  const shown = record();
  then(() => {
    const open = document.querySelector(".question:not(.answered)");
    const button = [...(open?.querySelectorAll("button[data-key]") ?? [])].find((one) => one.dataset.key === key);
    if (record() === shown && button) return send(open, button);
  });
}

function go(id) {
  then(async () => {
    const link = document.querySelector(id);
    if (link && (await keep())) location.assign(link.href);
  });
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
  ArrowLeft: () => go("#back"),
  ArrowRight: () => go("#forward"),
};

document.addEventListener("keydown", (event) => {
  const at = document.activeElement;
  if (event.key === "Escape" && text(at)) return at.blur();
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && at.form?.matches("[data-keep]")) {
    event.preventDefault();
    return then(() => send(at.form));
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
  const { target, submitter } = event;
  then(() => send(target, submitter));
});

document.addEventListener("click", (event) => {
  if (event.target.closest("#keys")) actions["?"]();
  const arrow = event.target.closest("#back, #forward");
  if (arrow && !event.ctrlKey && !event.metaKey) {
    event.preventDefault();
    go(`#${arrow.id}`);
  }
});

addEventListener("popstate", () => location.reload());
addEventListener("beforeunload", (event) => {
  if ([...document.querySelectorAll("form[data-keep]")].some(dirty)) event.preventDefault();
});
document.documentElement.classList.add("script");
