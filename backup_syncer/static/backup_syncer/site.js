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

    // On a narrow screen, the tab of this page may lie beyond the edge.
    const tabs = document.querySelector(".tabs");
    const tab = tabs?.querySelector("[aria-current]");
    if (tab) tabs.scrollLeft = tab.offsetLeft - tabs.offsetLeft;
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

  // A grid of links: one stop of the Tab key, and keys that go from cell to cell. Without this each cell is a stop.
  const makeCurrent = (grid, link) => {
    grid.querySelectorAll("a[tabindex='0']").forEach((other) => (other.tabIndex = -1));
    link.tabIndex = 0;
  };

  const prepare = (grid) => {
    if (grid.getAttribute("role") === "grid") return;
    grid.setAttribute("role", "grid");
    grid.querySelectorAll("a").forEach((link) => (link.tabIndex = -1));
    const first = grid.querySelector("td a") ?? grid.querySelector("a");
    if (first) makeCurrent(grid, first);
    const label = grid.closest("section").querySelector("[data-cell-label]");
    if (label) label.hidden = false;
  };

  const linkAt = (grid, row, column) => grid.rows[row]?.cells[column]?.querySelector("a");

  // The next link from a cell in a direction; past cells that are empty, undefined at the edge.
  const nextLink = (grid, row, column, down, right) => {
    for (let r = row + down, c = column + right; grid.rows[r]?.cells[c]; r += down, c += right) {
      const link = linkAt(grid, r, c);
      if (link) return link;
    }
    return undefined;
  };

  // The last link that can be reached in a direction, within some steps.
  const lastLink = (grid, row, column, down, right, steps = Infinity) => {
    let last;
    for (let link, r = row, c = column; steps > 0 && (link = nextLink(grid, r, c, down, right)); steps -= 1) {
      last = link;
      r = link.closest("tr").rowIndex;
      c = link.closest("th, td").cellIndex;
    }
    return last;
  };

  const MOVES = {
    ArrowUp: (...at) => nextLink(...at, -1, 0),
    ArrowDown: (...at) => nextLink(...at, 1, 0),
    ArrowLeft: (...at) => nextLink(...at, 0, -1),
    ArrowRight: (...at) => nextLink(...at, 0, 1),
    Home: (...at) => lastLink(...at, 0, -1),
    End: (...at) => lastLink(...at, 0, 1),
    PageUp: (...at) => lastLink(...at, -1, 0, 10),
    PageDown: (...at) => lastLink(...at, 1, 0, 10),
  };

  document.addEventListener("keydown", (event) => {
    const cell = event.target.closest("[data-grid] :is(th, td)");
    const move = MOVES[event.key];
    if (!cell || !move || event.shiftKey || event.altKey || event.metaKey) return;
    const grid = cell.closest("table");
    let link;
    if (!event.ctrlKey) link = move(grid, cell.parentElement.rowIndex, cell.cellIndex);
    else if (event.key === "Home") link = grid.querySelector("a");
    else if (event.key === "End") link = [...grid.querySelectorAll("a")].at(-1);
    else return;
    event.preventDefault();
    if (link) link.focus();
  });

  const showLabel = (event) => {
    const link = event.target.closest?.("[data-grid] a");
    if (!link) return;
    const label = link.closest("section").querySelector("[data-cell-label]");
    if (label) label.textContent = link.getAttribute("aria-label") || link.title;
  };
  document.addEventListener("pointerover", showLabel);
  document.addEventListener("focusin", (event) => {
    const link = event.target.closest?.("[data-grid] a");
    if (link) makeCurrent(link.closest("table"), link);
    showLabel(event);
  });

  const prepareAll = () => document.querySelectorAll("[data-grid]").forEach(prepare);
  document.addEventListener("DOMContentLoaded", prepareAll);

  // The page looks again by itself while somebody stands in the grid: he stays where he was.
  let stood = null;
  document.addEventListener("htmx:beforeSwap", () => {
    stood = document.activeElement?.closest("[data-grid] a")?.getAttribute("href") ?? null;
  });
  document.addEventListener("htmx:afterSettle", () => {
    prepareAll();
    const link = stood && [...document.querySelectorAll("[data-grid] a")].find((a) => a.getAttribute("href") === stood);
    if (link) link.focus({ preventScroll: true });
    stood = null;
  });
})();
