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

  const select = (source) => {
    const range = document.createRange();
    range.selectNodeContents(source);
    getSelection().removeAllRanges();
    getSelection().addRange(range);
  };

  const copy = async (button) => {
    const source = document.getElementById(button.dataset.copy);
    select(source);
    if (!navigator.clipboard) return; // not a secure origin: the text is selected, the keyboard copies it
    try {
      await navigator.clipboard.writeText(source.textContent.trim());
    } catch {
      return; // the browser refused: the text is selected all the same
    }
    const before = button.textContent;
    button.textContent = button.dataset.done;
    setTimeout(() => (button.textContent = before), 2000);
  };

  document.addEventListener("DOMContentLoaded", () => {
    document.querySelectorAll("[data-theme-switch]").forEach((button) => {
      button.hidden = false;
      label(button);
    });
    document.querySelectorAll("[data-copy]").forEach((button) => (button.hidden = false));
  });

  document.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button?.hasAttribute("data-theme-switch")) turn(button);
    if (button?.hasAttribute("data-copy")) copy(button);
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
