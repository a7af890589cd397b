// What is chosen, as chips that can be taken away, and the controls that choose.
import { useApp } from "./app";
import { everything, added, isEverything, without } from "./filter";
import { named, number, said, t, tagged, time } from "./i18n";
import type { Choices, Field } from "./types";

/** The fields that can be chosen here; the others are chosen by a click in a report. */
const fields = ["namespace", "user", "code", "severity", "tag"] as const;

/** A value of a field in words; of a rule the title. */
function word(field: Field, value: string, titles: Record<string, string>): string {
  switch (field) {
    case "severity":
      return named(`severity_${value}`);
    case "tag":
      return tagged(value);
    case "rule":
    case "alert":
      return said(titles[value] ?? value);
    case "class":
    case "action":
      return named(value);
    case "outcome":
    case "scope":
    case "user_type":
      return said(value);
    default:
      return value;
  }
}

export function FilterBar(props: { choices: Choices }) {
  const app = useApp();
  const { filter, setFilter } = app;
  const chips = (Object.entries(filter.fields) as [Field, string[]][]).flatMap(([field, values]) =>
    values.map((value) => ({ field, value })),
  );
  const words = (field: Field, value: string) => word(field, value, app.titles);
  const moment = (value: string) => (value === "" ? null : Date.parse(`${value}Z`));
  const written = (milliseconds: number | null) => (milliseconds === null ? "" : new Date(milliseconds).toISOString().slice(0, 19));
  return (
    <section class="filters" aria-label={t("filters")}>
      <div class="controls">
        {fields.map((field) => (
          <label key={field}>
            {t(field)}
            <select
              data-filter={field}
              value=""
              onChange={(event) => {
                const { value } = event.currentTarget;
                event.currentTarget.value = "";
                if (value !== "") setFilter(added(filter, { [field]: [value] }));
              }}
            >
              <option value="">{t("add_filter")}</option>
              {props.choices[field]
                ?.filter((choice) => choice.events > 0)
                .slice(0, 500)
                .map((choice) => (
                  <option key={choice.name} value={choice.name}>
                    {words(field, choice.name)} ({number(choice.events)})
                  </option>
                ))}
            </select>
          </label>
        ))}
        <label>
          {t("from")}
          <input
            type="datetime-local"
            step={1}
            data-filter="from"
            value={written(filter.from)}
            onChange={(event) => setFilter({ ...filter, from: moment(event.currentTarget.value) })}
          />
        </label>
        <label>
          {t("to")}
          <input
            type="datetime-local"
            step={1}
            data-filter="to"
            value={written(filter.to)}
            onChange={(event) => setFilter({ ...filter, to: moment(event.currentTarget.value) })}
          />
        </label>
        <label>
          {t("search")}
          <input
            type="search"
            data-filter="text"
            value={filter.text}
            onInput={(event) => setFilter({ ...filter, text: event.currentTarget.value })}
          />
        </label>
      </div>
      {!isEverything(filter) && (
        <ul class="chips">
          {chips.map(({ field, value }) => (
            <li key={`${field} ${value}`}>
              <button type="button" aria-label={`${t("remove")}: ${t(field)} ${words(field, value)}`} onClick={() => setFilter(without(filter, field, value))}>
                <span>{t(field)}</span> {words(field, value) || "–"} <span aria-hidden="true">×</span>
              </button>
            </li>
          ))}
          {(filter.from !== null || filter.to !== null) && (
            <li>
              <button type="button" aria-label={`${t("remove")}: ${t("time")}`} onClick={() => setFilter({ ...filter, from: null, to: null })}>
                <span>{t("time")}</span> {time(filter.from)} – {time(filter.to)} <span aria-hidden="true">×</span>
              </button>
            </li>
          )}
          <li>
            <button type="button" class="clear" onClick={() => setFilter(everything)}>
              {t("clear")}
            </button>
          </li>
        </ul>
      )}
    </section>
  );
}
