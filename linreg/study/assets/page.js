"use strict";
// Shows what the library has computed; nothing is computed here but where things stand on the screen.
const data = JSON.parse(document.getElementById("data").textContent);
const at = (id) => document.getElementById(id);
const BLUE = "#0072B2", RED = "#D55E00", INK = "#1b1f24", GREY = "#8a949e";
const IN_BAND = 0.25;  // where in the band above the losses a run stands that diverges
const config = { displayModeBar: false, responsive: true };
const font = { family: "system-ui, sans-serif", size: 13, color: INK };
const shown = (value) => value === null ? "not finite" : String(value);
const words = (name) => name.replaceAll("_", " ");
const capital = (text) => text[0].toUpperCase() + text.slice(1);
// Plotly reads tags in its texts: what a column is called is none.
const plain = (name) => name.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

function layout(x, y, more) {
  const axis = { gridcolor: "#e3e7ea", zeroline: false, linecolor: INK, exponentformat: "power" };
  // Margins are fixed: to find them out again for every picture takes longer than all the rest.
  return { margin: { l: 84, r: 12, t: 8, b: 60 }, font, hovermode: "closest", showlegend: false,
    xaxis: { ...axis, title: { text: plain(x) }, ...more.xaxis }, yaxis: { ...axis, title: { text: plain(y) }, ...more.yaxis } };
}

let axis, run, point;

function fill(select, names) {
  select.replaceChildren(...names.map((name) => new Option(words(name), name)));
}

function chooseOptimizer() {
  const before = at("axis").value;
  const axes = data.optimizers[at("optimizer").value];
  fill(at("axis"), axes.map((one) => one.name));
  at("axis").value = axes.some((one) => one.name === before) ? before : axes[0].name;
  chooseAxis();
}

function chooseAxis() {
  axis = data.optimizers[at("optimizer").value].find((one) => one.name === at("axis").value);
  at("slider").max = axis.runs.length - 1;
  at("slider").value = axis.chosen;
  at("value-label").textContent = words(axis.name);
  at("ends-title").textContent = capital(axis.measure) + " at the end of epoch " + data.epochs + ", by " + words(axis.name);
  at("note").textContent = axis.note;
  const bounds = axis.bounds;
  Plotly.relayout("loss", bounds[0] === null ? { "yaxis.autorange": true } :
    { "yaxis.range": bounds.map((one) => Math.log10(one)) });
  drawEnds();
  chooseRun(true);
}

function chooseRun(fromTheEnd) {
  run = axis.runs[at("slider").valueAsNumber];
  const limit = axis.limit === null ? "" : " (computed limit " + axis.limit + ")";
  at("value").textContent = run.value + limit;
  at("slider").setAttribute("aria-valuetext", run.value + limit);
  at("step").max = run.steps.length - 1;
  if (fromTheEnd) at("step").value = run.steps.length - 1;
  draw();
}

function draw() {
  point = at("step").valueAsNumber;
  const step = run.steps[point], loss = run.loss[point];
  at("step-text").textContent = step;
  at("step").setAttribute("aria-valuetext", "step " + step);
  const gone = run.loss.findIndex((one) => one === null || one > axis.bounds[1]);
  const above = axis.limit !== null && run.value > axis.limit;
  const last = run.loss[run.loss.length - 1], rises = last === null || !(last < run.loss[0]);
  at("told").innerHTML = "";
  at("told").append("After step ", step, " the loss is ", Object.assign(document.createElement("strong"),
    { id: "loss-now", textContent: shown(loss) }), "; at the start it is ", shown(run.loss[0]), ", at the optimum ",
    shown(run.least), ". ");
  if (above) {
    at("told").append(Object.assign(document.createElement("span"), { className: "bad", textContent:
      "This learning rate is above the computed limit of full batches: " + (rises ?
        "each step overshoots further than the last." : "it comes down all the same here.") }));
  } else if (axis.limit !== null && rises) {
    at("told").append(Object.assign(document.createElement("span"), { className: "bad", textContent:
      "The loss rises although this rate is below the limit of full batches: smaller batches have smaller limits." }));
  } else if (gone >= 0) {
    at("told").append(Object.assign(document.createElement("span"), { className: "bad", textContent: "The run diverges." }));
  }
  at("loss-title").textContent = "Loss on all rows, step by step" +
    (axis.name === "delta" ? " (Huber's with delta " + run.value + ")" : "");
  const hover = run.steps.map((one, i) => tip(i));
  const left = gone < 0 ? [] : [gone];
  Plotly.restyle("loss", { x: [run.steps, [step], left.map((i) => run.steps[i])],
    y: [run.loss, [loss], left.map(() => axis.bounds[1])], text: [hover, [hover[point]], ["diverges"]] }, [0, 1, 2]);
  const first = data.plane.contours.length;
  Plotly.restyle("path", { x: [run.x, [run.x[point]]], y: [run.y, [run.y[point]]], text: [hover, [hover[point]]] },
    [first, first + 1]);
  drawFit();
  const end = inside(axis.ends[at("slider").valueAsNumber]);
  Plotly.restyle("ends", { x: [[run.value], [run.value]], y: [[end], [end === null ? IN_BAND : null]] }, [1, 3]);
  drawNumbers();
}

