// Gradio names its buttons and fields in English whatever the language, not all of them say which
// field they belong to, and its messages are for programmers. Here they get words of ours.
"use strict";
(() => {
  const { t } = studio;
  const PAUSE = 100; // ms between two looks at the page

  const NAMES = [
    [/^(?:number input|range slider) for (.*)$/s, (_, [, field]) => field],
    [/^Reset to default value$/, (element) => t("access.reset", { field: fieldOf(element) })],
    [/^Click to upload or drop files$/, (element) => `${fieldOf(element)}: ${textOf(element)}`],
    [/^File upload$/, (element) => fieldOf(element)],
    [/^More tabs$/, () => t("access.more-tabs")],
    [/^Close$/, () => t("access.close")],
  ];
  const MESSAGES = [
    [/^Error$/, () => t("access.error")],
    [/^(Warning|Info|Success)$/, () => t("access.note")],
    [/^Connection errored out/, () => t("access.connection")],
    [/^Invalid file type/, () => t("access.file-type")],
    [/^(?:File size exceeds|File\(s\) exceed|HTTP 413)/, () => t("access.too-large")],
    [/^Uploading\s+(\d+)\s+files?/, ([, count]) => t("access.uploading", { count: Number(count) })],
  ];

  // what a button does, for whoever rests on it; Gradio's buttons have no place to say it
  const HINTS = ["generate", "preview", "cancel", "download", "make-both", "record"];

  function textOf(element) {
    return element.innerText.replace(/\s+/g, " ").trim();
  }

  function fieldOf(element) {
    const block = element.closest(".block");
    const label = block?.querySelector("[data-testid=block-label], [data-testid=block-info]");
    return label ? textOf(label) : "";
  }

  function rename(element) {
    const name = element.getAttribute("aria-label");
    for (const [pattern, say] of NAMES) {
      const found = pattern.exec(name);
      if (found) element.setAttribute("aria-label", say(element, found));
    }
  }

  function reword(element) {
    const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
      for (const [pattern, say] of MESSAGES) {
        const found = pattern.exec(walker.currentNode.data.trim());
        if (found) walker.currentNode.data = say(found);
      }
    }
  }

  function look() {
    document.querySelectorAll("[aria-label]").forEach(rename);
    document.querySelectorAll(".toast-wrap, .uploading").forEach(reword);
    for (const id of HINTS) document.getElementById(id)?.setAttribute("title", t(`hints.${id}`));
  }

  let waiting = false;
  new MutationObserver(() => {
    if (waiting) return;
    waiting = true;
    setTimeout(() => {
      waiting = false;
      look();
    }, PAUSE);
  }).observe(document.documentElement, {
    subtree: true,
    childList: true,
    characterData: true,
    attributeFilter: ["aria-label"],
  });
})();
