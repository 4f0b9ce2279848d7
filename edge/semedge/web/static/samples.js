// Sample files of defects, which try what was learned.

import {$, figure, make, notify} from "./dom.js";
import {post} from "./access.js";

let samples = [], redraw = () => {};

export function sampleMarks() { return samples.filter((sample) => sample.score !== null); }

export function clearSamples() {
  for (const sample of samples) URL.revokeObjectURL(sample.picture);
  samples = [];
  show();
}

async function tryFiles(files) {
  for (const file of files) {
    try {
      const answer = await post(`api/teach/sample?name=${encodeURIComponent(file.name.slice(-150))}`, file, "application/octet-stream");
      const result = await answer.json();
      if (!answer.ok) { notify(result.detail, true); continue; }
      samples.push({...result, picture: URL.createObjectURL(file)});
    } catch { notify("The station did not answer; try the file again.", true); }
    show();
    redraw();
  }
}

function show() {
  const found = samples.filter((sample) => sample.alarm).length;
  $("samples-count").textContent = samples.length ? `${found} of ${samples.length} samples alarm; in the histogram, green lines are samples that alarm, and brown ones those that are not found.` : "";
  $("samples").replaceChildren(...samples.map(sampleItem));
}

function sampleItem(sample) {
  const item = make("li", undefined, sample.alarm ? "found" : "missed");
  const box = make("div", undefined, "sample");
  const image = make("img"), cross = make("i");
  image.alt = sample.name;
  image.src = sample.picture;
  // Where the score is highest; a browser that cannot show the file, such as a TIFF, shows its name.
  image.onload = () => {
    cross.style.left = `${100 * sample.peak_px[0] / image.naturalWidth}%`;
    cross.style.top = `${100 * sample.peak_px[1] / image.naturalHeight}%`;
    box.append(cross);
  };
  box.append(image);
  item.append(box, make("strong", `${sample.alarm ? "ALARM" : "not found"} · ${figure(sample.score)}`), make("small", sample.name));
  return item;
}

export function startSamples(whenChanged) {
  redraw = whenChanged;
  $("files").onchange = () => { tryFiles([...$("files").files]); $("files").value = ""; };
  $("drop").ondragover = (event) => { event.preventDefault(); $("drop").classList.add("over"); };
  $("drop").ondragleave = () => $("drop").classList.remove("over");
  $("drop").ondrop = (event) => {
    event.preventDefault();
    $("drop").classList.remove("over");
    if (!$("files").disabled) tryFiles([...event.dataTransfer.files]);
  };
}