function tip(i) {
  const lines = ["step " + run.steps[i], "loss " + shown(run.loss[i])];
  if (i > 0) {
    for (const [name, values] of Object.entries(run.numbers)) {
      lines.push(name + ": " + values[i].map(shown).join(", "));
    }
  }
  return lines.join("<br>");
}

function drawNumbers() {
  const row = (cells, tag) => {
    const made = document.createElement("tr");
    made.append(...cells.map((text, i) => Object.assign(document.createElement(i ? tag : "th"), { textContent: text })));
    return made;
  };
  const rows = Object.entries(run.numbers).map(([name, values]) =>
    row([name, ...values[point].map((value) => point ? shown(value) : "")], "td"));
  rows.push(row(["p at the optimum", ...run.best.map(shown)], "td"));
  at("numbers").replaceChildren(row(["", ...data.shown], "th"), ...rows);
}

// The fitted line through its two ends.
function drawFit() {
  Plotly.restyle("fit", { x: [data.line.ends], y: [run.line[point]] }, [1]);
}

// A loss that has left the picture stands in the band above it.
function inside(end) {
  return end !== null && end <= axis.top ? end : null;
}

function drawEnds() {
  const values = axis.runs.map((one) => one.value);
  const log = values.every((value) => value > 0);
  const ends = axis.ends.map(inside), gone = values.filter((_, i) => ends[i] === null);
  const shapes = axis.limit === null ? [] : [{ type: "line", x0: axis.limit, x1: axis.limit, y0: 0, y1: 1,
    yref: "paper", line: { color: INK, dash: "dash", width: 2 } }];
  const notes = axis.limit === null ? [] : [{ x: log ? Math.log10(axis.limit) : axis.limit, y: 1, yref: "paper",
    text: "limit", showarrow: false, xanchor: "right", yanchor: "top" }];
  if (gone.length) {
    notes.push({ x: 1, xref: "paper", y: 0.95, yref: "paper", text: "diverges", showarrow: false, xanchor: "right",
      yanchor: "top" });
  }
  const chosen = { mode: "markers", hoverinfo: "skip",
    marker: { symbol: "diamond", size: 14, color: RED, line: { color: INK, width: 1 } } };
  Plotly.react("ends", [
    { x: values, y: ends, mode: "lines+markers", line: { color: BLUE }, hovertemplate: "%{x}: %{y}<extra></extra>" },
    { x: [], y: [], ...chosen },
    { x: gone, y: gone.map(() => IN_BAND), yaxis: "y2", mode: "markers",
      marker: { symbol: "circle-open", size: 8, color: BLUE }, hovertemplate: "%{x}: diverges<extra></extra>" },
    { x: [], y: [], yaxis: "y2", ...chosen },
  ], { ...layout(words(axis.name), axis.measure + "<br>(" + data.lossUnit + ")",
    { xaxis: { type: log ? "log" : "linear" }, yaxis: { type: "log", domain: [0, 0.78] } }),
  yaxis2: { domain: [0.78, 1], range: [0, 1], visible: false, fixedrange: true } }, config);
  Plotly.relayout("ends", { shapes, annotations: notes });
}

