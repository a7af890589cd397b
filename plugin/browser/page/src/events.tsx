// The list of events: as long as it is, only what can be seen of it is made.
import { useVirtualizer } from "@tanstack/react-virtual";
import { useMemo, useRef } from "preact/hooks";
import { useApp } from "./app";
import { narrowed } from "./filter";
import { number, t, time } from "./i18n";
import type { Events, Fields, ListedEvent } from "./types";
import { Badge, Card, Nothing, Waiting } from "./widgets";

/** Rows that are asked for together. */
const PORTION = 100;

const ROW_HEIGHT = 44;

export function EventsPage(props: { fields?: Fields; openEvent(id: number, title: string): void }) {
  const { source, filter: chosen } = useApp();
  const filter = useMemo(() => narrowed(chosen, props.fields ?? {}), [chosen, JSON.stringify(props.fields)]);
  const box = useRef<HTMLDivElement>(null);
  const ask = useMemo(() => {
    const wanted = JSON.stringify(filter);
    const portions = new Map<number, Events>();
    return (portion: number): Events => {
      const known = portions.get(portion);
      if (known) return known;
      const events = JSON.parse(source?.log?.events(wanted, portion * PORTION, PORTION) ?? '{"total":0,"rows":[]}') as Events;
      portions.set(portion, events);
      return events;
    };
  }, [source, filter]);
  const isReading = source !== undefined && source.log === undefined;
  const { total } = ask(0);
  const virtualizer = useVirtualizer({
    count: total,
    getScrollElement: () => box.current,
    estimateSize: () => ROW_HEIGHT,
    overscan: 10,
    initialRect: { width: 1000, height: 600 },
  });
  const row = (index: number): ListedEvent | undefined => ask(Math.floor(index / PORTION)).rows[index % PORTION];
  return (
    <Card title={t("list_of")} note={isReading ? "" : number(total)} wide>
      {isReading ? (
        <Waiting />
      ) : total === 0 ? (
        <Nothing>{t("no_events")}</Nothing>
      ) : (
        <div class="events" role="table" aria-label={t("list_of")} aria-rowcount={total + 1}>
          <div role="rowgroup" class="head">
            <div role="row" class="event">
              <span role="columnheader">{t("time")}</span>
              <span role="columnheader">{t("severity")}</span>
              <span role="columnheader">{t("message")}</span>
              <span role="columnheader" class="numeric">
                {t("code")}
              </span>
            </div>
          </div>
          <div class="list" ref={box} role="rowgroup" tabIndex={0} aria-label={t("list_of")}>
            <div role="presentation" style={{ height: `${virtualizer.getTotalSize()}px`, position: "relative" }}>
              {virtualizer.getVirtualItems().map((item) => {
                const event = row(item.index);
                return (
                  event && (
                    <div
                      role="row"
                      aria-rowindex={item.index + 2}
                      class="event"
                      key={item.key}
                      style={{ height: `${item.size}px`, transform: `translateY(${item.start}px)` }}
                    >
                      <span role="cell">{time(event.time)}</span>
                      <span role="cell">
                        <Badge severity={event.severity} />
                      </span>
                      <span role="cell">
                        <button type="button" class="name message" onClick={() => props.openEvent(event.id, event.message)}>
                          {event.message || `${event.user} ${event.verb} ${event.resource}`}
                        </button>
                      </span>
                      <span role="cell" class="numeric">
                        {event.code || "–"}
                      </span>
                    </div>
                  )
                );
              })}
            </div>
          </div>
        </div>
      )}
    </Card>
  );
}
