/** What the server has answered, for all pages of this window. */
import { QueryClient } from "@tanstack/react-query";
import { ApiError } from "../api/client";

const RETRIES_MOST = 4;

export const queries = new QueryClient({
  defaultOptions: {
    queries: {
      retry: (failures, error) =>
        failures < RETRIES_MOST && error instanceof ApiError && error.isTransient,
      retryDelay: (failures) => Math.min(300 * 2 ** failures, 3000),
    },
  },
});
