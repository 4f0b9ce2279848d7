// Statistics of the last hours: frames judged, alarms and their rate.

import {$, counted, figure, showRows} from "./dom.js";
import {drawBars} from "./bars.js";
import {station} from "./station.js";

const FETCHED_EVERY_MS = 30000;
const HOUR_MS = 3600000;
let counts = null, fetchedAt = -Infinity, shownCamera = null;

export async function showHours(force) {
  if (station.latest === null || document.hidden) return;
  const due = performance.now() - fetchedAt > FETCHED_EVERY_MS;
  if (due) {
    fetchedAt = performance.now();
    try {
      const answer = await fetch("api/hours");
      if (!answer.ok) return;
      counts = await answer.json();
    } catch { return; }
  }
  if (due || force || shownCamera !== station.camera) draw();
}

function draw() {
  if (counts === null) return;
  shownCamera = station.camera;
  const number = Number($("hours-shown").value);
  const end = Math.floor(new Date(counts.now) / HOUR_MS) * HOUR_MS + HOUR_MS;
  const hours = [];
  for (let at = end - number * HOUR_MS; at < end; at += HOUR_MS) hours.push({at, frames: 0, alarms: 0, warnings: 0});
  for (const each of counts.hours) {
    const hour = hours.find((one) => one.at === new Date(each.hour).getTime());
    if (each.camera === station.camera && hour) Object.assign(hour, {frames: each.frames, alarms: each.alarms, warnings: each.warnings});
  }
  const total = (name) => hours.reduce((sum, hour) => sum + hour[name], 0);
  const frames = total("frames"), alarms = total("alarms");
  const worked = hours.filter((hour) => hour.frames > 0).length;
  showRows($("hours-figures"), [
    ["Frames judged", frames.toLocaleString("en")],
    ["Alarms · warnings", `${alarms.toLocaleString("en")} · ${total("warnings").toLocaleString("en")}`],
    ["Alarms in 1,000 frames", frames ? figure(1000 * alarms / frames) : "–"],
    ["Hours with frames", counted(worked, "hour")],
  ]);
  drawBars($("hours-chart"), hours.map((hour) => ({
    value: hour.alarms,
    label: new Date(hour.at).toLocaleTimeString([], {hour: "2-digit", minute: "2-digit", hour12: false}),
    idle: hour.frames === 0 && hour.alarms === 0,
  })), {colour: "--alarm", what: "alarms"});
}

export function startHours() {
  $("hours-shown").onchange = () => showHours(true);
  window.addEventListener("resize", () => showHours(true));
}
