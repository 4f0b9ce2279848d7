// The last frames, on which a missed defect can be marked.

import {$, counted, figure, localTime, make, makeButton, write} from "./dom.js";
import {isUnlocked, requestChange} from "./access.js";
import {openPicture} from "./zoom.js";
import {station} from "./station.js";

const SHOWN_AT_ONCE = matchMedia("(max-width: 900px)").matches ? 24 : 48;
let frames = null, count = SHOWN_AT_ONCE;

// Only on request: the station keeps the frames of the last list for some minutes.
async function load() {
  try {
    const answer = await fetch(`api/frames?hold=true&camera=${encodeURIComponent(station.camera)}`);
    if (!answer.ok) throw new Error(answer.statusText);
    frames = (await answer.json()).frames;
    count = SHOWN_AT_ONCE;
    draw();
  } catch { write($("frames-text"), "The station did not answer."); }
}

function draw() {
  const shown = frames.slice(0, count);
  $("last-frames").replaceChildren(...shown.map(frameItem));
  $("frames-more").hidden = shown.length === frames.length;
  write($("load-frames"), "Show the newest frames");
  const since = frames.length ? `, since ${localTime(frames[frames.length - 1].captured_at)}` : "";
  write($("frames-text"), `${counted(frames.length, "frame")}${since}. ${isUnlocked() ? "Mark those that show a defect that was not found." : "To mark one, choose Make changes above."}`);
}

function frameItem(frame) {
  const item = make("li", undefined, frame.level || "");
  const image = make("img");
  image.loading = "lazy";
  image.alt = `Frame ${frame.sequence}`;
  image.src = `frames/${frame.id}/thumbnail.jpg`;
  const text = `Frame ${frame.sequence} · ${localTime(frame.captured_at)} · score ${figure(frame.score)}`;
  const picture = makeButton(undefined, () => openPicture(`frames/${frame.id}/frame.jpg`, text, text), "tile");
  picture.setAttribute("aria-label", `Show frame ${frame.sequence} large`);
  picture.append(image);
  item.append(picture, make("small", `${localTime(frame.captured_at)} · ${figure(frame.score)}`));
  if (frame.event_id !== null) item.append(make("small", "part of an alert"));
  else if (isUnlocked()) item.append(missedButton(frame));
  return item;
}

function missedButton(frame) {
  const isMarked = frame.mark !== null;
  const button = makeButton("Missed defect", async () => {
    const answer = await requestChange({action: "mark", frame: frame.id, mark: isMarked ? "none" : "missed"});
    if (answer === null) return;
    frame.mark = isMarked ? null : {mark: "missed"};
    button.replaceWith(missedButton(frame));
  });
  button.setAttribute("aria-pressed", String(isMarked));
  return button;
}

export function showFrames() { if (frames !== null) draw(); }

export function startFrames() {
  $("load-frames").onclick = load;
  $("frames-more").onclick = () => { count += SHOWN_AT_ONCE; draw(); };
}
