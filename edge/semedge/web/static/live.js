// The tab of the running inspection: verdict, score, figures, health, levels and recipe.

import {$, VERDICTS, cameraLabel, duration, figure, localTime, make, makeButton, notify, number, showRows, write} from "./dom.js";
import {access, isUnlocked, requestChange} from "./access.js";
import {drawChart} from "./chart.js";
import {forgetPicture, showPicture} from "./picture.js";
import {isStale, showAll, shownCamera, station} from "./station.js";

const DETECTORS = {"pretrained-features": "learned, pretrained features"};

export function showLive() {
  showVerdict();
  if (station.latest === null) return;
  const state = station.latest.state;
  write($("station"), state.station);
  document.title = `${isStale() ? "NO CONNECTION" : VERDICTS[state.verdict]} · ${state.station}`;
  showCameras(state);
  const mine = shownCamera();
  if (!mine) return;
  write($("score"), figure(mine.score));
  write($("score-level"), mine.alarm_level === null ? "" : `alarm above ${figure(mine.alarm_level)}`);
  write($("score-meaning"), scoreMeaning(mine));
  write($("guarantee"), guarantee(mine));
  drawChart($("chart"), station.points[station.camera] || [], {warn: mine.warn_level, alarm: mine.alarm_level});
  showFigures(mine);
  showHealth(state);
  showSettings(mine);
  showPicture();
}

function showVerdict() {
  const stale = isStale(), latest = station.latest;
  document.body.toggleAttribute("data-stale", stale);
  const verdict = stale ? "unknown" : latest.state.verdict;
  document.body.dataset.verdict = verdict;
  write($("verdict"), stale ? "NO CONNECTION" : VERDICTS[verdict]);
  const problems = [];
  if (stale && latest !== null) problems.push(`No message from the station for ${Math.round((performance.now() - station.receivedAt) / 1000)} s: the values below are old.`);
  if (!stale && !latest.state.armed) problems.push("The station is not qualified: not every camera has passed its challenge set.");
  if (!stale) {
    for (const [name, each] of Object.entries(latest.state.cameras)) {
      if (each.activity !== "inspecting") problems.push(`${cameraLabel(name)}: ${each.activity}${each.reason ? ` – ${each.reason}` : ""}`);
    }
  }
  $("problem").hidden = problems.length === 0;
  write($("problem"), problems.join(" "));
  if (latest === null) return;
  write($("connection"), stale ? "No connection; reconnecting…" : `Live · ${localTime(latest.now)}`);
}

function showCameras(state) {
  const names = Object.keys(state.cameras);
  $("cameras").hidden = names.length < 2;
  if (names.length < 2) return;
  $("cameras").replaceChildren(...names.map((name) => {
    const button = makeButton(`${name}: ${VERDICTS[state.cameras[name].verdict]}`, () => { station.camera = name; forgetPicture(); showAll(); });
    button.setAttribute("aria-pressed", String(name === station.camera));
    return button;
  }));
}

function scoreMeaning(mine) {
  if (mine.alarm_level === null) return "";
  const unit = mine.detector === "pretrained-features"
    ? "A typical normal spot scores 0, and one normal spot in a thousand exceeds 100."
    : "The higher the score, the less a frame resembles normal material; this detector's scores have no unit.";
  const warns = mine.warn_level === null ? "" : `, above ${figure(mine.warn_level)} it warns`;
  return `${unit} A frame above ${figure(mine.alarm_level)} alarms${warns}.`;
}

function guarantee(mine) {
  if (mine.alarm_level === null) return "";
  if (mine.alarm_level < mine.threshold) return `The alarm level is below the calibrated ${figure(mine.threshold)}: nothing is guaranteed about false alarms.`;
  const drawn = mine.regions_drawn ? " It is proven for frames as the station file or the recipe inspects them, not for the regions that were drawn on this page." : "";
  return mine.guarantee ? mine.guarantee + drawn : "";
}

function showFigures(mine) {
  const total = mine.latency_ms.total;
  const expected = mine.alarms_expected_per_hour;
  showRows($("figures"), [
    ["Recipe", mine.recipe ? `${mine.recipe}${mine.recipe_version ? `, version ${mine.recipe_version}` : ""}` : "none (station file)"],
    ["Detector", DETECTORS[mine.detector] || mine.detector || "–"],
    ["Frames inspected", mine.frames_inspected.toLocaleString("en")],
    ["Lost · skipped", `${mine.frames_lost.toLocaleString("en")} · ${mine.frames_skipped.toLocaleString("en")}`, mine.frames_skipped > 0],
    ["Frames a second", figure(mine.frame_rate_hz)],
    ["Latency, median · 95 %", total ? `${figure(total.median)} · ${figure(total.p95)} ms` : "–"],
    ["Alerts since the start", mine.alerts.toLocaleString("en")],
    ["Alarm frames, last hour", mine.alarms_seen_last_hour.toLocaleString("en"), expected !== null && mine.alarms_seen_last_hour > expected],
    ["False alarms allowed an hour", expected === null ? "no guarantee" : `at most ${figure(expected)}`],
    ["Running for", duration(station.latest.state.uptime_s)],
  ]);
}

function showHealth(state) {
  const rows = [];
  for (const [name, each] of Object.entries(state.cameras)) {
    const fine = each.activity === "inspecting";
    rows.push([fine ? "good" : "alarm", `${cameraLabel(name)}: ${each.activity}`, fine ? each.source : `${each.reason || "no frames"} since ${localTime(each.since)}`]);
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
  const locked = !isUnlocked(), recipes = station.latest.recipes;
  const noRecipes = recipes.length === 0;
  for (const form of [$("levels"), $("recipe-form")]) {
    for (const element of form.elements) element.disabled = locked || (form.id === "recipe-form" && noRecipes);
  }
  write($("unlock"), locked ? "Make changes" : `Lock (${access.who})`);
  if (document.activeElement === null || !$("levels").contains(document.activeElement)) {
    $("warn").value = mine.warn_level === null ? "" : figure(mine.warn_level);
    $("alarm").value = mine.alarm_level === null ? "" : figure(mine.alarm_level);
  }
  const names = noRecipes ? ["none"] : recipes;
  if ($("recipe").dataset.names !== names.join("\n")) {
    $("recipe").dataset.names = names.join("\n");
    $("recipe").replaceChildren(...names.map((name) => make("option", name)));
    if (mine.recipe) $("recipe").value = mine.recipe;
  }
}

async function moveLevels(event) {
  event.preventDefault();
  const mine = shownCamera();
  const warn = number($("warn").value), alarm = number($("alarm").value);
  if (Number.isNaN(warn) || Number.isNaN(alarm) || alarm === null) { notify("A level is a number, such as 12.5; only the warn level may be empty.", true); return; }
  document.activeElement.blur();
  // A value that was only rounded for display stays as it is.
  const request = {action: "levels", camera: station.camera};
  if (figure(mine.alarm_level) !== figure(alarm)) request.alarm = alarm;
  if (figure(mine.warn_level) !== figure(warn)) request.warn = warn;
  await requestChange(request);
}

export function startLive() {
  $("levels").onsubmit = moveLevels;
  $("recipe-form").onsubmit = async (event) => {
    event.preventDefault();
    await requestChange({action: "recipe", camera: station.camera, recipe: $("recipe").value});
  };
}
