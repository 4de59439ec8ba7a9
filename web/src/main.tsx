import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { ApiError } from "./api/client";
import { preferred, setLanguage } from "./i18n";
import { router } from "./router";
import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/pages.css";
import { setTheme, theme } from "./ui/theme";

const RETRIES_MOST = 4;

const queries = new QueryClient({
  defaultOptions: {
    queries: {
      retry: (failures, error) =>
        failures < RETRIES_MOST && error instanceof ApiError && error.isTransient,
      retryDelay: (failures) => Math.min(300 * 2 ** failures, 3000),
    },
  },
});

// A page of an older build asks for files that a newer one no longer has: once, the page is read anew.
window.addEventListener("vite:preloadError", () => {
  if (sessionStorage.getItem("cinema.reloaded") !== null) return;
  sessionStorage.setItem("cinema.reloaded", "yes");
  location.reload();
});

setTheme(theme());
await setLanguage(preferred());
const place = document.getElementById("root");
if (place === null) throw new Error("The page has no place for the app.");
createRoot(place).render(
  <StrictMode>
    <QueryClientProvider client={queries}>
      <RouterProvider router={router} />
    </QueryClientProvider>
  </StrictMode>,
);
