// Light or dark: what the system says, until the button says otherwise. Runs before the first paint.
"use strict";
(() => {
  const root = document.documentElement;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : dark.matches);
  let stored = null;
  try {
    stored = localStorage.getItem("theme");
  } catch {
    // storage may be forbidden; the system's colours then
  }
  if (stored === "dark" || stored === "light") root.dataset.theme = stored;

  const tell = () => {
    document.getElementById("theme")?.setAttribute("aria-pressed", String(isDark()));
    document.dispatchEvent(new Event("theme"));
  };
  dark.addEventListener("change", tell);
  document.addEventListener("DOMContentLoaded", () => {
    tell();
    document.getElementById("theme").addEventListener("click", () => {
      const wanted = isDark() ? "light" : "dark";
      root.dataset.theme = wanted;
      try {
        localStorage.setItem("theme", wanted);
      } catch {
        // holds for this visit only
      }
      tell();
    });
  });
})();
