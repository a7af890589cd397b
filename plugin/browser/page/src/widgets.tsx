// Small things that several reports show.
import type { ComponentChildren } from "preact";
import { useId } from "preact/hooks";
import { useApp } from "./app";
import { number, t, type Word } from "./i18n";
import type { Fields, Severity } from "./types";

/** A part of a report under its heading. */
export function Card(props: { title: string; note?: string; wide?: boolean; children: ComponentChildren }) {
  const id = useId();
  return (
    <section class={props.wide ? "card wide" : "card"} aria-labelledby={id}>
      <h2 id={id}>
        {props.title}
        {props.note && <small> {props.note}</small>}
      </h2>
      {props.children}
    </section>
  );
}

/** A number, of events where it does not say `of` what, that leads to its events. */
export function Drill(props: { events: number; of?: string; fields: Fields; from?: number | null; to?: number | null; what: string }) {
  const app = useApp();
  if (props.events === 0) return <span class="zero">0</span>;
  const text = number(props.events);
  return (
    <button
      type="button"
      class="number"
      aria-label={`${props.what}: ${text} ${props.of ?? t("all_events")}`}
      onClick={() => app.drill(props.fields, props.from, props.to)}
    >
      {text}
    </button>
  );
}

/** A name that narrows the reports to it. */
export function Choose(props: { fields: Fields; children: ComponentChildren }) {
  const app = useApp();
  return (
    <button type="button" class="name" onClick={() => app.setFilter({ ...app.filter, fields: { ...app.filter.fields, ...props.fields } })}>
      {props.children}
    </button>
  );
}

/** How grave, as a word on its colour. */
export function Badge(props: { severity: Severity }) {
  return <span class={`badge ${props.severity}`}>{t(`severity_${props.severity}` as Word)}</span>;
}

/** A bar behind a number in a table. */
export function Bar(props: { part: number; whole: number; kind?: string }) {
  const share = props.whole > 0 ? (100 * props.part) / props.whole : 0;
  return (
    <span class="bar" aria-hidden="true">
      <span class={props.kind ?? ""} style={{ width: `${share}%` }} />
    </span>
  );
}

/** Until the engine has read the events. */
export function Waiting() {
  return <Nothing>{t("reading")}</Nothing>;
}

export function Nothing(props: { children: ComponentChildren }) {
  return <p class="nothing">{props.children}</p>;
}
