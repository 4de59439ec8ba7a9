/** Links of mails, whose token is behind `#` so that no server sees it, and files that are saved. */

/** The header that an address of a mail is for. */
export function linkToken(): string {
  return new URLSearchParams(location.hash.slice(1)).get("token") ?? "";
}

/** Puts a file into the folder of downloads. */
export function save(body: Blob, name: string): void {
  const url = URL.createObjectURL(body);
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  // The browser reads it after this turn; a minute is enough to have begun.
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
