import type { Schemas } from "../api/client";

export const REVIEW_STATUSES: Schemas["ModeratedReview"]["status"][] = [
  "pending",
  "published",
  "rejected",
];

export const MESSAGE_STATUSES: Schemas["SentMessage"]["status"][] = [
  "dead",
  "waiting",
  "sent",
  "dropped",
];
