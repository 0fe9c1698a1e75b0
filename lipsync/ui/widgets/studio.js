// What all widgets share: words in the visitor's language, and small DOM helpers.
"use strict";
window.studio = (() => {
  const locale = chooseLocale(navigator.languages);

  // The visitor's first language that the screen speaks; words.choose_locale does the same.
  function chooseLocale(languages) {
    for (const tag of languages) {
      if (/^zh(-|$)/i.test(tag)) return "zh-CN";
      if (/^en(-|$)/i.test(tag)) return "en";
    }
    return "en";
  }

  // Left to itself, Gradio speaks German to de and English to zh-HK, in its own words, in our labels
  // and in the page's lang, beside what our scripts say. Its settings page makes the same call. It
  // sets the language more than once while it starts, and shows in lang whenever it has.
  async function keepGradioTo(locale) {
    const core = document.querySelector('link[rel=modulepreload][href*="/core-"]');
    const { changeLocale } = await import(core.href);
    const page = document.documentElement;
    const keep = () => page.lang === locale || changeLocale(locale);
    new MutationObserver(keep).observe(page, { attributeFilter: ["lang"] });
    keep();
  }
  keepGradioTo(locale);

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

  // reveal("#result"): on a phone much lies below what was pressed
  function reveal(selector) {
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    const options = { behavior: calm ? "auto" : "smooth", block: "nearest" };
    document.querySelector(selector)?.scrollIntoView(options);
  }

  return { locale, t, h, clock, reveal, widgets: {} };
})();
