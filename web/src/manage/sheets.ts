/** Reports as the server makes them, in the form of one table for all. */
import { api, type Schemas, whole } from "../api/client";
import { money } from "../format";
import type { Key, Words } from "../i18n";
import type { GROUPS, Group, ReportName } from "./parts";

export interface Line {
  key: string;
  label: string;
  /** What the bar shows. */
  size: number;
  currency?: string;
  cells: string[];
}

export interface Sheet {
  columns: Key[];
  lines: Line[];
  meta: Schemas["ReportMeta"];
}

export interface Wanted {
  report: ReportName;
  from: string;
  to: string;
  cinema: string | undefined;
  by: Group | undefined;
}

/** What comes unless CSV is asked for. */
interface Rows<Row> {
  data: Row[];
  meta: Schemas["ReportMeta"];
}

type Of<Name extends ReportName> = (typeof GROUPS)[Name][number];

function period({ from, to, cinema }: Wanted) {
  return { from, to, cinema_id: cinema };
}

export async function sheet(wanted: Wanted, { t, language }: Words): Promise<Sheet> {
  const number = new Intl.NumberFormat(language);
  const n = (value: number | null) => (value === null ? "–" : number.format(value));
  const percent = (value: number | null) => (value === null ? "–" : `${number.format(value)} %`);
  switch (wanted.report) {
    case "revenue": {
      const query = { ...period(wanted), group_by: wanted.by as Of<"revenue"> };
      const call = api.GET("/api/v1/admin/reports/revenue", { params: { query } });
      const got = (await whole(call)) as Rows<Schemas["RevenueRow"]>;
      return {
        columns: ["reports.tickets", "reports.gross", "reports.refunds", "reports.net"],
        meta: got.meta,
        lines: got.data.map(({ key, label, currency, tickets, gross, refunds, net }) => {
          const amount = (value: number | null) =>
            value === null ? "–" : money({ amount: value, currency }, language);
          const cells = [n(tickets), amount(gross), amount(refunds), amount(net)];
          return { key: `${key} ${currency}`, label, size: gross, currency, cells };
        }),
      };
    }
    case "capacity": {
      const query = { ...period(wanted), group_by: wanted.by as Of<"capacity"> };
      const call = api.GET("/api/v1/admin/reports/capacity", { params: { query } });
      const got = (await whole(call)) as Rows<Schemas["CapacityRow"]>;
      return {
        columns: [
          "reports.showtimes",
          "reports.seats",
          "reports.sold",
          "reports.admitted",
          "reports.occupied",
        ],
        meta: got.meta,
        lines: got.data.map((one) => ({
          key: one.key,
          label: one.label,
          size: one.sold,
          cells: [
            ...[one.showtimes, one.seats, one.sold, one.admitted].map(n),
            percent(one.occupancy),
          ],
        })),
      };
    }
    case "occupancy": {
      const query = { ...period(wanted), group_by: wanted.by as Of<"occupancy"> };
      const call = api.GET("/api/v1/admin/reports/occupancy", { params: { query } });
      const got = (await whole(call)) as Rows<Schemas["OccupancyRow"]>;
      return {
        columns: [
          "reports.showtimes",
          "reports.soldOut",
          "reports.sold",
          "reports.occupied",
          "reports.fullest",
        ],
        meta: got.meta,
        lines: got.data.map((one) => ({
          key: one.key,
          label: one.label,
          size: one.occupancy ?? 0,
          cells: [
            ...[one.showtimes, one.sold_out, one.sold].map(n),
            percent(one.occupancy),
            percent(one.fullest),
          ],
        })),
      };
    }
    case "popular": {
      const query = period(wanted);
      const call = api.GET("/api/v1/admin/reports/popular-movies", { params: { query } });
      const got = (await whole(call)) as Rows<Schemas["PopularRow"]>;
      return {
        columns: ["reports.showtimes", "reports.tickets", "reports.admitted", "reports.occupied"],
        meta: got.meta,
        lines: got.data.map((one) => ({
          key: one.key,
          label: one.label,
          size: one.tickets,
          cells: [...[one.showtimes, one.tickets, one.admitted].map(n), percent(one.occupancy)],
        })),
      };
    }
    case "funnel": {
      const query = { ...period(wanted), group_by: wanted.by as Of<"funnel"> };
      const call = api.GET("/api/v1/admin/reports/funnel", { params: { query } });
      const got = (await whole(call)) as Rows<Schemas["FunnelRow"]>;
      return {
        columns: [
          "reports.seatMaps",
          "reports.holds",
          "reports.checkouts",
          "reports.confirmed",
          "reports.completion",
          "reports.expiry",
        ],
        meta: got.meta,
        lines: got.data.map((one) => ({
          key: one.key,
          label: one.label,
          size: one.confirmed,
          cells: [
            ...[one.seat_maps, one.holds, one.checkouts, one.confirmed].map(n),
            percent(one.completion),
            percent(one.expiry),
          ],
        })),
      };
    }
    case "recommendations": {
      const query = { from: wanted.from, to: wanted.to };
      const call = api.GET("/api/v1/admin/reports/recommendations", { params: { query } });
      const got = (await whole(call)) as Rows<Schemas["ExperimentRow"]>;
      const within = (value: number | null, low: number | null, high: number | null) =>
        value === null ? "–" : `${percent(value)} (${n(low)} … ${n(high)})`;
      return {
        columns: [
          "reports.customers",
          "reports.maturing",
          "reports.reached",
          "reports.share",
          "reports.difference",
        ],
        meta: got.meta,
        lines: got.data.map((one) => ({
          key: one.key,
          label: `${one.label}${one.is_control ? ` (${t("reports.control")})` : ""}: ${t(`reports.${one.measure}`)}`,
          size: one.share ?? 0,
          cells: [
            ...[one.customers, one.maturing, one.reached].map(n),
            within(one.share, one.share_low, one.share_high),
            within(one.difference, one.difference_low, one.difference_high),
          ],
        })),
      };
    }
  }
}

/** The same as a file for programs of tables. */
export async function csv(wanted: Wanted): Promise<Blob> {
  const file = { ...period(wanted), format: "csv" as const };
  const parseAs = "blob" as const;
  const { by } = wanted;
  switch (wanted.report) {
    case "revenue": {
      const params = { query: { ...file, group_by: by as Of<"revenue"> } };
      return blob(whole(api.GET("/api/v1/admin/reports/revenue", { params, parseAs })));
    }
    case "capacity": {
      const params = { query: { ...file, group_by: by as Of<"capacity"> } };
      return blob(whole(api.GET("/api/v1/admin/reports/capacity", { params, parseAs })));
    }
    case "occupancy": {
      const params = { query: { ...file, group_by: by as Of<"occupancy"> } };
      return blob(whole(api.GET("/api/v1/admin/reports/occupancy", { params, parseAs })));
    }
    case "popular": {
      const params = { query: file };
      return blob(whole(api.GET("/api/v1/admin/reports/popular-movies", { params, parseAs })));
    }
    case "funnel": {
      const params = { query: { ...file, group_by: by as Of<"funnel"> } };
      return blob(whole(api.GET("/api/v1/admin/reports/funnel", { params, parseAs })));
    }
    case "recommendations": {
      const params = { query: { from: wanted.from, to: wanted.to, format: file.format } };
      return blob(whole(api.GET("/api/v1/admin/reports/recommendations", { params, parseAs })));
    }
  }
}

async function blob(body: Promise<unknown>): Promise<Blob> {
  return (await body) as Blob;
}
