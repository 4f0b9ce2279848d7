// The live page: shows the state of the station, and sends requests to change it.
"use strict";

const $ = (id) => document.getElementById(id);
const SHOWN_POINTS = 2000;
const VERDICTS = {good: "GOOD", warn: "WARNING", alarm: "ALARM", "not inspecting": "NOT INSPECTING"};

let latest = null;            // the last message of the station
let broken = false;           // whether the browser reports a lost connection
let receivedAt = 0;           // when it arrived, by this machine's monotonic clock
let camera = null;            // the camera whose figures are shown
let view = "heat";
let points = {};              // scores by camera
let events = [];
let pictureAt = 0, pictureBusy = false, pictureSequence = null;
let unread = false;           // whether the page may not be read without a token
let token = sessionStorage.getItem("token"), who = sessionStorage.getItem("who") || "";

function make(tag, text, className) {
  const element = document.createElement(tag);
  if (text !== undefined) element.textContent = text;
  if (className) element.className = className;
  return element;
}

function connect() {
  const stream = new EventSource("api/stream");
  stream.addEventListener("state", (message) => takeState(JSON.parse(message.data)));
  stream.addEventListener("events", (message) => { events = JSON.parse(message.data); showEvents(); });
  stream.addEventListener("full", () => { stream.close(); setTimeout(connect, 10000); });
  stream.onerror = () => {
    broken = true;
    // A browser does not retry where the response is not a stream; a restarted station is back soon.
    if (stream.readyState === EventSource.CLOSED) reconnect();
  };
}

async function reconnect() {
  try {
    if ((await fetch("api/state")).status === 401) { askForToken(); return; }
  } catch { /* the station is gone; it is tried again */ }
  setTimeout(connect, 2000);
}

function takeState(message) {
  latest = message;
  broken = false;
  receivedAt = performance.now();
  for (const [name, added] of Object.entries(message.scores)) {
    const known = message.whole ? [] : points[name] || [];
    const last = known.length ? known[known.length - 1][0] : -Infinity;
    points[name] = known.concat(added.filter((point) => point[0] > last || point[0] < last - 5)).slice(-SHOWN_POINTS);
  }
  const names = Object.keys(message.state.cameras);
  if (!names.includes(camera)) camera = names[0] || null;
  show();
}

function isStale() {
  if (latest === null) return true;
  return performance.now() - receivedAt > 1000 * (broken ? 2 : 3 + 3 * latest.every_s);
}

function show() {
  showVerdict();
  if (latest === null) return;
  const state = latest.state;
  $("station").textContent = state.station;
  document.title = `${isStale() ? "NO CONNECTION" : VERDICTS[state.verdict]} · ${state.station}`;
  showCameras(state);
  const mine = state.cameras[camera];
  if (!mine) return;
  $("score").textContent = figure(mine.score);
  $("guarantee").textContent = guarantee(mine);
  drawChart($("chart"), points[camera] || [], {warn: mine.warn_level, alarm: mine.alarm_level});
  showFigures(mine);
  showHealth(state);
  showSettings(mine);
  showPicture(mine);
}

function showVerdict() {
  const stale = isStale();
  document.body.toggleAttribute("data-stale", stale);
  const verdict = stale ? "unknown" : latest.state.verdict;
  document.body.dataset.verdict = verdict;
  // Written only where it changes, so that a screen reader reads it once.
  const text = stale ? "NO CONNECTION" : VERDICTS[verdict];
  if ($("verdict").textContent !== text) $("verdict").textContent = text;
  const problems = [];
  if (stale && latest !== null) problems.push(`No message from the station for ${Math.round((performance.now() - receivedAt) / 1000)} s: the values below are old.`);
  if (!stale && !latest.state.armed) problems.push("The station is not qualified: not every camera has passed its challenge set.");
  if (!stale) {
    for (const [name, each] of Object.entries(latest.state.cameras)) {
      if (each.activity !== "inspecting") problems.push(`${name}: ${each.activity}${each.reason ? ` – ${each.reason}` : ""}`);
    }
  }
  $("problem").hidden = problems.length === 0;
  $("problem").textContent = problems.join(" ");
  if (latest === null) return;
  $("connection").textContent = stale ? "No connection; reconnecting…" : `Live · ${localTime(latest.now)}`;
}

