/** Tills by the business days that are not closed yet, the oldest day first. */
export function openDays<T extends { business_date: string }>(
  tills: readonly T[],
  closed: string | undefined,
): [string, T[]][] {
  const days = new Map<string, T[]>();
  for (const till of tills) {
    // Reports stay in order, so nothing before the last one can wait.
    if (closed !== undefined && till.business_date <= closed) continue;
    days.set(till.business_date, [...(days.get(till.business_date) ?? []), till]);
  }
  return [...days].sort(([one], [other]) => one.localeCompare(other));
}
