// What all widgets share: words in the visitor's language, and small DOM helpers.
"use strict";
window.studio = (() => {
  // Our own page has put there the locale that the server chose (page_language.py); a page of
  // somebody else's, which holds the app as an element, says what its visitor's browser says.
  const locale = navigator.language in window.studioWords ? navigator.language : "en";

  // t("player.frame", {number: 3}): the text of a key; {name} is replaced, count=1 takes key.one
  function t(key, values = {}) {
    const words = window.studioWords[locale];
    const text = (values.count === 1 && words[`${key}.one`]) || words[key];
    if (text === undefined) throw new Error(`no word "${key}"`);
    return text.replace(/\{(\w+)\}/g, (_, name) => values[name]);
  }

  // h("button", {type: "button", onclick: f}, "text", child): an element; text is never HTML
  function h(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (value === null || value === undefined || value === false) continue;
      if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
      else element.setAttribute(name, value === true ? "" : value);
    }
    element.append(...children);
    return element;
  }

  // "1:02.5"
  function clock(seconds) {
    const tenths = Math.round(seconds * 10);
    const rest = String(Math.floor((tenths % 600) / 10)).padStart(2, "0");
    return `${Math.floor(tenths / 600)}:${rest}.${tenths % 10}`;
  }

  // age(1700000000): "5 days ago" as an element, as the visitor's clock sees it
  function age(created) {
    const seconds = Math.max(0, Date.now() / 1000 - created);
    const units = [["day", 86400], ["hour", 3600], ["minute", 60]];
    const [unit, length] = units.find(([, length]) => seconds >= length) ?? ["second", Infinity];
    const when = new Date(created * 1000);
    const said = new Intl.RelativeTimeFormat(locale, { numeric: "auto" });
    return h("time", { datetime: when.toISOString(), title: when.toLocaleString(locale) },
      said.format(-Math.floor(seconds / length), unit));
  }

  // reveal("#result"): on a phone much lies below what was pressed
  function reveal(selector) {
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    const options = { behavior: calm ? "auto" : "smooth", block: "nearest" };
    document.querySelector(selector)?.scrollIntoView(options);
  }

  return { locale, t, h, clock, age, reveal, widgets: {} };
})();
