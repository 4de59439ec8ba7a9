import { QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { preferred, setLanguage } from "./i18n";
import { router } from "./router";
import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/pages.css";
import { queries } from "./ui/answers";
import { setTheme, theme } from "./ui/theme";

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
