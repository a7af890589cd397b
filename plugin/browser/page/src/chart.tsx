// Events over time as stacked bars, and the same as a table for whoever cannot see or click them.
import { BarController, BarElement, CategoryScale, Chart, LinearScale, Tooltip } from "chart.js";
import { useEffect, useRef, useState } from "preact/hooks";
import { useApp } from "./app";
import { clock, named, number, t, time } from "./i18n";
import type { Field, Timeline } from "./types";
import { Drill } from "./widgets";

Chart.register(BarController, BarElement, CategoryScale, LinearScale, Tooltip);

/** A colour of the style. */
function colour(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

export function TimeChart(props: { timeline: Timeline; field: Field; label: string }) {
  const { timeline, field } = props;
  const app = useApp();
  const canvas = useRef<HTMLCanvasElement>(null);
  const [asTable, setAsTable] = useState(false);
  const bars = timeline.events[0]?.length ?? 0;
  const seriesName = (name: string) => (field === "severity" ? named(`severity_${name}`) : named(name));
  const present = timeline.series.map((_, series) => timeline.events[series]?.some((events) => events > 0) ?? false);
  const begin = (bar: number) => timeline.start + bar * timeline.width;

  useEffect(() => {
    if (canvas.current === null || bars === 0) return;
    const ink = colour("ink-soft");
    const grid = colour("line");
    const chart = new Chart(canvas.current, {
      type: "bar",
      data: {
        labels: Array.from({ length: bars }, (_, bar) => clock(begin(bar), timeline.width)),
        datasets: timeline.series.flatMap((name, series) =>
          present[series]
            ? {
                label: seriesName(name),
                data: timeline.events[series] ?? [],
                backgroundColor: colour(`${field}-${name}`),
                borderRadius: 2,
                categoryPercentage: 0.92,
                barPercentage: 0.96,
              }
            : [],
        ),
      },
      options: {
        responsive: true,
        maintainAspectRatio: false,
        animation: false,
        interaction: { mode: "index", intersect: false },
        onClick: (_, elements) => {
          const bar = elements[0]?.index;
          if (bar !== undefined) app.setFilter({ ...app.filter, from: begin(bar), to: begin(bar + 1) });
        },
        scales: {
          x: { stacked: true, grid: { display: false }, ticks: { color: ink, maxRotation: 0, autoSkipPadding: 16 }, border: { color: grid } },
          y: { stacked: true, grid: { color: grid }, ticks: { color: ink, precision: 0, maxTicksLimit: 5 }, border: { display: false } },
        },
        plugins: {
          tooltip: {
            filter: (item) => Number(item.raw) > 0,
            callbacks: { title: (items) => time(begin(items[0]?.dataIndex ?? 0)) },
          },
        },
      },
    });
    return () => chart.destroy();
  }, [timeline, app.filter, app.colours]);

  if (bars === 0) return null;
  const total = (bar: number) => timeline.events.reduce((sum, series) => sum + (series[bar] ?? 0), 0);
  const busy = Array.from({ length: bars }, (_, bar) => bar).filter((bar) => total(bar) > 0);
  return (
    <div class="chart">
      <ul class="legend">
        {timeline.series.map(
          (name, series) =>
            present[series] && (
              <li key={name}>
                <span class={`swatch ${field}-${name}`} aria-hidden="true" />
                {seriesName(name)}
              </li>
            ),
        )}
        <li class="last">
          <button type="button" class="link" aria-expanded={asTable} onClick={() => setAsTable(!asTable)}>
            {t("as_table")}
          </button>
        </li>
      </ul>
      <div class="canvas">
        <canvas ref={canvas} role="img" aria-label={`${props.label}. ${t("chart_hint")}`} />
      </div>
      {asTable && (
        <div class="scroll short">
          <table>
            <caption class="hidden">{props.label}</caption>
            <thead>
              <tr>
                <th scope="col">{t("begins")}</th>
                {timeline.series.map((name, series) => present[series] && <th key={name} scope="col" class="numeric">{seriesName(name)}</th>)}
                <th scope="col" class="numeric">{t("all_events")}</th>
              </tr>
            </thead>
            <tbody>
              {busy.map((bar) => (
                <tr key={bar}>
                  <td>{time(begin(bar))}</td>
                  {timeline.series.map(
                    (name, series) => present[series] && <td key={name} class="numeric">{number(timeline.events[series]?.[bar] ?? 0)}</td>,
                  )}
                  <td class="numeric">
                    <Drill events={total(bar)} fields={{}} from={begin(bar)} to={begin(bar + 1)} what={time(begin(bar))} />
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </div>
  );
}