function drawOnce() {
  const dot = { mode: "markers", hoverinfo: "text", marker: { symbol: "diamond", size: 14, color: RED,
    line: { color: INK, width: 1 } } };
  const walk = { mode: "lines+markers", hoverinfo: "text", line: { color: BLUE, width: 2 }, marker: { size: 5 } };
  Plotly.newPlot("loss", [{ x: [], y: [], ...walk }, { x: [], y: [], ...dot },
    { x: [], y: [], mode: "markers+text", hoverinfo: "skip", cliponaxis: false, textposition: "bottom right",
      marker: { symbol: "triangle-up", size: 12, color: BLUE } }],
  layout("step", "loss<br>(" + data.lossUnit + ")", { yaxis: { type: "log" } }), config);
  const contours = data.plane.contours.map((one) => ({ x: one.x, y: one.y, mode: "lines", hoverinfo: "skip",
    line: { color: GREY, width: 1 } }));
  const plane = data.plane;
  Plotly.newPlot("path", [...contours, { x: [], y: [], ...walk }, { x: [], y: [], ...dot },
    { x: [plane.optimum[0]], y: [plane.optimum[1]], mode: "markers+text", text: ["optimum"], textposition: "top right",
      hoverinfo: "skip", marker: { symbol: "x", size: 11, color: INK } }],
  layout(plane.labels[0], plane.labels[1], { xaxis: { range: [plane.low[0], plane.high[0]] },
    yaxis: { range: [plane.low[1], plane.high[1]] } }), config);
  const direction = (i) => (plane.along[i] && plane.along[i] + ", ") + "in " + plane.units[i];
  at("along").textContent = (plane.projection && "Paths are " + plane.projection + ". ") + "Across: " + direction(0) +
    ". Up: " + direction(1) + ".";
  at("caps").textContent = data.caps;
  at("fit-title").textContent = data.line.title;
  at("fit-note").textContent = data.line.note;
  Plotly.newPlot("fit", [{ x: data.line.x, y: data.line.y, mode: "markers", marker: { color: GREY } },
    { x: [], y: [], mode: "lines", line: { color: RED, width: 3 } }],
  layout(data.line.name, data.target, { yaxis: { range: [data.line.low, data.line.high] } }), config);
}

function showBad(one, button) {
  for (const other of at("buttons").children) other.setAttribute("aria-pressed", String(other === button));
  const paragraphs = [one.story, "It " + words(one.verdict) + ". " + capital(words(one.cause)) + ": " + one.why,
    "What to change (dashed): " + one.change];
  at("bad").replaceChildren(...paragraphs.map((text) => Object.assign(document.createElement("p"), { textContent: text })));
  at("bad-plot").hidden = false;
  const seen = (losses) => losses.map((loss) => loss !== null && loss <= one.top ? loss : null);
  const epochs = one.before.map((_, i) => i), later = one.after.map((_, i) => i);
  Plotly.react("bad-plot", [
    { x: epochs, y: seen(one.before), name: "as given", mode: "lines+markers", line: { color: RED, width: 3 } },
    { x: later, y: seen(one.after), name: "changed", mode: "lines", line: { color: BLUE, width: 3, dash: "dash" } },
  ], { ...layout("epoch", "loss on all rows", { yaxis: { type: "log" } }), showlegend: true,
    legend: { orientation: "h", y: 1.12 } }, config);
}

fill(at("optimizer"), Object.keys(data.optimizers));
at("optimizer").addEventListener("change", chooseOptimizer);
at("axis").addEventListener("change", chooseAxis);
at("slider").addEventListener("input", () => chooseRun(false));
at("step").addEventListener("input", draw);
for (const one of data.bad) {
  const button = Object.assign(document.createElement("button"), { type: "button", textContent: one.name });
  button.setAttribute("aria-pressed", "false");
  button.addEventListener("click", () => showBad(one, button));
  at("buttons").append(button);
}
drawOnce();
chooseOptimizer();
