// Who may change what: the token, and requests with it.

import {$, notify} from "./dom.js";

export const access = {
  token: sessionStorage.getItem("token"),
  who: sessionStorage.getItem("who") || "",
  role: sessionStorage.getItem("role") || "",
};
const listeners = [];
let afterUnlock = null;

export function onAccess(listener) { listeners.push(listener); }

export function isUnlocked() { return access.token !== null; }

export function isEngineer() { return isUnlocked() && access.role === "engineer"; }

export function askForToken(then) {
  afterUnlock = then || null;
  if ($("token-dialog").open) return;
  $("token-problem").hidden = true;
  $("who").value = access.who;
  $("token").value = "";
  $("token-dialog").showModal();
}

export async function post(path, content, type = "application/json", secret = access.token) {
  return fetch(path, {method: "POST", headers: {"Content-Type": type, Authorization: `Bearer ${secret}`}, body: content});
}

// Sends a request and shows the station's answer; null where it was refused.
export async function ask(path, request) {
  try {
    const answer = await post(path, JSON.stringify({...request, who: access.who}));
    const result = await answer.json();
    if (answer.status === 401) lock();
    notify(result.message || result.detail, !answer.ok);
    return answer.ok ? result : null;
  } catch {
    notify("The station did not answer; the change may not have been made.", true);
    return null;
  }
}

export function requestChange(request) { return ask("api/ask", request); }

export function lock() {
  access.token = null;
  sessionStorage.removeItem("token");
  for (const listener of listeners) listener();
}

async function unlock(event) {
  event.preventDefault();
  let problem = "The station did not answer.";
  try {
    const answer = await post("api/token", "{}", "application/json", $("token").value);
    const result = await answer.json();
    problem = answer.ok ? null : result.detail;
    access.role = result.role || "";
  } catch { /* reported below */ }
  $("token-problem").hidden = problem === null;
  $("token-problem").textContent = problem || "";
  if (problem !== null) return;
  access.token = $("token").value;
  access.who = $("who").value.trim();
  for (const name of ["token", "who", "role"]) sessionStorage.setItem(name, access[name]);
  $("token-dialog").close();
  if (afterUnlock) { afterUnlock(); afterUnlock = null; }
  for (const listener of listeners) listener();
}

export function startAccess() {
  $("unlock").onclick = () => { if (isUnlocked()) lock(); else askForToken(); };
  $("token-cancel").onclick = () => $("token-dialog").close();
  $("token-form").onsubmit = unlock;
}
