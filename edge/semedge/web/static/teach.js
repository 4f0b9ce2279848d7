// The tab Teach: the steps of a lesson, each shown as the station says that it stands.

import {$, cameraLabel, counted, duration, figure, make, notify, number, write} from "./dom.js";
import {access, ask, askForToken, isEngineer, requestChange} from "./access.js";
import {clearSamples, sampleMarks, startSamples} from "./samples.js";
import {drawBars} from "./bars.js";
import {isStale, shownCamera, station} from "./station.js";
import {openPicture} from "./zoom.js";
import {showTiles, startTiles} from "./tiles.js";

const FETCHED_EVERY_MS = 1400, MARKS_EVERY_MS = 10000, BINS = 24;
const MARKS = [["real", "real alert"], ["missed", "missed defect"], ["false-alarm", "false alarm"]];
let marks = null, marksAt = -Infinity;
let lesson = null, fetchedAt = -Infinity, busy = false, shownLesson = null;

function isShown() { return !$("teach-tab").hidden && !document.hidden; }

export function openTeach() {
  fetchedAt = -Infinity;
  showTeach();
}

export async function showTeach() {
  if (!isShown()) return;
  showCamera();
  draw();
  if (busy || performance.now() - fetchedAt < FETCHED_EVERY_MS) return;
  busy = true;
  fetchedAt = performance.now();
  try {
    const answer = await fetch("api/teach");
    if (answer.ok) lesson = await answer.json();
    await fetchMarks();
  } catch { /* the header says that there is no connection */ } finally { busy = false; }
  draw();
}

async function fetchMarks() {
  if (performance.now() - marksAt < MARKS_EVERY_MS) return;
  marksAt = performance.now();
  try {
    const answer = await fetch("api/marks");
    if (answer.ok) marks = (await answer.json()).counts;
  } catch { /* it is tried again */ }
}

function showAgain(facts, free) {
  const some = marks !== null && MARKS.some(([mark]) => marks[mark] > 0);
  $("teach-again").hidden = Boolean(facts) || !some || !lesson.learns_again;
  if ($("teach-again").hidden) return;
  const counts = MARKS.filter(([mark]) => marks[mark]).map(([mark, name]) => counted(marks[mark], name));
  write($("again-text"), `Marked so far: ${counts.join(", ")}. The recipe of ${cameraLabel(station.camera).toLowerCase()} is learned again with the false alarms among its good frames, and tried on every marked frame.`);
  setDisabled("#teach-again", !free);
}

function showCamera() {
  const mine = shownCamera();
  if (!mine || mine.sequence === null || isStale()) return;
  const name = lesson?.lesson ? lesson.lesson.camera : station.camera;
  write($("teach-camera"), `${cameraLabel(name)}, ${figure(mine.frame_rate_hz)} frames a second`);
  $("teach-live").src = `live/${encodeURIComponent(name)}/frame.jpg?frame=${station.latest.state.cameras[name].sequence}`;
  $("teach-live").hidden = false;
}

function draw() {
  if (lesson === null) return;
  const {phase, lesson: facts, result} = lesson;
  const mine = facts !== null && facts?.who === `page: ${access.who}`;
  const free = isEngineer() && lesson.available;
  $("teach-locked").hidden = isEngineer();
  const problem = lesson.available ? lesson.problem : lesson.reason;
  showProblem(problem, facts);
  $("collect-form").hidden = Boolean(facts);
  $("collected").hidden = !facts;
  // A lesson from marks has the frames of the previous recipe, and collects none.
  const again = Boolean(facts?.again);
  $("teach-frames").hidden = !facts || again;
  $("teach-learn").hidden = !facts || phase === "collecting" || (again && phase !== "learning");
  showAgain(facts, free);
  $("teach-result").hidden = !result;
  $("teach-end").hidden = !facts || phase === "collecting" || phase === "learning";
  setDisabled("#collect-form", !free);
  setDisabled("#collected, #teach-learn, #teach-result", !free || !mine);
  setDisabled("#teach-end", !free);
  if (!facts) { shownLesson = null; return; }
  if (shownLesson !== facts.started_at) { shownLesson = facts.started_at; clearSamples(); $("more").value = Math.max(400, facts.wanted + 100); }
  drawCollected(facts, phase);
  if (!again) showTiles(lesson, free && mine && phase !== "learning");
  drawLearning(phase);
  if (result) drawResult(result, facts);
}

// Beside the step that it is about, since on a phone only one step is in view.
function showProblem(problem, facts) {
  const step = !facts || facts.again ? "teach-view" : lesson.frames.length >= facts.wanted ? "teach-learn" : "teach-collect";
  const card = document.querySelector(`#teach-tab .${step}`);
  if ($("teach-problem").parentElement !== card) card.append($("teach-problem"));
  $("teach-problem").hidden = !problem;
  write($("teach-problem"), problem || "");
}

function setDisabled(where, disabled) {
  for (const part of document.querySelectorAll(where)) {
    for (const each of part.querySelectorAll("input, button")) each.disabled = disabled;
  }
}

