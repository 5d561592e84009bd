"use strict";
(() => {
const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const one = (selector, root = document) => root.querySelector(selector);

// The worklist: filter and order. Without this script it stands in reading order.
const form = one("#filter");
const rows = all(".worklist tbody tr");
const RANK = ["failed", "high", "intermediate", "low"];
const score = (row) => row.dataset.score === "" ? Infinity : Number(row.dataset.score);
const BY = {
  place: (a, b) => a.dataset.place - b.dataset.place,
  patient: (a, b) => a.dataset.patient.localeCompare(b.dataset.patient, undefined, {numeric: true}),
  category: (a, b) => RANK.indexOf(a.dataset.category) - RANK.indexOf(b.dataset.category),
  score: (a, b) => a.dataset.score === b.dataset.score ? 0 : score(b) - score(a),
};

function filter() {
  const {patient, category, score: least} = form.elements;
  const wanted = patient.value.trim().toLowerCase();
  let shown = 0;
  for (const row of rows) {
    // A failed exam has no score: it is never filtered out by one.
    const fits = row.dataset.patient.toLowerCase().includes(wanted)
      && (!category.value || row.dataset.category === category.value)
      && (!least.value || score(row) * 100 >= Number(least.value));
    row.hidden = !fits;
    one(`article[data-exam="${row.dataset.exam}"]`).hidden = !fits;
    shown += fits;
  }
  one("output", form).value = shown === rows.length ? "" : `${shown} of ${rows.length} exams shown`;
}

function order(key, falling = false) {
  const sorted = [...rows].sort((a, b) => (falling ? -1 : 1) * BY[key](a, b) || BY.place(a, b));
  one(".worklist tbody").append(...sorted);
  for (const head of all(".worklist th[data-sort]")) {
    head.removeAttribute("aria-sort");
    if (head.dataset.sort !== key) continue;
    head.setAttribute("aria-sort", (key === "score") !== falling ? "descending" : "ascending");
  }
  form.elements.order.value = falling ? "" : key;
}

if (form) {
  form.hidden = false;
  form.addEventListener("input", filter);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.elements.order.addEventListener("change", () => order(form.elements.order.value));
  form.elements.open.addEventListener("click", () => {
    const exams = all("article > details");
    const open = !exams.every((exam) => exam.open);
    exams.forEach((exam) => { exam.open = open; });
    form.elements.open.textContent = open ? "Close all exams" : "Open all exams";
  });
  for (const head of all(".worklist th[data-sort]")) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    const first = head.dataset.sort === "score" ? "descending" : "ascending";
    button.addEventListener("click", () =>
      order(head.dataset.sort, head.getAttribute("aria-sort") === first));
  }
}

// A link to an exam opens it; printing opens all that are not filtered out.
function reveal() {
  const target = location.hash && document.getElementById(location.hash.slice(1));
  const exam = target && target.closest("article > details");
  if (!exam) return;
  exam.open = true;
  exam.scrollIntoView();
}
let closed = [];
addEventListener("hashchange", reveal);
addEventListener("click", (event) => {
  const link = event.target.closest('a[href^="#exam-"]');
  if (link && link.hash === location.hash) reveal();
});
addEventListener("beforeprint", () => {
  closed = all("article:not([hidden]) > details:not([open])");
  closed.forEach((exam) => { exam.open = true; });
});
addEventListener("afterprint", () => closed.forEach((exam) => { exam.open = false; }));
reveal();

// The viewer: one view at full resolution, in CSS pixels for each pixel of the picture.
const viewer = one("#viewer");
const stage = one(".stage", viewer);
const LARGEST = 4;
let sheet, size, scale, x, y;

function place() {
  x = Math.max(Math.min(x, stage.clientWidth - 40), 40 - size[0] * scale);
  y = Math.max(Math.min(y, stage.clientHeight - 40), 40 - size[1] * scale);
  Object.assign(sheet.style, {
    left: `${x}px`, top: `${y}px`, width: `${size[0] * scale}px`, height: `${size[1] * scale}px`,
  });
  // Letters keep their size on the screen: one CSS pixel in the units of the marks.
  const marks = one(".marks", sheet);
  if (marks) marks.style.setProperty("--unit", `${marks.viewBox.baseVal.height / size[1] / scale}px`);
}

function smallest() {
  return Math.min(stage.clientWidth / size[0], stage.clientHeight / size[1]);
}

function zoom(to, atX = stage.clientWidth / 2, atY = stage.clientHeight / 2) {
  const next = Math.min(Math.max(to, Math.min(smallest(), 1) / 2), LARGEST);
  x = atX - (atX - x) * next / scale;
  y = atY - (atY - y) * next / scale;
  scale = next;
  place();
}

function fit() {
  scale = smallest();
  x = (stage.clientWidth - size[0] * scale) / 2;
  y = (stage.clientHeight - size[1] * scale) / 2;
  place();
}

function show(film) {
  const small = one("img", film), marks = one(".marks", film);
  const picture = new Image(), note = one("#viewer-note");
  picture.alt = small.alt;
  picture.draggable = false;
  sheet = document.createElement("div");
  sheet.className = "film";
  sheet.append(picture, ...(marks ? [marks.cloneNode(true)] : []));
  stage.replaceChildren(sheet);
  note.textContent = "loading";
  one("#viewer-name").textContent =
    `${one("h3", film.closest("article")).textContent} ${one("figcaption b", film.parentNode).textContent}`;
  picture.addEventListener("load", () => {
    size = [picture.naturalWidth, picture.naturalHeight];
    const reduced = picture.src === small.src;
    note.textContent = `${size[0]} × ${size[1]}${reduced
      ? ": reduced, for the folder of full pictures is not beside this page" : ""}`;
    fit();
  });
  picture.addEventListener("error", () => { picture.src = small.src; }, {once: true});
  size = [small.naturalWidth || 1, small.naturalHeight || 1];
  viewer.showModal();
  fit();
  picture.src = film.href;
  stage.focus();
}

addEventListener("click", (event) => {
  const film = event.target.closest("a.film");
  if (!film || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  show(film);
});

const ACTS = {
  in: () => zoom(scale * 1.5), out: () => zoom(scale / 1.5), fit, full: () => zoom(1),
  close: () => viewer.close(),
};
all("button", viewer).forEach((button) =>
  button.addEventListener("click", () => ACTS[button.value]()));
const KEYS = {"+": "in", "=": "in", "-": "out", "0": "fit", "1": "full"};
const STEPS = {ArrowLeft: [80, 0], ArrowRight: [-80, 0], ArrowUp: [0, 80], ArrowDown: [0, -80]};
stage.addEventListener("keydown", (event) => {
  const step = STEPS[event.key], act = ACTS[KEYS[event.key]];
  if (!step && !act) return;
  event.preventDefault();
  if (act) return act();
  x += step[0];
  y += step[1];
  place();
});
stage.addEventListener("wheel", (event) => {
  event.preventDefault();
  const at = stage.getBoundingClientRect();
  zoom(scale * Math.exp(-event.deltaY / 500), event.clientX - at.left, event.clientY - at.top);
}, {passive: false});
stage.addEventListener("dblclick", (event) => {
  const at = stage.getBoundingClientRect();
  if (scale >= 1) fit();
  else zoom(1, event.clientX - at.left, event.clientY - at.top);
});

const fingers = new Map();
function grip() {
  const points = [...fingers.values()];
  const mean = (axis) => points.reduce((sum, point) => sum + point[axis], 0) / points.length;
  const [a, b] = points;
  return {x: mean(0), y: mean(1), spread: b ? Math.hypot(a[0] - b[0], a[1] - b[1]) : 0};
}
stage.addEventListener("pointerdown", (event) => {
  stage.setPointerCapture(event.pointerId);
  fingers.set(event.pointerId, [event.clientX, event.clientY]);
});
stage.addEventListener("pointermove", (event) => {
  if (!fingers.has(event.pointerId)) return;
  const before = grip();
  fingers.set(event.pointerId, [event.clientX, event.clientY]);
  const now = grip(), at = stage.getBoundingClientRect();
  x += now.x - before.x;
  y += now.y - before.y;
  if (before.spread && now.spread) {
    zoom(scale * now.spread / before.spread, now.x - at.left, now.y - at.top);
  } else {
    place();
  }
});
for (const end of ["pointerup", "pointercancel"]) {
  stage.addEventListener(end, (event) => fingers.delete(event.pointerId));
}
addEventListener("resize", () => { if (viewer.open) fit(); });
})();
