/** Who the invoice is for, if not the person who pays. */
import { useState } from "react";
import type { Schemas } from "../api/client";
import { useWords } from "../i18n";

export function BillingFields() {
  const { t } = useWords();
  const [name, setName] = useState("");
  return (
    <details className="billing">
      <summary>{t("checkout.billing")}</summary>
      <label className="field">
        <span>{t("checkout.billingName")}</span>
        <input
          name="billing_name"
          maxLength={200}
          autoComplete="organization"
          value={name}
          onChange={(event) => setName(event.target.value)}
        />
      </label>
      <label className="field">
        <span>{t("checkout.billingAddress")}</span>
        <textarea
          name="billing_address"
          rows={3}
          maxLength={500}
          autoComplete="street-address"
          required={name.trim() !== ""}
        />
      </label>
      <label className="field">
        <span>{t("checkout.billingTax")}</span>
        <input name="billing_tax" maxLength={40} autoComplete="off" />
      </label>
    </details>
  );
}

/** What was entered; nothing without a name. */
export function billingOf(fields: FormData): Schemas["Billing"] | undefined {
  const of = (name: string) => String(fields.get(name) ?? "").trim();
  const name = of("billing_name");
  if (name === "") return undefined;
  return { name, address: of("billing_address"), tax_id: of("billing_tax") };
}
