/** How a sum is paid: points first, then a gift card, then what is left. In minor units. */
import type { Money } from "../format";

export interface Parts {
  points: number;
  card: number;
  rest: number;
}

export function partsOf(total: number, points?: Money, card?: Money): Parts {
  const byPoints = Math.min(points?.amount ?? 0, total);
  const byCard = Math.min(card?.amount ?? 0, total - byPoints);
  return { points: byPoints, card: byCard, rest: total - byPoints - byCard };
}
