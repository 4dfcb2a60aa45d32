// What pages do beyond links and forms. Every page reads and works without it.
"use strict";
(() => {
  const NEXT = { auto: "light", light: "dark", dark: "auto" };
  const theme = window.backupSyncerTheme;

  const label = (button) => {
    const text = button.dataset[theme.chosen()];
    button.setAttribute("aria-label", text);
    button.title = text;
  };

  const turn = (button) => {
    try {
      localStorage.setItem("theme", NEXT[theme.chosen()] || "auto");
    } catch {
      return; // storage is forbidden: the system goes on deciding
    }
    theme.apply();
    label(button);
  };

  document.addEventListener("DOMContentLoaded", () => {
    document.querySelectorAll("[data-theme-switch]").forEach((button) => {
      button.hidden = false;
      label(button);
    });
  });

  document.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button?.hasAttribute("data-theme-switch")) turn(button);
  });

  // The key that most sites give to search; not while something is being typed.
  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input, textarea, select")) return;
    const field = document.querySelector("[data-search]");
    if (field) {
      event.preventDefault();
      field.focus();
    }
  });
})();