function drawCollected(facts, phase) {
  const count = lesson.frames.length, collecting = phase === "collecting";
  const person = facts.who.replace(/^page: /, "");
  let text = `${facts.name}, taught by ${person}: ${facts.again ? "from what was marked" : `${count} of ${counted(facts.wanted, "frame")}`}`;
  if (collecting && count > 1 && lesson.busy_s > 2) text += `, about ${duration((facts.wanted - count) * lesson.busy_s / count)} to go`;
  write($("collected-count"), `${text}.`);
  $("collected-share").hidden = !collecting;
  $("collected-share").value = facts.wanted ? count / facts.wanted : 0;
  const reasons = Object.entries(facts.left_out).map(([reason, times]) => `${times} (each ${reason})`);
  $("collected-left-out").hidden = facts.again;
  write($("collected-left-out"), reasons.length ? `Left out: ${reasons.join(", ")}.` : collecting ? "None was left out yet." : "None was left out.");
  $("collect-stop").hidden = !collecting;
  $("more-form").hidden = facts.again || phase !== "collected" && phase !== "learned";
}

function drawLearning(phase) {
  const learning = phase === "learning";
  $("learn-form").hidden = learning;
  $("learning").hidden = !learning;
  $("learn-weaker").hidden = !lesson.weaker_offered;
  if (learning) write($("learning-text"), `Learning for ${duration(lesson.busy_s)}. ${lesson.progress}`);
}

function drawResult(result, facts) {
  const hourly = figure(result.false_alarms_per_hour), pace = figure(facts.pace_hz);
  write($("proof"), `${result.guarantee} At this camera's ${pace} frames a second that is at most ${hourly} false alarms an hour.`);
  const without = result.left_out.length ? ` Left out: ${result.left_out.map((each) => `${each.source.split("/").pop()} ${each.reason}`).slice(0, 3).join("; ")}${result.left_out.length > 3 ? ` and ${result.left_out.length - 3} more` : ""}.` : "";
  write($("learned-from"), `Fitted to ${counted(result.fit_frames, "frame")}, threshold ${figure(result.threshold)} set by ${result.calibration_frames} others.${without}`);
  $("marked").replaceChildren(...markedLines(result.marked));
  drawHistogram(result);
  const saved = station.latest !== null && station.latest.recipes.includes(facts.name);
  write($("save-switch"), saved ? "Switch to it" : "Save and switch to it");
  $("save").hidden = saved;
  const active = station.latest?.state.cameras[facts.camera]?.recipe === facts.name;
  $("save-switch").hidden = active && saved;
}

// How the marked frames are judged by the previous recipe and by the learned one.
function markedLines(marked) {
  if (!marked) return [];
  return MARKS.filter(([mark]) => marked.counts[mark]).map(([mark, name]) => {
    const {frames, before, after} = marked.counts[mark];
    const isWorse = mark === "false-alarm" ? after > before : after < before;
    return make("li", mark === "false-alarm" ? `${counted(frames, name)}: ${before} alarmed before, ${after} now` : `${counted(frames, name)}: ${before} found before, ${after} now`, isWorse ? "bad" : "");
  });
}

function drawHistogram(result) {
  const marks = sampleMarks();
  const values = [...result.normal_scores, result.threshold, ...marks.map((mark) => mark.score)];
  const low = Math.min(...values), span = Math.max(...values) - low || 1;
  const place = (score) => (score - low) / span * (BINS - 1) + .5;
  const bars = Array.from({length: BINS}, (_, bin) => ({value: 0, label: figure(Number((low + bin * span / (BINS - 1)).toPrecision(3)))}));
  for (const score of result.normal_scores) bars[Math.floor(place(score))].value += 1;
  drawBars($("histogram"), bars, {
    colour: "--score",
    what: "normal frames by score",
    marks: [{at: place(result.threshold), label: `threshold ${figure(result.threshold)}`, colour: "--alarm"}, ...marks.map((mark) => ({at: place(mark.score), label: "", colour: mark.alarm ? "--good" : "--warn"}))],
  });
}

async function request(action, more = {}) {
  const answer = await ask("api/teach", {action, ...more});
  openTeach();
  return answer;
}

function learn(acceptsWeaker) {
  const percent = number($("rate").value);
  if (percent === null || !(percent > 0 && percent < 100)) { notify("The rate is a percentage, such as 1.", true); return; }
  request("learn", {false_alarm_rate: percent / 100, accept_weaker: acceptsWeaker});
}

async function use() {
  const {name, camera} = lesson.lesson;
  const saved = station.latest.recipes.includes(name) || await request("save");
  if (saved) await requestChange({action: "recipe", camera, recipe: name});
}

export function startTeach() {
  startTiles(request, draw);
  startSamples(draw);
  $("teach-unlock").onclick = () => askForToken();
  $("collect-form").onsubmit = (event) => {
    event.preventDefault();
    request("collect", {camera: station.camera, name: $("product").value.trim(), frames: Number($("wanted").value), every_s: Number($("every").value)});
  };
  $("more-form").onsubmit = (event) => { event.preventDefault(); request("continue", {frames: Number($("more").value)}); };
  $("learn-form").onsubmit = (event) => { event.preventDefault(); learn(false); };
  $("learn-weaker").onclick = () => learn(true);
  $("again").onclick = () => request("again", {camera: station.camera});
  $("collect-stop").onclick = $("learn-stop").onclick = () => request("stop");
  $("sheet").onclick = () => openPicture(`teach/sheet.png?of=${encodeURIComponent(lesson.lesson.started_at)}-${lesson.result.threshold}`, "The good frames with the highest scores", "The good frames with the highest scores, each with its score.");
  $("save").onclick = () => request("save");
  $("save-switch").onclick = use;
  $("discard").onclick = () => { if (confirm("End the lesson, and delete its frames? A recipe that was saved stays.")) request("discard"); };
}
