/** Forms of one column: fields, what was refused, one button. */
import { type FormEvent, type ReactNode, useId } from "react";
import { ApiError } from "../api/client";
import { type Key, useWords } from "../i18n";
import { keyOf } from "./state";

const TEXTS: Partial<Record<string, Key>> = {
  INVALID_CREDENTIALS: "account.wrong",
  EMAIL_TAKEN: "account.taken",
  INVALID_LINK: "account.link",
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

interface FormProps {
  title?: string;
  text?: string;
  submit: (fields: Fields, form: HTMLFormElement) => void;
  isBusy: boolean;
  error: Error | null;
  action: string;
  quiet?: boolean;
  children: ReactNode;
}

export function Form({ title, text, submit, isBusy, error, action, quiet, children }: FormProps) {
  const onSubmit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    submit(entered(event.currentTarget), event.currentTarget);
  };
  return (
    <form className="account-form" onSubmit={onSubmit}>
      {title && <h1>{title}</h1>}
      {text && <p>{text}</p>}
      {children}
      <Refusal error={error} />
      <button type="submit" className={quiet ? "button quiet" : "button wide"} disabled={isBusy}>
        {action}
      </button>
    </form>
  );
}

interface FieldProps {
  name: string;
  label: string;
  autoComplete: string;
  type?: string;
  optional?: boolean;
  initial?: string;
  hint?: string;
  /** The longest text that the server takes, in characters. */
  most?: number;
}

export function Field({
  name,
  label,
  autoComplete,
  type = "text",
  optional = false,
  initial,
  hint,
  most = 254,
}: FieldProps) {
  const id = useId();
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      <input
        id={id}
        name={name}
        type={type}
        autoComplete={autoComplete}
        required={!optional}
        maxLength={most}
        defaultValue={initial}
        aria-describedby={hint && `${id}-hint`}
      />
      {hint && <small id={`${id}-hint`}>{hint}</small>}
    </div>
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
