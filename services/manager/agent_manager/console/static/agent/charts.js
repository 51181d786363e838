/** Ten minutes of an agent: tasks, calls and errors, latency. Drawn by uPlot, which sets styles by CSSOM only. */

import { html, ref } from "../core/html.js";
import { app } from "../core/app.js";
import uPlot from "../vendor/uplot/uPlot.esm.js";

const HEIGHT = 92;
const AXIS = { size: 34, gap: 4, font: "11px system-ui, sans-serif", ticks: { show: false } };
const CHARTS = [
  {
    name: "Tasks",
    unit: "",
    series: [
      ["in hand", 0, "--good"],
      ["waiting", 1, "--warn"],
    ],
    scale: (n) => n,
    stepped: true,
  },
  {
    name: "Calls",
    unit: "/s",
    series: [
      ["calls/s", 2, "--rate"],
      ["errors/s", 3, "--bad-solid"],
    ],
    scale: (n, step) => n / step,
  },
  { name: "p95 of the last minute", unit: " s", series: [["p95", 4, "--drain"]], scale: (n) => (n ? n / 1000 : null) },
];
/** One function for each for ever: a new one would have its plot made anew at every drawing. */
const REFS = new Map(CHARTS.map(({ name }) => [name, (element) => keep(name, element)]));
const drawn = new Map();
let watching = null;

export function charts(agent) {
  const samples = app.state.samples.get(agent.id);
  const stamp = `${agent.id} ${app.state.tick} ${document.documentElement.dataset.theme} ${dark.matches}`;
  queueMicrotask(() => drawAll(samples, stamp));
  return html`<section class="card" aria-labelledby="charts-title">
    <header><h2 id="charts-title">Last ten minutes</h2></header>
    <div class="charts">
      ${CHARTS.map(
        (chart) =>
          html`<figure>
            <figcaption>
              ${chart.name}<span class="legend"
                >${chart.series.map(
                  ([word, index, colour]) =>
                    html`<span .style=${`--key: var(${colour})`}
                      ><i></i>${word} <b>${lastOf(samples, chart, index)}</b></span
                    >`,
                )}</span
              >
            </figcaption>
            <div class="plot" ${ref(REFS.get(chart.name))}></div>
          </figure>`,
      )}
    </div>
  </section>`;
}

const dark = matchMedia("(prefers-color-scheme: dark)");

function lastOf(samples, chart, index) {
  const numbers = samples?.series[index];
  const value = numbers ? chart.scale(numbers[numbers.length - 1], step()) : chart.name.startsWith("p95") ? null : 0;
  return value === null ? "–" : `${Number(value.toFixed(value < 10 ? 2 : 0))}${chart.unit}`;
}

function keep(name, element) {
  const known = drawn.get(name);
  if (element === undefined || known?.element === element) {
    if (element === undefined) forget(name);
    return;
  }
  forget(name);
  drawn.set(name, { element, plot: null, stamp: "" });
  watching ??= new ResizeObserver((entries) => entries.forEach(({ target }) => resize(target)));
  watching.observe(element);
}

function forget(name) {
  const known = drawn.get(name);
  if (!known) return;
  watching?.unobserve(known.element);
  known.plot?.destroy();
  drawn.delete(name);
}

function resize(element) {
  for (const one of drawn.values()) {
    if (one.element === element && one.plot) one.plot.setSize({ width: element.clientWidth, height: HEIGHT });
  }
}

function drawAll(samples, stamp) {
  for (const chart of CHARTS) {
    const one = drawn.get(chart.name);
    if (!one || one.stamp === stamp || one.element.clientWidth === 0) continue;
    const data = dataOf(samples, chart);
    if (one.plot && sameColours(one.stamp, stamp)) one.plot.setData(data);
    else {
      one.plot?.destroy();
      one.plot = new uPlot(optionsOf(chart, one.element.clientWidth), data, one.element);
    }
    one.stamp = stamp;
  }
}

function sameColours(before, now) {
  const of = (stamp) => stamp.split(" ").toSpliced(1, 1).join(" ");
  return of(before) === of(now);
}

function dataOf(samples, chart) {
  const steps = 119;
  const seconds = Math.round((app.state.steppedAt || Date.now()) / 1000);
  const times = Array.from({ length: steps }, (_, index) => seconds - (steps - 1 - index) * step());
  const columns = chart.series.map(([, index]) => {
    const numbers = samples?.series[index] || [];
    const missing = new Array(Math.max(0, steps - numbers.length)).fill(null);
    return [...missing, ...numbers.slice(-steps).map((number) => chart.scale(number, step()))];
  });
  return [times, ...columns];
}

function optionsOf(chart, width) {
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => resolved(style.getPropertyValue(name));
  const edge = colour("--edge");
  const ink = colour("--ink-3");
  const axis = { ...AXIS, stroke: ink, grid: { stroke: edge, width: 1 } };
  return {
    width,
    height: HEIGHT,
    padding: [6, 4, 0, 0],
    legend: { show: false },
    cursor: { y: false, points: { size: 5 }, drag: { x: false, y: false } },
    scales: {
      x: { time: true },
      y: { range: (_, low, high) => [0, Math.max(high ?? 1, chart.name === "Tasks" ? 2 : 0.1) * 1.05] },
    },
    axes: [
      { ...axis, size: 22, space: 90, values: (_, times) => times.map(timeText), grid: { show: false } },
      { ...axis, space: 24 },
    ],
    series: [
      {},
      ...chart.series.map(([, , name]) => ({
        stroke: colour(name),
        fill: colour(name).replace("rgb(", "rgba(").replace(")", ", 0.12)"),
        width: 1.5,
        points: { show: false },
        paths: chart.stepped ? uPlot.paths.stepped({ align: 1 }) : undefined,
      })),
    ],
  };
}

function timeText(seconds) {
  const date = new Date(seconds * 1000);
  return `${String(date.getHours()).padStart(2, "0")}:${String(date.getMinutes()).padStart(2, "0")}`;
}

/** A canvas knows neither `light-dark()` nor variables: let an element resolve the colour. */
function resolved(value) {
  const probe = document.createElement("i");
  probe.style.color = value;
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

function step() {
  return app.state.hello?.stepSeconds ?? 5;
}
