// The address bar follows the settings (the value is the query that names them); a button copies it.
"use strict";
studio.widgets.link = (element, props, trigger, watch) => {
  const { t, h } = studio;
  const SHOWN_MS = 2500;

  const button = h("button", { type: "button", class: "link-button", onclick: copy }, t("inputs.link"));
  const said = h("span", { class: "link-said", role: "status" });
  const field = h("input", { class: "link-field", readonly: true, hidden: true, "aria-label": t("inputs.link-shown") });
  element.classList.add("link");
  element.append(button, said, field);
  watch("value", () => history.replaceState(history.state, "", address()));

  // this page's address with these settings; what else stands in it (theme, language) stays
  function address() {
    const url = new URL(location.href);
    const settings = new URLSearchParams(props.value);
    for (const key of props.keys) url.searchParams.delete(key);
    for (const [key, value] of settings) url.searchParams.set(key, value);
    return url.href;
  }

  async function copy() {
    field.hidden = true;
    try {
      await navigator.clipboard.writeText(address());
    } catch { // plain http from another machine has no clipboard: the visitor copies by hand
      said.textContent = t("inputs.link-shown");
      field.value = address();
      field.hidden = false;
      field.select();
      return;
    }
    said.textContent = t("inputs.link-copied");
    setTimeout(() => { said.textContent = ""; }, SHOWN_MS);
  }
};
