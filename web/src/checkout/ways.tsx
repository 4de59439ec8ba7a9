/** Card or demo: one of these pays what points and gift cards do not. */
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { useWords } from "../i18n";
import { siteQuery } from "../ui/queries";

export type Way = "stripe" | "demo";

export interface Ways {
  ways: Way[];
  /** The chosen one; undefined until the server has said what it takes, and if it takes nothing. */
  way: Way | undefined;
  choose: (way: Way) => void;
  isNone: boolean;
  stripeKey: string;
}

export function useWays(): Ways {
  const site = useQuery(siteQuery);
  const [wanted, setWanted] = useState<Way | null>(null);
  const stripeKey = site.data?.stripe_key ?? "";
  const ways: Way[] = [];
  if (stripeKey !== "") ways.push("stripe");
  if (site.data?.demo_payment) ways.push("demo");
  return {
    ways,
    way: wanted ?? ways[0],
    choose: setWanted,
    isNone: site.data !== undefined && ways.length === 0,
    stripeKey,
  };
}

export function WayField({ ways, way, choose }: Ways) {
  const { t } = useWords();
  if (ways.length < 2) return null;
  return (
    <fieldset className="ways">
      <legend>{t("checkout.way")}</legend>
      {ways.map((one) => (
        <label key={one} className="check">
          <input type="radio" name="way" checked={one === way} onChange={() => choose(one)} />
          {t(`checkout.way.${one}`)}
        </label>
      ))}
    </fieldset>
  );
}
