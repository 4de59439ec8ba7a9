/** Light or dark: what the system says, until somebody chooses. */
export const THEMES = ["system", "light", "dark"] as const;
export type Theme = (typeof THEMES)[number];

const STORED = "cinema.theme";

export function theme(): Theme {
  return THEMES.find((one) => one === localStorage.getItem(STORED)) ?? "system";
}

export function setTheme(next: Theme): void {
  localStorage.setItem(STORED, next);
  if (next === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = next;
}

export function isDark(): boolean {
  const chosen = theme();
  return chosen === "system"
    ? matchMedia("(prefers-color-scheme: dark)").matches
    : chosen === "dark";
}
