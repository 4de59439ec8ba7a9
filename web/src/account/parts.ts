/** The parts of the account's page, as its address names them. */
export const ACCOUNT_PARTS = ["profile", "security", "messages", "points", "privacy"] as const;
export type AccountPart = (typeof ACCOUNT_PARTS)[number];
