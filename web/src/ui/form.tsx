/** Forms of one column: fields, what was refused, one button. */
import {
  createContext,
  type FormEvent,
  type ReactNode,
  useContext,
  useEffect,
  useId,
  useRef,
} from "react";
import { ApiError } from "../api/client";
import { type Key, useWords } from "../i18n";
import { Dialog, keyOf } from "./state";

const TEXTS: Partial<Record<string, Key>> = {
  INVALID_CREDENTIALS: "account.wrong",
  EMAIL_TAKEN: "account.taken",
  INVALID_LINK: "account.link",
  PRECONDITION_FAILED: "form.changed",
  MOVIE_IN_USE: "form.booked",
  SCREEN_IN_USE: "form.booked",
  CINEMA_IN_USE: "form.booked",
  SCREEN_OCCUPIED: "form.occupied",
  SHOWTIME_IN_USE: "form.sold",
  SHOWTIME_STARTED: "form.started",
  SHOWTIME_CANCELLED: "form.cancelled",
  SCHEDULE_CONFLICT: "form.calendar",
  EARLIER_DAY_OPEN: "cash.earlier",
  BUSINESS_DAY_CLOSED: "cash.isClosed",
};

/** What a refusal means here; of what only the server knows, its own words. */
export function textOf(error: Error, t: (key: Key) => string): string {
  if (!(error instanceof ApiError)) return t(keyOf(error));
  const { path } = error.details;
  if (typeof path === "string" && path.endsWith("password")) return t("account.weak");
  const known = TEXTS[error.code];
  if (known !== undefined) return t(known);
  return error.status >= 400 && error.status < 429 && error.message
    ? error.message
    : t(keyOf(error));
}

export function Refusal({ error }: { error: Error | null }) {
  const { t } = useWords();
  return error ? (
    <p className="warning" role="alert">
      {textOf(error, t)}
    </p>
  ) : null;
}

export type Fields = Record<string, string>;

/** What was entered, by the names of the fields. */
export function entered(form: HTMLFormElement): Fields {
  const fields = [...new FormData(form).entries()];
  return Object.fromEntries(fields.map(([name, value]) => [name, String(value)]));
}

/** The field that was refused, and why. */
const Refused = createContext<{ name: string; text: string } | null>(null);

/** The field that the server names: `genres` of `$.genres[2]`. */
export function fieldOf(error: Error | null): string | null {
  if (!(error instanceof ApiError) || error.code !== "VALIDATION_ERROR") return null;
  const { path } = error.details;
  return typeof path === "string" ? (/^\$\.(\w+)/.exec(path)?.[1] ?? null) : null;
}

interface FormProps {
  title?: string;
  text?: string;
  submit: (fields: Fields, form: HTMLFormElement) => void;
  isBusy: boolean;
  error: Error | null;
  action: string;
  quiet?: boolean;
  /** The fields of the body; what is refused of one is said at that one. */
  fields?: readonly string[];
  /** Codes of errors that are always about one of the fields, with its name. */
  codes?: Readonly<Record<string, string>>;
  children: ReactNode;
}

export function Form({
  title,
  text,
  submit,
  isBusy,
  error,
  action,
  quiet,
  fields = [],
  codes = {},
  children,
}: FormProps) {
  const { t } = useWords();
  const form = useRef<HTMLFormElement>(null);
  const named = error instanceof ApiError ? (codes[error.code] ?? fieldOf(error)) : null;
  const name = fields.find((one) => one === named);
  useEffect(() => {
    const field = error && name ? form.current?.elements.namedItem(name) : null;
    if (field instanceof HTMLElement) field.focus();
  }, [error, name]);
  const onSubmit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    submit(entered(event.currentTarget), event.currentTarget);
  };
  return (
    <form ref={form} className="account-form" onSubmit={onSubmit}>
      {title && <h1>{title}</h1>}
      {text && <p>{text}</p>}
      <Refused value={error && name ? { name, text: textOf(error, t) } : null}>{children}</Refused>
      {name ? (
        <p className="warning" role="alert">
          {t("form.look")}
        </p>
      ) : (
        <Refusal error={error} />
      )}
      <button type="submit" className={quiet ? "button quiet" : "button wide"} disabled={isBusy}>
        {action}
      </button>
    </form>
  );
}

interface FieldProps {
  name: string;
  label: string;
  autoComplete?: string;
  type?: string;
  optional?: boolean;
  initial?: string;
  hint?: string;
  /** The longest text that the server takes, in characters. */
  most?: number;
  /** The bounds of a number. */
  least?: number;
  greatest?: number;
  step?: number | "any";
  /** The form that a text must have. */
  pattern?: string;
  /** How many lines are shown of a text that may have several. */
  lines?: number;
}

export function Field({
  name,
  label,
  autoComplete = "off",
  type = "text",
  optional = false,
  initial,
  hint,
  most = 254,
  least,
  greatest,
  step,
  pattern,
  lines,
}: FieldProps) {
  const id = useId();
  const refused = useContext(Refused);
  const why = refused?.name === name ? refused.text : undefined;
  const described = [why && `${id}-why`, hint && `${id}-hint`].filter(Boolean).join(" ");
  const common = {
    id,
    name,
    autoComplete,
    required: !optional,
    maxLength: most,
    defaultValue: initial,
    "aria-describedby": described || undefined,
    "aria-invalid": why !== undefined || undefined,
  };
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      {lines ? (
        <textarea {...common} rows={lines} />
      ) : (
        <input
          {...common}
          type={type}
          min={least}
          max={greatest}
          step={step}
          pattern={pattern}
          title={pattern && hint}
        />
      )}
      {why && (
        <p id={`${id}-why`} className="field-why">
          {why}
        </p>
      )}
      {hint && <small id={`${id}-hint`}>{hint}</small>}
    </div>
  );
}

interface ConfirmProps {
  title: string;
  text: string;
  action: string;
  run: () => void;
  isBusy: boolean;
  error: Error | null;
  close: () => void;
}

/** A last question before something that cannot be taken back. */
export function Confirm({ title, text, action, run, isBusy, error, close }: ConfirmProps) {
  const { t } = useWords();
  return (
    <Dialog title={title} close={close}>
      <p>{text}</p>
      <Refusal error={error} />
      <div className="actions">
        <button type="button" className="button danger" disabled={isBusy} onClick={run}>
          {action}
        </button>
        <button type="button" className="button quiet" onClick={close}>
          {t("app.back")}
        </button>
      </div>
    </Dialog>
  );
}

/** For what is read to be changed: it stays as it was read, so that no change of others is undone. */
export const STEADY = {
  staleTime: 0,
  refetchOnWindowFocus: false,
  refetchOnReconnect: false,
} as const;

/** What somebody else has changed meanwhile is read again, when one wants to. */
export function Newest({ error, again }: { error: Error | null; again: () => unknown }) {
  const { t } = useWords();
  if (!(error instanceof ApiError) || error.status !== 412) return null;
  return (
    <button type="button" className="button quiet" onClick={again}>
      {t("form.newest")}
    </button>
  );
}

export function Told({
  title,
  text,
  children,
}: {
  title: string;
  text: string;
  children?: ReactNode;
}) {
  return (
    <div className="account">
      <h1>{title}</h1>
      <p role="status">{text}</p>
      {children}
    </div>
  );
}