function showCameras(state) {
  const names = Object.keys(state.cameras);
  $("cameras").hidden = names.length < 2;
  if (names.length < 2) return;
  $("cameras").replaceChildren(...names.map((name) => {
    const button = make("button", `${name}: ${VERDICTS[state.cameras[name].verdict]}`);
    button.type = "button";
    button.setAttribute("aria-pressed", String(name === camera));
    button.onclick = () => { camera = name; pictureSequence = null; $("live").hidden = true; $("no-frame").hidden = false; show(); };
    return button;
  }));
}

function guarantee(mine) {
  if (mine.alarm_level === null) return "";
  if (mine.alarm_level < mine.threshold) return `The alarm level is below the calibrated ${figure(mine.threshold)}: nothing is guaranteed about false alarms.`;
  return mine.guarantee || "";
}

function showFigures(mine) {
  const total = mine.latency_ms.total;
  const expected = mine.alarms_expected_per_hour;
  const rows = [
    ["Frames inspected", mine.frames_inspected.toLocaleString("en")],
    ["Lost · skipped", `${mine.frames_lost.toLocaleString("en")} · ${mine.frames_skipped.toLocaleString("en")}`, mine.frames_skipped > 0],
    ["Frames a second", figure(mine.frame_rate_hz)],
    ["Latency, median · p95", total ? `${figure(total.median)} · ${figure(total.p95)} ms` : "–"],
    ["Alerts since the start", mine.alerts.toLocaleString("en")],
    ["Alarm frames, last hour", mine.alarms_seen_last_hour.toLocaleString("en"), expected !== null && mine.alarms_seen_last_hour > expected],
    ["False alarms allowed an hour", expected === null ? "no guarantee" : `at most ${figure(expected)}`],
    ["Recipe", mine.recipe ? `${mine.recipe}${mine.recipe_version ? ` v${mine.recipe_version}` : ""}` : "none"],
    ["Detector", mine.detector_sha256 ? mine.detector_sha256.slice(0, 12) : "–"],
    ["Running for", duration(latest.state.uptime_s)],
  ];
  $("figures").replaceChildren(...rows.flatMap(([name, value, bad]) => [make("dt", name), make("dd", value, bad ? "bad" : "")]));
}

function showHealth(state) {
  const rows = [];
  for (const [name, each] of Object.entries(state.cameras)) {
    const fine = each.activity === "inspecting";
    rows.push([fine ? "good" : "alarm", `Camera ${name}: ${each.activity}`, fine ? each.source : `${each.reason || "no frames"} since ${localTime(each.since)}`]);
  }
  for (const [name, each] of Object.entries(state.sinks)) {
    const level = each.failures ? "alarm" : each.pending ? "warn" : "good";
    const waits = each.pending ? `${each.pending} pending` : "none pending";
    rows.push([level, `Delivery to ${name}: ${waits}`, each.last_error || `${each.delivered} delivered${each.rejected ? `, ${each.rejected} rejected` : ""}`]);
  }
  const disk = state.disk;
  if (disk.free_bytes !== null) {
    const stopped = [disk.pictures_stopped && "pictures", disk.scores_stopped && "scores"].filter(Boolean);
    rows.push([stopped.length ? "alarm" : "good", `Disk: ${(disk.free_bytes / 1e9).toFixed(1)} GB free`, stopped.length ? `No more ${stopped.join(" and ")} for lack of space; alerts continue.` : "pictures and scores are stored"]);
  }
  rows.push([state.armed ? "good" : "alarm", state.armed ? "Qualified" : "Not qualified", state.armed ? "every camera may judge" : "the challenge set is not passed"]);
  const signs = {good: "✓", warn: "!", alarm: "✕"};
  $("health").replaceChildren(...rows.map(([level, title, more]) => {
    const item = make("li");
    const text = make("div", title);
    text.append(make("small", more));
    item.append(make("span", signs[level], `mark ${level}`), text);
    return item;
  }));
}

