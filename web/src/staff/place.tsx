/** Where somebody works: one of their cinemas, remembered by this browser; admins choose among all. */
import { useQuery } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { useSession } from "../api/session";
import { useWords } from "../i18n";
import { type Cinema, cinemasQuery } from "../ui/queries";

const STORED = "cinema.works-at";

export function useWorkplace(): {
  cinemas: Cinema[];
  cinema: Cinema | undefined;
  choose: (id: string) => void;
} {
  const cinemas = useQuery(cinemasQuery);
  const session = useSession();
  const [chosen, setChosen] = useState(() => localStorage.getItem(STORED));
  const own = session.kind === "user" ? session.user.cinema_ids : [];
  const all = cinemas.data ?? [];
  const theirs = all.filter((one) => own.includes(one.id));
  // Of who belongs to none, the server says what they may see.
  const open = theirs.length > 0 ? theirs : all;
  const cinema = open.find((one) => one.id === chosen) ?? open[0];
  const isTheirs = theirs.length > 0;
  useEffect(() => {
    // The scanner starts without a connection too, and then nobody says whose cinema it is.
    if (isTheirs && cinema) localStorage.setItem(STORED, cinema.id);
  }, [isTheirs, cinema]);
  return {
    cinemas: open,
    cinema,
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
