/** Where somebody works: chosen once, and remembered by this browser. */
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { useWords } from "../i18n";
import { type Cinema, cinemasQuery } from "../ui/queries";

const STORED = "cinema.works-at";

export function useWorkplace(): {
  cinemas: Cinema[];
  cinema: Cinema | undefined;
  choose: (id: string) => void;
} {
  const cinemas = useQuery(cinemasQuery);
  const [chosen, setChosen] = useState(() => localStorage.getItem(STORED));
  const all = cinemas.data ?? [];
  return {
    cinemas: all,
    cinema: all.find((one) => one.id === chosen) ?? all[0],
    choose: (id) => {
      localStorage.setItem(STORED, id);
      setChosen(id);
    },
  };
}

interface WorkplaceProps {
  cinemas: Cinema[];
  cinema: Cinema | undefined;
  choose: (id: string) => void;
}

export function WorkplaceField({ cinemas, cinema, choose }: WorkplaceProps) {
  const { t } = useWords();
  return (
    <label className="field">
      <span>{t("home.cinema")}</span>
      <select value={cinema?.id ?? ""} onChange={(event) => choose(event.target.value)}>
        {cinemas.map((one) => (
          <option key={one.id} value={one.id}>
            {one.name}, {one.city}
          </option>
        ))}
      </select>
    </label>
  );
}