function showSettings(mine) {
  const locked = token === null;
  const noRecipes = latest.recipes.length === 0;
  for (const form of [$("levels"), $("recipe-form")]) {
    for (const element of form.elements) element.disabled = locked || (form.id === "recipe-form" && noRecipes);
  }
  $("unlock").textContent = locked ? "Make changes" : `Lock (${who})`;
  if (document.activeElement === null || !$("levels").contains(document.activeElement)) {
    $("warn").value = mine.warn_level === null ? "" : figure(mine.warn_level);
    $("alarm").value = mine.alarm_level === null ? "" : figure(mine.alarm_level);
  }
  const names = noRecipes ? ["none"] : latest.recipes;
  if ($("recipe").dataset.names !== names.join("\n")) {
    $("recipe").dataset.names = names.join("\n");
    $("recipe").replaceChildren(...names.map((name) => make("option", name)));
    if (mine.recipe) $("recipe").value = mine.recipe;
  }
}

function showPicture(mine) {
  const due = performance.now() - pictureAt > 1000 * latest.picture_every_s - 50;
  if (pictureBusy || !due || mine.sequence === null || document.hidden) return;
  const key = `${camera}/${view}/${mine.sequence}`;
  if (key === pictureSequence) return;
  pictureBusy = true;
  pictureAt = performance.now();
  const next = new Image();
  next.onload = () => {
    pictureBusy = false;
    pictureSequence = key;
    $("live").src = next.src;
    $("live").hidden = false;
    $("no-frame").hidden = true;
    $("frame-caption").textContent = `Frame ${mine.sequence} · ${localTime(mine.captured_at)} · ${mine.source}`;
  };
  next.onerror = () => { pictureBusy = false; };
  next.src = `live/${encodeURIComponent(camera)}/${view}.jpg?frame=${mine.sequence}`;
}

function showEvents() {
  const open = events.filter((event) => event.kind === "defect" && !event.seen).length;
  $("events-count").textContent = events.length ? `${open} not acknowledged` : "None yet.";
  $("events").replaceChildren(...events.map(eventItem));
}

function eventItem(event) {
  const item = make("li", undefined, `${event.level || ""}${event.seen ? " seen" : ""}`);
  item.dataset.event = event.event_id;
  item.append(eventPicture(event));
  const text = make("div");
  const what = event.kind === "defect" ? (event.level || "defect").toUpperCase() : `${event.kind}: ${event.code}`;
  text.append(make("strong", `${what} · ${localTime(event.started_at)}`));
  const going = event.phase === "end" ? (event.duration_s >= 1 ? `lasted ${duration(event.duration_s)}` : "over") : "ongoing";
  const facts = [event.camera, event.frame_score === null ? null : `score ${figure(event.frame_score)}`, event.frames > 1 ? `${event.frames} frames` : null, going];
  text.append(make("small", facts.filter(Boolean).join(" · ")), make("p", event.message));
  if (event.seen) text.append(make("small", `Acknowledged by ${event.seen.who}, ${localTime(event.seen.at)}`));
  else if (token !== null && (event.kind === "defect" || event.level)) {
    const button = make("button", "Acknowledge", "ack");
    button.type = "button";
    button.onclick = () => requestChange({action: "acknowledge", event_id: event.event_id});
    text.append(button);
  }
  item.append(text);
  return item;
}

function eventPicture(event) {
  if (!event.overlay_picture) return make("div", event.kind === "defect" ? "no picture" : event.kind, "thumb none");
  const button = make("button", undefined, "thumb");
  button.type = "button";
  button.setAttribute("aria-label", "Show the picture large");
  const image = make("img");
  image.loading = "lazy";
  image.alt = `Heat map of the event at ${localTime(event.started_at)}`;
  image.src = `pictures/${event.event_id}/overlay.png?message=${event.number}`;
  button.onclick = () => {
    $("big").src = image.src;
    $("big").alt = image.alt;
    $("big-caption").textContent = event.message;
    $("picture-dialog").showModal();
  };
  button.append(image);
  return button;
}

