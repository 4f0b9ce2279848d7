// What the station has sent: its state, the scores of its frames, and its newest events.

import {askForToken} from "./access.js";

const SHOWN_POINTS = 2000;

export const station = {
  latest: null,       // the last message of the station
  broken: false,      // whether the browser reports a lost connection
  receivedAt: 0,      // when it arrived, by this machine's monotonic clock
  camera: null,       // the camera whose figures are shown
  points: {},         // scores by camera: [time, score, level, number]
  events: [],
};
const listeners = [];

export function onMessage(listener) { listeners.push(listener); }

export function showAll() { for (const listener of listeners) listener(); }

export function shownCamera() {
  return station.latest === null ? undefined : station.latest.state.cameras[station.camera];
}

export function isStale() {
  if (station.latest === null) return true;
  return performance.now() - station.receivedAt > 1000 * (station.broken ? 2 : 3 + 3 * station.latest.every_s);
}

export function connect() {
  const stream = new EventSource("api/stream");
  stream.addEventListener("state", (message) => takeState(JSON.parse(message.data)));
  stream.addEventListener("events", (message) => { station.events = JSON.parse(message.data); showAll(); });
  stream.addEventListener("full", () => { stream.close(); setTimeout(connect, 10000); });
  stream.onerror = () => {
    station.broken = true;
    // A browser does not retry where the response is not a stream; a restarted station is back soon.
    if (stream.readyState === EventSource.CLOSED) reconnect();
  };
}

async function reconnect() {
  try {
    if ((await fetch("api/state")).status === 401) { askForToken(connect); return; }
  } catch { /* the station is gone; it is tried again */ }
  setTimeout(connect, 2000);
}

function takeState(message) {
  station.latest = message;
  station.broken = false;
  station.receivedAt = performance.now();
  for (const [name, added] of Object.entries(message.scores)) {
    station.points[name] = joined(message.whole ? [] : station.points[name] || [], added);
  }
  const names = Object.keys(message.state.cameras);
  if (!names.includes(station.camera)) station.camera = names[0] || null;
  showAll();
}

// Points that are known already come again after a pause: the number of a point, not its time, says
// what is new. Where the station's clock was set back, the points after the new time are dropped.
function joined(known, added) {
  const last = known.length ? known[known.length - 1][3] : 0;
  let points = known;
  for (const point of added) {
    if (point[3] <= last) continue;
    if (points.length && point[0] < points[points.length - 1][0]) points = points.filter((each) => each[0] < point[0]);
    if (points === known) points = known.slice();
    points.push(point);
  }
  return points.slice(-SHOWN_POINTS);
}
