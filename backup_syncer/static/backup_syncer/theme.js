// Light or dark before the first paint. The choice is the admin's too: it keeps it under the same key.
"use strict";
(() => {
  const system = matchMedia("(prefers-color-scheme: dark)");
  const chosen = () => {
    try {
      return localStorage.getItem("theme") || "auto";
    } catch {
      return "auto"; // storage is forbidden: the system decides
    }
  };
  const apply = () => {
    const theme = chosen();
    const dark = theme === "dark" || (theme !== "light" && system.matches);
    document.documentElement.dataset.bsTheme = dark ? "dark" : "light";
    document.documentElement.dataset.themeChoice = theme;
  };
  system.addEventListener("change", apply);
  addEventListener("storage", apply);
  window.backupSyncerTheme = { chosen, apply };
  apply();
})();