async function send(path, document_, secret) {
  return fetch(path, {
    method: "POST",
    headers: {"Content-Type": "application/json", Authorization: `Bearer ${secret}`},
    body: JSON.stringify(document_),
  });
}

async function requestChange(request) {
  try {
    const answer = await send("api/ask", {...request, who}, token);
    const document_ = await answer.json();
    if (answer.status === 401) lock();
    notify(document_.message || document_.detail, !answer.ok);
    return answer.ok;
  } catch {
    notify("The station did not answer; the change may not have been made.", true);
    return false;
  }
}

let noticeTimer = 0;
function notify(text, bad) {
  $("notice").textContent = text;
  $("notice").classList.toggle("bad", bad);
  $("notice").hidden = false;
  clearTimeout(noticeTimer);
  noticeTimer = setTimeout(() => { $("notice").hidden = true; }, 6000);
}

function lock() {
  token = null;
  sessionStorage.removeItem("token");
  show();
  showEvents();
}

function number(text) {
  const value = text.trim().replace(",", ".");
  return value === "" ? null : Number(value);
}

function askForToken() {
  unread = latest === null;
  if ($("token-dialog").open) return;
  $("token-problem").hidden = true;
  $("who").value = who;
  $("token").value = "";
  $("token-dialog").showModal();
}
$("unlock").onclick = () => { if (token !== null) lock(); else askForToken(); };
$("token-cancel").onclick = () => $("token-dialog").close();
$("token-form").onsubmit = async (event) => {
  event.preventDefault();
  let problem = "The station did not answer.";
  try {
    const answer = await send("api/token", {}, $("token").value);
    if (answer.ok) problem = null;
    else problem = (await answer.json()).detail;
  } catch { /* reported below */ }
  $("token-problem").hidden = problem === null;
  $("token-problem").textContent = problem || "";
  if (problem !== null) return;
  token = $("token").value;
  who = $("who").value.trim();
  sessionStorage.setItem("token", token);
  sessionStorage.setItem("who", who);
  $("token-dialog").close();
  if (unread) { unread = false; connect(); }
  show();
  showEvents();
};
$("levels").onsubmit = async (event) => {
  event.preventDefault();
  const mine = latest.state.cameras[camera];
  const warn = number($("warn").value), alarm = number($("alarm").value);
  if (Number.isNaN(warn) || Number.isNaN(alarm) || alarm === null) { notify("A level is a number, such as 12.5; only the warn level may be empty.", true); return; }
  document.activeElement.blur();
  // A value that was only rounded for display stays as it is.
  const request = {action: "levels", camera};
  if (figure(mine.alarm_level) !== figure(alarm)) request.alarm = alarm;
  if (figure(mine.warn_level) !== figure(warn)) request.warn = warn;
  await requestChange(request);
};
$("recipe-form").onsubmit = async (event) => {
  event.preventDefault();
  await requestChange({action: "recipe", camera, recipe: $("recipe").value});
};
for (const button of document.querySelectorAll("[data-view]")) {
  button.onclick = () => {
    view = button.dataset.view;
    for (const each of document.querySelectorAll("[data-view]")) each.setAttribute("aria-pressed", String(each === button));
    $("scale").hidden = view !== "heat";
    pictureAt = 0;
    show();
  };
}
window.addEventListener("resize", show);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", show);
setInterval(show, 1000);
connect();

function localTime(text) {
  if (!text) return "–";
  const at = new Date(text);
  const day = at.toDateString() === new Date().toDateString() ? "" : `${at.toLocaleDateString("sv")} `;
  return day + at.toLocaleTimeString([], {hour12: false});
}

function duration(seconds) {
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172800) return `${(seconds / 3600).toFixed(1)} h`;
  return `${Math.round(seconds / 86400)} days`;
}
