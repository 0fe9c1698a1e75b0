// The checkpoints of presets. The server sets `listing`, `said`, `trouble` and `wanted` (checkpoints
// to ask about); what is asked for goes back as `value`:
// {kind: "fetch" | "stop" | "verify" | "delete" | "release", keys, n}, n makes each wish a new one.
(() => {
  const { t, h } = studio;
  let answered = null; // n of the `wanted` that was asked about, however often the tab is drawn
  const WISH = { "fetch-partial": "fetch", "fetch-damaged": "fetch", cancel: "stop" };

  class Models {
    #drawn = new Map(); // key -> {text, card}: a card is drawn anew only where it has changed
    #count = 0;

    constructor(element, props, trigger) {
      this.props = props;
      this.trigger = trigger;
      this.lead = h("p", { class: "models-hint" });
      this.said = h("p", { class: "models-said", role: "status" });
      this.trouble = h("p", { class: "models-trouble", role: "alert" });
      this.list = h("ul", { class: "models-list", role: "list", "aria-label": t("models.list") });
      this.own = h("p", { class: "models-hint" });
      this.parts = h("ul", { class: "models-parts", role: "list" });
      this.none = h("p", { class: "models-hint" }, t("models.loaded-none"));
      this.release = h("button", { type: "button", "data-act": "release", onclick: () => this.#ask("release", []) }, t("models.release"));
      this.dialog = h("dialog", { class: "models-dialog", "aria-labelledby": "models-question" });
      element.append(h("section", { class: "models" },
        this.lead, this.said, this.trouble, this.list, this.own,
        h("h2", { class: "models-heading" }, t("models.loaded")), this.parts, this.none, this.release, this.dialog));
    }

    show() {
      const { listing, said, trouble } = this.props;
      this.said.textContent = said ?? "";
      this.trouble.textContent = trouble ?? "";
      if (!listing) return;
      this.lead.textContent = listing.lead;
      for (const row of listing.rows) this.#showRow(row);
      this.own.textContent = listing.own;
      this.parts.replaceChildren(...listing.parts.map(({ name, facts, use }) =>
        h("li", { class: "models-part" }, h("b", {}, name), h("span", {}, facts), h("span", {}, use))));
      this.none.hidden = listing.parts.length > 0;
      this.release.hidden = !listing.has_idle;
    }

    // The question that the button on a preset's card leads to.
    askWanted() {
      const { wanted, listing } = this.props;
      if (!wanted || !listing || wanted.n === answered) return;
      answered = wanted.n;
      const rows = listing.rows.filter(({ key, is_busy }) => wanted.keys.includes(key) && !is_busy);
      if (rows.length) this.#question("fetch", rows, wanted.size);
    }

    #showRow(row) {
      const text = JSON.stringify(row);
      const before = this.#drawn.get(row.key);
      if (before?.text === text) return;
      const card = this.#card(row);
      this.#drawn.set(row.key, { text, card });
      if (!before) return this.list.append(card);
      const held = before.card.contains(document.activeElement) ? document.activeElement.dataset.act : null;
      before.card.replaceWith(card);
      if (held !== null) (card.querySelector(`[data-act="${held}"]`) ?? card).focus();
    }

    #card(row) {
      const { key, title, size, needs, kind, state, licence, meaning, place } = row;
      const facts = h("div", { class: "models-facts" },
        h("p", {}, needs), h("p", {}, h("b", {}, licence), ` · ${meaning}`));
      if (place) facts.append(h("p", { class: "models-place" }, place));
      const card = h("li", { class: "models-card", "data-key": key, tabindex: -1 },
        h("div", { class: "models-line" },
          h("h2", { class: "models-name" }, title), h("span", { class: "models-size" }, size),
          h("span", { class: `models-state ${kind === "own" || kind === "here" ? "models-usable" : `models-${kind}`}` }, state)),
        facts);
      if (row.is_busy || row.errand) card.append(this.#errand(row));
      const actions = row.actions.map((act) => this.#button(act, row));
      if (actions.length) card.append(h("div", { class: "models-actions" }, ...actions));
      return card;
    }

    #errand({ title, share, errand, is_busy, is_trouble }) {
      const line = h("p", { class: is_trouble ? "models-trouble" : "models-errand", role: is_trouble ? "alert" : null }, errand);
      if (!is_busy) return line;
      const percent = share === null ? null : Math.round(100 * share);
      const bar = h("div", {
        class: "models-bar", role: "progressbar", "aria-label": title,
        "aria-valuemin": 0, "aria-valuemax": 100, "aria-valuenow": percent,
      }, h("span"));
      bar.firstChild.style.width = `${percent ?? 0}%`;
      return h("div", {}, bar, line);
    }

    #button(act, row) {
      const kind = WISH[act] ?? act;
      const asks = kind === "fetch" || kind === "delete";
      const name = t(`models.${act === "cancel" ? act : kind}-named`, row);
      return h("button", {
        type: "button", "data-act": kind, class: kind === "fetch" && row.is_needed ? "models-main" : null, "aria-label": name,
        onclick: () => asks ? this.#question(kind, [row]) : this.#ask(kind, [row.key]),
      }, t(`models.${act}`));
    }

    // Nothing is fetched or deleted before this has been answered.
    #question(kind, rows, size = rows[0].size) {
      const keys = rows.map(({ key }) => key);
      const question = kind === "delete"
        ? t("models.ask-delete", rows[0])
        : t("models.ask-fetch", { size });
      const lines = kind === "delete"
        ? [h("p", {}, t("models.ask-delete-note", { size: rows[0].freed }))]
        : rows.map((row) => h("div", { class: "models-asked" },
          h("p", {}, t("models.sized", row)), h("p", {}, h("b", {}, row.licence), ` · ${row.meaning}`)));
      const answer = (act, key, run) => h("button", { type: "button", "data-act": act, class: `models-${act}`, onclick: run }, t(key));
      const close = () => this.dialog.close();
      const agree = () => { close(); this.#ask(kind, keys); };
      this.dialog.replaceChildren(
        h("h2", { id: "models-question", class: "models-heading" }, question), ...lines,
        h("div", { class: "models-actions" },
          answer(kind === "delete" ? "danger" : "main", `models.yes-${kind}`, agree), answer("no", "models.leave", close)));
      this.dialog.showModal();
    }

    #ask(kind, keys) {
      this.#count += 1;
      this.props.value = { kind, keys, n: this.#count };
      this.trigger("input");
    }
  }

  studio.widgets.models = (element, props, trigger, watch) => {
    const models = new Models(element, props, trigger);
    models.show();
    models.askWanted();
    watch(["listing", "said", "trouble"], () => models.show());
    watch(["listing", "wanted"], () => models.askWanted());
  };
})();
