// A button that copies the text of another element; where the browser does not allow it, the text is selected.
"use strict";
(() => {
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

  document.querySelectorAll("[data-copy]").forEach((button) => {
    button.hidden = false;
    button.addEventListener("click", () => copy(button));
  });
})();
