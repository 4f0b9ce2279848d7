// The live picture, with the verdict of exactly the frame that it shows.

import {$, VERDICTS, figure, localTime, write} from "./dom.js";
import {openPicture} from "./zoom.js";
import {station, shownCamera} from "./station.js";

let view = "heat";
let fetchedAt = 0, busy = false, shownKey = null, shownFrame = null;

export function showPicture() {
  const mine = shownCamera();
  if (!mine) return;
  showBadge(mine);
  const key = `${station.camera}/${view}/${mine.sequence}`;
  // Messages come a little early or late, which must not leave out a picture.
  const due = performance.now() - fetchedAt > 700 * station.latest.picture_every_s;
  // A frame above a level is shown at once: the next one may be normal again.
  const urgent = mine.verdict === "alarm" || mine.verdict === "warn";
  if (busy || mine.sequence === null || document.hidden || key === shownKey || !(due || urgent)) return;
  load(key, address(mine.sequence));
}

export function forgetPicture() {
  shownKey = shownFrame = null;
  fetchedAt = 0;
  $("live").hidden = true;
  $("badge").hidden = true;
  $("no-frame").hidden = false;
}

function address(sequence) {
  return `live/${encodeURIComponent(station.camera)}/${view}.jpg?frame=${sequence}`;
}

async function load(key, path) {
  busy = true;
  fetchedAt = performance.now();
  try {
    const answer = await fetch(path);
    if (!answer.ok) return;
    const frame = JSON.parse(answer.headers.get("X-Frame"));
    const picture = URL.createObjectURL(await answer.blob());
    if (!key.startsWith(`${station.camera}/${view}/`)) { URL.revokeObjectURL(picture); return; }
    await put(picture);
    shownKey = `${station.camera}/${view}/${frame.sequence}`;
    shownFrame = frame;
    showBadge(shownCamera());
  } catch { /* the next message tries again */ } finally { busy = false; }
}

async function put(picture) {
  const image = $("live"), before = image.src;
  image.src = picture;
  await image.decode();
  image.hidden = false;
  $("no-frame").hidden = true;
  if (before.startsWith("blob:")) URL.revokeObjectURL(before);
}

function showBadge(mine) {
  const frame = shownFrame;
  $("badge").hidden = frame === null;
  if (frame === null || !mine) return;
  const out = mine.activity !== "inspecting";
  $("badge").dataset.verdict = out ? "unknown" : frame.level || "good";
  write($("badge"), `${out ? "LAST FRAME" : VERDICTS[frame.level || "good"]} · score ${figure(frame.score)}`);
  write($("frame-caption"), `Frame ${frame.sequence} · ${localTime(frame.captured_at)} · ${frame.source}`);
}

export function startPicture() {
  for (const button of document.querySelectorAll("[data-view]")) {
    button.onclick = () => {
      view = button.dataset.view;
      for (const each of document.querySelectorAll("[data-view]")) each.setAttribute("aria-pressed", String(each === button));
      $("scale").hidden = view !== "heat";
      fetchedAt = 0;
      shownKey = null;
      showPicture();
    };
  }
  $("enlarge").onclick = () => {
    if (shownFrame === null) return;
    const text = `Frame ${shownFrame.sequence} · ${localTime(shownFrame.captured_at)} · score ${figure(shownFrame.score)}`;
    openPicture(`${address(shownFrame.sequence)}&size=full`, `The ${view === "heat" ? "heat map" : "frame"} in full size`, text);
  };
}
