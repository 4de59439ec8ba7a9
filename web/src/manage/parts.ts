/** Which reports there are, and by what each one groups. */
export const GROUPS = {
  revenue: ["date", "movie", "cinema", "ticket_type", "method"],
  capacity: ["date", "movie", "cinema", "screen"],
  occupancy: ["screen", "movie", "cinema", "date", "weekday", "hour"],
  popular: [],
  funnel: ["date", "movie", "cinema", "screen", "weekday", "hour"],
  recommendations: [],
} as const;

export type ReportName = keyof typeof GROUPS;
export type Group = (typeof GROUPS)[ReportName][number];

export const REPORTS = Object.keys(GROUPS) as ReportName[];

/** The reports that somebody may read. */
export function reportsOf(role: string): ReportName[] {
  return REPORTS.filter((one) => one !== "recommendations" || role === "admin");
}

/** What is asked for; it stands in the address, so that it can be sent to somebody. */
export interface ReportWish {
  report?: ReportName;
  from?: string;
  to?: string;
  cinema?: string;
  by?: Group;
}

const ALL_GROUPS: readonly Group[] = Object.values(GROUPS).flat();

/** A day of the calendar that stands in an address; what is none is left out. */
export function dayOf(value: unknown): string | undefined {
  if (typeof value !== "string" || !/^\d{4}-\d{2}-\d{2}$/.test(value)) return undefined;
  return Number.isNaN(Date.parse(value)) ? undefined : value;
}

export function reportWish(asked: Record<string, unknown>): ReportWish {
  return {
    report: REPORTS.find((one) => one === asked.report),
    from: dayOf(asked.from),
    to: dayOf(asked.to),
    cinema: typeof asked.cinema === "string" && asked.cinema ? asked.cinema : undefined,
    by: ALL_GROUPS.find((one) => one === asked.by),
  };
}

/** How it is grouped: as it is wished, if this report can be. */
export function groupOf(report: ReportName, wished: Group | undefined): Group | undefined {
  const groups: readonly Group[] = GROUPS[report];
  return groups.find((one) => one === wished) ?? groups[0];
}

/** The lengths of bars in percent of the longest one of its currency; nothing is below zero. */
export function lengths(rows: readonly { size: number; currency?: string }[]): number[] {
  const most = new Map<string, number>();
  for (const { size, currency = "" } of rows)
    most.set(currency, Math.max(most.get(currency) ?? 0, size));
  return rows.map(({ size, currency = "" }) => {
    const longest = most.get(currency) ?? 0;
    return longest > 0 ? (Math.max(0, size) / longest) * 100 : 0;
  });
}
