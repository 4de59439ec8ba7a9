/** What can be done with the chosen seats, or with the one that has the focus, and with its row. */
import { useId, useState } from "react";
import { type Key, useWords } from "../i18n";
import {
  AISLE_MOST,
  type At,
  atOf,
  CATEGORIES,
  type Chosen,
  changed,
  type History,
  keyOf,
  type Layout,
  lettered,
  numbered,
  renamed,
  without,
  withoutRow,
  withRow,
  withSeat,
} from "./plan";

interface ToolsProps {
  plan: Layout;
  at: At;
  targets: Chosen;
  isChosen: boolean;
  change: (next: Layout, isOther?: boolean) => void;
  choose: (next: Chosen) => void;
  history: History;
  press: (key: "undo" | "redo") => void;
}

export function PlanTools(props: ToolsProps) {
  const { t } = useWords();
  const { history, press, isChosen, choose } = props;
  return (
    <section className="panel plan-tools" aria-labelledby="tools">
      <h2 id="tools">{t("plan.tools")}</h2>
      <div className="tools">
        <Tool label={t("plan.undo")} run={() => press("undo")} isOff={history.past.length === 0} />
        <Tool
          label={t("plan.redo")}
          run={() => press("redo")}
          isOff={history.future.length === 0}
        />
        <Tool label={t("plan.clear")} run={() => choose(new Set())} isOff={!isChosen} />
      </div>
      <SeatTools {...props} />
      <RowTools {...props} />
    </section>
  );
}

interface ToolProps {
  label: string;
  run: () => void;
  isOff?: boolean;
  isOn?: boolean;
}

function Tool({ label, run, isOff = false, isOn }: ToolProps) {
  return (
    <button
      type="button"
      className={isOn ? "button" : "button quiet"}
      aria-pressed={isOn}
      disabled={isOff}
      onClick={run}
    >
      {label}
    </button>
  );
}

function SeatTools({ plan, at, targets, change }: ToolsProps) {
  const { t } = useWords();
  const [other, setOther] = useState("");
  const id = useId();
  const seats = [...targets].flatMap((key) => {
    const { row, seat } = atOf(key);
    return plan.rows[row]?.seats[seat] ?? [];
  });
  const all = (holds: (seat: (typeof seats)[number]) => boolean) =>
    seats.length > 0 && seats.every(holds);
  const set = (one: Parameters<typeof changed>[2]) => change(changed(plan, targets, one));
  const isAccessible = all((seat) => seat.accessible === true);
  const isCompanion = all((seat) => seat.companion === true);
  const aisle = seats[0]?.gap_before ?? 0;
  const isNone = seats.length === 0;
  return (
    <fieldset className="tool-group">
      <legend>{t("plan.seats")}</legend>
      <div className="tools">
        {CATEGORIES.map((category) => (
          <Tool
            key={category}
            label={t(`seats.${category}` as Key)}
            isOn={all((seat) => seat.category === category)}
            isOff={isNone}
            run={() => set({ kind: "category", category })}
          />
        ))}
        <Tool
          label={t("seats.accessible")}
          isOn={isAccessible}
          isOff={isNone}
          run={() => set({ kind: "accessible", on: !isAccessible })}
        />
        <Tool
          label={t("seats.companion")}
          isOn={isCompanion}
          isOff={isNone}
          run={() => set({ kind: "companion", on: !isCompanion })}
        />
      </div>
      <form
        className="promo"
        onSubmit={(event) => {
          event.preventDefault();
          if (other.trim()) set({ kind: "category", category: other.trim() });
          setOther("");
        }}
      >
        <div className="field grow">
          <label htmlFor={`${id}-other`}>{t("plan.otherCategory")}</label>
          <input
            id={`${id}-other`}
            value={other}
            maxLength={32}
            autoComplete="off"
            onChange={(event) => setOther(event.target.value)}
          />
        </div>
        <button type="submit" className="button quiet" disabled={isNone}>
          {t("plan.set")}
        </button>
      </form>
      <div className="field">
        <label htmlFor={`${id}-aisle`}>{t("plan.aisle")}</label>
        <input
          id={`${id}-aisle`}
          type="number"
          min={0}
          max={AISLE_MOST}
          step={0.5}
          value={aisle}
          disabled={isNone}
          onChange={(event) => {
            const width = event.target.valueAsNumber;
            if (width >= 0 && width <= AISLE_MOST) set({ kind: "aisle", width });
          }}
        />
      </div>
      <div className="tools">
        <Tool
          label={t("plan.addSeat")}
          isOff={isNone}
          run={() => change(withSeat(plan, at), true)}
        />
        <Tool
          label={t("plan.removeSeats")}
          isOff={isNone}
          run={() => change(without(plan, targets), true)}
        />
      </div>
    </fieldset>
  );
}

function RowTools({ plan, at, change, choose }: ToolsProps) {
  const { t } = useWords();
  const id = useId();
  const row = plan.rows[at.row];
  if (row === undefined) return null;
  return (
    <fieldset className="tool-group">
      <legend>{t("plan.row", { row: row.label })}</legend>
      <form
        key={`${at.row} ${row.label}`}
        className="promo"
        onSubmit={(event) => {
          event.preventDefault();
          const label = String(new FormData(event.currentTarget).get("label"));
          change(renamed(plan, at.row, label));
        }}
      >
        <div className="field grow">
          <label htmlFor={`${id}-label`}>{t("plan.label")}</label>
          <input
            id={`${id}-label`}
            name="label"
            defaultValue={row.label}
            maxLength={3}
            required
            autoComplete="off"
          />
        </div>
        <button type="submit" className="button quiet">
          {t("plan.set")}
        </button>
      </form>
      <div className="tools">
        <Tool
          label={t("plan.chooseRow")}
          run={() => choose(new Set(row.seats.map((_, seat) => keyOf({ row: at.row, seat }))))}
        />
        <Tool label={t("plan.addRow")} run={() => change(withRow(plan, at.row), true)} />
        <Tool
          label={t("plan.removeRow")}
          isOff={plan.rows.length === 1}
          run={() => change(withoutRow(plan, at.row), true)}
        />
        <Tool label={t("plan.fromLeft")} run={() => change(numbered(plan, at.row, "left"))} />
        <Tool label={t("plan.fromRight")} run={() => change(numbered(plan, at.row, "right"))} />
        <Tool label={t("plan.letter")} run={() => change(lettered(plan))} />
      </div>
    </fieldset>
  );
}
